# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node with the driver's device files, and nvidia-modprobe which sets them at each load."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.plugins.module_utils._run import TIMED_OUT, SubprocessRun
from ansible_collections.accel.gpu.plugins.module_utils._settings.device_files import PARAMETERS
from ansible_collections.accel.gpu.plugins.module_utils._settings.kept_devices import GPUS, DeviceFiles

MIG = "/proc/driver/nvidia/capabilities/mig"
# Whoever runs the tests can give files to himself alone.
ME = (os.getuid(), os.getgid())
HAS = f"owner {ME[0]}, group {ME[1]} and mode"


def parameters(mode: int = 0o666, modify: int = 1) -> bytes:
    return (
        f"EnableMSI: 1\nModifyDeviceFiles: {modify}\nDeviceFileUID: {ME[0]}\nDeviceFileGID: {ME[1]}\n"
        f'DeviceFileMode: {mode}\nRegistryDwords: ""\n'
    ).encode()


def capability(minor: int, mode: int, modify: int = 1) -> bytes:
    told = f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: {modify}\n"
    return f"DeviceFileUID: {ME[0]}\nDeviceFileGID: {ME[1]}\n{told}".encode()


class Node:
    """`said` are the lines for a person, `noted` what `across` noted."""

    def __init__(self, root: t.Any) -> None:
        self.files = Files(str(root))
        self.said: t.List[str] = []
        self.noted: t.List[str] = []
        self.asked: t.List[t.Tuple[str, t.Optional[float]]] = []
        self.hangs = False
        self.files.write("/proc/sys/kernel/random/boot_id", b"5f1c\n")
        self.files.write(PARAMETERS, parameters())
        for number, name in enumerate(("nvidia0", "nvidia1", "nvidiactl")):
            self.files.write(f"/dev/{name}", b"", mode=0o666)
            if name != "nvidiactl":
                self.number(number, f"0000:{number}b:00.0")

    def number(self, minor: int, pci: str) -> None:
        self.files.write(f"{GPUS}/{pci}/information", f"Model: \t A100\nDevice Minor: \t {minor}\n".encode())

    def chmod(self, name: str, mode: int) -> None:
        os.chmod(self.files.path(f"/dev/{name}"), mode)

    def modes(self) -> t.List[int]:
        return [self.files.mode(f"/dev/nvidia{number}") for number in (0, 1)]

    def reload(self, mode: int = 0o666) -> None:
        """nvidia-modprobe sets what is otherwise."""
        self.files.write(PARAMETERS, parameters(mode))
        for name in self.files.names("/dev"):
            self.chmod(name, mode)

    def run(self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Any = None) -> t.Any:
        self.asked.append((argv[0], timeout))
        return (TIMED_OUT, "", "") if self.hangs else SubprocessRun()(argv, timeout, stdin)

    def devices(self) -> DeviceFiles:
        return DeviceFiles(Ports(run=self.run, files=self.files, open_nvml=t.cast(t.Any, None), log=self.said.append))

    def across(self, change: t.Callable[[], None]) -> t.Tuple[t.List[str], t.List[str]]:
        """What is told and lost."""
        with self.devices() as devices:
            change()
        assert self.said == [*devices.told, *devices.lost, *devices.noted]
        self.noted = devices.noted
        return devices.told, devices.lost

    def died(self, change: t.Callable[[], None]) -> None:
        self.devices().__enter__()
        change()
