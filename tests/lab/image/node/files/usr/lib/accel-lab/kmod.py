#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for modprobe, rmmod, lsmod and modinfo: loads and unloads the simulated driver, leaves other modules alone.

Other modules count as built in when /sys/module shows them; else the words and exit status of kmod are repeated.
"""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import modules
import pci
import sim

BUS = sim.RUN / "sys-bus-pci"


class KmodError(Exception):
    """What kmod would print."""


def main(program: str, arguments: t.Sequence[str]) -> int:
    names = [one.replace("-", "_") for one in arguments if not one.startswith("-") and "=" not in one]
    flags = {one for one in arguments if one.startswith("-")}
    try:
        if program == "lsmod":
            list_modules()
        elif program == "modinfo":
            inform(arguments)
        elif program == "rmmod" or flags & {"-r", "--remove"}:
            for name in names:
                remove(name, with_unused=program == "modprobe")
        elif names:
            # the words after the module's name are its parameters
            insert(names[0])
    except (KmodError, sim.SimError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 1
    return 0


def insert(name: str) -> None:
    if name not in modules.DEPENDS:
        if not Path("/sys/module", name).exists():
            raise KmodError(f"FATAL: Module {name} not found in directory /lib/modules/{os.uname().release}")
        return
    if modules.loaded(name):
        return
    version = installed_driver()
    if version is None:
        raise KmodError(f"FATAL: Module {name} not found in directory /lib/modules/{os.uname().release}")
    if name == "nvidia":
        if not sim.STATE.exists():
            raise KmodError("ERROR: could not insert 'nvidia': No such device")
        sim.control("load")
        gpus = sim.gpus()
        modules.load(name, version)
        modules.write_proc(gpus, version)
        modules.write_devices(gpus)
        pci.bind_all(BUS, gpus)
        return
    insert(modules.DEPENDS[name])
    modules.load(name, version)


def remove(name: str, with_unused: bool) -> None:
    if not modules.loaded(name):
        raise KmodError(f"ERROR: Module {name} is not currently loaded")
    if modules.holders(name):
        raise KmodError(f"ERROR: Module {name} is in use by: {' '.join(modules.holders(name))}")
    if name == "nvidia":
        try:
            sim.control("unload")
        except sim.SimError as error:
            raise KmodError(f"ERROR: Module nvidia is in use ({error})") from error
        pci.unbind_all(BUS, sim.gpus())
        modules.remove_proc()
    modules.unload(name)
    below = modules.DEPENDS.get(name)
    if with_unused and below and not modules.holders(below):
        # modprobe takes away what nobody uses any more, and minds no failure there
        try:
            remove(below, with_unused)
        except KmodError:
            return


def list_modules() -> None:
    print(f"{'Module':<24}{'Size':>8}  Used by")
    for name in modules.DEPENDS:
        if modules.loaded(name):
            users = modules.holders(name)
            print(f"{name:<24}{16384:>8}  {len(users)} {','.join(users)}".rstrip())


def inform(arguments: t.Sequence[str]) -> None:
    words = list(arguments)
    field = words.pop(words.index("-F") + 1) if "-F" in words else None
    name = next((one.replace("-", "_") for one in words if not one.startswith("-")), "")
    version = installed_driver()
    if name not in modules.DEPENDS or version is None:
        raise KmodError(f"ERROR: Module {name} not found.")
    facts = {"filename": f"/lib/modules/{os.uname().release}/updates/dkms/{name}.ko", "version": version}
    for key, value in facts.items():
        if field is None:
            print(f"{key + ':':<16}{value}")
        elif field == key:
            print(value)


def installed_driver() -> t.Optional[str]:
    """The version that the installed library carries in its name."""
    for path in Path("/usr/lib").glob("*-linux-gnu/libnvidia-ml.so.*.*"):
        return path.name.partition(".so.")[2]
    return None


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
