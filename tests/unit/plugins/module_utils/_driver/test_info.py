# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What driver_info tells: the state of the driver in a word and a sentence, and the shape of the answer."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import info
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import planned
from ansible_collections.accel.gpu.plugins.module_utils._driver.describe import Condition, condition
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import (
    Busy,
    Distribution,
    Initramfs,
    Kernel,
    LoadedModule,
    ModuleFile,
    Node,
    PciDevice,
    SecureBoot,
    State,
    Unit,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import PackageStateError, WishError
from ansible_collections.accel.gpu.tests.unit.plugins.documentation import returned
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import Tree

DEBIAN = Distribution("debian", "12", "debian", "bookworm", "x86_64", "Debian GNU/Linux 12 (bookworm)")
FILE = ModuleFile("nvidia", "/lib/modules/6.1/updates/dkms/nvidia.ko", "580.1", "Dual MIT/GPL", None)
KERNEL = Kernel("6.1", True, (FILE,), Initramfs("/boot/initrd.img-6.1"))
BARE = Kernel("6.1", False)
CARD = PciDevice("0000:3b:00.0", "10de:20b2", "10de:1463", "nvidia")
FREE = CARD._replace(driver=None)
OLD = CARD._replace(driver="nouveau")
LOADED = LoadedModule("580.1", True, None, ("nvidia_uvm",))


def node(**more):
    return Node(**{"distribution": DEBIAN, "running": KERNEL, "gpus": (CARD,), **more})


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (node(loaded=LOADED, library="580.1", nvml_state="answers"), ("loaded", None)),
        (
            node(loaded=LOADED, library="580.1", nvml_state="answers", nvml="GPU index 3 is lost"),
            ("loaded", "GPU index 3 is lost"),
        ),
        (
            node(loaded=LOADED, library="580.1", nvml_state="hung", nvml="nvmlInit did not answer"),
            ("failed", "nvmlInit did not answer"),
        ),
        (
            node(loaded=LOADED, library="580.2"),
            (
                "mismatch",
                "libnvidia-ml.so.1 is version 580.2 but the loaded kernel module is version 580.1; drain the node, "
                "then reload the modules or reboot",
            ),
        ),
        (
            node(loaded=LOADED),
            (
                "mismatch",
                "the kernel module nvidia 580.1 is loaded, but no libnvidia-ml.so.1 is on the node; install the driver "
                "again (role gpu_driver)",
            ),
        ),
        (
            node(loaded=LOADED, library="580.1", gpus=(), nvml_state="answers"),
            (
                "no_gpu",
                "driver 580.1 is installed and loaded, no GPU reachable: the PCI tree has no GPU of NVIDIA",
            ),
        ),
        (
            node(library="535.309.01", gpus=(), running=BARE, packages={"nvidia-smi": "535.309.01-0+deb12u1"}),
            ("no_gpu", "driver 535.309.01 is installed, no GPU reachable: the PCI tree has no GPU of NVIDIA"),
        ),
        (
            node(library="580.1", gpus=(FREE,)),
            (
                "installed",
                "driver 580.1 is installed, no GPU reachable: its kernel module is not loaded; load it (modprobe "
                "nvidia), see the kernel log if that fails",
            ),
        ),
        (
            node(library="580.1", gpus=(OLD,)),
            (
                "installed",
                "driver 580.1 is installed, no GPU reachable: the GPUs belong to nouveau; unload it and load nvidia, "
                "or reboot",
            ),
        ),
        (
            node(library="580.1", running=BARE, packages={"nvidia-dkms-580-open": "580.1-1"}),
            (
                "installed",
                "driver 580.1 is installed, no GPU reachable: no kernel module nvidia is there for the running kernel "
                "6.1; build it (DKMS needs the headers of this kernel) or boot a kernel that has one",
            ),
        ),
        (
            node(gpus=(FREE,)),
            (
                "installed",
                "driver 580.1 is installed, no GPU reachable: its kernel module is not loaded; load it (modprobe "
                "nvidia), see the kernel log if that fails",
            ),
        ),
        (
            node(running=BARE, packages={"nvidia-persistenced": "1"}, gpus=()),
            ("no_gpu", "only parts of the driver are installed: the PCI tree has no GPU of NVIDIA"),
        ),
        (
            node(running=BARE, gpus=(FREE,)),
            ("missing", "no NVIDIA driver is on this node; install it (role gpu_driver)"),
        ),
        (
            node(running=BARE, gpus=()),
            ("missing", "no NVIDIA driver is on this node; install it (role gpu_driver)"),
        ),
    ],
)
def test_the_driver_in_a_word_and_a_sentence(seen, wanted):
    assert condition(seen) == Condition(*wanted)


