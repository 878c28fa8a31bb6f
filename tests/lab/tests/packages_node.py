# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls the room _packages on a node, with the node's own Python and its real package manager."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import tarfile
import typing as t

from labctl.common import REPOSITORY

PLACE = "/opt/accel-test"
# Reads {"check", "scratch", "anew", "lock_timeout", "calls": [[method, arguments], …]} and writes one answer for each
# call; the first error ends it. A dictionary stands for a Request, a list of pairs for repositories.
PROGRAM = """
import json, sys
sys.path.insert(0, "/opt/accel-test")
from cores._errors import AccelError
from cores._files import Files
from cores._packages.objects import Origin, Request, Source
from cores._packages.probe import manager
from cores._ports import Ports
from cores._run import SubprocessRun

def plain(value):
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "_asdict"):
        return {key: plain(one) for key, one in value._asdict().items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, AccelError) else value

def request(document):
    return Request(**{key: tuple(map(tuple, one)) if key == "install" else tuple(one) if isinstance(one, list) else one
                      for key, one in document.items()})

def argument(given):
    if isinstance(given, dict):
        return request(given)
    pairs = isinstance(given, list) and given and isinstance(given[0], list)
    return [Origin(*one) for one in given] if pairs else given

asked = json.load(sys.stdin)
logged = []
ports = Ports(SubprocessRun(), Files("/"), lambda: None, log=logged.append, check=asked["check"])
scratch = [Source(name, tuple((path, text.encode()) for path, text in files)) for name, files in asked["scratch"]]
answers = []
try:
    with manager(ports, scratch, asked["lock_timeout"], asked["anew"]) as one:
        for method, arguments in asked["calls"]:
            answers.append(plain(getattr(one, method)(*map(argument, arguments))))
    error = None
except AccelError as caught:
    error = [caught.kind, caught.message, caught.facts]
json.dump({"answers": answers, "error": error, "logged": logged}, sys.stdout)
"""


@dataclasses.dataclass(frozen=True)
class Answer:
    answers: list[t.Any]
    error: tuple[str, str, dict[str, t.Any]] | None
    logged: list[str]

    @property
    def last(self) -> t.Any:
        """The answer to the last call; there was no error."""
        assert self.error is None, self.error
        return self.answers[-1]

    @property
    def kind(self) -> str:
        assert self.error is not None, f"no error but {self.answers}"
        return self.error[0]

    @property
    def message(self) -> str:
        assert self.error is not None, f"no error but {self.answers}"
        return self.error[1]


@dataclasses.dataclass(frozen=True)
class PackagesNode:
    """A running container. `ask` calls methods of its Manager."""

    name: str

    def install_room(self) -> None:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as bundle:
            bundle.add(REPOSITORY / "plugins/module_utils", f"{PLACE[1:]}/cores", filter=_without_cache)
            program = tarfile.TarInfo(f"{PLACE[1:]}/ask.py")
            program.size = len(PROGRAM.encode())
            bundle.addfile(program, io.BytesIO(PROGRAM.encode()))
        subprocess.run(["docker", "cp", "-", f"{self.name}:/"], input=sink.getvalue(), check=True, timeout=60)

    def ask(
        self,
        *calls: tuple[t.Any, ...],
        scratch: t.Sequence[t.Any] = (),
        check: bool = False,
        anew: bool = False,
        lock_timeout: float = 0.0,
    ) -> Answer:
        """Each call is (method, argument, …)."""
        document = {
            "calls": [[call[0], list(call[1:])] for call in calls],
            "scratch": scratch,
            "check": check,
            "anew": anew,
            "lock_timeout": lock_timeout,
        }
        argv = ["docker", "exec", "--interactive", self.name, "python3", f"{PLACE}/ask.py"]
        done = subprocess.run(
            argv, input=json.dumps(document), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return Answer(answer["answers"], tuple(answer["error"]) if answer["error"] else None, answer["logged"])

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        argv = ["docker", "exec", self.name, "/bin/sh", "-c", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)

    def out(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
        return done.stdout.strip()


def _without_cache(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info
