# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes for tests of the driver's plan, made of words; nothing here was taken from a machine."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan, plan_names
from ansible_collections.accel.gpu.plugins.module_utils._driver.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._driver.versions import nvidia
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.keys import FINGERPRINT, KEY

TODAY = datetime.date(2026, 11, 25)
NAMES = {
    "debian": "Debian GNU/Linux",
    "ubuntu": "Ubuntu",
    "rhel": "Red Hat Enterprise Linux",
    "rocky": "Rocky Linux",
    "almalinux": "AlmaLinux",
    "ol": "Oracle Linux Server",
    "centos": "CentOS Stream",
    "sles": "SUSE Linux Enterprise Server",
    "fedora": "Fedora Linux",
}
FAMILIES = {"debian": "debian", "ubuntu": "debian", "sles": "suse"}
# What kernels of each distribution are called.
KERNELS = {
    "debian": "6.1.0-41-amd64",
    "ubuntu": "6.8.0-90-generic",
    "sles": "6.4.0-150600.23.25-default",
}
RHEL_KERNEL = "5.14.0-503.11.1.el9_5.x86_64"

# What dnf needs before it minds a lock on a version.
LOCKS = "python3-dnf-plugin-versionlock"
HEADERS = {
    "kernel-devel": "5.14.0-503.11.1.el9_5",
    "kernel-64k-devel": "5.14.0-503.11.1.el9_5",
    "kernel-uek-devel": "5.15.0-300.163.18.el9uek",
    "kernel-default-devel": "6.4.0-150600.23.25.1",
    "kernel-azure-devel": "6.4.0-150600.8.8.2",
    LOCKS: "4.0.21-25.el9",
}

# One device of each generation; ids from boards.yaml, except the two old ones (pci.ids).
GPUS = {
    "maxwell": "10de:17f0",
    "pascal": "10de:15f8",
    "volta": "10de:1db6",
    "turing": "10de:1eb8",
    "ampere": "10de:20b5",
    "ada": "10de:26b9",
    "hopper": "10de:2330",
    "grace-hopper": "10de:2342",
    "blackwell": "10de:2901",
}
NOT_NVIDIAS = ("dkms", "mokutil", "openssl", "shim-signed")
H100_SWITCH = "10de:22a3"
# The revision that packages of a distribution carry behind NVIDIA's version.
REVISION = {"debian": "-1", "ubuntu": "-1ubuntu1", "rhel": "-1.el9", "suse": "-1"}

MIRROR = {"url": "https://mirror.example/nvidia", "key": KEY, "fingerprint": FINGERPRINT}


def distribution(name: str, version: str, arch: str = "x86_64") -> model.Distribution:
    return model.Distribution(name, version, FAMILIES.get(name, "rhel"), "", arch, f"{NAMES[name]} {version}")


def gpus(*words: str, driver: t.Optional[str] = None) -> t.Tuple[model.PciDevice, ...]:
    """By generation or by id."""
    return tuple(
        model.PciDevice(f"0000:{number + 0x17:02x}:00.0", GPUS.get(word, word), "10de:0000", driver)
        for number, word in enumerate(words)
    )


def kernel(release: str, version: t.Optional[str] = None, headers: bool = True, **facts: t.Any) -> model.Kernel:
    """With the open module of `version` where one is given."""
    modules = () if version is None else (module(release, version),)
    return model.Kernel(release, headers, modules, facts.pop("initramfs", None))


def module(release: str, version: str, license_: str = "Dual MIT/GPL") -> model.ModuleFile:
    return model.ModuleFile("nvidia", f"/lib/modules/{release}/nvidia.ko", version, license_, None)


def node(name: str = "ubuntu", version: str = "24.04", *words: str, **facts: t.Any) -> model.Node:
    """`words` are its GPUs, one H100 where none is given; `gpus=()` makes a node without."""
    facts.setdefault("gpus", gpus(*(words or ("hopper",))))
    facts.setdefault("running", kernel(KERNELS.get(name, RHEL_KERNEL)))
    return model.Node(distribution(name, version, facts.pop("arch", "x86_64")), **facts)