FULL = node(
    next=dataclasses.replace(node()).running._replace(release="6.2", initramfs=None),
    next_from="/boot/grub/grub.cfg",
    switches=(PciDevice("0000:07:00.0", "10de:22a3", "10de:1796", None),),
    secure_boot=SecureBoot(True, ("aa",), ("bb",), "/var/lib/dkms/mok.pub", False),
    loaded=LOADED,
    library="580.1",
    packages={"nvidia-smi": "580.1-1", "dkms": "3.0"},
    holds=frozenset(("nvidia-smi", "vim")),
    package_problems=("dpkg was interrupted",),
    units={"nvidia-persistenced.service": Unit("nvidia-persistenced.service", True, False, True)},
    fabric_state="completed",
    managers=(("NVIDIA's mig-manager", "it is enabled"),),
    busy=(Busy("GPU 0000:3b:00.0", "process 4242", True),),
    holders=(("nvidia-persiste", "nvidia-persistenced.service", 7),),
    reboot_pending=("/run/reboot-required is there",),
    daemon_reload_risk=("0123",),
    files={"/etc/modprobe.d/accel-gpu.conf": "blacklist nouveau\n"},
    live_parameters={"nvidia": {"NVreg_EnableMSI": "1"}},
)


def answered(seen, asked=None, **look):
    result = {}
    info.answer(asked, info.Look(seen, **look), result)
    return result


def test_the_keys_of_the_answer_are_those_of_the_documentation():
    documented, result = returned("driver_info"), answered(FULL)
    assert set(result) == set(documented) - {"plan"}
    assert set(result["driver"]) == set(documented["driver"]["contains"])
    assert set(result["kernels"]) == set(documented["kernels"]["contains"])
    assert set(result["kernels"]["running"]) == set(documented["kernels"]["contains"]["running"]["contains"])
    for key in ("distribution", "nvswitches", "nouveau", "secure_boot", "packages"):
        assert set(result[key]) == set(documented[key]["sample"]), key
    for key in ("gpus", "managers", "busy", "holders"):
        assert set(result[key][0]) == set(documented[key]["sample"][0]), key
    for key in ("modules", "initramfs"):
        sample, shown = (one["running"][key] for one in (documented["kernels"]["sample"], result["kernels"]))
        assert set(sample[0] if key == "modules" else sample) == set(shown[0] if key == "modules" else shown)


def test_the_answer_in_full():
    kernel = {
        "release": "6.1",
        "headers": True,
        "modules": [{"path": FILE.path, "version": "580.1", "license": "Dual MIT/GPL", "signer": None}],
        "initramfs": {"path": "/boot/initrd.img-6.1", "versions": [], "nouveau": False, "unread": None},
    }
    assert answered(FULL) == {
        "driver": {
            "state": "loaded",
            "message": None,
            "library_version": "580.1",
            "module_version": "580.1",
            "flavour": "open",
            "signer": None,
            "dependents": ["nvidia_uvm"],
            "parameters": {"nvidia": {"NVreg_EnableMSI": "1"}},
        },
        "distribution": DEBIAN._asdict(),
        "kernels": {
            "running": kernel,
            "next": {**kernel, "release": "6.2", "initramfs": None},
            "next_from": "/boot/grub/grub.cfg",
        },
        "gpus": [
            {
                "pci": "0000:3b:00.0",
                "device_id": "10de:20b2",
                "subsystem_id": "10de:1463",
                "kernel_driver": "nvidia",
                "generation": "ampere",
            }
        ],
        "nvswitches": {
            "devices": [
                {
                    "pci": "0000:07:00.0",
                    "device_id": "10de:22a3",
                    "subsystem_id": "10de:1796",
                    "kernel_driver": None,
                }
            ],
            "behind_bridges": False,
        },
        "nouveau": {"loaded": False, "dependents": [], "blacklisted_by": []},
        "secure_boot": {
            "enabled": True,
            "enrolled": ["aa"],
            "pending": ["bb"],
            "dkms_key": "/var/lib/dkms/mok.pub",
            "dkms_key_enrolled": False,
        },
        "packages": {
            "installed": {"dkms": "3.0", "nvidia-smi": "580.1-1"},
            "held": ["nvidia-smi"],
            "problems": ["dpkg was interrupted"],
        },
        "units": {"nvidia-persistenced.service": {"enabled": True, "active": False, "failed": True}},
        "fabric_state": "completed",
        "managers": [{"name": "NVIDIA's mig-manager", "evidence": "it is enabled"}],
        "busy": [{"gpu": "GPU 0000:3b:00.0", "who": "process 4242", "process": True}],
        "holders": [{"name": "nvidia-persiste", "unit": "nvidia-persistenced.service", "pid": 7}],
        "reboot_pending": ["/run/reboot-required is there", "kernel 6.2 boots next, 6.1 is running"],
        "reboot_hindered": ["GPU 0000:3b:00.0 is used by process 4242"],
        "daemon_reload_risk": ["0123"],
        "our_files": ["/etc/modprobe.d/accel-gpu.conf"],
    }


