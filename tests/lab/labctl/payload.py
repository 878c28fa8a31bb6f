# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a package of each role puts on a node and what its scripts do there, whatever the package's format.

Scripts are lines of shell. They call the node's own stand-ins (below image/), and say nothing where those are missing.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import typing as t

from labctl import openpgp
from labctl.common import IMAGE, LabError
from labctl.files import Entry
from labctl.packages import Package

URL = "http://127.0.0.1:8099"
STAND_INS = "/usr/lib/accel-lab"
SIMULATED = "/usr/lib/gpusim"
DAEMON_RELOAD = "if [ -d /run/systemd/system ]; then systemctl --system daemon-reload >/dev/null || true; fi\n"
# Modules that a distribution built are signed by keys which every machine's firmware trusts. Its number is the lab's.
DISTRIBUTION_SIGNER = (
    "Canonical Ltd. Kernel Module Signing",
    bytes.fromhex("88f752e560a1e0737e31163a466ad7b70a850c19"),
)


@dataclasses.dataclass
class Payload:
    """Files, and lines of shell by the moment that they run in."""

    files: list[Entry] = dataclasses.field(default_factory=list)
    settings: tuple[str, ...] = ()  # files that a user may change
    configure: str = ""  # after installation and after upgrade
    leave: str = ""  # before removal, and before another version takes its place
    stop: str = ""  # before removal alone
    removed: str = ""  # after its files have gone, for whichever reason


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a family of distributions keeps things."""

    libraries: str = "usr/lib/x86_64-linux-gnu"
    release: str = "debian12"
    url: str = f"{URL}/nvidia/debian12/x86_64"
    dkms: str = f"{STAND_INS}/dkms.py"


def payload(package: Package, target: Target) -> Payload:
    """What `package` brings."""
    make = _MAKERS.get(package.role)
    return make(package, target) if make else Payload()


def _library(package: Package, target: Target) -> Payload:
    """The simulated library is the node's own; it takes on the version that its file is named after."""
    real = f"{target.libraries}/libnvidia-ml.so.{package.version}"
    return Payload(
        files=[
            Entry(
                f"{target.libraries}/libnvidia-ml.so.1", 0o777, f"libnvidia-ml.so.{package.version}".encode(), link=True
            )
        ],
        configure=f"if [ -e {SIMULATED}/lib/libnvidia-ml.so.1 ]; then\n"
        f"    cp {SIMULATED}/lib/libnvidia-ml.so.1 /{real}\nfi\nldconfig\n",
        removed=f"rm -f /{real}\nldconfig\n",
    )


def _utils(_package: Package, _target: Target) -> Payload:
    return Payload([Entry("usr/bin/nvidia-smi", 0o777, f"{SIMULATED}/bin/nvidia-smi".encode(), link=True)])


def _dkms(package: Package, target: Target) -> Payload:
    tree = f"usr/src/{package.module}-{package.version}"
    ko = _node_file("ko")
    names = [name[: -len(".ko")] for name in ko.file_names(package.module)]
    lines = [f'PACKAGE_NAME="{package.module}"', f'PACKAGE_VERSION="{package.version}"', 'AUTOINSTALL="yes"']
    lines += [f'BUILT_MODULE_NAME[{number}]="{name}"' for number, name in enumerate(names)]
    lines += [f'DEST_MODULE_LOCATION[{number}]="/updates/dkms"' for number in range(len(names))]
    word = f"{package.module}/{package.version}"
    return Payload(
        [_text(f"{tree}/dkms.conf", "\n".join(lines) + "\n"), _text(f"{tree}/flavour", f"{package.flavour}\n")],
        configure=f"{target.dkms} configure {word}\n",
        leave=f"{target.dkms} remove {word} --all || true\n",
    )


def _precompiled(package: Package, _target: Target) -> Payload:
    ko = _node_file("ko")
    folder = f"lib/modules/{package.kernel}/updates/nvidia-{package.branch}"
    signer = ko.Signer(*DISTRIBUTION_SIGNER)
    files = [
        Entry(f"{folder}/{name}", 0o644, ko.module(suffix, package.version, package.kernel, package.flavour, signer))
        for name, suffix in zip(ko.file_names(package.module), ko.SUFFIXES)
    ]
    depmod = f"depmod {package.kernel} || true\n"
    return Payload(files, configure=depmod, removed=depmod)


def _firmware(package: Package, _target: Target) -> Payload:
    return Payload([_text(f"lib/firmware/nvidia/{package.version}/gsp_ga10x.bin", f"firmware {package.version}\n")])


