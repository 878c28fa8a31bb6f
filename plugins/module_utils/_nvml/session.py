# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The NVML session: what the rest of the collection knows of NVML. PRIVATE to the collection.

A session opens its child at the first request and again after `release`, so that nothing holds the GPU while it is
reset. Every NVML call has a deadline. Errors: DriverMissingError (facts: state "missing" | "not_loaded"),
DriverMismatchError (facts: library, module), BindingWantedError, NotRootError, NvmlError (facts: call, gpu, code,
code_name), GpuLostError, GpuHungError (facts: call, gpu, gpu_index, deadline),
SessionDiedError (facts: call, gpu, gpu_index, signal).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._errors import AccelError, GpuHungError
from .child import Child
from .objects import ComputeInstanceProfile, GpuFailure, MigState, Placement, SettingSet, Snapshot
from .server import Server

SUBSETS = ("identity", "mig", "processes", "settings", "health")
MIG_SUBSETS = ("identity", "mig", "processes")
_WRITES = re.compile(r"Set|Create|Destroy|Reset|Clear")


class NvmlSession:
    """Use as a context manager. `calls` counts NVML calls by pynvml's names, `snapshots` the snapshots taken."""

    def __init__(self, binding: t.Optional[str] = None, deadline: float = 30.0, root: str = "/") -> None:
        self.calls: t.Dict[str, int] = {}
        self.snapshots = 0
        self._server = Server(binding, deadline, root)
        self._deadline = deadline
        self._child: t.Optional[Child] = None
        self._pci: t.Dict[str, str] = {}

    def __enter__(self) -> NvmlSession:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one. A later request opens a new one."""
        if self._child is not None:
            self._child.close()
            self._child = None

    release = close

    @property
    def write_calls(self) -> t.Dict[str, int]:
        """The calls that change something."""
        return {name: number for name, number in self.calls.items() if _WRITES.search(name)}

    def snapshot(self, subsets: t.Sequence[str] = MIG_SUBSETS) -> Snapshot:
        """Everything at once. A GPU that hangs or is lost stands in `failures`, the others are read all the same."""
        self.snapshots += 1
        hung: t.Dict[int, GpuHungError] = {}
        while True:
            try:
                seen: Snapshot = self._ask("snapshot", tuple(subsets), tuple(sorted(hung)))
                break
            except GpuHungError as error:
                index = error.facts.get("gpu_index")
                if index is None or index in hung:
                    raise next(iter(hung.values()), error) from None
                hung[index] = error
        self.know(seen)
        failures = seen.failures + tuple(_failure(index, error) for index, error in hung.items())
        return dataclasses.replace(seen, failures=tuple(sorted(failures, key=lambda failure: failure.index)))

    def know(self, snapshot: Snapshot) -> None:
        """Takes the PCI addresses from an earlier session's snapshot: by UUID a look-up can take seconds."""
        self._pci.update((gpu.uuid, gpu.pci) for gpu in snapshot.gpus)

    def mig_state(self, uuid: str) -> MigState:
        """MIG mode, profiles and instances (with their processes) of one GPU, read now."""
        state: MigState = self._ask_gpu("mig_state", uuid)
        return state

    def compute_profiles(self, uuid: str, gi_id: int) -> t.Tuple[ComputeInstanceProfile, ...]:
        profiles: t.Tuple[ComputeInstanceProfile, ...] = self._ask_gpu("compute_profiles", uuid, gi_id)
        return profiles

    def set_mig_mode(self, uuid: str, enabled: bool) -> str:
        """The activation status: "success", "in_use", "reset_required", or another NVML code in lower case."""
        status: str = self._ask_gpu("set_mig_mode", uuid, enabled)
        return status

    def create_gpu_instance(self, uuid: str, profile_id: int, placement: Placement) -> int:
        """Id of the new GPU instance."""
        gi_id: int = self._ask_gpu("create_gpu_instance", uuid, profile_id, placement)
        return gi_id

    def destroy_gpu_instance(self, uuid: str, gi_id: int) -> None:
        self._ask_gpu("destroy_gpu_instance", uuid, gi_id)

    def create_compute_instance(
        self, uuid: str, gi_id: int, profile_id: int, placement: t.Optional[Placement] = None
    ) -> int:
        """Id of the new compute instance; without `placement` the driver chooses."""
        ci_id: int = self._ask_gpu("create_compute_instance", uuid, gi_id, profile_id, placement)
        return ci_id

    def destroy_compute_instance(self, uuid: str, gi_id: int, ci_id: int) -> None:
        self._ask_gpu("destroy_compute_instance", uuid, gi_id, ci_id)

    def settings(self, uuid: str) -> t.Dict[str, t.Any]:
        """The settings that `restore_settings` can bring back after a reset, as JSON."""
        settings: t.Dict[str, t.Any] = self._ask_gpu("settings", uuid)
        return settings

    def restore_settings(self, uuid: str, before: t.Mapping[str, t.Any]) -> t.Tuple[SettingSet, ...]:
        """Sets what differs from `before` and tells what became of each; a refusal does not raise."""
        told: t.Tuple[SettingSet, ...] = self._ask_gpu("restore_settings", uuid, dict(before))
        return told

    def set_setting(self, uuid: str, name: str, value: t.Any) -> None:
        """Sets one setting, see `settings_write`; None takes clocks back to the driver's default."""
        self._ask_gpu("set_setting", uuid, name, value)

    def clocks(self, uuid: str) -> t.Dict[str, t.Any]:
        """Clocks that the GPU supports and those at which it runs, see `settings.clocks_of`."""
        clocks: t.Dict[str, t.Any] = self._ask_gpu("clocks", uuid)
        return clocks

    def _ask_gpu(self, method: str, uuid: str, *args: t.Any) -> t.Any:
        return self._ask(method, uuid, self._pci.get(uuid), *args)

    def _ask(self, method: str, *args: t.Any) -> t.Any:
        if self._child is None or not self._child.alive:
            self._child = Child(self._server, self._deadline)
        value, calls = self._child.ask(method, *args)
        for name, number in calls.items():
            self.calls[name] = self.calls.get(name, 0) + number
        if isinstance(value, AccelError):
            raise value
        return value


def open_session(binding: t.Optional[str] = None, deadline: float = 30.0, root: str = "/") -> NvmlSession:
    """A session. `binding` is pynvml's packed source (`binding.pack`), `deadline` the seconds that each NVML call may
    take, `root` the node's root directory."""
    return NvmlSession(binding, deadline, root)


def _failure(index: int, error: GpuHungError) -> GpuFailure:
    gpu = error.facts.get("gpu") or ""
    return GpuFailure(index=index, kind=error.kind, message=error.message, pci=gpu if ":" in gpu else None)
