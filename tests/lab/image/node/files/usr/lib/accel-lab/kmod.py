#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for modprobe, rmmod, lsmod and modinfo: loads and unloads the simulated driver, leaves other modules alone.

A module comes from its file below /lib/modules, if packages installed one, and has the version that stands there. Other
modules count as built in when /sys/module shows them, and can be loaded when OTHERS names them; else the words and exit
status of kmod are repeated.
"""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import installed
import modules
import pci
import sim
import trust

BUS = sim.RUN / "sys-bus-pci"
OTHERS = Path("/etc/accel-lab/modules")
KMOD = "/bin/kmod"
FABRIC_NOT_STARTED = 1


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
    if name == modules.NOUVEAU:
        insert_nouveau()
        return
    if name not in modules.DEPENDS:
        if Path("/sys/module", name).exists():
            return
        if not OTHERS.exists() or name not in OTHERS.read_text().split():
            raise not_found(name)
        modules.load(name, "")
        return
    if modules.loaded(name):
        return
    driver = installed.find(name)
    if driver is None:
        raise not_found(name)
    if driver.path is not None and not trust.accepts(driver.facts):
        raise KmodError(f"ERROR: could not insert '{name}': Key was rejected by service")
    if name == "nvidia":
        insert_driver(driver.version, driver.facts.get("license", ""))
        return
    insert(modules.DEPENDS[name])
    if name in modules.SAME_VERSION and modules.version(modules.DEPENDS[name]) != driver.version:
        raise KmodError(f"ERROR: could not insert '{name}': Invalid argument")
    modules.load(name, driver.version)


def not_found(name: str) -> KmodError:
    return KmodError(f"FATAL: Module {name} not found in directory /lib/modules/{os.uname().release}")


def insert_driver(version: str, licence: str) -> None:
    gpus = sim.gpus()
    if not sim.STATE.exists() or modules.loaded(modules.NOUVEAU):
        raise KmodError("ERROR: could not insert 'nvidia': No such device")
    sim.control("load")
    sim.driver(version)
    if sim.node().get("nvswitches"):
        # until the fabric manager has done its work
        for gpu in gpus:
            if gpu["readings"].get("fabric.state") is not None:
                sim.control(f"set {gpu['index']} fabric.state {FABRIC_NOT_STARTED}")
    modules.load("nvidia", version)
    modules.write_proc(gpus, version, licence)
    modules.write_devices(gpus)
    pci.bind_all(BUS, gpus)


def insert_nouveau() -> None:
    """The kernel's own driver; only nodes that ask for it have it."""
    if not sim.node().get("nouveau"):
        raise not_found(modules.NOUVEAU)
    if not modules.loaded(modules.NOUVEAU):
        modules.load(modules.NOUVEAU, "")
        if not modules.loaded("nvidia"):
            pci.bind_all(BUS, sim.gpus(), modules.NOUVEAU)


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
        modules.remove_proc()
    if name in ("nvidia", modules.NOUVEAU):
        pci.unbind_all(BUS, sim.gpus(), name)
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
    for name in (*modules.DEPENDS, modules.NOUVEAU):
        if modules.loaded(name):
            users = modules.holders(name)
            print(f"{name:<24}{16384:>8}  {modules.references(name)} {','.join(users)}".rstrip())


def inform(arguments: t.Sequence[str]) -> None:
    words = list(arguments)
    field = words.pop(words.index("-F") + 1) if "-F" in words else None
    name = next((one.replace("-", "_") for one in words if not one.startswith("-")), "")
    if name not in modules.DEPENDS or "-k" in words or not installed.baked():
        # the genuine one reads the files that packages installed
        os.execv(KMOD, ["modinfo", *arguments])
    facts = {
        "filename": f"/lib/modules/{os.uname().release}/updates/dkms/{name}.ko",
        "version": installed.baked(),
    }
    for key, value in facts.items():
        if field is None:
            print(f"{key + ':':<16}{value}")
        elif field == key:
            print(value)


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
