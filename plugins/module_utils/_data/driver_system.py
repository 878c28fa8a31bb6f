# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the driver is on a running system: modules, units, files, and who else holds devices. PRIVATE to the
collection."""

from __future__ import annotations

import typing as t

from .holders import STOPPABLE as _HOLDERS

# Modules that belong to the driver. Source: NVIDIA's driver installation guide, "Kernel Modules".
MODULES: t.Tuple[str, ...] = ("nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm", "nvidia_peermem")
# What a compute node needs in memory; the others are loaded by those who use them. nvidia_uvm is needed by CUDA.
LOADED: t.Tuple[str, ...] = ("nvidia", "nvidia_uvm")

# Modules of others without which nvlsm does not reach NVSwitches behind ConnectX bridges (B200, B300): CUDA then fails
# with error 802 while all looks well. Sources: driver reference of the collection, sections 1 and 6; gpu-operator#2781.
FABRIC_MODULES: t.Tuple[str, ...] = ("ib_umad", "mlx5_ib")

PERSISTENCED = "nvidia-persistenced.service"
FABRIC_MANAGER = "nvidia-fabricmanager.service"
IMEX = "nvidia-imex.service"
# CUDA jobs of the whole node may end with these (rule 6 of the live-node rules): never touched while a GPU is busy. On
# B200 boards nvlsm is started by the fabric manager's unit; a unit of its own is not verified.
FABRIC_UNITS: t.Tuple[str, ...] = (FABRIC_MANAGER, IMEX, "nvlsm.service", "nvidia-nvlsm.service")

# imex reads the addresses of the nodes of its NVLink domain from this file unless its configuration names another one;
# they "must" be there before the service starts. Source: NVIDIA's IMEX guide, "Deployment Models" and "IMEX Service
# Config Options".
IMEX_CONFIG = "/etc/nvidia-imex/config.cfg"
IMEX_NODES = "/etc/nvidia-imex/nodes_config.cfg"

# The alias that every display manager has, and the link that says whose it is (systemd.special(7)).
# They are of no use without the modules.
OF_DRIVER: t.Tuple[str, ...] = (*FABRIC_UNITS, PERSISTENCED)

DISPLAY = "display-manager.service"
DISPLAY_ALIAS = f"/etc/systemd/system/{DISPLAY}"
MPS = "nvidia-mps.service"  # no package ships a unit; the name is the one most write by hand

# What may be stopped for a reload of the modules and is started again, in the order of stopping: the holders that a
# reset knows, then exporters of other projects. A display manager is in this list only where nobody is logged in, MPS
# only without clients: who reads the node leaves out their unit otherwise.
STOPPABLE: t.Tuple[str, ...] = (
    *(unit for unit, _why in _HOLDERS if unit != PERSISTENCED),
    "nvidia_gpu_exporter.service",  # utkuozdemir/nvidia_gpu_exporter, its own systemd unit
    DISPLAY,
    MPS,
    *FABRIC_UNITS,
    PERSISTENCED,
)

# Our own files.
MODPROBE_FILE = "/etc/modprobe.d/accel-gpu.conf"
MODULES_LOAD_FILE = "/etc/modules-load.d/accel-gpu.conf"  # modules-load.d(5)
REPOSITORY_NAME = "accel-gpu-driver"


class SigningKey(t.NamedTuple):
    """The certificate that DKMS signs with, what makes it where there is none, and what that needs to be installed."""

    certificate: str
    make: t.Tuple[str, ...]
    packages: t.Tuple[str, ...]


# Source: function prepare_mok in dkms 3.0.10 (Debian 12) and 3.2.2 (Debian 13), which makes the key at the first build.
# The enrolment comes before that, so the same is done here. 3.2.2 has `dkms generate_mok` for it, 3.0.10 has not.
DKMS_KEY = SigningKey(
    "/var/lib/dkms/mok.pub",
    (
        "openssl", "req", "-new", "-x509", "-nodes", "-days", "36500", "-subj", "/CN=DKMS module signing key",
        "-newkey", "rsa:2048", "-keyout", "/var/lib/dkms/mok.key", "-addext", "extendedKeyUsage=codeSigning",
        "-outform", "DER", "-out", "/var/lib/dkms/mok.pub",
    ),
    ("dkms", "mokutil", "openssl"),
)  # fmt: skip
# Ubuntu's dkms signs with the key of shim-signed. Without SHIM_NOTRIGGER that would rebuild modules (not run here).
UBUNTU_KEY = SigningKey(
    "/var/lib/shim-signed/mok/MOK.der",
    ("env", "SHIM_NOTRIGGER=y", "update-secureboot-policy", "--new-key"),
    ("dkms", "mokutil", "shim-signed"),
)
SIGNING_KEYS: t.Dict[str, SigningKey] = {"ubuntu": UBUNTU_KEY}  # by distribution; all others have DKMS_KEY
ENROLLING = tuple(sorted({*DKMS_KEY.packages, *UBUNTU_KEY.packages}))
MAKE_KEY: t.Dict[str, t.Tuple[str, ...]] = {key.certificate: key.make for key in (DKMS_KEY, UBUNTU_KEY)}
