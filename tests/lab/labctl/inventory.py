# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes a scenario has, read from an Ansible inventory."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

from labctl.common import LabError

# present: driver and boards. no_driver: boards without a driver. no_module: the driver is installed, not loaded.
# no_gpu: a loaded driver without a board. plain: neither.
STATES = ("present", "no_driver", "no_module", "no_gpu", "plain")
VIRTUALIZATION = ("none", "passthrough", "vgpu")
DEFAULT_DRIVER = "580.126.16"
MAX_GPUS = 16
# Images whose driver comes from packages of the lab's repositories.
PACKAGED = ("driver", "driver13", "el", "suse")
# node: the driver is part of the image. real…: it comes from Debian's own packages.
IMAGES = ("node", *PACKAGED, "real12", "real13")
# the machine's mirror, or the lab's own archive and nothing from outside
SOURCES = ("machine", "lab")
# what a node says it is; empty: what it is
SYSTEMS = ("", "ubuntu2204", "ubuntu2404", "ubuntu2604", "rocky8", "rocky10")
KERNELS = ("running", "next")
SWITCH = re.compile(r"(?P<device>[0-9a-f]{4})(?:\*(?P<count>[1-9][0-9]?))?")
BOARD = re.compile(r"(?P<key>[a-z0-9][a-z0-9-]*)(?:\*(?P<count>[1-9][0-9]?))?")
# short names of the units that keep the GPUs open
HOLDERS = {
    "persistenced": "nvidia-persistenced.service",
    "fabricmanager": "nvidia-fabricmanager.service",
    "dcgm": "nvidia-dcgm.service",
}


@dataclasses.dataclass(frozen=True)
class NodeSpec:
    """One simulated node: what the host variables `lab_*` say about it."""

    host: str
    boards: tuple[str, ...] = ()
    driver: str = DEFAULT_DRIVER
    state: str = "present"
    virtualization: str = "none"
    guest_reset: bool = False
    units: tuple[str, ...] = ()
    seed: str = ""
    image: str = "node"
    os: str = ""
    sources: str = "machine"
    kernels: tuple[str, ...] = ("running",)
    nvswitches: tuple[str, ...] = ()
    nouveau: bool = False
    secure_boot: bool | None = None

    def as_json(self) -> str:
        """The form in which the node reads it; equal specs give equal text."""
        return json.dumps({**dataclasses.asdict(self), "seed": self.seed or self.host}, sort_keys=True)


