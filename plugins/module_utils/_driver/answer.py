# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a look at a node to the result of driver_info. Pure. PRIVATE to the collection.

One function for each documented key.
"""

from __future__ import annotations

import typing as t

from .._data.driver_gpus import generation
from .._errors import AccelError
from .decide.planned import Others, Planned, hindrances
from .describe import condition
from .model import Kernel, Node, PciDevice

Answer = t.Dict[str, t.Any]

# Keys of gpu_driver's result that stand in the plan.
PLANNED = (
    "branch",
    "flavour",
    "source",
    "repository",
    "upgrade_pending",
    "reload_required",
    "reboot_required",
    "reboot_hindered",
    "reboot_hindered_by_work",
    "daemon_reload_required",
    "enrolment_required",
    "fabric_deferred",
    "boot_without_driver",
    "warnings",
)


def answer_node(node: Node, others: Others) -> Answer:
    return {
        "driver": _driver(node),
        "distribution": node.distribution._asdict(),
        "kernels": {
            "running": _kernel(node.running),
            "next": _kernel(node.next) if node.next else None,
            "next_from": node.next_from or None,
        },
        "gpus": [{**_device(gpu), "generation": generation(gpu.device_id)} for gpu in node.gpus],
        "nvswitches": {"devices": [_device(switch) for switch in node.switches], "behind_bridges": node.nvlink5},
        "nouveau": {
            "loaded": node.nouveau_loaded,
            "dependents": list(node.nouveau_holders),
            "blacklisted_by": list(node.nouveau_blacklists),
        },
        "secure_boot": _secure_boot(node),
        "packages": _packages(node),
        "units": {name: _unit(unit) for name, unit in sorted(node.units.items())},
        "fabric_state": node.fabric_state,
        "managers": [{"name": name, "evidence": evidence} for name, evidence in node.managers],
        "busy": [one._asdict() for one in node.busy],
        "holders": [{"name": name, "unit": unit, "pid": pid} for name, unit, pid in node.holders],
        "reboot_pending": [*node.reboot_pending, *_other_kernel(node)],
        "reboot_hindered": hindrances(node, others),
        "daemon_reload_risk": list(node.daemon_reload_risk),
        "our_files": sorted(node.files),
    }


def answer_plan(plan: t.Optional[Planned], refusal: t.Optional[AccelError]) -> Answer:
    """What gpu_driver would return, and why it would refuse. A plan that is refused changes nothing."""
    told = plan.result() if plan else {}
    return {
        "changed": plan is not None and refusal is None and plan.changed,
        "refusal": {"kind": refusal.kind, "message": refusal.message} if refusal else None,
        "actions": [dict(action) for action in plan.actions] if plan else [],
        **{key: told.get(key) for key in PLANNED},
    }


def _driver(node: Node) -> Answer:
    state, message = condition(node)
    loaded = node.loaded
    return {
        "state": state,
        "message": message,
        "library_version": node.library,
        "module_version": loaded.version if loaded else None,
        "flavour": _flavour(loaded.open) if loaded else None,
        "signer": loaded.signer if loaded else None,
        "dependents": list(loaded.dependents) if loaded else [],
        "parameters": {name: dict(values) for name, values in node.live_parameters.items()},
    }


def _flavour(is_open: t.Optional[bool]) -> t.Optional[str]:
    return None if is_open is None else "open" if is_open else "proprietary"


def _kernel(kernel: Kernel) -> Answer:
    image = kernel.initramfs
    return {
        "release": kernel.release,
        "headers": kernel.headers,
        "modules": [
            {"path": file.path, "version": file.version, "license": file.license, "signer": file.signer}
            for file in kernel.modules
        ],
        "initramfs": image
        and {
            "path": image.path,
            "versions": list(image.versions),
            "nouveau": image.nouveau,
            "unread": image.unread or None,
        },
    }


def _other_kernel(node: Node) -> t.List[str]:
    """Not every distribution leaves a file for a new kernel."""
    return [f"kernel {node.next.release} boots next, {node.running.release} is running"] if node.next else []


def _device(device: PciDevice) -> Answer:
    return {
        "pci": device.address,
        "device_id": device.device_id,
        "subsystem_id": device.subsystem_id,
        "kernel_driver": device.driver,
    }


def _secure_boot(node: Node) -> Answer:
    known = node.secure_boot
    return {
        "enabled": known.enabled,
        "enrolled": list(known.enrolled),
        "pending": list(known.pending),
        "dkms_key": known.dkms_key,
        "dkms_key_enrolled": known.dkms_key_enrolled,
    }


def _packages(node: Node) -> Answer:
    return {
        "installed": dict(sorted(node.packages.items())),
        "held": sorted(node.holds & set(node.packages)),
        "problems": list(node.package_problems),
    }


def _unit(unit: t.Any) -> Answer:
    return {"enabled": unit.enabled, "active": unit.active, "failed": unit.failed}
