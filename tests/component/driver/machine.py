# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node in a folder whose package manager, modules and units are one JSON file, so that it outlives a killed run.

Each thing that is done to it is counted; at a chosen count it fails, or the process dies before or after it.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.accel.gpu.plugins.module_utils._driver import record
from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    DriverMissingError,
    GpuLostError,
    NvmlError,
    TransactionError,
)
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import Gpu, GpuFailure, SettingSet, Snapshot
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import NvmlSession
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Package, Request, Transaction
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.plugins.module_utils._run import SubprocessRun

Json = t.Any
UNIT = "nvidia-persistenced.service"
PCI = "0000:10:00.0"
LOADED_LIMIT = 400.0  # watts, as the driver sets it when it is loaded
LOST = "GPU is lost"


class Fault(t.NamedTuple):
    """What happens at the `nth` deed: fails | dies | dies_after."""

    nth: int = 0
    what: str = ""


NONE = Fault()


class Machine:
    """`state` has packages, offers, holds, units, modules (loaded, with nvidia's version), live (what nvidia was loaded
    with), fileless (modules without a file), and gpus by UUID: pci, limit in watts, lost (gives no answer), unread (so
    often its settings cannot be read). The images in /boot say what they were built from. `unseen` are references to
    modules by somebody who has no device open, `loaders` units that load nvidia where it is on the disk."""

    def __init__(self, root: Path, fault: Fault = NONE) -> None:
        self.root = root
        self.fault = fault
        self.later = NONE  # a second one, on the way back
        self.deeds: t.List[str] = []
        self.said: t.List[str] = []
        self.job_after = ""  # the deed after which a job opens a device
        self.job_device = "/dev/nvidia0"
        self.keys: t.Set[str] = set()
        self.files = Files(str(root))
        self._path = root / "machine.json"

    @classmethod
    def make(cls, root: Path, **state: t.Any) -> Machine:
        empty: Json = {"packages": {}, "offers": {}, "holds": [], "units": {}, "modules": {}}
        made = cls(root)
        (root / "proc/sys/kernel/random").mkdir(parents=True)
        (root / "proc/sys/kernel/random/boot_id").write_text("5f1c\n")
        (root / "usr/sbin").mkdir(parents=True)
        (root / "usr/sbin/update-initramfs").touch()
        made.save({**empty, **state})
        return made

    @property
    def state(self) -> Json:
        return json.loads(self._path.read_text())

    def save(self, state: Json) -> None:
        self._path.write_text(json.dumps(state))
        loaded = self.root / "sys/module"
        shutil.rmtree(loaded, ignore_errors=True)
        for name, version in state["modules"].items():
            (loaded / name / "holders").mkdir(parents=True)
            (loaded / name / "version").write_text(f"{version}\n")
        for name in state["modules"]:
            if name != "nvidia" and "nvidia" in state["modules"]:
                (loaded / "nvidia/holders" / name).symlink_to(f"../../{name}")
        if "nvidia" not in state["modules"]:
            shutil.rmtree(self.root / "proc/driver/nvidia", ignore_errors=True)
        elif "live" in state:
            proc = self.root / "proc/driver/nvidia"
            proc.mkdir(parents=True, exist_ok=True)
            (proc / "params").write_text("".join(f"{name}: {value}\n" for name, value in state["live"][1].items()))
            (proc / "version").write_text(f"NVRM version: NVIDIA UNIX {state['live'][0]} for x86_64\n")
            for number, gpu in enumerate(gpus_of(state).values()):
                (proc / "gpus" / gpu["pci"]).mkdir(parents=True, exist_ok=True)
                (proc / "gpus" / gpu["pci"] / "information").write_text(f"Device Minor: \t {number}\n")
        self._count()

    def _count(self) -> None:
        """As the kernel counts references: modules that use one, open files of its devices, and what nobody sees."""
        unseen = self.state.get("unseen", {})
        for folder in (self.root / "sys/module").glob("*"):
            opened = sum(_module_of(os.readlink(one)) == folder.name for one in self.root.glob("proc/[0-9]*/fd/*"))
            number = len(list((folder / "holders").iterdir())) + opened + unseen.get(folder.name, 0)
            (folder / "refcnt").write_text(f"{number}\n")

    def used(self, name: str) -> int:
        return int((self.root / "sys/module" / name / "refcnt").read_text())

    def seen(self) -> Json:
        """All that a change could have touched, without what only this test keeps."""
        state = {key: value for key, value in self.state.items() if key not in ("offers", "unseen", "fabric")}
        state["gpus"] = gpus_of(state)
        etc = self.root / "etc"
        state["files"] = {
            str(path.relative_to(self.root)): path.read_text() for path in etc.rglob("*") if path.is_file()
        }
        state["ours"] = record.read_state(self.files)
        state["images"] = {path.name: path.read_text() for path in (self.root / "boot").glob("initrd.img-*")}
        return state

    def options(self) -> t.List[str]:
        return [path.read_text() for path in sorted((self.root / "etc/modprobe.d").glob("*.conf"))]

    def loaded(self) -> Json:
        """What nvidia shows of itself when it is loaded now."""
        set_ = dict(re.findall(r"NVreg_(\w+)=(\S+)", "".join(self.options())))
        open_ = any(name.startswith("nvidia-dkms") and name.endswith("open") for name in self.state["packages"])
        return ["Open Kernel Module" if open_ else "Kernel Module", {"EnableGpuFirmware": "18", **set_}]

    def build(self, kernel: str) -> None:
        """The image of a kernel: the driver and the files of modprobe.d as they are now."""
        (self.root / "boot").mkdir(exist_ok=True)
        image = self.root / f"boot/initrd.img-{kernel}"
        image.write_text("".join([f"{_version(self.state['packages'])}\n", *self.options()]))

    def ports(self) -> Ports:
        files = CountedFiles(str(self.root), self)
        nvml = t.cast(t.Callable[[], NvmlSession], lambda: Session(self))
        return Ports(run=self.run, files=files, open_nvml=nvml, root=str(self.root))

    def deed(self, what: str, effect: t.Callable[[], t.Any], failing: t.Callable[[], t.Any]) -> t.Any:
        self.deeds.append(what)
        mine = next((one.what for one in (self.fault, self.later) if one.nth == len(self.deeds)), "")
        if mine == "dies":
            os._exit(9)
        if mine == "fails":
            return failing()
        found = effect()
        if what == self.job_after:
            self.job_after = ""
            self.open_device()
        if mine == "dies_after":
            os._exit(9)
        return found

    def open_device(self, pid: int = 4711) -> None:
        """A process has it open from now on."""
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text("train.py\n")
        (folder / "fd/3").symlink_to(self.job_device)
        self._count()

    def close_device(self, pid: int = 4711) -> None:
        shutil.rmtree(self.root / "proc" / str(pid))
        self._count()

    # --- commands ---

    def run(self, argv: t.Sequence[str], timeout: t.Any = None, stdin: t.Any = None) -> t.Tuple[int, str, str]:
        words = [word for word in argv if not word.startswith("--")]
        self.said.append(" ".join(argv))
        if words[:2] in (["systemctl", "is-enabled"], ["systemctl", "is-active"]):
            value = self.state["units"].get(words[2], [False, False])[words[1] == "is-active"]
            return (0 if value else 1), "", ""
        if words[:2] == ["systemctl", "show"]:
            return 0, "\n\n".join(self._show(unit) for unit in words[2:]), ""
        if words[0] == "grep":
            return SubprocessRun()(argv, timeout)
        if words[0] == "modinfo":
            return 0, _version(self.state["packages"]), ""
        if "--dry-run" in argv:
            return (1 if words[1] in self.state.get("fileless", ()) else 0), "", ""
        if words[0] == "env" or words[:2] == ["systemctl", "is-system-running"]:
            return 0, "running", ""
        text = " ".join(words)
        answer: t.Tuple[int, str, str] = self.deed(text, lambda: self._do(words), lambda: (1, "", "broken"))
        return answer

    def _show(self, unit: str) -> str:
        known = self.state["units"].get(unit)
        enabled, active = known or (False, False)
        return (
            f"LoadState={'loaded' if known else 'not-found'}\nUnitFileState={'enabled' if enabled else 'disabled'}\n"
            f"ActiveState={'active' if active else 'inactive'}"
        )

    def _do(self, words: t.Sequence[str]) -> t.Tuple[int, str, str]:
        state = self.state
        verb = words[1] if words[0] == "systemctl" else words[0]
        if verb in ("enable", "disable", "start", "stop"):
            unit = state["units"].setdefault(words[2], [False, False])
            unit[verb in ("start", "stop")] = verb in ("enable", "start")
            if verb == "start" and words[2] in state.get("loaders", ()) and state["packages"]:
                state["modules"].setdefault("nvidia", _version(state["packages"]))
        elif verb == "rmmod" and self.used(words[1]):
            return 1, "", f"rmmod: ERROR: Module {words[1]} is in use"
        elif verb == "rmmod":
            state["modules"].pop(words[1])
        elif verb == "modprobe":
            if words[1] == "nvidia" and "nvidia" not in state["modules"]:
                state["live"] = self.loaded()
            state["modules"].setdefault(words[1], _version(state["packages"]))
            state.update({"fabric": "in_progress"} if "fabric" in state else {})
            if words[1] == "nvidia":
                for name in self.files.names("/dev"):  # nvidia-modprobe
                    os.chmod(self.files.path(f"/dev/{name}"), int(state["live"][1].get("DeviceFileMode", 0o666)))
                state["gpus"] = {uuid: {**gpu, "limit": LOADED_LIMIT} for uuid, gpu in gpus_of(state).items()}
        elif verb == "update-initramfs":
            self.build(words[-1])
        self.save(state)
        return 0, "", ""


