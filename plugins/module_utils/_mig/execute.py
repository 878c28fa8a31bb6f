# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walk steps through the ports, one after the other. Decides nothing about layouts. PRIVATE to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import AccelError, ApplyError, BlockedError, BusyError, GpuHungError, NvmlError
from .._holders import apply as holders
from .._holders.objects import ResetGpu, ResetMember, ResetSet, StartHolder, StopHolder
from .._nvml.objects import GpuInstance, Snapshot
from .._settings.kept import KeptSettings
from . import compute
from .model import (
    CreateComputeInstance,
    CreateGpuInstance,
    DestroyComputeInstance,
    DestroyGpuInstance,
    SetMigMode,
    Step,
)
from .restarts import changes_devices

if t.TYPE_CHECKING:
    from .._nvml.session import NvmlSession
    from .._ports import Ports


class StepError(Exception):
    """`step` failed because of `cause`."""

    def __init__(self, step: Step, cause: AccelError) -> None:
        super().__init__(cause.message)
        self.step = step
        self.cause = cause


class Walker:
    """Knows the GPU instances that exist or were made on the way; `stopped` holds units to be started."""

    def __init__(self, ports: Ports, session: NvmlSession, snapshot: Snapshot) -> None:
        self.ports = ports
        self.session = session
        self.stopped: t.List[str] = []
        self.done = 0
        self.moved = False  # MIG devices may be others than before
        self.was_reset: t.List[str] = []  # UUIDs of what a ResetSet reset
        self._active: t.Set[str] = set()
        self.settings = KeptSettings(ports, session)
        self._alive = {
            (gpu.uuid, instance.placement): instance for gpu in snapshot.gpus for instance in gpu.mig.instances
        }

    def walk(self, steps: t.Sequence[Step]) -> None:
        """Raises StepError at the first step that fails. StartHolder steps are left to `start_holders`."""
        self.settings.finish_earlier()
        self._take_down(steps)
        position = 0
        while position < len(steps):
            step = steps[position]
            following = steps[position + 1 :]
            try:
                position += self._take(step, following)
            except AccelError as error:
                raise StepError(step, error) from error

    def _take_down(self, steps: t.Sequence[Step]) -> None:
        """The settings of all GPUs whose mode changes, before the first holder is stopped."""
        stopped = [step.unit for step in steps if isinstance(step, StopHolder)]
        for step in steps:
            try:
                if isinstance(step, (SetMigMode, ResetGpu)):
                    self.settings.read(step.gpu, stopped)
                elif isinstance(step, ResetSet):
                    for member in _answering(step):
                        self.settings.try_to_read(member.uuid, stopped)
            except AccelError as error:
                raise StepError(step, error) from error

    def start_holders(self, units: t.Iterable[str] = ()) -> t.Dict[str, str]:
        """Starts what was stopped, the last one first, and `units`; a sentence for each unit that did not start."""
        wanted = list(dict.fromkeys([*units, *self.stopped]))
        self.stopped = []
        return holders.start(self.ports, wanted)

    def _take(self, step: Step, following: t.Sequence[Step]) -> int:
        """Does one step, or the group that belongs together; answers how many steps that were."""
        self.moved = self.moved or changes_devices(step)
        if isinstance(step, CreateComputeInstance):
            group = [step, *_same_instance(step, following)]
            self._create_compute(group)
            return len(group)
        if isinstance(step, (SetMigMode, ResetGpu)):
            self._change_mode(step, any(_resets(one, step.gpu) for one in following))
        elif isinstance(step, ResetSet):
            self._reset_set(step)
        elif isinstance(step, StopHolder):
            self._stop(step.unit)
        elif not isinstance(step, StartHolder):
            self._instance(step)
        self.done += 1
        return 1

    def _instance(self, step: t.Union[DestroyComputeInstance, DestroyGpuInstance, CreateGpuInstance]) -> None:
        if isinstance(step, CreateGpuInstance):
            made = self.session.create_gpu_instance(step.gpu, step.profile_id, step.placement)
            self._alive[step.gpu, step.placement] = GpuInstance(made, step.profile_id, step.profile, step.placement)
            return
        try:
            if isinstance(step, DestroyGpuInstance):
                self.session.destroy_gpu_instance(step.gpu, step.gi_id)
            else:
                self.session.destroy_compute_instance(step.gpu, step.gi_id, step.compute_id)
                self._forget(step)
        except NvmlError as error:
            raise _as_busy(error) from error

    def _forget(self, step: DestroyComputeInstance) -> None:
        instance = self._alive[step.gpu, step.placement]
        left = tuple(one for one in instance.compute_instances if one.id != step.compute_id)
        self._alive[step.gpu, step.placement] = dataclasses.replace(instance, compute_instances=left)

    def _create_compute(self, group: t.Sequence[CreateComputeInstance]) -> None:
        uuid, place = group[0].gpu, group[0].gi_placement
        instance = self._alive.get((uuid, place))
        if instance is None:
            raise ApplyError(f"there is no GPU instance at {place}")
        if any(step.profile_id is None for step in group):
            profiles = self.session.compute_profiles(uuid, instance.id)
            group = compute.arrange(dataclasses.replace(instance, compute_profiles=profiles), group)
        for step in group:
            if step.profile_id is None:
                raise ApplyError(f"no compute instance profile was found for {step.profile}")
            self.session.create_compute_instance(uuid, instance.id, step.profile_id, step.placement)
            self.done += 1

    def _change_mode(self, step: t.Union[SetMigMode, ResetGpu], reset_follows: bool) -> None:
        """Asks for the mode or resets for it, and sets again what falls back then, also where it failed."""
        self.settings.keep(step.gpu)
        try:
            if isinstance(step, SetMigMode):
                self._set_mode(step, reset_follows)
            else:
                self._reset(step)
        except GpuHungError:
            raise  # it would not answer
        except AccelError:
            self.settings.bring_back(step.gpu)
            raise
        if not reset_follows:
            self.settings.bring_back(step.gpu)

    def _set_mode(self, step: SetMigMode, reset_follows: bool) -> None:
        status = self.session.set_mig_mode(step.gpu, step.enabled)
        if self.session.mig_state(step.gpu).current == step.enabled:
            self._active.add(step.gpu)
        elif status == "in_use":
            raise BusyError(
                "another client uses this GPU (activation status IN_USE); find it with `fuser -v /dev/nvidia*`, stop "
                "it and run again",
                activation=status,
            )
        elif not reset_follows:
            raise BlockedError(
                f"the driver did not activate the mode (activation status {status.upper()}); it takes effect after a "
                "reset or reboot from outside this machine",
                activation=status,
            )

    def _reset(self, step: ResetGpu) -> None:
        if step.gpu in self._active:
            # The driver has activated the mode at once; a reset would only cost the settings of the GPU.
            return
        # Our own open handle would be in the way.
        self.session.release()
        holders.reset(self.ports, step.pci)

    def _reset_set(self, step: ResetSet) -> None:
        for member in _answering(step):
            if self.settings.try_to_read(member.uuid):
                self.settings.keep(member.uuid)
        self.session.release()
        try:
            holders.reset(self.ports, *(member.pci for member in step.members))
            self.was_reset += [member.uuid for member in step.members]
        except GpuHungError:
            raise  # it would not answer
        except AccelError:
            self._settings_back(_answering(step))
            raise
        self._settings_back(step.members)

    def _settings_back(self, members: t.Sequence[ResetMember]) -> None:
        for member in members:
            self.settings.bring_back(member.uuid)

    def _stop(self, unit: str) -> None:
        self.stopped.append(unit)
        holders.stop(self.ports, unit)


