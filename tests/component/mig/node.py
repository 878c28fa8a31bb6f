# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated node as the MIG resident sees it: NVML, a root of its own, nvidia-smi and services.

Everything of a node lies in one folder, so a prepared node is copied for each case.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import time
import typing as t
from pathlib import Path

from harness import Sim

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._mig import journal, resident
from ansible_collections.accel.gpu.plugins.module_utils._module.declare import declare
from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import NvmlSession, open_session
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports
from ansible_collections.accel.gpu.plugins.module_utils._run import Completed, SubprocessRun

Json = t.Any
# (mode, pending, ((profile, start, ((compute profile, start), ...)), ...))
Layout = t.Tuple[t.Any, ...]
# when a journal was begun, which is only told, and when devices were changed, which only units are compared with
_WHEN = re.compile(rb'"(changed": \d+|since": "[^"]*")')


class Services:
    """What systemctl shows of units that hold GPUs. The host of the tests need not have systemd."""

    def __init__(self, sim: Sim, path: Path) -> None:
        self._sim = sim
        self._path = path

    def add(self, unit: str, pid: int, gpus: t.Sequence[int]) -> None:
        units = self._read()
        units[unit] = {"pid": pid, "gpus": list(gpus), "active": False}
        self._path.write_text(json.dumps(units), encoding="utf-8")
        self._switch(unit, True)

    def active(self) -> t.Dict[str, bool]:
        return {unit: entry["active"] for unit, entry in self._read().items()}

    def __call__(self, argv: t.Sequence[str]) -> Completed:
        verb, words = argv[1], [word for word in argv[2:] if not word.startswith("--")]
        if verb == "is-system-running":
            return 0, "running\n", ""
        if verb == "show":
            return 0, "\n".join(self._show(unit) for unit in words), ""
        if words[0] not in self._read():
            return 5, "", f"Unit {words[0]} not loaded."
        if self._read()[words[0]].get("stubborn"):
            return 1, "", f"Job for {words[0]} failed."
        self._switch(words[0], verb == "start")
        return 0, "", ""

    def make_stubborn(self, unit: str, stubborn: bool = True) -> None:
        """From now on systemctl fails to start and stop it."""
        units = self._read()
        units[unit]["stubborn"] = stubborn
        self._path.write_text(json.dumps(units), encoding="utf-8")

    def _show(self, unit: str) -> str:
        entry = self._read().get(unit, {"active": False, "pid": 0})
        state = "active" if entry["active"] else "inactive"
        return f"Id={unit}\nActiveState={state}\nMainPID={entry['pid'] if entry['active'] else 0}\n"

    def _switch(self, unit: str, active: bool) -> None:
        units = self._read()
        entry = units[unit]
        if entry["active"] != active:
            for gpu in entry["gpus"]:
                words = (
                    f"occupy {gpu} pid={entry['pid']} kind=holder" if active else f"release {gpu} pid={entry['pid']}"
                )
                self._sim.control(words)
        entry["active"] = active
        self._path.write_text(json.dumps(units), encoding="utf-8")

    def _read(self) -> t.Dict[str, Json]:
        return dict(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.exists() else {}


class Node:
    """`commands` are the argument lists that were run, `sessions` the NVML sessions that were opened."""

    def __init__(self, folder: Path, boards: str = "", deadline: float = 20.0, **words: str) -> None:
        self.folder = folder
        self.deadline = deadline
        self.sim = Sim(boards, folder / "sim", **words)
        self.root = folder / "root"
        self.files = Files(str(self.root))
        self.services = Services(self.sim, folder / "services.json")
        self.commands: t.List[t.Tuple[str, ...]] = []
        self.sessions: t.List[NvmlSession] = []
        self._program = SubprocessRun(self.sim.env)
        if boards:
            self.boot("11111111-2222-3333-4444-555555555555")
            self.files.write("/usr/bin/nvidia-smi", b"", mode=0o755)

    def boot(self, boot_id: str) -> None:
        self.files.write("/proc/sys/kernel/random/boot_id", f"{boot_id}\n".encode())

    def copy(self, folder: Path) -> Node:
        """The same node once more. Processes on it stay the same ones."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Node(folder, deadline=self.deadline)

    def ports(self, check: bool = False) -> Ports:
        return Ports(self._run, self.files, self._open, str(self.root), check=check)

    def _run(
        self, argv: t.Sequence[str], timeout: t.Optional[float] = None, stdin: t.Optional[str] = None
    ) -> Completed:
        self.commands.append(tuple(argv))
        return self.services(argv) if argv[0] == "systemctl" else self._program(argv, timeout, stdin)

    def _open(self) -> NvmlSession:
        self.sessions.append(open_session(None, self.deadline))
        return self.sessions[-1]

    @contextlib.contextmanager
    def seen(self) -> t.Iterator[None]:
        """NVML sessions that are opened in this block see this node."""
        with self.sim.selected():
            yield

    def apply(self, params: t.Mapping[str, t.Any], check: bool = False) -> t.Dict[str, Json]:
        """The module's result, with `failed`, `msg` and `error` where it fails."""
        result: t.Dict[str, Json] = {"changed": False}
        ports = self.ports(check)
        with self.seen():
            try:
                declare(t.cast(t.Any, resident), params, ports, result)
            except AccelError as error:
                result.update(failed=True, msg=error.message, error={**error.facts, "kind": error.kind})
            finally:
                resident.release(ports)
        return result

    def make(self, geometry: Json, **options: t.Any) -> t.Dict[str, Json]:
        """`apply` that must succeed."""
        result = self.apply({"geometry": geometry, **options})
        assert not result.get("failed"), result.get("msg")
        return result

    def layouts(self) -> t.List[Layout]:
        """All GPUs, by index."""
        return [_layout(gpu) for gpu in self.sim.show()["gpus"]]

    def mig_uuids(self) -> t.Dict[t.Tuple[int, int, int], str]:
        """By GPU index, start of the GPU instance and start of the compute instance."""
        return {
            (gpu["index"], one["placement"]["start"], inner["placement"]["start"]): inner["uuid"]
            for gpu in self.sim.show()["gpus"]
            for one in gpu["instances"]
            for inner in one["compute_instances"]
        }

    def occupy(self, gpu: int, start: int) -> int:
        """A process on the smallest compute instance of the GPU instance at `start`; its PID."""
        for one in self.sim.gpu(gpu)["instances"]:
            if one["placement"]["start"] == start:
                smallest = min(one["compute_instances"], key=lambda inner: inner["sms"])
                return self.sim.occupy(gpu, gi=one["id"], ci=smallest["id"])
        raise AssertionError(f"no GPU instance at {start} of GPU {gpu}")

    def workers(self) -> t.List[t.Tuple[int, t.Optional[int], int, str]]:
        """(GPU index, start of its GPU instance, PID, UUID of what it uses) of every process, sorted."""
        found = []
        for gpu in self.sim.show()["gpus"]:
            found += [(gpu["index"], None, one["pid"], gpu["uuid"]) for one in gpu["processes"] if _whole(one)]
            for instance in gpu["instances"]:
                for inner in instance["compute_instances"]:
                    start = instance["placement"]["start"]
                    found += [(gpu["index"], start, one["pid"], inner["uuid"]) for one in inner["processes"]]
        return sorted(found, key=str)

    def fingerprint(self) -> str:
        """The same for nodes on which a run would do the same: all files, but for who ran last and when."""
        found = hashlib.sha256()
        for path in sorted(one for one in self.folder.rglob("*") if one.name != "lock"):
            text = path.read_bytes().replace(bytes(self.folder), b"") if path.is_file() else b""
            found.update(bytes(path.relative_to(self.folder)) + b"\0" + _WHEN.sub(b"", text) + b"\0")
        return found.hexdigest()

    @property
    def has_journal(self) -> bool:
        return self.files.exists(journal.PATH)

    def close(self) -> None:
        self.sim.close()


def _whole(process: t.Mapping[str, Json]) -> bool:
    """Work on the GPU itself, not in one of its instances."""
    return process["kind"] != "holder" and process.get("gi") is None


def _layout(gpu: t.Mapping[str, Json]) -> Layout:
    instances = sorted(
        (
            one["profile"],
            one["placement"]["start"],
            tuple(sorted((inner["profile"], inner["placement"]["start"]) for inner in one["compute_instances"])),
        )
        for one in gpu["instances"]
    )
    return (gpu["mig"]["current"], gpu["mig"]["pending"], tuple(sorted(instances, key=lambda one: one[1])))


def in_child(function: t.Callable[[], Json], patience: float = 120.0) -> t.Optional[Json]:
    """The JSON value of `function` in a forked child with a process group of its own; None if it was killed."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        _in_child(function, out, into)
    os.close(into)
    try:
        text = _read_all(out, patience)
    finally:
        os.close(out)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, 9)
        os.waitpid(pid, 0)
    return json.loads(text) if text else None


def _in_child(function: t.Callable[[], Json], out: int, into: int) -> None:
    code = 1
    try:
        os.setsid()
        os.close(out)
        data = json.dumps(function(), default=str).encode()
        while data:
            data = data[os.write(into, data) :]
        code = 0
    finally:
        os._exit(code)


def _read_all(descriptor: int, patience: float) -> bytes:
    data = b""
    end = time.monotonic() + patience
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise AssertionError(f"a run did not end within {patience:g} s")
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return data
        data += chunk
