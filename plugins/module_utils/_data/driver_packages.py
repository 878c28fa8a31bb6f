# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the driver's packages by source, layout, branch, kind of modules, flavour and profile. PRIVATE.

`{branch}` is the branch ("580"), `{kernel}` a kernel's release. Sources: [guide] is NVIDIA's driver installation guide
615 and 620 with its chapters on compute-only installation as several public projects run them; [renames] its table
"Ubuntu 590 package renames"; [suse] the notes of SUSE's NVIDIA packager (G06 of July 2025, G07 of February 2026) and
SUSE's own driver containers (bci_build/package/nvidia.py), which agree; [ubuntu] packages.ubuntu.com; [measured] Debian
12 and 13, November 2026; [azhpc] Azure/azhpc-images.
"""

from __future__ import annotations

import typing as t

Names = t.Tuple[str, ...]
# (kind of modules, flavour, profile) -> names
Table = t.Mapping[t.Tuple[str, str, str], Names]


class Layout(t.NamedTuple):
    """Branches `first` to `last` of one source on one kind of distribution.

    A kind of modules, flavour and profile that is not in `names` is not offered; `missing` says why for a kind of
    modules. `fabric` and so on are None where the source does not have them. `own_version` are names that do not carry
    the driver's version, `helpers` are left out where nobody offers them; of each row of `either` the first that is
    there is taken. `rivals` are names of other branches that say no branch. `signed`: kinds of modules that Secure Boot
    accepts without a key of the machine.
    `brings_blacklist`: a package blacklists nouveau by itself. `modules` are the kernel modules as modprobe.d must
    name them, by flavour, where they differ from the usual names.
    """

    first: int
    last: int
    names: Table
    fabric: t.Optional[str] = None
    nvlsm: t.Optional[str] = None
    imex: t.Optional[str] = None
    persistenced: t.Optional[str] = None
    pinning: t.Optional[str] = None
    own_version: Names = ()
    helpers: Names = ()
    either: t.Tuple[Names, ...] = ()
    rivals: Names = ()
    signed: Names = ()
    brings_blacklist: bool = False
    modules: t.Mapping[str, t.Mapping[str, str]] = {}
    missing: t.Mapping[str, str] = {}


_D, _P = "dkms", "precompiled"
_O, _C = "open", "proprietary"
_HEADLESS, _FULL = "compute", "full"
LATER = 9999

_NO_PRECOMPILED_DEB = "NVIDIA's repository has no precompiled modules for this distribution"

# --- NVIDIA's repositories (and mirrors of them) ---

_NVIDIA_DEBIAN = Layout(
    570,
    LATER,
    {
        (_D, _O, _HEADLESS): ("nvidia-driver-cuda", "nvidia-kernel-open-dkms"),  # [guide]
        (_D, _C, _HEADLESS): ("nvidia-driver-cuda", "nvidia-kernel-dkms"),
        (_D, _O, _FULL): ("nvidia-open",),
        (_D, _C, _FULL): ("cuda-drivers",),
    },
    persistenced="nvidia-persistenced",
    nvlsm="nvlsm",
    pinning="nvidia-driver-pinning-{pin}",  # [guide], version locking
    own_version=("nvlsm",),
    missing={_P: _NO_PRECOMPILED_DEB},
)
# [renames] up to nvidia-dkms-open; the others by analogy with what nvidia-driver-580 depends on (not verified).
_UBUNTU_SINCE_590 = (
    "libnvidia-cfg1", "libnvidia-common", "libnvidia-compute", "libnvidia-decode", "libnvidia-encode",
    "libnvidia-extra", "libnvidia-fbc1", "libnvidia-gl", "libnvidia-gpucomp", "nvidia-dkms", "nvidia-dkms-open",
    "nvidia-compute-utils", "nvidia-driver", "nvidia-driver-open", "nvidia-firmware", "nvidia-kernel-common",
    "nvidia-kernel-source", "nvidia-kernel-source-open", "nvidia-persistenced", "nvidia-utils",
    "xserver-xorg-video-nvidia",
)  # fmt: skip
_NVIDIA_UBUNTU_580 = Layout(
    570,
    589,
    {
        # [guide] names the first two; nvidia-smi is in nvidia-utils ([ubuntu]), which neither needs
        (_D, _O, _HEADLESS): ("libnvidia-compute-{branch}", "nvidia-dkms-{branch}-open", "nvidia-utils-{branch}"),
        (_D, _C, _HEADLESS): ("libnvidia-compute-{branch}", "nvidia-dkms-{branch}", "nvidia-utils-{branch}"),
        (_D, _O, _FULL): ("nvidia-open",),
        (_D, _C, _FULL): ("cuda-drivers",),
    },
    persistenced="nvidia-compute-utils-{branch}",  # [ubuntu]: the daemon is in this package up to 580
    rivals=_UBUNTU_SINCE_590,
    nvlsm="nvlsm",
    pinning="nvidia-driver-pinning-{pin}",
    own_version=("nvlsm",),
    missing={_P: _NO_PRECOMPILED_DEB},
)
_NVIDIA_UBUNTU_590 = Layout(
    590,
    LATER,
    {
        (_D, _O, _HEADLESS): ("libnvidia-compute", "nvidia-dkms-open", "nvidia-utils"),  # [guide], [renames]
        (_D, _C, _HEADLESS): ("libnvidia-compute", "nvidia-dkms", "nvidia-utils"),
        (_D, _O, _FULL): ("nvidia-open",),
        (_D, _C, _FULL): ("cuda-drivers",),
    },
    # Third parties install it by this name; by analogy with [renames] it would still be in nvidia-compute-utils.
    # Neither is verified, so the repository is asked for both.
    persistenced="nvidia-persistenced",
    either=(("nvidia-persistenced", "nvidia-compute-utils"),),
    nvlsm="nvlsm",
    pinning="nvidia-driver-pinning-{pin}",
    own_version=("nvlsm",),
    missing={_P: _NO_PRECOMPILED_DEB},
)
# Rows for RHEL hold for every release; streams are added where the release has them.
_NVIDIA_RHEL = Layout(
    570,
    LATER,
    {
        (_D, _O, _HEADLESS): ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),  # [guide]
        (_D, _C, _HEADLESS): ("nvidia-driver-cuda", "kmod-nvidia-latest-dkms"),
        (_D, _O, _FULL): ("nvidia-open",),
        (_D, _C, _FULL): ("cuda-drivers",),
        # The stream without a suffix has precompiled proprietary modules, found by the dependency nvidia-kmod: not
        # verified.
        (_P, _C, _HEADLESS): ("nvidia-driver-cuda",),
        (_P, _C, _FULL): ("cuda-drivers",),
    },
    persistenced="nvidia-persistenced",
    nvlsm="nvlsm",
    own_version=("nvlsm",),
    missing={
        _P: "NVIDIA's repository has precompiled modules of the proprietary flavour alone, in a dnf module stream "
        "(RHEL 8 and 9)",
    },
)


def _suse(first: int, last: int, generation: str, open_dkms: str, closed_dkms: str) -> Layout:
    """[suse]: the userspace is called by the driver's generation, the module by its own name. The signed modules come
    from SUSE's own update channel; their version has the kernel's in it (595.71.05_k6.4.0_150700.53.40)."""
    user = f"nvidia-compute-utils-{generation}"
    video = f"nvidia-video-{generation}"
    signed = f"nvidia-open-driver-{generation}-signed-cuda-kmp-default"
    return Layout(
        first,
        last,
        {
            (_D, _O, _HEADLESS): (open_dkms, user),
            (_D, _C, _HEADLESS): (closed_dkms, user),
            (_D, _O, _FULL): (open_dkms, user, video),
            (_D, _C, _FULL): (closed_dkms, user, video),
            (_P, _O, _HEADLESS): (signed, user),
            (_P, _O, _FULL): (signed, user, video),
        },
        persistenced="nvidia-persistenced",
        nvlsm="nvlsm",  # seen for RHEL (gpu-driver-container); not verified for SLES
        own_version=("nvlsm",),
        signed=(_P,),
        missing={_P: "SUSE's signed modules exist in the open flavour alone"},
    )


_NVIDIA_SLES = (
    _suse(570, 574, "G06", "nvidia-open-driver-G06-kmp-default", "nvidia-driver-G06-kmp-default"),
    _suse(575, 589, "G06", "nvidia-open-driver-G06", "nvidia-driver-G06"),
    _suse(590, LATER, "G07", "nvidia-open-driver-G07", "nvidia-driver-G07"),
)


def _fabric(rows: t.Sequence[Layout], old: str, new: str, imex_old: str, imex: str) -> t.Tuple[Layout, ...]:
    """The fabric manager lost its suffix at 580 ([azhpc], DeepOps, cloud-native-stack), imex with it."""
    found: t.List[Layout] = []
    for row in rows:
        if row.first < 580:
            found.append(row._replace(last=min(row.last, 579), fabric=old, imex=imex_old))
        if row.last >= 580:
            found.append(row._replace(first=max(row.first, 580), fabric=new, imex=imex))
    return tuple(found)


_SUFFIXED = ("nvidia-fabricmanager-{branch}", "nvidia-fabricmanager", "nvidia-imex-{branch}", "nvidia-imex")
# rpm: NVIDIA/gpu-driver-container, rhel8, rhel9 and rhel10/install.sh. For SLES by analogy (not verified): neither that
# project nor SUSE's containers install a fabric manager there.
_HYPHENED = ("nvidia-fabric-manager", "nvidia-fabricmanager", "nvidia-imex-{branch}", "nvidia-imex")

# --- the distributions' own packages ---

# [measured]. 535 names its flavours alike in 12 and 13.
# All that depend on each other by exact version are named, so that an older version can be had beside a newer
# candidate: so apt simulates the open modules of 535.261.03 on 12 beside the security suite's 535.309.01, which it
# refuses where nvidia-open-kernel-dkms is named alone.
_DEBIAN_COMMON = (
    "nvidia-smi",
    "libcuda1",
    "libnvidia-ml1",
    "libnvidia-cfg1",
    "libnvidia-ptxjitcompiler1",
    "libnvidia-pkcs11-openssl3",
    "nvidia-alternative",
    "firmware-nvidia-gsp",
)
_DEBIAN_HELPERS = (
    "libnvidia-cfg1",
    "libnvidia-ptxjitcompiler1",
    "libnvidia-pkcs11-openssl3",
    "nvidia-alternative",
    "firmware-nvidia-gsp",
    "nvidia-kernel-support",
    "nvidia-open-kernel-support",
)
_DEBIAN_OPEN = ("nvidia-open-kernel-dkms", "nvidia-open-kernel-support", *_DEBIAN_COMMON)
_DEBIAN_CLOSED = ("nvidia-kernel-dkms", "nvidia-kernel-support", *_DEBIAN_COMMON)


def _debian_modules(stem: str) -> t.Dict[str, str]:
    """Measured: /etc/nvidia/current/nvidia-options.conf and nvidia-modprobe.conf name the modules like this."""
    parts = {
        "nvidia": "",
        "nvidia_uvm": "-uvm",
        "nvidia_drm": "-drm",
        "nvidia_modeset": "-modeset",
        "nvidia_peermem": "-peermem",
    }
    return {name: stem + part for name, part in parts.items()}


_DEBIAN_OWN = Layout(
    535,
    579,
    {
        (_D, _O, _HEADLESS): _DEBIAN_OPEN,
        (_D, _C, _HEADLESS): _DEBIAN_CLOSED,
        (_D, _O, _FULL): ("nvidia-driver", *_DEBIAN_OPEN),
        (_D, _C, _FULL): ("nvidia-driver", *_DEBIAN_CLOSED),
    },
    persistenced="nvidia-persistenced",
    # [measured]: persistenced lags the driver, modprobe is ahead of it on 13; legacy-check of 12 is in security alone
    own_version=("nvidia-persistenced", "nvidia-modprobe", "nvidia-legacy-check", "nvidia-settings", "nvidia-xconfig"),
    helpers=_DEBIAN_HELPERS,
    brings_blacklist=True,  # [measured]: nvidia-kernel-support
    modules={_C: _debian_modules("nvidia-current"), _O: _debian_modules("nvidia-current-open")},
    missing={_P: "Debian has no precompiled NVIDIA modules"},
)
# [ubuntu], restricted: server packages; prebuilt signed modules are linux-modules-nvidia-… (seen in several projects)
_UBUNTU_OWN = Layout(
    535,
    LATER,
    {
        (_D, _O, _HEADLESS): ("nvidia-headless-{branch}-server-open", "nvidia-utils-{branch}-server"),
        (_D, _C, _HEADLESS): ("nvidia-headless-{branch}-server", "nvidia-utils-{branch}-server"),
        (_D, _O, _FULL): ("nvidia-driver-{branch}-server-open", "nvidia-dkms-{branch}-server-open"),
        (_D, _C, _FULL): ("nvidia-driver-{branch}-server", "nvidia-dkms-{branch}-server"),
        (_P, _O, _HEADLESS): (
            "nvidia-headless-no-dkms-{branch}-server-open",
            "nvidia-utils-{branch}-server",
            "linux-modules-nvidia-{branch}-server-open-{kernel}",
        ),
        (_P, _C, _HEADLESS): (
            "nvidia-headless-no-dkms-{branch}-server",
            "nvidia-utils-{branch}-server",
            "linux-modules-nvidia-{branch}-server-{kernel}",
        ),
        (_P, _O, _FULL): (
            "nvidia-driver-{branch}-server-open",
            "linux-modules-nvidia-{branch}-server-open-{kernel}",
        ),
        (_P, _C, _FULL): ("nvidia-driver-{branch}-server", "linux-modules-nvidia-{branch}-server-{kernel}"),
    },
    fabric="nvidia-fabricmanager-{branch}",
    imex="nvidia-imex-{branch}",  # nvidia-imex-595 was seen
    persistenced="nvidia-compute-utils-{branch}-server",
    rivals=_UBUNTU_SINCE_590,
    own_version=("linux-modules-nvidia-",),  # they carry the kernel's version
    signed=(_P,),
)

# (source, layout) -> rows. A mirror is read as "nvidia".
LAYOUTS: t.Dict[t.Tuple[str, str], t.Tuple[Layout, ...]] = {
    ("nvidia", "debian"): _fabric((_NVIDIA_DEBIAN,), *_SUFFIXED),
    ("nvidia", "ubuntu"): _fabric((_NVIDIA_UBUNTU_580, _NVIDIA_UBUNTU_590), *_SUFFIXED),
    ("nvidia", "rhel"): _fabric((_NVIDIA_RHEL,), *_HYPHENED),
    ("nvidia", "sles"): _fabric(_NVIDIA_SLES, *_HYPHENED),
    ("distribution", "debian"): (_DEBIAN_OWN,),
    ("distribution", "ubuntu"): (_UBUNTU_OWN,),
}

# The dnf module stream of a branch. Source: [guide] for open-dkms, 580-open and 580-dkms; "580" for precompiled
# proprietary.
STREAM_MODULE = "nvidia-driver"
STREAMS: t.Dict[t.Tuple[str, str], str] = {
    (_D, _O): "{branch}-open",
    (_D, _C): "{branch}-dkms",
    (_P, _C): "{branch}",
}

# What NVIDIA's pinning packages pin, as patterns of apt_preferences(5). Their real list was not seen (not verified).
PINNED: Names = ("*nvidia*", "cuda-drivers*", "libcuda1*", "libcudadebugger1*", "libnvcuvid1*", "firmware-nvidia-gsp")

# --- kernels ---


class Headers(t.NamedTuple):
    """The package that modules are built against. `by_version`: its version begins like the kernel's release, which is
    not in its name. `variants` are names for releases that have a mark in them."""

    name: str
    by_version: bool = False
    variants: t.Tuple[t.Tuple[str, str], ...] = ()


# Sources: Debian's and Ubuntu's archives; [guide] for kernel-devel; RHEL's kernel.spec and Oracle's kernel-uek.spec for
# its variants (not verified on a node); [suse], where the release ends with the flavour.
HEADERS: t.Dict[str, Headers] = {
    "debian": Headers("linux-headers-{kernel}"),
    "rhel": Headers(
        "kernel-devel", True, (("uek", "kernel-uek-devel"), ("+rt", "kernel-rt-devel"), ("+64k", "kernel-64k-devel"))
    ),
    "suse": Headers("kernel-{flavour}-devel", True),
}

# Packages that are a kernel or a part of one, as regular expressions on the whole name. Headers, firmware and what
# NVIDIA builds for a kernel are none. Sources: package lists of Debian 12 and 13; RHEL's kernel.spec; SUSE's
# kernel-default.
KERNEL_PACKAGES: t.Tuple[str, ...] = (
    r"linux-image-.+",
    r"linux-modules-(?!nvidia-).+",
    r"linux-(generic|virtual|aws|azure|gcp|oracle|kvm|lowlatency)(-.+)?",
    r"kernel",
    r"kernel-(core|modules|modules-core|modules-extra|default|default-base|default-extra|azure|longterm|longterm-base)",
    r"kernel-(rt|64k|debug|uek)(-(core|modules|modules-core|modules-extra))?",
)