class CountedFiles(Files):
    """Files outside our own folder are the node's."""

    def __init__(self, root: str, machine: Machine) -> None:
        super().__init__(root)
        self._machine = machine

    def write(self, path: str, data: bytes, *rest: t.Any, **more: t.Any) -> t.Optional[str]:
        def fail() -> None:
            raise OSError(28, "No space left on device", path)

        if not path.startswith("/etc"):
            return super().write(path, data, *rest, **more)
        kept: t.Optional[str] = self._machine.deed(
            f"write {path}", lambda: super(CountedFiles, self).write(path, data, *rest, **more), fail
        )
        return kept


def _module_of(device: str) -> str:
    return "nvidia_uvm" if device == "/dev/nvidia-uvm" else "nvidia" if device.startswith("/dev/nvidia") else ""


def gpus_of(state: Json) -> t.Dict[str, Json]:
    found: t.Dict[str, Json] = state.get("gpus") or {"GPU-1": {"pci": PCI, "limit": 250.0}}
    return found


def _version(packages: t.Mapping[str, str]) -> str:
    return next((version for name, version in packages.items() if name.startswith("libnvidia-ml1")), "none")


class Manager:
    """The port to package managers, as far as a change uses it."""

    kind = "apt"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def installed(self, patterns: t.Sequence[str]) -> t.Tuple[Package, ...]:
        packages = self.machine.state["packages"]
        return tuple(Package(name, packages[name], "amd64") for name in patterns if name in packages)

    def holds(self) -> t.FrozenSet[str]:
        return frozenset(self.machine.state["holds"])

    def stream(self, _module: str) -> t.Optional[str]:
        return None

    def trust(self, key_path: str) -> t.Tuple[str, ...]:
        """As rpm does it; a key's fingerprint is what its file says."""
        key = self.machine.files.read_text(key_path) or ""
        new = key not in self.machine.keys
        self.machine.keys.add(key)
        return (key,) if new else ()

    def distrust(self, fingerprint: str) -> None:
        self.machine.keys.discard(fingerprint)

    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        return {name: tuple(self.machine.state["offers"].get(name, ())) for name in names}

    def transaction(self, request: Request) -> Transaction:
        state = self.machine.state
        there = state["packages"]
        changes = [Change(name, there[name], None) for name in request.remove if name in there]
        for name, version in request.install:
            if version is None:
                name, version = _of_file(name)
            elif version not in state["offers"].get(name, ()):
                raise TransactionError(f"{name} {version} is not offered", packages=[name], detail="")
            if there.get(name) != version:
                changes.append(Change(name, there.get(name), version))
        return Transaction(tuple(changes))

    def download(self, request: Request) -> Transaction:
        return t.cast(Transaction, self.machine.deed("download", lambda: self.transaction(request), self._fail))

    def run(self, request: Request) -> Transaction:
        """One package after the other, so that a death leaves some changed."""
        changes = self.transaction(request).changes
        for change in changes:
            self.machine.deed(f"package {change.name}", functools.partial(self._one, change), self._fail)
        return Transaction(changes)

    def _one(self, change: Change) -> None:
        state = self.machine.state
        state["packages"].pop(change.name, None)
        if change.after:
            state["packages"][change.name] = change.after
        self.machine.save(state)

    def hold(self, names: t.Sequence[str]) -> None:
        self._holds("hold", lambda holds: sorted({*holds, *names}))

    def unhold(self, names: t.Sequence[str]) -> None:
        self._holds("unhold", lambda holds: sorted({*holds} - {*names}))

    def _holds(self, what: str, changed: t.Callable[[t.List[str]], t.List[str]]) -> None:
        def do() -> None:
            state = self.machine.state
            state["holds"] = changed(state["holds"])
            self.machine.save(state)

        self.machine.deed(what, do, self._fail)

    def refresh(self, max_age: int, _needed: t.Any = None) -> bool:
        return bool(self.machine.deed("refresh", lambda: True, self._fail))

    def _fail(self) -> t.NoReturn:
        raise TransactionError("the script of a package failed", packages=[], detail="")