def _resets(step: Step, uuid: str) -> bool:
    if isinstance(step, ResetSet):
        return any(member.uuid == uuid for member in step.members)
    return isinstance(step, ResetGpu) and step.gpu == uuid


def _answering(step: ResetSet) -> t.List[ResetMember]:
    return [member for member in step.members if not member.silent]


def _same_instance(step: CreateComputeInstance, following: t.Sequence[Step]) -> t.Iterator[CreateComputeInstance]:
    for other in following:
        if not isinstance(other, CreateComputeInstance):
            return
        if (other.gpu, other.gi_placement) != (step.gpu, step.gi_placement):
            return
        yield other


def _as_busy(error: NvmlError) -> AccelError:
    """What NVML says about an instance that changed hands since it was looked at."""
    name = error.facts.get("code_name")
    if name == "IN_USE":
        return BusyError(f"it came into use after it was looked at ({error.message}); drain it and run again")
    if name == "NOT_FOUND":
        return BusyError(f"somebody else removed it meanwhile ({error.message}); let one manager act, and run again")
    return error


def words(step: Step) -> str:
    """A step in a sentence."""
    if isinstance(step, (StopHolder, StartHolder)):
        return f"{'stopping' if isinstance(step, StopHolder) else 'starting'} {step.unit}"
    if isinstance(step, SetMigMode):
        return f"switching MIG mode {'on' if step.enabled else 'off'}"
    if isinstance(step, ResetGpu):
        return "resetting the GPU"
    if isinstance(step, ResetSet):
        others = len(step.members) - 1
        return "resetting the GPU" + (f" together with {others} others" if others else "")
    if isinstance(step, CreateGpuInstance):
        return f"creating GPU instance {step.profile} at {step.placement}"
    if isinstance(step, CreateComputeInstance):
        return f"creating compute instance {step.profile or ''} in the GPU instance at {step.gi_placement}".replace(
            "  ", " "
        )
    if isinstance(step, DestroyGpuInstance):
        return f"destroying the GPU instance at {step.placement}"
    return f"destroying compute instance {step.compute_id} in the GPU instance at {step.placement}"


def gpu_of(step: Step) -> t.Optional[str]:
    """UUID of the GPU of a step, None for those of the node."""
    return getattr(step, "gpu", None)
