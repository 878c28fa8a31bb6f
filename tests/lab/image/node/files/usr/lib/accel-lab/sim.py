# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control door of the simulated library, and where the lab keeps things on a node."""

from __future__ import annotations

import ctypes
import json
import os
import typing as t
from pathlib import Path

LIBRARY = Path("/usr/lib/gpusim/lib/libnvidia-ml.so.1")
STATE = Path("/var/lib/gpusim/state")
# generated trees, new at every boot
RUN = Path("/run/accel-lab")
ANSWER_BYTES = 4 << 20
# gpusim's 32-bit CUDA number of a driver branch, as NVML reports it
CUDA_OF_BRANCH = {"535": 12020, "550": 12040, "570": 12080, "580": 13000, "590": 13010}


class SimError(Exception):
    """gpusim refused; the message is its sentence."""


def control(command: str) -> t.Any:
    """Give gpusim one command line; its JSON answer."""
    library = ctypes.CDLL(str(LIBRARY))
    answer = ctypes.create_string_buffer(ANSWER_BYTES)
    code = library.gpusim_control(command.encode(), answer, ctypes.c_size_t(ANSWER_BYTES))
    text = answer.value.decode()
    if code != 0:
        raise SimError(f"{command.split()[0]}: {text or f'code {code}'}")
    return json.loads(text) if text.strip() else None


def gpus() -> t.List[t.Dict[str, t.Any]]:
    """The GPUs of this node as gpusim shows them; none when the node has no simulated boards."""
    return list(control("show")["gpus"]) if STATE.exists() else []


def driver(version: str) -> None:
    """The version of the kernel module that runs now, and what follows from it."""
    for key in ("driver", "kernel_driver", "nvml"):
        control(f"node {key} {version}")
    cuda = CUDA_OF_BRANCH.get(version.partition(".")[0])
    if cuda is not None:
        control(f"node cuda {cuda}")


def node() -> t.Dict[str, t.Any]:
    """What the lab wants this node to be: the environment that it gave PID 1."""
    text = os.environ.get("ACCEL_LAB_NODE")
    if text is None:
        for entry in Path("/proc/1/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"ACCEL_LAB_NODE="):
                text = entry.partition(b"=")[2].decode()
    wish: t.Dict[str, t.Any] = json.loads(text or "{}")
    return wish


def pci_address(gpu: t.Mapping[str, t.Any]) -> str:
    """The kernel's form of a PCI address, 0000:3b:00.0 (NVML writes eight digits for the domain)."""
    domain, bus, slot = str(gpu["pci"]).lower().split(":")
    return f"{int(domain, 16):04x}:{bus}:{slot}"


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write one small file of a tree, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
