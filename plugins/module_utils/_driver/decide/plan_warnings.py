# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person should know about a wish that can be met: life of the branch, MIG, kernels. Pure. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._data.driver_branches import BRANCHES
from ..._data.driver_gpus import DEVICES
from ..._data.driver_system import FABRIC_MANAGER
from .. import versions
from ..model import Kernel, Node, Wish
from . import parameters
from .plan_choice import Target, driven, generation_of, named
from .plan_draft import Draft
from .plan_names import kernels


def tell(
    draft: Draft,
    wish: Wish,
    node: Node,
    target: Target,
    wished: t.Optional[str],
    version: t.Optional[str],
    built: bool,
) -> None:
    """`version` is the one that the node will have, which may have to wait for the `wished` one. `built`: the modules
    come anew for every kernel with headers."""
    differences = parameters.differing(wish.parameters, node.live_parameters)
    draft.boot = _next_boot(node, version, built)
    draft.warnings += (
        *life(wish, target.branch),
        *_gpus(node, wished),
        *(sentence for _kernel, sentence in _kernels(node, version, built)),
        *_unread(node),
        *_pending(node),
        *_fabric(node),
        *parameters.adjusted(parameters.known(differences, node.records.get("adjusted"))),
    )


def _fabric(node: Node) -> t.Iterator[str]:
    if node.loaded is not None and node.fabric_state not in (None, "completed"):
        yield (
            f"the NVLink fabric is {node.fabric_state} and not completed, and CUDA fails until it is (error 802); see "
            f"journalctl -u {FABRIC_MANAGER}"
        )


def life(wish: Wish, branch: str) -> t.Tuple[str, ...]:
    row = BRANCHES[branch]
    if row.end is not None and row.end < wish.today:
        when = f"reached its end of life on {row.end}"
    elif row.ended:
        when = "is at its end of life (NVIDIA names no day)"
    else:
        return ()
    successor = f"; its successor is {row.successor}" if row.successor else ""
    return (f"driver branch {branch} ({row.sort}) {when} and gets no more security updates{successor}",)


def _gpus(node: Node, version: t.Optional[str]) -> t.Iterator[str]:
    for gpu in driven(node):
        device = DEVICES.get(gpu.device_id)
        if generation_of(gpu) is None:
            yield (
                f"{named(gpu)} is not known here; that the branch supports it was not checked, and open kernel "
                "modules are taken as right for it"
            )
        elif device and device.mig and version and versions.older(version, device.mig):
            yield f"{named(gpu)} can do MIG from driver {device.mig} on, wished is {version}"


def _next_boot(node: Node, version: t.Optional[str], built: bool) -> t.Tuple[str, ...]:
    """Why the driver would be gone with the next boot; empty: it would not."""
    boots = node.next or node.running
    return tuple(sentence for kernel, sentence in _kernels(node, version, built) if kernel.release == boots.release)


def _kernels(node: Node, version: t.Optional[str], built: bool) -> t.Iterator[t.Tuple[Kernel, str]]:
    """Kernels without a module that nothing of this run will give one."""
    if version is None or built or not driven(node):
        return
    for kernel in kernels(node):
        which = "runs" if kernel.release == node.running.release else "boots next"
        there = [module.version for module in kernel.modules if module.name == "nvidia"]
        if not there:
            yield (
                kernel,
                f"kernel {kernel.release}, which {which}, has no NVIDIA module though the packages are there; see dkms "
                f"status, and run dkms autoinstall -k {kernel.release}",
            )
        elif there[0] != version:
            yield (
                kernel,
                f"kernel {kernel.release}, which {which}, has NVIDIA module {there[0]}, the packages have {version}",
            )


def _unread(node: Node) -> t.Iterator[str]:
    for kernel in kernels(node):
        image = kernel.initramfs
        if image is not None and image.unread:
            yield f"{image.path} could not be looked into ({image.unread}); whether its modules are right is not known"


def _pending(node: Node) -> t.Iterator[str]:
    """A reboot that other packages asked for is none of the driver's. Where its own packages did, or nobody says who
    did, only what is loaded tells whether the driver still needs it."""
    if node.reboot_pending and (not node.reboot_packages or set(node.reboot_packages) & set(node.packages)):
        yield (
            f"{'; '.join(node.reboot_pending)}: whether the driver waits for it cannot be told from that, so its "
            "modules are judged by what is loaded; reboot the node when it suits"
        )
