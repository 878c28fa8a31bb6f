# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Power-on of the simulated node. A restart of the container is a reboot of the node: run once per start by systemd."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

import boot_driver
import distribution
import modules
import pci
import shadow
import sim
import trust

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def main() -> None:
    wish = sim.node()
    sim.RUN.mkdir(parents=True, exist_ok=True)
    new_boot_id()
    trust.at_boot()
    distribution.take_on(wish)
    if wish["state"] != "plain":
        power_on(wish)
    loaded = wish["state"] in ("present", "no_gpu")
    boot_driver.bake(wish["driver"] if loaded or wish["state"] == "no_module" else None)
    if wish["state"] != "plain" and not loaded:
        sim.control("unload")
    # a guest sees no reset file unless its hypervisor lets it reset the card
    reset = wish["virtualization"] == "none" or wish["guest_reset"]
    lay_trees(wish, loaded, reset)
    if wish["state"] == "no_driver":
        boot_driver.autoload(wish["nouveau"])


def new_boot_id() -> None:
    """The kernel's own never changes in a container."""
    sim.put(sim.RUN / "boot_id", f"{uuid.uuid4()}\n", 0o444)
    shadow.bind(sim.RUN / "boot_id", BOOT_ID)


def power_on(wish: t.Mapping[str, t.Any]) -> None:
    """The boards of a new node are set up; those of a node that was here before go through a reboot."""
    if sim.STATE.exists():
        sim.control("reboot")
        return
    sim.STATE.parent.mkdir(parents=True, exist_ok=True)
    words = [",".join(wish["boards"]) or "none", f"driver={wish['driver']}", f"virt={wish['virtualization']}"]
    words.append(f"guest_reset={'yes' if wish['guest_reset'] else 'no'}")
    cuda = sim.CUDA_OF_BRANCH.get(wish["driver"].partition(".")[0])
    if cuda is not None:
        words.append(f"cuda={cuda}")
    sim.control(" ".join(["init", *words, f"seed={wish['seed']}"]))


def lay_trees(wish: t.Mapping[str, t.Any], loaded: bool, reset: bool) -> None:
    """Generate what the kernel would show and lay it over what this machine's kernel shows."""
    gpus, version = sim.gpus(), wish["driver"]
    bus, groups = sim.RUN / "sys-bus-pci", sim.RUN / "sys-kernel-iommu_groups"
    pci.build(bus, groups, gpus, bound=loaded, reset=reset)
    pci.add_switches(bus, wish["nvswitches"])
    index_modules()
    modules.SYS_MODULE.mkdir()
    modules.PROC_DRIVER.mkdir()
    if loaded:
        for module in modules.AT_BOOT:
            modules.load(module, version)
        modules.write_proc(gpus, version)
        modules.write_devices(gpus)
    shadow.shadow(bus, Path("/sys/bus/pci"))
    shadow.shadow(groups, Path("/sys/kernel/iommu_groups"))
    shadow.shadow(modules.PROC_DRIVER, Path("/proc/driver"))
    shadow.shadow(modules.SYS_MODULE, Path("/sys/module"), keep=True)
    if wish["secure_boot"] is not None:
        trust.lay(wish["secure_boot"])
        shadow.shadow(trust.EFI, Path("/sys/firmware/efi"))


def index_modules() -> None:
    """lspci and others complain where the running kernel has no index of modules; an empty one is right here."""
    folder = Path("/lib/modules", os.uname().release)
    if not folder.exists():
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            sim.put(folder / name, "")
        subprocess.run(["depmod"], check=True)


if __name__ == "__main__":
    try:
        main()
    except sim.SimError as error:
        # the journal's last words are what `up` shows: the sentence, not where it was raised
        sys.exit(str(error))
