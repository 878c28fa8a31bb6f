# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a node's driver in one word and one sentence. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .model import Node

_NO_BOARD = "the PCI tree has no GPU of NVIDIA"


class Condition(t.NamedTuple):
    """`state` is missing | installed | no_gpu | loaded | mismatch | failed; `message` None: nothing is wrong."""

    state: str
    message: t.Optional[str] = None


def condition(node: Node) -> Condition:
    """`no_gpu` is a driver without a GPU, `installed` one without its module: in both nvidia-smi is there and fails."""
    if node.loaded is None:
        return _not_loaded(node)
    version = node.loaded.version
    if node.library is None:
        text = f"the kernel module nvidia {version} is loaded, but no libnvidia-ml.so.1 is on the node"
        return Condition("mismatch", f"{text}; install the driver again (role gpu_driver)")
    if node.library != version:
        text = f"libnvidia-ml.so.1 is version {node.library} but the loaded kernel module is version {version}"
        return Condition("mismatch", f"{text}; drain the node, then reload the modules or reboot")
    if not node.gpus:
        return Condition("no_gpu", f"driver {version} is installed and loaded, no GPU reachable: {_NO_BOARD}")
    if node.nvml_state in ("hung", "failed"):
        return Condition("failed", node.nvml)
    return Condition("loaded", node.nvml or None)


def _not_loaded(node: Node) -> Condition:
    version = node.library or next((file.version for file in node.running.modules), None)
    if version is None and not node.packages:
        return Condition("missing", "no NVIDIA driver is on this node; install it (role gpu_driver)")
    begin = f"driver {version} is installed, no GPU reachable" if version else "only parts of the driver are installed"
    if not node.gpus:
        return Condition("no_gpu", f"{begin}: {_NO_BOARD}")
    return Condition("installed", f"{begin}: {_why_not_loaded(node)}")


def _why_not_loaded(node: Node) -> str:
    release = node.running.release
    others = sorted({gpu.driver for gpu in node.gpus if gpu.driver not in (None, "nvidia")})
    if not node.running.modules and not node.packages:
        return "its kernel module is not loaded; load it (modprobe nvidia)"
    if not node.running.modules:
        why = f"no kernel module nvidia is there for the running kernel {release}"
        return f"{why}; build it (DKMS needs the headers of this kernel) or boot a kernel that has one"
    if others:
        return f"the GPUs belong to {', '.join(str(one) for one in others)}; unload it and load nvidia, or reboot"
    return "its kernel module is not loaded; load it (modprobe nvidia), see the kernel log if that fails"
