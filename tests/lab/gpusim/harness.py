# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated node for tests: its own state file, an environment for programs that shall see it, and its processes.

    with Sim("a100-80gb,h100-80gb-sxm5", tmp_path) as sim:
        sim.smi("-mig", "1", "-i", "1", check=True)
        job = sim.occupy(1, gi=2, ci=0)
        subprocess.run([...], env=sim.env)
        assert sim.gpu(1)["mig"]["current"]

The library is that of `make -C tests/lab/gpusim OUT=.build/gpusim`, or the one in the folder GPUSIM_BUILD.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import types
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = Path(os.environ.get("GPUSIM_BUILD") or ROOT / ".build" / "gpusim")
LIBRARY = BUILD / "libnvidia-ml.so.1"
COMMANDS = {"gpusim": HERE / "cli" / "gpusim", "nvidia-smi": HERE / "smi" / "nvidia-smi"}
# Longer than any command needs on a loaded machine; a test that hangs on purpose gives its own.
TIMEOUT = 60.0

sys.path.insert(0, str(HERE / "cli"))
from gpusim_cli import library as _library  # noqa: E402  # the package lies beside the command that it belongs to
from gpusim_cli import spawn as _spawn  # noqa: E402

ControlError = _library.ControlError
Json = t.Any


class Sim:
    """A simulated node. Everything it starts is ended by `close`, or at the end of the `with` block."""

    def __init__(self, boards: str, tmp_path: t.Union[str, Path], **words: str) -> None:
        """`boards` as in `gpusim init --boards`; "" makes no state file. `words` as in the control command `init`."""
        self.folder = Path(tmp_path)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "gpusim-state"
        self.kmsg = self.folder / "gpusim-kmsg"
        self._pids: t.List[int] = []
        self.env = self._environment()
        if boards:
            self.init(boards, **words)

    def __enter__(self) -> Sim:
        return self

    def __exit__(
        self,
        kind: t.Optional[t.Type[BaseException]],
        error: t.Optional[BaseException],
        trace: t.Optional[types.TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that `occupy` and `gpusim occupy --spawn` started."""
        with contextlib.suppress(ControlError):
            self._pids += [process["pid"] for gpu in self.show()["gpus"] for process in gpu["processes"]]
        while self._pids:
            _spawn.end(self._pids.pop())

    def _environment(self) -> t.Dict[str, str]:
        commands = self.folder / "gpusim-bin"
        commands.mkdir(exist_ok=True)
        for name, program in COMMANDS.items():
            script = commands / name
            # Under the interpreter of the tests: it has pynvml, the system's own need not.
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(program))} "$@"\n')
            script.chmod(0o755)
        return dict(
            os.environ,
            PATH=f"{commands}:{os.environ['PATH']}",
            LD_LIBRARY_PATH=str(BUILD),
            PYTHONDONTWRITEBYTECODE="1",
            **self._own(),
        )

    def _own(self) -> t.Dict[str, str]:
        return {"GPUSIM_STATE": str(self.state), "GPUSIM_KMSG": str(self.kmsg), "GPUSIM_LIBRARY": str(LIBRARY)}

    @contextlib.contextmanager
    def selected(self) -> t.Iterator[None]:
        """This process itself sees the node for the time of the block (getenv of the library)."""
        before = {name: os.environ.get(name) for name in self._own()}
        os.environ.update(self._own())
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def control(self, command: t.Union[str, t.Sequence[str]]) -> Json:
        """One control command, a line or its words; the decoded answer. Raises ControlError with the sentence."""
        words = shlex.split(command) if isinstance(command, str) else command
        with self.selected():
            return _library.control(words)

    def init(self, boards: str, **words: str) -> None:
        """A new node: sim.init("a100-80gb*2", virt="passthrough")."""
        self.control(["init", boards, *(f"{key}={value}" for key, value in words.items())])

    def show(self) -> t.Dict[str, Json]:
        """The whole state."""
        return t.cast(t.Dict[str, Json], self.control("show"))

    def gpu(self, index: int) -> t.Dict[str, Json]:
        """One GPU of `show`."""
        return t.cast(t.Dict[str, Json], self.show()["gpus"][index])

    def counts(self) -> t.Dict[str, int]:
        """Calls per NVML function."""
        return t.cast(t.Dict[str, int], self.control("counts"))

    def occupy(
        self, gpu: int, gi: t.Optional[int] = None, ci: t.Optional[int] = None, kind: str = "compute", **words: object
    ) -> int:
        """Put a new sleeping process on a GPU or instance and return its pid; it ends at `close` or `release`."""
        pid: int = _spawn.start()
        self._pids.append(pid)
        pairs = dict(words, gi=gi, ci=ci, pid=pid, kind=kind)
        known = [f"{key}={value}" for key, value in pairs.items() if value is not None]
        self.control(["occupy", str(gpu), *known])
        return pid

    def release(self, gpu: int, pid: int) -> None:
        """Take a process off a GPU and end it if `occupy` started it."""
        self.control(f"release {gpu} pid={pid}")
        self.kill(pid)

    def kill(self, pid: int) -> None:
        """End a process of `occupy` as if it had crashed: the node is told nothing."""
        _spawn.end(pid)
        with contextlib.suppress(ValueError):
            self._pids.remove(pid)

    def run(self, *argv: str, check: bool = False, **more: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a program on the node; `check` raises with its output when it ends with another code than 0."""
        options: t.Dict[str, t.Any] = {"env": self.env, "timeout": TIMEOUT, "text": True}
        options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        options.update(more)
        done: subprocess.CompletedProcess[str] = subprocess.run(argv, check=False, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}")
        return done

    def smi(self, *argv: str, check: bool = False, **more: t.Any) -> subprocess.CompletedProcess[str]:
        """Run `nvidia-smi`."""
        return self.run(str(self.folder / "gpusim-bin" / "nvidia-smi"), *argv, check=check, **more)

    def gpusim(self, *argv: str, check: bool = False, **more: t.Any) -> subprocess.CompletedProcess[str]:
        """Run the command `gpusim`."""
        return self.run(str(self.folder / "gpusim-bin" / "gpusim"), *argv, check=check, **more)
