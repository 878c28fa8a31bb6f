# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The GPUs across a reload of the driver: what is set on them, their MIG layout, and whether they answer. PRIVATE."""

from __future__ import annotations

import contextlib
import typing as t

from ..._errors import AccelError, DriverMissingError
from ..._holders import apply_fabric
from ..._holders.objects import fabric_state, not_in_fabric
from ..._settings.kept import KeptSettings
from .apply_geometry import SUBSETS, Geometry

if t.TYPE_CHECKING:
    from ..._nvml.objects import Snapshot
    from ..._ports import Ports
    from ..._settings.kept_devices import DeviceFiles
    from ..model import PciDevice

_EVENT = "the driver changed"
_NOT_READ = f"settings could not be read before {_EVENT}"


class Gpus:
    """Power limit, clocks, modes and MIG instances fall back with the driver (live_node rule 14): `take` before the
    first package changes, because a library that differs from the module answers nothing; `back` after the modules are
    loaded."""

    def __init__(self, ports: Ports, devices: DeviceFiles) -> None:
        self._devices = devices
        self._session = ports.open_nvml()
        self._kept = KeptSettings(ports, self._session)
        self._geometry = Geometry(ports, self._session)
        self._lost: t.List[str] = []
        self._noted: t.List[str] = []
        self._in_fabric: t.List[str] = []
        self._answered: t.Set[str] = set()  # PCI addresses, before the modules were touched

    @property
    def told(self) -> t.List[str]:
        """Sentences for settings that were set again."""
        return [*self._kept.told, *self._geometry.reapplied]

    @property
    def geometry(self) -> t.List[str]:
        """Sentences for MIG layouts that were created again."""
        return list(self._geometry.told)

    @property
    def layouts_lost(self) -> t.List[str]:
        """Sentences for MIG layouts that were not."""
        return list(self._geometry.lost)

    @property
    def lost(self) -> t.List[str]:
        """Sentences for all else that was there before and is not there again."""
        return [*self._lost, *self._kept.lost, *self._geometry.missing]

    @property
    def noted(self) -> t.List[str]:
        """Sentences for what is no loss, or may be none."""
        return [*self._noted, *self._kept.noted, *self._geometry.noted]

    def take(self, stopped: t.Collection[str]) -> None:
        try:
            snapshot = self._session.snapshot(SUBSETS)
            self._geometry.keep(snapshot)
        except AccelError as error:
            self._not_read(error)
        else:
            self._keep_settings(snapshot, stopped)
            self._answered.update(gpu.pci for gpu in snapshot.gpus)
        with contextlib.suppress(AccelError):  # then only those that fabric manager has here are asked for
            seen = self._session.snapshot(apply_fabric.SUBSETS)
            self._in_fabric = [gpu.uuid for gpu in seen.gpus if fabric_state(gpu) == "completed"]
            self._answered.update(gpu.pci for gpu in seen.gpus)
        self._session.release()

    def take_again(self, loaded: bool) -> None:
        """Before a way back that may load the modules once more: what was set again until now. What cannot be read now
        is still owed from before, or was told already. Where none were `loaded` before, there is nobody to take it."""
        self._devices.keep()
        if not loaded:
            return
        with contextlib.suppress(AccelError):
            snapshot = self._session.snapshot(SUBSETS)
            self._geometry.keep(snapshot)
            for gpu in snapshot.gpus:
                if self._kept.try_to_read(gpu.uuid, (), _EVENT):
                    self._kept.keep(gpu.uuid)
        self._session.release()

    def forget(self) -> None:
        """The driver is gone for good, and with it what was set."""
        self._kept.forget_all()
        self._devices.drop()

    def keep_geometry(self) -> None:
        """For a reboot that comes later. A driver that does not answer adds nothing to what was kept before."""
        try:
            self._geometry.keep(self._session.snapshot(SUBSETS))
        except DriverMissingError:
            pass
        except AccelError as error:
            self._noted.append(f"the MIG layout could not be read before the reboot: {error.message}")
        self._session.release()

    def _keep_settings(self, snapshot: Snapshot, stopped: t.Collection[str]) -> None:
        """Of each GPU by itself: one that cannot be read must not cost the others what is set on them."""
        uuids = [gpu.uuid for gpu in snapshot.gpus]
        for failure in snapshot.failures:
            if failure.uuid:
                uuids.append(failure.uuid)
            else:
                self._noted.append(f"GPU {failure.pci or failure.index}: {_NOT_READ}: {failure.message}")
        for uuid in uuids:
            try:
                if self._kept.try_to_read(uuid, stopped, _EVENT):
                    self._kept.keep(uuid)
            except AccelError as error:
                self._noted.append(f"{uuid}: {_NOT_READ}: {error.message}")

    def _not_read(self, error: AccelError) -> None:
        with contextlib.suppress(AccelError):
            if self._kept.owed():
                return  # a run that died has read them, and its packages are why nobody answers
        self._noted.append(f"settings of the GPUs could not be read before {_EVENT}: {error.message}")

    def back(self) -> None:
        """Also what a run that died left unset: whoever loads the modules or finishes that run takes care of it."""
        try:
            self._kept.bring_all_back()
        except AccelError as error:  # a file that is none of ours is no reason to take the driver back
            self._noted.append(f"settings of the GPUs could not be set again: {error.message}")
        # Where MIG has to be switched on again settings fall back once more; that walk takes care of them.
        self._geometry.back()
        self._session.release()
        self._devices.back()  # before the journal goes and the fabric is waited for

    def late(self, managed: bool) -> t.List[str]:
        """A sentence for each GPU that the NVLink fabric does not take up again, after a while: of those that it had
        before, or where fabric manager runs (`managed`) of all."""
        if not managed and not self._in_fabric:
            return []
        try:
            meant = self._in_fabric
            if managed:
                meant = [gpu.uuid for gpu in self._session.snapshot(("identity",)).gpus]
            return [not_in_fabric(gpu) for gpu in apply_fabric.wait(self._session, meant)[1]]
        finally:
            self._session.release()

    def still_late(self) -> None:
        """After the way back: what the fabric does not take up again is lost."""
        self._lost += self.late(False)

    def silent(self, devices: t.Sequence[PciDevice]) -> t.List[str]:
        """A sentence for each GPU of the driver that does not answer any more. One that gave no answer before is no
        fault of the change, so it is told as a warning; where nobody could be asked, all have to."""
        try:
            seen = self._session.snapshot(("identity",))
        except AccelError as error:
            return [error.message]
        finally:
            self._session.release()
        answering = {gpu.pci for gpu in seen.gpus}
        failed = {failure.pci: failure.message for failure in seen.failures}
        # A GPU that another driver has (vfio-pci) is not ours to ask.
        ours = [device.address for device in devices if device.driver in (None, "nvidia")]
        quiet = {pci: f"GPU {pci}: {failed.get(pci, 'gives no answer')}" for pci in ours if pci not in answering}
        earlier = [pci for pci in quiet if self._answered and pci not in self._answered]
        self._noted += [f"{quiet[pci]}; it gave no answer before the change either" for pci in earlier]
        return [text for pci, text in quiet.items() if pci not in earlier]
