#!/bin/sh
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs once in the bare distribution, after the overlay and gpusim were copied into it.
set -eu

# A kernel without loadable modules fails every one of them, and no kernel may load NVIDIA's modules for a container.
for tool in modprobe rmmod lsmod modinfo; do
    dpkg-divert --quiet --local --rename --divert "/sbin/$tool.kmod" --add "/sbin/$tool"
    ln -s /usr/lib/accel-lab/kmod.py "/sbin/$tool"
done

systemctl --quiet enable gpusim-boot.service
# A node without these in its lab_units has no Slurm; slurmd.service is the stand-in.
systemctl --quiet disable munge.service slurmctld.service slurmd.service
install -d -o slurm -g slurm /var/lib/slurm /var/lib/slurm/slurmctld
install -d /var/lib/slurm/slurmd
# A container has no console to log in to, and timers that update packages would hold apt's lock during a test.
systemctl --quiet mask getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer fstrim.timer systemd-udevd.service

# The library was compiled on the machine that runs the lab: say it here, not at the first test, if it does not load.
python3 -c 'import ctypes; ctypes.CDLL("/usr/lib/gpusim/lib/libnvidia-ml.so.1")' || {
    echo "the simulated library does not load on this distribution (is it older than the machine that built it?)" >&2
    exit 1
}