def _kernel_support(_package: Package, _target: Target) -> Payload:
    """Debian's: settings of modprobe below /etc/nvidia/current, switched by links of the alternatives system."""
    return Payload(
        [
            _text("etc/nvidia/current/nvidia-blacklists-nouveau.conf", "blacklist nouveau\n"),
            _text(
                "etc/nvidia/current/nvidia-modprobe.conf", "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"
            ),
            Entry(
                "etc/modprobe.d/nvidia-blacklists-nouveau.conf",
                0o777,
                b"/etc/nvidia/current/nvidia-blacklists-nouveau.conf",
                link=True,
            ),
            Entry("etc/modprobe.d/nvidia.conf", 0o777, b"/etc/nvidia/current/nvidia-modprobe.conf", link=True),
        ],
        configure="if command -v update-initramfs >/dev/null; then update-initramfs -u; fi\n",
    )


def _persistenced(package: Package, _target: Target) -> Payload:
    unit = "nvidia-persistenced.service"
    return Payload(
        [
            _unit(
                unit,
                "NVIDIA Persistence Daemon",
                f"/usr/bin/unshare --mount /usr/bin/python3 {STAND_INS}/holder.py nvidia-persistenced",
            ),
            _script(
                "usr/bin/nvidia-persistenced",
                f'[ "$1" = --version ] && echo "nvidia-persistenced version {package.version}"\n',
            ),
        ],
        # it starts where a driver is loaded, else its condition keeps it still
        configure=DAEMON_RELOAD + _systemctl(f"enable {unit}") + _systemctl(f"restart {unit}"),
        stop=_systemctl(f"disable --now {unit}"),
        removed=DAEMON_RELOAD,
    )


def _modprobe(package: Package, _target: Target) -> Payload:
    words = f'[ "$1" = --version ] && {{ echo "nvidia-modprobe: version {package.version}"; exit 0; }}\n'
    words += "exec modprobe nvidia\n"
    return Payload([_script("usr/bin/nvidia-modprobe", words)])


def _fabricmanager(package: Package, _target: Target) -> Payload:
    unit = "nvidia-fabricmanager.service"
    run = f"exec /usr/bin/python3 {STAND_INS}/fabricmanager.py {package.version}"
    version = f'[ "$1" = --version ] && {{ echo "Fabric Manager version is : {package.version}"; exit 0; }}\n'
    return Payload(
        [
            _unit(
                unit,
                "NVIDIA fabric manager service",
                "/usr/bin/unshare --mount /usr/bin/nv-fabricmanager",
                condition=False,
            ),
            _script("usr/bin/nv-fabricmanager", f"{version}{run}\n"),
            _text("usr/share/nvidia/nvswitch/fabricmanager.cfg", "LOG_LEVEL=4\nDAEMONIZE=1\nFABRIC_MODE=0\n"),
        ],
        # neither enabled nor started, but a running one is restarted: that is what ends CUDA jobs
        configure=DAEMON_RELOAD + _systemctl(f"try-restart {unit}"),
        stop=_systemctl(f"disable --now {unit}"),
        removed=DAEMON_RELOAD,
    )


def _imex(package: Package, _target: Target) -> Payload:
    unit = "nvidia-imex.service"
    return Payload(
        [
            _unit(unit, "NVIDIA IMEX service", f"/usr/bin/python3 {STAND_INS}/standin.py nvidia-imex"),
            _script("usr/bin/nvidia-imex", f'[ "$1" = --version ] && echo "IMEX version is: {package.version}"\n'),
            _text(
                "etc/nvidia-imex/config.cfg",
                "LOG_LEVEL=4\nSERVER_PORT=50000\nIMEX_CMD_PORT=50005\nIMEX_CMD_ENABLED=1\n",
            ),
        ],
        settings=("/etc/nvidia-imex/config.cfg",),
        configure=DAEMON_RELOAD,
        stop=_systemctl(f"disable --now {unit}"),
        removed=DAEMON_RELOAD,
    )


def _nvlsm(package: Package, _target: Target) -> Payload:
    return Payload(
        [_script("opt/nvidia/nvlsm/sbin/nvlsm", f'[ "$1" = --version ] && echo "nvlsm {package.version}"\n')]
    )


