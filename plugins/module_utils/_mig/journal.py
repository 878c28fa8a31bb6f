# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of a MIG change: what was there before its first step. PRIVATE to the collection.

It is written before anything is touched and removed after the verification, so a run that finds one in the same boot
knows that an earlier run was interrupted. After a reboot nothing of it is true any more: instances never survive one.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from dataclasses import dataclass

from .._boot import boot_id
from .._errors import AccelError, NotRootError
from .._files import Files
from .._nvml.objects import Placement
from .live import Device
from .model import ComputeSpec, GpuLayout, InstanceSpec

PATH = "/var/lib/accel-gpu/mig/journal.json"
VERSION = 1


@dataclass(frozen=True)
class GpuRecord:
    """`before` and `devices` are what the interrupted run found, `after` is what it wanted."""

    uuid: str
    name: str
    pci: str
    before: GpuLayout
    after: GpuLayout
    devices: t.Tuple[Device, ...] = ()


@dataclass(frozen=True)
class Record:
    """`holders` are the units to be started again, in the order of stopping."""

    boot_id: str
    since: str
    gpus: t.Tuple[GpuRecord, ...] = ()
    holders: t.Tuple[str, ...] = ()

    def by_uuid(self, uuid: str) -> t.Optional[GpuRecord]:
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(files: Files) -> t.Optional[Record]:
    """The journal of an interrupted run of this boot, or None."""
    try:
        document = files.read_json(PATH)
    except PermissionError as error:
        raise NotRootError(f"{PATH} of an interrupted run is there for root alone; set become: true") from error
    if document is None:
        return None
    try:
        if document["boot_id"] != boot_id(files):
            return None
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}, this collection knows {VERSION}")
        return Record(
            document["boot_id"],
            document["since"],
            tuple(_gpu(entry) for entry in document["gpus"]),
            tuple(document["holders"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        remedy = "compare the GPUs with the wish by hand, then remove the file"
        raise AccelError(f"{PATH} is no journal of accel.gpu ({error!r}); {remedy}", path=PATH) from error


def write(files: Files, record: Record) -> None:
    document = {"version": VERSION, **dataclasses.asdict(record)}
    files.write_json(PATH, document, mode=0o600)


def remove(files: Files) -> None:
    files.remove(PATH)


def _gpu(entry: t.Mapping[str, t.Any]) -> GpuRecord:
    return GpuRecord(
        entry["uuid"],
        entry["name"],
        entry["pci"],
        layout_from(entry["before"]),
        layout_from(entry["after"]),
        tuple(
            Device(
                one["profile"],
                Placement(**one["placement"]),
                one["compute"],
                _placement(one["compute_placement"]),
                one["uuid"],
            )
            for one in entry["devices"]
        ),
    )


def layout_from(entry: t.Mapping[str, t.Any]) -> GpuLayout:
    """From the JSON of a layout."""
    return GpuLayout(entry["mode"], entry["pending"], tuple(_instance(one) for one in entry["layout"]))


def _instance(entry: t.Mapping[str, t.Any]) -> InstanceSpec:
    compute = tuple(
        ComputeSpec(one["profile"], one["profile_id"], _placement(one["placement"])) for one in entry["compute"]
    )
    return InstanceSpec(entry["profile_id"], entry["profile"], Placement(**entry["placement"]), compute)


def _placement(entry: t.Optional[t.Mapping[str, int]]) -> t.Optional[Placement]:
    return None if entry is None else Placement(**entry)
