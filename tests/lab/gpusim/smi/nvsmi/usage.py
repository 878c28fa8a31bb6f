# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The help text."""

TEXT = """NVIDIA System Management Interface -- stand-in of the simulated GPU node

nvidia-smi [OPTION1 [ARG1]] [OPTION2 [ARG2]] ...

    -h,   --help                 Print this text and exit.
          --version              Print the versions of driver, NVML and CUDA.
    <no arguments>               Summary of the GPUs, their MIG devices and processes.
    -L,   --list-gpus            One line for each GPU and MIG device.
    -q,   --query                All about the GPUs; -d SECTION[,SECTION] shows only those:
                                 MEMORY, UTILIZATION, ECC, TEMPERATURE, POWER, CLOCK, COMPUTE, PIDS, PERFORMANCE,
                                 SUPPORTED_CLOCKS, PAGE_RETIREMENT, ROW_REMAPPER, RESET_STATUS, VOLTAGE
    -i,   --id=                  Only these GPUs: index, UUID or PCI bus ID, several with commas.
    -f,   --filename=            Write to a file.

  Selected properties; --format=csv[,noheader][,nounits] is mandatory:
          --query-gpu=           See --help-query-gpu.
          --query-compute-apps=  See --help-query-compute-apps.
          --query-remapped-rows= See --help-query-remapped-rows.
          --query-supported-clocks=

  Changes, one at a time:
    -pm,  --persistence-mode=    0/DISABLED, 1/ENABLED
    -e,   --ecc-config=          0/DISABLED, 1/ENABLED, effective after a reset
    -p,   --reset-ecc-errors=    0/VOLATILE, 1/AGGREGATE
    -c,   --compute-mode=        0/DEFAULT, 2/PROHIBITED, 3/EXCLUSIVE_PROCESS
    -r,   --gpu-reset            Reset the GPUs of -i.
    -lgc, --lock-gpu-clocks=     MIN,MAX or one value in MHz;     -rgc, --reset-gpu-clocks
    -lmc, --lock-memory-clocks=  MIN,MAX or one value in MHz;     -rmc, --reset-memory-clocks
    -ac,  --applications-clocks= MEMORY,GRAPHICS in MHz;          -rac, --reset-applications-clocks
    -pl,  --power-limit=         Watts
    -mig, --multi-instance-gpu=  0/DISABLED, 1/ENABLED
    -eow, --error-on-warning     Warnings end with a non-zero code.

    mig                          Instances: nvidia-smi mig -h

Exit codes: 0 done, 2 wrong argument, 3 not supported, 4 no permission, 6 not found, 9 no driver, 12 no NVML library,
15 GPU lost, other NVML codes as they are, 255 other."""

MIG_TEXT = """    mig -- Multi Instance GPU management.

    Usage: nvidia-smi mig [options]

    -h                    Print this text.
    -i IDS                Only these GPUs: index, UUID or PCI bus ID.
    -gi IDS, -ci IDS      Only these GPU instances, compute instances.
    -lgip                 List the GPU instance profiles.
    -lgipp                List the possible placements of GPU instances.
    -cgi PROFILE[:START],…  Create GPU instances by profile ID or name, with -C also the default compute instance.
    -dgi                  Destroy GPU instances.
    -lgi                  List GPU instances.
    -lcip                 List the compute instance profiles; * marks the default.
    -lcipp                List the possible placements of compute instances.
    -cci [PROFILE,…]      Create compute instances.
    -dci                  Destroy compute instances.
    -lci                  List compute instances."""