def read(inventory: Path, ansible_inventory: Path | None = None) -> list[NodeSpec]:
    """The nodes of `inventory`: every host with lab_boards or lab_state, sorted by name."""
    if not inventory.exists():
        raise LabError(f"inventory {inventory} does not exist")
    program = ansible_inventory or Path(sys.executable).parent / "ansible-inventory"
    argv = [str(program), "-i", str(inventory), "--list"]
    # a file that cannot be read is only a warning to Ansible
    environment = {**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LabError(f"{program.name} is not beside {sys.executable}; use the project's interpreter") from None
    if done.returncode != 0:
        raise LabError(f"{program.name} cannot read {inventory}: {done.stderr.strip()}")
    hostvars = json.loads(done.stdout).get("_meta", {}).get("hostvars", {})
    return [
        node_spec(host, variables)
        for host, variables in sorted(hostvars.items())
        if "lab_boards" in variables or "lab_state" in variables
    ]


def node_spec(host: str, variables: t.Mapping[str, t.Any]) -> NodeSpec:
    """The spec of one host; LabError names host, variable, value and what is allowed."""
    boards = _boards(host, variables)
    state = _choice(host, variables, "lab_state", STATES)
    if (state in ("no_gpu", "plain")) == bool(boards):
        word = "has no lab_boards" if boards else "needs lab_boards; a node without boards is 'no_gpu' or 'plain'"
        raise LabError(f"{host}: lab_state {state!r} {word}")
    holders = _words(host, variables, "lab_holders")
    for holder in holders:
        if holder not in HOLDERS:
            raise LabError(f"{host}: lab_holders: {holder!r} is none of {', '.join(sorted(HOLDERS))}")
    units = [HOLDERS[one] for one in holders]
    units += [unit if "." in unit else f"{unit}.service" for unit in _words(host, variables, "lab_units")]
    return NodeSpec(
        host=host,
        boards=boards,
        driver=str(variables.get("lab_driver", DEFAULT_DRIVER)),
        state=state,
        virtualization=_choice(host, variables, "lab_virtualization", VIRTUALIZATION),
        guest_reset=_switch(host, variables, "lab_guest_reset"),
        units=tuple(sorted(set(units))),
        seed=str(variables.get("lab_seed", "")),
        **_machine(host, variables),
    )


def _machine(host: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What matters where the driver comes from packages."""
    image = _choice(host, variables, "lab_image", IMAGES)
    system = _choice(host, variables, "lab_os", SYSTEMS)
    if system and image in PACKAGED and system.startswith("rocky") != (image == "el"):
        raise LabError(f"{host}: lab_os {system!r} does not go with lab_image {image!r}")
    kernels = _words(host, variables, "lab_kernels") or ("running",)
    if any(one not in KERNELS for one in kernels):
        raise LabError(f"{host}: lab_kernels is {list(kernels)}; it must list words out of {', '.join(KERNELS)}")
    switches: list[str] = []
    for word in _words(host, variables, "lab_nvswitches"):
        match = SWITCH.fullmatch(word)
        if match is None:
            raise LabError(
                f"{host}: lab_nvswitches: {word!r} is no PCI device such as 22a3, or 22a3*4 for four of them"
            )
        switches += [match["device"]] * int(match["count"] or 1)
    found = {
        "image": image,
        "os": system,
        # Debian's packages are not what an Ubuntu has
        "sources": "lab" if system or image in ("el", "suse") else _choice(host, variables, "lab_sources", SOURCES),
        "kernels": kernels,
        "nvswitches": tuple(switches),
        "nouveau": _switch(host, variables, "lab_nouveau"),
        "secure_boot": _switch(host, variables, "lab_secure_boot") if "lab_secure_boot" in variables else None,
    }
    for name, plain in (("os", ""), ("sources", "machine"), ("kernels", ("running",)), ("secure_boot", None)):
        if image not in PACKAGED and found[name] != plain:
            raise LabError(f"{host}: lab_{name} needs a lab_image with packages: {', '.join(PACKAGED)}")
    return found


def _boards(host: str, variables: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Board keys, one for each GPU; `a100-80gb*4` stands for four of them."""
    boards: list[str] = []
    for word in _words(host, variables, "lab_boards"):
        match = BOARD.fullmatch(word)
        if match is None:
            raise LabError(f"{host}: lab_boards: {word!r} is no board; write a board's key, or key*4 for four of them")
        boards += [match["key"]] * int(match["count"] or 1)
    if len(boards) > MAX_GPUS:
        raise LabError(f"{host}: lab_boards lists {len(boards)} boards; a node has {MAX_GPUS} at most")
    return tuple(boards)


def _words(host: str, variables: t.Mapping[str, t.Any], name: str) -> tuple[str, ...]:
    value = variables.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise LabError(f"{host}: {name} is {value!r}; it must be a list of words")
    return tuple(value)


def _switch(host: str, variables: t.Mapping[str, t.Any], name: str) -> bool:
    value = variables.get(name, False)
    if not isinstance(value, bool):
        raise LabError(f"{host}: {name} is {value!r}; it must be true or false")
    return value


def _choice(host: str, variables: t.Mapping[str, t.Any], name: str, allowed: tuple[str, ...]) -> str:
    value = variables.get(name, allowed[0])
    if value not in allowed:
        raise LabError(f"{host}: {name} is {value!r}; it must be one of {', '.join(allowed)}")
    return str(value)