def wish(**options: t.Any) -> model.Wish:
    return parse({"address_prefix": "gpu_driver_", **options}, TODAY)


def mirror(**options: t.Any) -> model.Wish:
    """From a mirror with a key of its own, so that no key has to be fetched."""
    return wish(source="mirror", mirror=MIRROR, **options)


def decided(
    made_for: model.Node, asked: model.Wish, *versions: str, changes: t.Sequence[model.Change] = (), **facts: t.Any
) -> t.Tuple[model.State, plan.Plan]:
    """The decision where the repository has these versions and every stream of their branches."""
    branches = dict.fromkeys(version.partition(".")[0] for version in versions)
    streams = [f"{branch}-{kind}" for branch in branches for kind in ("open", "dkms")]
    if "offers" not in facts:
        try:
            names = plan_names.names(asked, made_for)
        except AccelError:
            names = ()
        facts["offers"] = offers(made_for, names, *versions, streams=streams)
    state = model.State(made_for, changes=tuple(changes), **facts)
    return state, plan.decide(asked, state)


def loaded(version: str, open_: bool = True, *dependents: str) -> model.LoadedModule:
    return model.LoadedModule(version, open_, None, dependents)


def unit(name: str, enabled: bool = True, active: bool = True) -> t.Dict[str, model.Unit]:
    return {name: model.Unit(name, enabled, active)}


def packaged(family: str, name: str, version: str) -> str:
    """How a package of this name carries a driver's version."""
    if name.startswith("linux-modules-nvidia-"):
        return "6.8.0-90.91"
    if name == "nvlsm":
        return "2025.03.1-1"
    if "-kmp-" in name:
        return f"{version}_k6.4.0_150600.21-150600.1.1"
    epoch = "3:" if family == "rhel" else ""
    return f"{epoch}{version}{REVISION[family]}"


def offers(made_for: model.Node, names: t.Iterable[str], *versions: str, streams: t.Sequence[str] = ()) -> model.Offers:
    """A repository that has these packages in these versions, newest first; headers too."""
    found: t.Dict[str, t.Tuple[str, ...]] = {}
    family = made_for.distribution.family
    for name in names:
        if name.startswith("nvidia-driver-pinning-"):
            found[name] = (f"{name.rpartition('-')[2]}-1",)
        elif name.startswith("linux-headers-"):
            found[name] = ("6.8.0-90.91",)
        elif name in HEADERS:
            found[name] = (HEADERS[name],)
        else:
            found[name] = tuple(dict.fromkeys(packaged(family, name, version) for version in versions))
    return model.Offers(found, tuple(streams))


# --- what a run leaves behind --------------------------------------------------------------------------------------


Seen = t.Tuple[model.State, plan.Plan]


def after(state: model.State, made: plan.Plan) -> model.Node:
    """The node when the steps are done: what each kind of step does, and nothing else."""
    now = state.node
    for step in made.steps:
        now = _AFTER[type(step)](now, step, (state, made))
    return dataclasses.replace(now, records=now.records if made.record is None else dict(made.record))