def _of_file(path: str) -> t.Tuple[str, str]:
    name, version, _arch = path.rpartition("/")[2].split("_")
    return name, version


class Session:
    """The driver answers where its modules are loaded in the version of the library."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def snapshot(self, subsets: t.Sequence[str]) -> Snapshot:
        state = self._machine.state
        if state["modules"].get("nvidia", "") != _version(state["packages"]):
            raise DriverMissingError("the driver is not loaded", state="not_loaded")
        health = {"fabric": {"state": state["fabric"]}} if "fabric" in state else None
        gpus, failures = [], []
        for index, (uuid, gpu) in enumerate(gpus_of(state).items()):
            if gpu.get("lost"):
                failures.append(GpuFailure(index, GpuLostError.kind, LOST, gpu["pci"], uuid))
            else:
                gpus.append(Gpu(uuid, index, "NVIDIA A100", gpu["pci"], "10de:20b5", health=health))
        return Snapshot(_version(state["packages"]), gpus=tuple(gpus), failures=tuple(failures))

    def settings(self, uuid: str) -> t.Dict[str, t.Any]:
        gpu = self._gpu(uuid)
        if gpu.get("unread"):
            self._save(uuid, {**gpu, "unread": gpu["unread"] - 1})
            raise NvmlError("nvmlDeviceGetPowerManagementLimit failed: UNKNOWN")
        return {"power_limit": gpu["limit"]}

    def restore_settings(self, uuid: str, before: Json) -> t.Tuple[SettingSet, ...]:
        gpu = self._gpu(uuid)
        if before["power_limit"] == gpu["limit"]:
            return ()
        if gpu.get("refuses"):
            self._save(uuid, {**gpu, "refuses": gpu["refuses"] - 1})
            return (SettingSet("power_limit", before["power_limit"], gpu["limit"], "UNKNOWN"),)
        self._save(uuid, {**gpu, "limit": before["power_limit"]})
        return (SettingSet("power_limit", before["power_limit"], before["power_limit"]),)

    def _gpu(self, uuid: str) -> Json:
        gpu = gpus_of(self._machine.state)[uuid]
        if gpu.get("lost"):
            raise GpuLostError(LOST)
        self.snapshot(())  # a driver that is not loaded answers nothing
        return gpu

    def _save(self, uuid: str, gpu: Json) -> None:
        state = self._machine.state
        self._machine.save({**state, "gpus": {**gpus_of(state), uuid: gpu}})

    def release(self) -> None:
        """Nothing is open."""
