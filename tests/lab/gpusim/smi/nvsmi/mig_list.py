# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listings of `nvidia-smi mig`."""

from __future__ import annotations

import typing as t

from nvsmi import errors
from nvsmi.binding import nv, text
from nvsmi.mig_read import (
    NO_COMPUTE_INSTANCES,
    Scope,
    compute_profiles,
    default_compute_profile,
    gpu_profiles,
    placements,
)
from nvsmi.mig_read import compute_instances as read_compute_instances

GIP_RULE = "+-------------------------------------------------------------------------------+"
GIP_HEAD = (
    "| GPU instance profiles:                                                        |",
    "| GPU   Name               ID    Instances   Memory     P2P    SM    DEC   ENC  |",
    "|                                Free/Total   GiB              CE    JPEG  OFA  |",
    "|===============================================================================|",
)
GI_RULE = "+-------------------------------------------------------+"
GI_HEAD = (
    "| GPU instances:                                        |",
    "| GPU   Name             Profile  Instance   Placement  |",
    "|                          ID       ID       Start:Size |",
    "|=======================================================|",
)
CIP_RULE = "+--------------------------------------------------------------------------------------+"
CIP_HEAD = (
    "| Compute instance profiles:                                                           |",
    "| GPU     GPU       Name             Profile  Instances   Exclusive       Shared       |",
    "|       Instance                       ID     Free/Total     SM       DEC   ENC   OFA  |",
    "|         ID                                                          CE    JPEG       |",
    "|======================================================================================|",
)
CI_RULE = "+--------------------------------------------------------------------+"
CI_HEAD = (
    "| Compute instances:                                                 |",
    "| GPU     GPU       Name             Profile   Instance   Placement  |",
    "|       Instance                       ID        ID       Start:Size |",
    "|         ID                                                         |",
    "|====================================================================|",
)


def gpu_instance_profiles(scope: Scope, _value: str) -> int:
    """-lgip"""
    lines = [GIP_RULE, *GIP_HEAD]
    for gpu in scope.capable():
        for info in gpu_profiles(gpu.handle):
            lines += [
                "| %3d  %-19s %2d    %2d/%-2d       %-6s     %-3s    %-4d  %2d    %2d   |"
                % (
                    gpu.index,
                    text(info.name),
                    info.id,
                    _free(gpu.handle, info.id),
                    info.instanceCount,
                    "%.2f" % (info.memorySizeMB / 1024),
                    "Yes" if info.isP2pSupported else "No",
                    info.multiprocessorCount,
                    info.decoderCount,
                    info.encoderCount,
                ),
                "| %63d    %2d    %2d   |" % (info.copyEngineCount, info.jpegCount, info.ofaCount),
                GIP_RULE,
            ]
    return _print(lines)


def _free(handle: t.Any, profile_id: int) -> int:
    try:
        return t.cast(int, nv.nvmlDeviceGetGpuInstanceRemainingCapacity(handle, profile_id))
    except nv.NVMLError as error:
        # With MIG off nothing can be created, and the real listing shows 0.
        if error.value == nv.NVML_ERROR_NOT_SUPPORTED:
            return 0
        raise


def gpu_instance_placements(scope: Scope, _value: str) -> int:
    """-lgipp"""
    call = nv.nvmlDeviceGetGpuInstancePossiblePlacements
    for gpu in scope.capable():
        for info in gpu_profiles(gpu.handle):
            found = placements(call, gpu.handle, info.id, nv.c_nvmlGpuInstancePlacement_t)
            print("GPU %2d Profile ID %2d %s" % (gpu.index, info.id, _places(found)))
    return errors.OK


def _places(found: t.Sequence[t.Any]) -> str:
    if not found:
        return "Placement : {}"
    word = "Placement " if len(found) == 1 else "Placements"
    return "%s: {%s}:%d" % (word, ",".join(str(place.start) for place in found), found[0].size)


def gpu_instances(scope: Scope, _value: str) -> int:
    """-lgi"""
    lines = [GI_RULE, *GI_HEAD]
    for gpu, gi in scope.instances():
        lines += [
            "| %3d  %-19s %2d     %4d        %3d:%-2d    |"
            % (gpu.index, text(gi.profile.name), gi.profile.id, gi.id, gi.start, gi.size),
            GI_RULE,
        ]
    return _print(lines)


def compute_instance_profiles(scope: Scope, _value: str) -> int:
    """-lcip"""
    lines = [CIP_RULE, *CIP_HEAD]
    for gpu, gi in scope.instances():
        default = default_compute_profile(gi).id
        for info in compute_profiles(gi.handle):
            free = nv.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(gi.handle, info.id)
            lines += [
                "| %3d    %3d       %-17s %4d%s    %2d/%-2d          %-4d     %2d    %2d    %2d   |"
                % (
                    gpu.index,
                    gi.id,
                    text(info.name),
                    info.id,
                    "*" if info.id == default else " ",
                    free,
                    info.instanceCount,
                    info.multiprocessorCount,
                    info.sharedDecoderCount,
                    info.sharedEncoderCount,
                    info.sharedOfaCount,
                ),
                "| %70d    %2d         |" % (info.sharedCopyEngineCount, info.sharedJpegCount),
                CIP_RULE,
            ]
    return _print(lines)


def compute_instance_placements(scope: Scope, _value: str) -> int:
    """-lcipp"""
    call = nv.nvmlGpuInstanceGetComputeInstancePossiblePlacements
    for gpu, gi in scope.instances():
        for info in compute_profiles(gi.handle):
            found = placements(call, gi.handle, info.id, nv.c_nvmlComputeInstancePlacement_t)
            print("GPU %2d GI %2d Profile ID %2d %s" % (gpu.index, gi.id, info.id, _places(found)))
    return errors.OK


def compute_instances(scope: Scope, _value: str) -> int:
    """-lci"""
    lines = [CI_RULE, *CI_HEAD]
    for gpu, gi in scope.instances():
        for ci in read_compute_instances(gi.handle):
            if scope.ci is None or ci.id in scope.ci:
                lines += [
                    "| %3d    %3d       %-19s %2d      %4d        %3d:%-2d    |"
                    % (gpu.index, gi.id, text(ci.profile.name), ci.profile.id, ci.id, ci.start, ci.size),
                    CI_RULE,
                ]
    if len(lines) == 1 + len(CI_HEAD):
        raise errors.SmiError(errors.NOT_FOUND, NO_COMPUTE_INSTANCES)
    return _print(lines)


def _print(lines: t.Sequence[str]) -> int:
    print("\n".join(lines))
    return errors.OK