def _write(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    return dataclasses.replace(now, files={**now.files, step.path: step.content})


def _remove(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    return dataclasses.replace(now, files={path: text for path, text in now.files.items() if path != step.path})


def _packages(now: model.Node, step: t.Any, seen: Seen) -> model.Node:
    if step.download:
        return now
    if step.stream:
        now = dataclasses.replace(now, stream=step.stream if ":" in step.stream else None)
    there: t.Dict[str, t.Optional[str]] = dict(now.packages)
    for name, version in (*step.first, *step.install):
        there[name] = version
    for change in seen[0].changes or ():
        there[change.name] = change.after
    there.update(dict.fromkeys(step.remove))
    # Headers, dkms and what enrols its key are not NVIDIA's: a snapshot does not list them.
    packages = {
        name: one for name, one in there.items() if one is not None and not name.startswith(("linux-", "kernel-"))
    }
    packages = {
        name: one for name, one in packages.items() if name not in ("dkms", "mokutil", "openssl", "shim-signed", LOCKS)
    }
    packages.update({name: one for name, one in there.items() if one and name.startswith("linux-modules-nvidia-")})
    now = dataclasses.replace(now, packages=packages, hold_tools=())
    if not step.install:
        gone = dataclasses.replace if step.remove and not packages else None
        return now if gone is None else gone(now, running=now.running._replace(modules=()))
    version = next((found for found in map(nvidia, packages.values()) if found), None)
    if version is None:
        return now
    license_ = "NVIDIA" if seen[1].facts.get("flavour") == "proprietary" else "Dual MIT/GPL"

    def built(one: model.Kernel) -> model.Kernel:
        return one._replace(modules=(module(one.release, version, license_),), headers=True)

    return dataclasses.replace(now, running=built(now.running), next=None if now.next is None else built(now.next))


def _hold(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    return dataclasses.replace(now, holds=now.holds | set(step.names))


def _unhold(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    return dataclasses.replace(now, holds=now.holds - set(step.names))


def _initramfs(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    def rebuilt(one: model.Kernel) -> model.Kernel:
        if one.release != step.kernel or one.initramfs is None:
            return one
        versions = tuple(dict.fromkeys(found.version for found in one.modules)) if one.initramfs.versions else ()
        return one._replace(initramfs=one.initramfs._replace(versions=versions, nouveau=False))

    return dataclasses.replace(now, running=rebuilt(now.running), next=None if now.next is None else rebuilt(now.next))


def _set_unit(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    there = now.units.get(step.name, model.Unit(step.name, False, False))
    there = there._replace(
        enabled=there.enabled if step.enabled is None else step.enabled,
        active=there.active if step.running is None else step.running,
    )
    return dataclasses.replace(now, units={**now.units, step.name: there})


def _load(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    now = dataclasses.replace(now, unloaded=())
    return dataclasses.replace(now, loaded=_in_memory(now, ()), nouveau_loaded=now.nouveau_loaded and not step.unload)


def _insert(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    left = tuple(name for name in now.lacking_modules if name not in step.modules)
    return dataclasses.replace(now, lacking_modules=left, unloaded=() if step.again else now.unloaded)


def _reload(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    if not step.load:
        return dataclasses.replace(now, loaded=None)
    now = dataclasses.replace(now, unloaded=())
    return dataclasses.replace(now, loaded=_in_memory(now, now.loaded.dependents if now.loaded else ()))


def _in_memory(now: model.Node, dependents: t.Tuple[str, ...]) -> model.LoadedModule:
    first = now.running.modules[0]
    return model.LoadedModule(first.version, first.license != "NVIDIA", None, dependents)


def _enrol(now: model.Node, step: t.Any, _seen: Seen) -> model.Node:
    boot = now.secure_boot._replace(dkms_key=step.certificate, dkms_key_pending=True)
    return dataclasses.replace(now, secure_boot=boot)


def _same(now: model.Node, _step: t.Any, _seen: Seen) -> model.Node:
    return now


_AFTER: t.Dict[type, t.Callable[[model.Node, t.Any, Seen], model.Node]] = {
    steps.WriteFile: _write,
    steps.RemoveFile: _remove,
    steps.RefreshIndex: _same,
    steps.ChangePackages: _packages,
    steps.HoldPackages: _hold,
    steps.UnholdPackages: _unhold,
    steps.DistrustKeys: _same,
    steps.PrepareEnrolment: _enrol,
    steps.RebuildInitramfs: _initramfs,
    steps.SetUnit: _set_unit,
    steps.LoadModules: _load,
    steps.InsertModules: _insert,
    steps.ReloadModules: _reload,
}
