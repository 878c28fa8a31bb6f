# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVLink, fabric and PCIe of one GPU. PRIVATE to the collection."""

from __future__ import annotations

import ctypes
import typing as t
import uuid

from .._data.nvml_names import (
    FABRIC_HEALTH,
    FABRIC_HEALTH_FLAGS,
    FABRIC_STATES,
    NVLINK_ERRORS,
    code_name,
    word,
)
from .._errors import NvmlError
from .address import pci_address
from .caller import Caller

# NVML_NVLINK_MAX_LINKS of NVML 13, used where pynvml does not say
MAX_LINKS = 36


def nvlinks(caller: Caller, handle: t.Any) -> t.List[t.Dict[str, t.Any]]:
    """All links that the GPU has; empty for a board without NVLink."""
    found = []
    for link in range(getattr(caller.pynvml, "NVML_NVLINK_MAX_LINKS", MAX_LINKS)):
        try:
            active = caller("nvmlDeviceGetNvLinkState", handle, link)
        except NvmlError as error:
            # A link number past the last one is INVALID_ARGUMENT on some drivers, NOT_SUPPORTED on others.
            name = str(error.facts.get("code_name"))
            if name not in ("INVALID_ARGUMENT", "NOT_SUPPORTED", "FUNCTION_NOT_FOUND"):
                if error.kind == "gpu_lost":
                    raise
                caller.note("nvmlDeviceGetNvLinkState", name)
            break
        found.append(_link(caller, handle, link, bool(active)))
    return found


def _link(caller: Caller, handle: t.Any, link: int, active: bool) -> t.Dict[str, t.Any]:
    remote = caller.get("nvmlDeviceGetNvLinkRemotePciInfo", handle, link) if active else None
    return {
        "link": link,
        "active": active,
        "version": caller.get("nvmlDeviceGetNvLinkVersion", handle, link),
        "remote_pci": None if remote is None else pci_address(remote),
        "errors": {
            name: caller.get("nvmlDeviceGetNvLinkErrorCounter", handle, link, number) for name, number in NVLINK_ERRORS
        },
    }


def fabric(caller: Caller, handle: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    """Registration with the fabric manager; None where the GPU is in no NVSwitch fabric."""
    info = _fabric_info(caller, handle)
    if info is None:
        return None
    state = word(FABRIC_STATES, info.state)
    if state == "not_supported":
        return None
    summary = getattr(info, "healthSummary", None)
    return {
        "state": state,
        "status": code_name(info.status).lower(),
        "clique_id": info.cliqueId,
        "cluster_uuid": str(uuid.UUID(bytes=bytes(info.clusterUuid))),
        "health": None if summary is None else word(FABRIC_HEALTH, summary),
        "flags": fabric_flags(getattr(info, "healthMask", 0)),
    }


def fabric_flags(mask: int) -> t.List[str]:
    """Names of the health flags that are true; each is two bits, 1 = true, 2 = false, 0 = not supported."""
    return [name for name, shift, width in FABRIC_HEALTH_FLAGS if (mask >> shift) & width == 1]


def _fabric_info(caller: Caller, handle: t.Any) -> t.Any:
    """The newest of forms 3, 2 and 1 that pynvml and the library share."""
    for struct_name, function in (
        ("c_nvmlGpuFabricInfo_v3_t", "nvmlDeviceGetGpuFabricInfoV"),
        ("c_nvmlGpuFabricInfo_v2_t", "nvmlDeviceGetGpuFabricInfoV"),
        ("c_nvmlGpuFabricInfo_t", "nvmlDeviceGetGpuFabricInfo"),
    ):
        struct = getattr(caller.pynvml, struct_name, None)
        if struct is None:
            continue
        info = struct()
        if caller.get(function, handle, ctypes.byref(info)) is not None:
            return info
    return None


def pcie(caller: Caller, handle: t.Any) -> t.Dict[str, t.Any]:
    """Link generation and width now and at most. The generation drops when the GPU is idle, the width must not."""
    return {
        "generation": caller.get("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        "generation_max": caller.get("nvmlDeviceGetMaxPcieLinkGeneration", handle),
        "width": caller.get("nvmlDeviceGetCurrPcieLinkWidth", handle),
        "width_max": caller.get("nvmlDeviceGetMaxPcieLinkWidth", handle),
        "replays": caller.get("nvmlDeviceGetPcieReplayCounter", handle),
    }