@pytest.mark.parametrize(("is_open", "flavour"), [(True, "open"), (False, "proprietary"), (None, None)])
def test_the_flavour_of_the_loaded_module(is_open, flavour):
    assert answered(node(loaded=LOADED._replace(open=is_open)))["driver"]["flavour"] == flavour


def test_a_node_without_a_package_manager_answers_all_the_same(tmp_path):
    tree = Tree(tmp_path)
    tree.put("/etc/os-release", "ID=arch\n")
    result = {}
    info.answer(None, info.read(info.parse({"wish": None}), tree.ports()), result)
    assert result["packages"] == {
        "installed": {},
        "held": [],
        "problems": [
            "the node is of no family with apt-get, dnf or zypper (by its /etc/os-release); it is not supported"
        ],
    }
    assert result["driver"]["state"] == "missing"


def test_who_a_reboot_would_hurt():
    holders = (("nv-hostengine", "nvidia-dcgm.service", 811), ("python3", None, 4242))
    busy = (Busy("GPU 0000:3b:00.0", "Slurm job 4711", False),)
    seen = node(busy=busy, holders=holders)
    others = planned.Others(("Slurm job 4711", "Slurm job 4712", "container web"), ("ann is logged in (session 3)",))
    assert answered(seen, others=others)["reboot_hindered"] == [
        "GPU 0000:3b:00.0 is used by Slurm job 4711",
        "python3 (PID 4242) holds GPUs open",
        "Slurm job 4712 is on this node",
        "container web is on this node",
        "ann is logged in (session 3)",
    ]
    assert answered(node(holders=holders[:1]))["reboot_hindered"] == []


# --- with a wish ---


def asked(**wish):
    return info.parse({"wish": wish})


def test_a_wish_is_parsed_as_gpu_driver_does_it():
    assert asked(branch="580", flavour="open", hold=False).wish.branch == "580"
    assert info.parse({"wish": None}) is None
    with pytest.raises(WishError) as caught:
        asked(branch="580", flavor="open", profile="all")
    assert "flavor" in caught.value.message
    assert 'wish.profile: "all"' in caught.value.message


def test_the_plan_is_that_of_gpu_driver():
    wish = asked(branch="580")
    seen = planned.Seen(State(node(distribution=DEBIAN._replace(id="arch", family=""))))
    plan = planned.decide(wish, seen)
    assert plan.refusal is not None
    told = answered(seen.state.node, wish, plan=plan, refusal=plan.refusal)["plan"]
    assert set(told) == set(returned("driver_info")["plan"]["sample"])
    assert told["changed"] is False
    assert told["refusal"] == {"kind": plan.refusal.kind, "message": plan.refusal.message}
    assert told["source"] == "nvidia"
    assert "arch" in told["refusal"]["message"]


def test_a_plan_without_a_wish_is_none():
    assert "plan" not in answered(node())


def test_without_a_package_manager_the_plan_is_refused_and_the_facts_are_told(tmp_path):
    tree = Tree(tmp_path)
    tree.put("/etc/os-release", "ID=arch\n")
    look = info.read(asked(branch="580"), tree.ports())
    assert isinstance(look.refusal, PackageStateError)
    told = {}
    info.answer(asked(branch="580"), look, told)
    assert told["driver"]["state"] == "missing"
    assert told["plan"]["refusal"]["kind"] == "package_state"
    assert (told["plan"]["changed"], told["plan"]["actions"], told["plan"]["branch"]) == (False, [], None)
