# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubelet's pod-resources answer, decoded. Pure. PRIVATE to the collection.

Source of the field numbers: kubelet's pod-resources API v1 (ListPodResourcesResponse), protobuf wire format.
"""

from __future__ import annotations

import re
import typing as t

from .objects import Allocation, leading_uuid

LIST = "/v1.PodResourcesLister/List"
# NVIDIA's DRA driver: gpu-0, gpu-0-mig-1g20gb-15-6 (minor, profile, profile id, first slot).
_DRA = re.compile(r"^gpu-(\d+)(?:-mig-[^-]+-(\d+)-(\d+))?$")
_RESOURCE_DOMAIN = "nvidia.com"


def allocations(message: bytes) -> t.Tuple[Allocation, ...]:
    """All NVIDIA devices that the kubelet has given to containers, by device plugin or by DRA."""
    found: t.List[Allocation] = []
    for pod in _messages(message, 1):
        name = f"{_text(pod, 2)}/{_text(pod, 1)}"
        for container in _messages(pod, 3):
            owner = f"kubernetes pod {name}, container {_text(container, 1)}"
            found.extend(Allocation(owner, device) for device in _container_devices(container))
    return tuple(found)


def _container_devices(container: bytes) -> t.Iterator[str]:
    for devices in _messages(container, 2):
        ours = _is_nvidia(_text(devices, 1).split("/")[0])
        for identifier in _messages(devices, 2):
            name = identifier.decode("utf-8", "replace")
            # Plugins of other makers (shares of a GPU) have resources of their own, yet name the device by its UUID.
            if ours or leading_uuid(name):
                yield _plugin_device(name)
    for dynamic in _messages(container, 5):
        for claim in _messages(dynamic, 4):
            if _is_nvidia(_text(claim, 2)):
                yield _dra_device(_text(claim, 4))


def _is_nvidia(name: str) -> bool:
    return name == _RESOURCE_DOMAIN or name.endswith("." + _RESOURCE_DOMAIN)


def _plugin_device(identifier: str) -> str:
    # GPUs and MIG devices have their UUID, with a suffix for shared replicas ("GPU-…::2"); a form that we do not know
    # may be any GPU.
    return leading_uuid(identifier) or "all"


def _dra_device(name: str) -> str:
    match = _DRA.match(name)
    if not match:
        return "all"
    minor, profile, start = match.groups()
    return f"minor:{minor}" if profile is None else f"place:gpu{minor}/{profile}/{start}"


def _text(message: bytes, number: int) -> str:
    return next((value.decode("utf-8", "replace") for value in _messages(message, number)), "")


def _messages(message: bytes, number: int) -> t.Iterator[bytes]:
    """The length-delimited fields with this number, in order; others are skipped."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == 2:
            length, position = _varint(message, position)
            if key >> 3 == number:
                yield message[position : position + length]
            position += length
        elif wire == 0:
            unused, position = _varint(message, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not protobuf")


def _varint(message: bytes, position: int) -> t.Tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("the message is cut off")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if not byte & 0x80:
            return value, position