def _pinning(package: Package, _target: Target) -> Payload:
    # above 1000, so that a pin below the installed version takes the node back to it
    names = "*nvidia* cuda-drivers* libcuda1 libnvsdm*"
    words = f"Package: {names}\nPin: version {package.pin}\nPin-Priority: 1001\n"
    # the pinning packages themselves must stay exchangeable
    words += "\nPackage: nvidia-driver-pinning-*\nPin: version *\nPin-Priority: 500\n"
    return Payload([_text("etc/apt/preferences.d/nvidia-driver-pinning", words)])


def _keyring(_package: Package, target: Target) -> Payload:
    path = "usr/share/keyrings/cuda-archive-keyring.gpg"
    line = f"deb [signed-by=/{path}] {target.url}/ /\n"
    listed = f"etc/apt/sources.list.d/cuda-{target.release}-x86_64.list"
    return Payload([Entry(path, 0o644, openpgp.Key("good").binary()), _text(listed, line)], settings=(f"/{listed}",))


def _kernel_image(package: Package, _target: Target) -> Payload:
    kernel = package.kernel
    tree = f"lib/modules/{kernel}"
    build = f"if command -v dkms >/dev/null; then dkms autoinstall -k {kernel} || true; fi\n"
    make = f"if command -v update-initramfs >/dev/null; then update-initramfs -c -k {kernel}; fi\n"
    return Payload(
        [
            _text(f"boot/vmlinuz-{kernel}", f"kernel {kernel}\n"),
            _text(f"boot/config-{kernel}", "CONFIG_MODULES=y\n"),
            *(_text(f"{tree}/{name}", "") for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo")),
        ],
        # as /etc/kernel/postinst.d: the modules of dkms first, what boots after them
        configure=f"depmod {kernel} || true\n{build}{make}",
        stop=f"rm -f /boot/initrd.img-{kernel}\n",
    )


def _kernel_headers(package: Package, _target: Target) -> Payload:
    kernel = package.kernel
    return Payload(
        [
            _text(f"usr/src/linux-headers-{kernel}/Makefile", "VERSION = 0\n"),
            Entry(f"lib/modules/{kernel}/build", 0o777, f"/usr/src/linux-headers-{kernel}".encode(), link=True),
        ],
        configure=f"if command -v dkms >/dev/null; then dkms autoinstall -k {kernel} || true; fi\n",
    )


def _stand_in(package: Package, _target: Target) -> Payload:
    program = f"{STAND_INS}/{package.name.replace('-', '_')}.py"
    return Payload([Entry(f"usr/{command}", 0o777, program.encode(), link=True) for command in package.commands])


def _versionlock(_package: Package, _target: Target) -> Payload:
    """dnf's plugin, which the image of the node has put aside."""
    return Payload(configure=f"cp -a {STAND_INS}/versionlock/. /\n")


_MAKERS: dict[str, t.Callable[[Package, Target], Payload]] = {
    "library": _library,
    "utils": _utils,
    "module-dkms": _dkms,
    "module-precompiled": _precompiled,
    "firmware": _firmware,
    "kernel-support": _kernel_support,
    "persistenced": _persistenced,
    "modprobe": _modprobe,
    "fabricmanager": _fabricmanager,
    "imex": _imex,
    "nvlsm": _nvlsm,
    "pinning": _pinning,
    "keyring": _keyring,
    "kernel-image": _kernel_image,
    "kernel-headers": _kernel_headers,
    "stand-in": _stand_in,
    "versionlock": _versionlock,
}


def _text(path: str, words: str) -> Entry:
    return Entry(path, 0o644, words.encode())


def _script(path: str, words: str) -> Entry:
    return Entry(path, 0o755, f"#!/bin/sh\n{words}".encode())


def _unit(name: str, description: str, command: str, condition: bool = True) -> Entry:
    only = "ConditionPathExists=/proc/driver/nvidia/version\n" if condition else ""
    words = (
        f"[Unit]\nDescription={description}\n{only}\n[Service]\nType=notify\nNotifyAccess=all\nExecStart={command}\n"
    )
    return _text(f"lib/systemd/system/{name}", f"{words}\n[Install]\nWantedBy=multi-user.target\n")


def _systemctl(words: str) -> str:
    return f"if [ -d /run/systemd/system ]; then systemctl --quiet {words} || true; fi\n"


def _node_file(name: str) -> t.Any:
    """A file of the node that the builder shares with it."""
    path = IMAGE / "node/files/usr/lib/accel-lab" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"accel_lab_{name}", path)
    if spec is None or spec.loader is None:
        raise LabError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
