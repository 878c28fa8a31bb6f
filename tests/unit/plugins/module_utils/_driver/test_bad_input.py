# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every bad wish and every unfit node gets one clear error and no step: id, wish, node, whole message."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model
from ansible_collections.accel.gpu.plugins.module_utils._driver.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages import keys

SHA1 = "EB693B3035CD5710E231E123A4B469963BF863CC"
KNOWN = "535, 550, 565, 570, 575, 580, 590, 595, 610, 615, 620"


def case(name: str, options: t.Any, message: str) -> t.Any:
    return pytest.param(options, message, id=name)


def mirror(**given: t.Any) -> t.Dict[str, t.Any]:
    return {"source": "mirror", "mirror": {"url": "https://mirror.example/nvidia", **given}}


WISHES = [
    case(
        "unknown option",
        {"versoin": "580.126.16"},
        'gpu_driver: unknown key "versoin"; allowed are state, source, flavour, profile, modules, reload, when_busy, '
        "daemon_reload, persistenced, hold, blacklist_nouveau, change_loaded, allow_kernel_change, takeover, newest, "
        "download_only, keep_geometry, mirror, branch, version, parameters, expected, exceptions, run, "
        "restore_runs, cache_valid_time, lock_timeout, address_prefix",
    ),
    case(
        "unknown choice",
        {"flavour": "closed"},
        'gpu_driver_flavour: "closed" is unknown; allowed are auto, open, proprietary',
    ),
    case(
        "boolean as a string",
        {"hold": "yes"},
        'gpu_driver_hold: "yes" is a string; give true or false',
    ),
    case(
        "cache time below zero",
        {"cache_valid_time": -1},
        "gpu_driver_cache_valid_time: -1 is out of range; give an integer, 0 or more",
    ),
    case(
        "no time for the lock",
        {"lock_timeout": 0},
        "gpu_driver_lock_timeout: 0 is out of range; give seconds above 0",
    ),
    case(
        "unknown branch",
        {"branch": 581},
        f'gpu_driver_branch: "581" is no driver branch that is known here; known are {KNOWN}',
    ),
    case(
        "version as a branch",
        {"branch": "580.126.16"},
        'gpu_driver_branch: "580.126.16" is a version; give it as gpu_driver_version, or branch 580',
    ),
    case(
        "branch as a boolean",
        {"branch": True},
        "gpu_driver_branch: true is a boolean; give a string",
    ),
    case(
        "branch and version",
        {"branch": "580", "version": "580.126.16"},
        'gpu_driver_branch: "580" and gpu_driver_version "580.126.16" exclude each other; keep the branch to '
        "follow it, or the version to stay at it",
    ),
    case(
        "version of a package",
        {"version": "580.126.16-1"},
        'gpu_driver_version: "580.126.16-1" is no driver version; give NVIDIA\'s form without revision, such as '
        "580.126.16",
    ),
    case(
        "version as a number",
        {"version": 575.64},
        "gpu_driver_version: 575.64 is a number; quote it, versions are strings",
    ),
    case(
        "version of an unknown branch",
        {"version": "581.10.01"},
        f"gpu_driver_version: 581.10.01 belongs to branch 581, which is not known here; known are {KNOWN}",
    ),
    case(
        "mirror without a mirror",
        {"source": "mirror"},
        "gpu_driver_mirror: is empty, but gpu_driver_source is mirror; give a mapping with url, and with key and "
        "fingerprint where another key signs it",
    ),
    case(
        "mirror as a string",
        {"source": "mirror", "mirror": "https://mirror.example"},
        'gpu_driver_mirror: "https://mirror.example" is a string; give a mapping with url, and with key and '
        "fingerprint where another key signs it",
    ),
    case(
        "mirror without an address",
        {"source": "mirror", "mirror": {"fingerprint": SHA1}},
        "gpu_driver_mirror.url: is empty; give the address that stands for .../compute/cuda/repos",
    ),
    case(
        "mirror with a path for an address",
        {"source": "mirror", "mirror": {"url": "/srv/mirror"}},
        'gpu_driver_mirror.url: "/srv/mirror" is no http, https or file address; give the address that stands for '
        ".../compute/cuda/repos",
    ),
    case(
        "mirror with a password",
        {"source": "mirror", "mirror": {"url": "https://me:secret@mirror.example/nvidia"}},
        "gpu_driver_mirror.url: has a user name in it, and results, reports and files that everybody may read would "
        "show it; give the address without, and name and password to the package manager itself (/etc/apt/auth.conf.d, "
        "username and password in /etc/dnf/dnf.conf, /etc/zypp/credentials.cat)",
    ),
    case(
        "key without a fingerprint",
        mirror(key=keys.KEY),
        "gpu_driver_mirror: key is given without fingerprint, so nothing says that it is the right one; give the "
        "fingerprint of the key",
    ),
    case(
        "fingerprint is a key id",
        mirror(fingerprint="3BF863CC"),
        'gpu_driver_mirror.fingerprint: "3BF863CC" is no fingerprint; give all 40 hexadecimal digits, a key id is not '
        "enough",
    ),
    case(
        "key with the wrong fingerprint",
        mirror(key=keys.KEY, fingerprint=SHA1),
        f"gpu_driver_mirror.key: has the fingerprint {keys.FINGERPRINT}, not {SHA1}; give the key that belongs to the "
        "fingerprint, and do not trust this one",
    ),
    case(
        "key with another one beside it",
        mirror(key=keys.KEY + keys.OTHER_KEY, fingerprint=keys.FINGERPRINT),
        f"gpu_driver_mirror.key: beside {keys.FINGERPRINT} it has the key {keys.OTHER_FINGERPRINT}, which the "
        f"package manager would trust as well; give the one key alone (gpg --armor --export {keys.FINGERPRINT})",
    ),
    case(
        "key that is none",
        mirror(key="files/nvidia.asc", fingerprint=SHA1),
        "gpu_driver_mirror.key: the key is neither an armored nor a binary OpenPGP key; give what gpg --export writes",
    ),
    case(
        "foreign fingerprint without a key",
        mirror(fingerprint=keys.FINGERPRINT),
        f"gpu_driver_mirror: fingerprint {keys.FINGERPRINT} is none of NVIDIA's keys, and key is not given; give the "
        "armored key",
    ),
    case(
        "parameters as a list",
        {"parameters": ["nvidia"]},
        'gpu_driver_parameters: ["nvidia"] is a list; give a mapping of kernel module to its parameters',
    ),
    case(
        "parameters without a module",
        {"parameters": {"NVreg_EnablePCIeGen3": 1}},
        "gpu_driver_parameters.NVreg_EnablePCIeGen3: is no kernel module of the driver; allowed are nvidia, "
        "nvidia_modeset, nvidia_uvm, nvidia_drm, nvidia_peermem",
    ),
    case(
        "parameter with a blank",
        {"parameters": {"nvidia": {"NVreg_RegistryDwords": "a=1 b=2"}}},
        'gpu_driver_parameters.nvidia.NVreg_RegistryDwords: "a=1 b=2" has a blank, a quotation mark, # or \\, which '
        "modprobe.d takes for something else; give the value without",
    ),
    case(
        "parameter with a wrong name",
        {"parameters": {"nvidia": {"NVreg Foo": 1}}},
        'gpu_driver_parameters.nvidia: "NVreg Foo" is no name of a parameter; names have letters, digits and '
        "underscores",
    ),
    case(
        "several at once",
        {"state": "gone", "hold": 1, "branch": "1"},
        'gpu_driver_state: "gone" is unknown; allowed are present, absent, restored\n'
        "gpu_driver_hold: 1 is an integer; give true or false\n"
        f'gpu_driver_branch: "1" is no driver branch that is known here; known are {KNOWN}',
    ),
]


@pytest.mark.parametrize(("options", "message"), WISHES)
def test_bad_wish(options: t.Mapping[str, t.Any], message: str) -> None:
    with pytest.raises(WishError) as caught:
        parse({"address_prefix": "gpu_driver_", **options}, nodes.TODAY)
    assert caught.value.message == message


def test_a_mirror_of_nvidias_own_content_needs_no_key() -> None:
    wish = parse(mirror(fingerprint=SHA1.lower()[:20] + " " + SHA1[20:]), nodes.TODAY)
    assert wish.mirror == model.Mirror("https://mirror.example/nvidia", "", SHA1)


def test_a_mirror_of_the_group_stands_unread_where_the_source_is_another() -> None:
    assert parse({"source": "distribution", "mirror": {"url": 1}}, nodes.TODAY).mirror is None


def test_parameters_become_what_the_kernel_reads() -> None:
    given = {
        "nvidia-drm": {"modeset": True},
        "nvidia": {"NVreg_EnableMSI": 0, "NVreg_Name": "x=1;y=2"},
        "nvidia_uvm": {},
    }
    assert parse({"parameters": given}, nodes.TODAY).parameters == {
        "nvidia_drm": {"modeset": "1"},
        "nvidia": {"NVreg_EnableMSI": "0", "NVreg_Name": "x=1;y=2"},
    }


# --- the node does not fit -----------------------------------------------------------------------------------------

HEADLESS = nodes.kernel("6.8.0-90-generic", headers=False)
BUSY = (model.Busy("GPU 0000:17:00.0", "Slurm job 4711", True),)
STRANGER = (("python3", None, 4242),)
MANAGER = (("GPU Operator's driver container", "/run/nvidia/driver is mounted"),)


def unfit(name: str, node: model.Node, wish: model.Wish, message: str, *versions: str, **facts: t.Any) -> t.Any:
    return pytest.param(node, wish, versions or ("580.126.16", "580.95.05"), facts, message, id=name)


NODES = [
    unfit(
        "not root",
        nodes.node(root=False),
        nodes.mirror(),
        "the driver of a node is there for root alone; set become: true",
    ),
    unfit(
        "another manager",
        nodes.node(managers=MANAGER),
        nodes.mirror(),
        "gpu_driver_takeover=false: the driver of this node belongs to another manager (GPU Operator's driver "
        "container: /run/nvidia/driver is mounted); declare the driver there, or take it out of service, or set "
        "accel_gpu_takeover: true (gpu_driver_takeover) to act beside it",
    ),
    unfit(
        "distribution",
        nodes.node("fedora", "44"),
        nodes.mirror(),
        "Fedora Linux 44 (fedora 44) is not supported; supported are Debian 12 and 13; Ubuntu 22.04, 24.04 and 26.04; "
        "RHEL, Rocky Linux, AlmaLinux, Oracle Linux and CentOS 8, 9 and 10; SLES 15",
    ),
    unfit(
        "architecture",
        nodes.node("debian", "13", arch="aarch64"),
        nodes.mirror(),
        "gpu_driver_source: NVIDIA's repository debian13 has no packages for aarch64, only for x86_64",
    ),
    unfit(
        "no driver of its own",
        nodes.node("rocky", "9.4"),
        nodes.wish(source="distribution"),
        "gpu_driver_source: Rocky Linux 9.4 has no NVIDIA driver of its own; give nvidia or mirror",
    ),
    unfit(
        "branch of another source",
        nodes.node("debian", "12"),
        nodes.wish(source="distribution", branch="580"),
        "gpu_driver_branch: Debian GNU/Linux 12 has branch 535 of its own, not 580; give 535, or gpu_driver_source: "
        "nvidia",
    ),
    unfit(
        "branch whose packages are not known",
        nodes.node(),
        nodes.mirror(version="550.163.01"),
        "gpu_driver_version: branch 550 has other package names in NVIDIA's repository than are known here; give one "
        "of 570, 575, 580, 590, 595, 610, 615, 620",
    ),
    unfit(
        "Volta with 590",
        nodes.node("ubuntu", "24.04", "volta"),
        nodes.mirror(branch="590"),
        "gpu_driver_branch: branch 590 does not support GPU 0000:17:00.0 (Tesla V100-PCIE-32GB, Volta): 580 is the "
        "last branch for Volta; give branch 580",
    ),
    unfit(
        "branch older than the GPU",
        nodes.node("ubuntu", "24.04", "10de:3182"),
        nodes.mirror(branch="570"),
        "gpu_driver_branch: branch 570 does not support GPU 0000:17:00.0 (NVIDIA B300 SXM6 AC, Blackwell): it needs "
        "driver 580.82.07 or newer; give branch 580 or newer",
    ),
    unfit(
        "the distribution's branches are all older than the GPU",
        nodes.node("debian", "13", "blackwell"),
        nodes.wish(source="distribution"),
        "gpu_driver_branch: branch 550 does not support GPU 0000:17:00.0 (NVIDIA B200, Blackwell): it needs driver "
        "570.86.15 or newer; the distribution has 550 alone; give gpu_driver_source: nvidia and branch 570 or newer",
    ),
    unfit(
        "one of the distribution's branches is new enough",
        nodes.node("ubuntu", "24.04", "blackwell"),
        nodes.wish(source="distribution", branch="535"),
        "gpu_driver_branch: branch 535 does not support GPU 0000:17:00.0 (NVIDIA B200, Blackwell): it needs driver "
        "570.86.15 or newer; give branch 595 or 580",
    ),
    unfit(
        "version older than the GPU",
        nodes.node("ubuntu", "24.04", "10de:3182"),
        nodes.mirror(version="580.65.06"),
        "gpu_driver_version: driver 580.65.06 does not support GPU 0000:17:00.0 (NVIDIA B300 SXM6 AC, Blackwell): it "
        "needs 580.82.07 or newer; give such a version",
    ),
    unfit(
        "branch whose versions are older than the GPU",
        nodes.node("ubuntu", "24.04", "hopper", "10de:3182"),
        nodes.mirror(branch="580"),
        "gpu_driver_branch: the repository of https://mirror.example/nvidia has 580.65.06 of branch 580, and GPU "
        "0000:18:00.0 (NVIDIA B300 SXM6 AC, Blackwell) needs driver 580.82.07 or newer; bring the repository up to "
        "date, or give a newer branch or another source",
        "580.65.06",
    ),
    unfit(
        "Blackwell with proprietary modules",
        nodes.node("ubuntu", "24.04", "hopper", "blackwell"),
        nodes.mirror(branch="580", flavour="proprietary"),
        "gpu_driver_flavour: proprietary kernel modules do not support GPU 0000:18:00.0 (NVIDIA B200, Blackwell); "
        "give open or auto",
    ),
    unfit(
        "Volta with open modules",
        nodes.node("ubuntu", "24.04", "volta"),
        nodes.mirror(branch="580", flavour="open"),
        "gpu_driver_flavour: open kernel modules do not support GPU 0000:17:00.0 (Tesla V100-PCIE-32GB, Volta); give "
        "proprietary or auto",
    ),
    unfit(
        "branch without proprietary modules",
        nodes.node("ubuntu", "24.04", "hopper"),
        nodes.mirror(branch="620", flavour="proprietary"),
        "gpu_driver_flavour: branch 620 has open kernel modules only; give open or auto",
    ),
    unfit(
        "mixed generations",
        nodes.node("ubuntu", "24.04", "volta", "blackwell"),
        nodes.mirror(),
        "the GPUs of this node have no driver in common: GPU 0000:17:00.0 (Tesla V100-PCIE-32GB, Volta) needs "
        "proprietary kernel modules; GPU 0000:18:00.0 (NVIDIA B200, Blackwell) needs open kernel modules, and branch "
        "580 has open or proprietary ones; bind the GPUs of one kind to vfio-pci, or take them out",
    ),
    unfit(
        "no fabric manager",
        nodes.node("debian", "13", switches=nodes.gpus("10de:1af1")),
        nodes.wish(source="distribution"),
        "gpu_driver_source: Debian GNU/Linux 13 has no package for a fabric manager, which this node needs since it "
        "has NVSwitches; give nvidia or mirror",
    ),
    unfit(
        "SHA-1 key on Debian 13",
        nodes.node("debian", "13"),
        nodes.wish(**mirror(fingerprint=SHA1)),
        f"gpu_driver_mirror: https://mirror.example/nvidia/debian13/x86_64/ is signed by key {SHA1}, which is "
        "certified with SHA-1, and Debian GNU/Linux 13 no longer accepts that since 2026-02-01; mirror the "
        "repository that NVIDIA makes for this distribution, or sign the mirror with a key of your own and give key "
        "and fingerprint",
    ),
    unfit(
        "version not in the repository",
        nodes.node(),
        nodes.mirror(version="580.178.04"),
        "gpu_driver_version: driver 580.178.04 is not in the repository of https://mirror.example/nvidia; it has "
        "580.126.16, 580.95.05",
    ),
    unfit(
        "branch not in the repository",
        nodes.node(),
        nodes.mirror(branch="580"),
        "gpu_driver_branch: a driver of branch 580 is not in the repository of https://mirror.example/nvidia; it has "
        "570.211.01",
        "570.211.01",
    ),
    unfit(
        "packages not in the repository",
        nodes.node(),
        nodes.mirror(branch="595"),
        "gpu_driver_branch: the repository of https://mirror.example/nvidia has no package libnvidia-compute, "
        "nvidia-dkms-open, nvidia-utils, nvidia-persistenced, so it cannot give a driver of branch 595; check the "
        "repository, or give another branch or source",
        offers=model.Offers({}),
    ),
    unfit(
        "components that apt does not read",
        nodes.node("debian", "12", "ampere"),
        nodes.wish(source="distribution"),
        "gpu_driver_source: the driver of Debian GNU/Linux 12 is in contrib, non-free and non-free-firmware of its "
        "archive, and the package sources of this node lack non-free and non-free-firmware; add them behind main in "
        "/etc/apt/sources.list, and run again",
        offers=model.Offers(
            {}, components=(("main", "/etc/apt/sources.list"), ("contrib", "/etc/apt/sources.list.d/more.list"))
        ),
    ),
    unfit(
        "a component that apt does not read",
        nodes.node("ubuntu", "24.04"),
        nodes.wish(source="distribution"),
        "gpu_driver_source: the driver of Ubuntu 24.04 is in restricted of its archive, and the package sources of "
        "this node lack restricted; add it behind main in /etc/apt/sources.list or a file of /etc/apt/sources.list.d, "
        "and run again",
        offers=model.Offers({}),
    ),
    unfit(
        "stream not in the repository",
        nodes.node("rocky", "9.4"),
        nodes.mirror(branch="580"),
        "gpu_driver_branch: the repository of https://mirror.example/nvidia has no dnf module stream "
        "nvidia-driver:580-open; it has 570-open, 570-dkms",
        "570.211.01",
    ),
    unfit(
        "repository unreachable",
        nodes.node(),
        nodes.mirror(),
        "gpu_driver_source: which versions there are cannot be said: https://mirror.example/nvidia/ubuntu2404/x86_64/ "
        "cannot be reached (connection refused); give the node a way to the repository, or use a mirror",
        offers=None,
        unreachable="https://mirror.example/nvidia/ubuntu2404/x86_64/ cannot be reached (connection refused)",
    ),
    unfit(
        "key cannot be fetched",
        nodes.node(),
        nodes.wish(),
        "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/3bf863cc.pub: the signing key of "
        "the repository cannot be read (no route to host); give the node a way to it, or give gpu_driver_mirror with "
        "key and fingerprint",
        unreachable="no route to host",
    ),
    unfit(
        "another key in the repository",
        nodes.node(),
        nodes.wish(),
        "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/3bf863cc.pub: the key there has "
        f"the fingerprint {keys.FINGERPRINT}, not {SHA1}; do not trust this repository, or give the fingerprint of "
        "its new key in gpu_driver_mirror",
        key=keys.KEY,
    ),
    unfit(
        "no headers",
        nodes.node(running=HEADLESS),
        nodes.mirror(version="580.126.16"),
        "gpu_driver_modules: dkms cannot build for kernel 6.8.0-90-generic: its headers are not installed, and package "
        "linux-headers-6.8.0-90-generic is in no repository of this node; add the repository that has it, or boot a "
        "kernel whose headers are there",
        offers=nodes.offers(
            nodes.node(),
            ["libnvidia-compute-580", "nvidia-dkms-580-open", "nvidia-utils-580", "nvidia-compute-utils-580"],
            "580.126.16",
        ),
    ),
    unfit(
        "interrupted dpkg",
        nodes.node(package_problems=("dpkg was interrupted: package foo is unpacked; run dpkg --configure -a",)),
        nodes.mirror(),
        "packages cannot change on this node: dpkg was interrupted: package foo is unpacked; run dpkg --configure -a",
    ),
    unfit(
        "locked",
        nodes.node(package_problems=("the package database is locked by PID 785 (apt-get) (/var/lib/dpkg/lock)",)),
        nodes.mirror(lock_timeout=60),
        "packages cannot change on this node: the package database is locked by PID 785 (apt-get) "
        "(/var/lib/dpkg/lock); waited 60 s; wait for its end and run again, or give it longer "
        "in gpu_driver_lock_timeout",
    ),
    unfit(
        "held by somebody else",
        nodes.node(holds=frozenset(["nvidia-utils-580", "vim"])),
        nodes.mirror(),
        "nvidia-utils-580 would change but is held by somebody else; ask them, or release the hold and run again",
    ),
    unfit(
        "kernel changes",
        nodes.node(),
        nodes.mirror(),
        "the package transaction would also change the kernel (linux-image-6.8.0-94-generic, "
        "linux-modules-6.8.0-94-generic); nothing was changed; install what belongs to the running kernel first, or "
        "set gpu_driver_allow_kernel_change: true",
        changes=(
            model.Change("linux-image-6.8.0-94-generic", None, "6.8.0-94.96"),
            model.Change("linux-modules-6.8.0-94-generic", None, "6.8.0-94.96"),
            model.Change("linux-headers-6.8.0-94-generic", None, "6.8.0-94.96"),
        ),
    ),
    unfit(
        "a package goes that nobody named",
        nodes.node(packages={"nvidia-utils-575": "575.57.08-1"}),
        nodes.mirror(),
        "the package transaction would also remove cuda-toolkit-12, which was not asked for; nothing was changed; "
        "choose other packages, or remove these first",
        changes=(
            model.Change("nvidia-utils-575", "575.57.08-1", None),
            model.Change("cuda-toolkit-12", "12.9.1-1", None),
        ),
    ),
    unfit(
        "removal that takes more along",
        nodes.node(packages={"nvidia-utils-580": "580.95.05-1"}, records={"packages": ["nvidia-utils-580"]}),
        nodes.mirror(state="absent"),
        "the package transaction would also remove cuda-toolkit-12, which was not asked for; nothing was changed; "
        "choose other packages, or remove these first",
        changes=(
            model.Change("nvidia-utils-580", "580.95.05-1", None),
            model.Change("cuda-toolkit-12", "12.9.1-1", None),
        ),
    ),
    unfit(
        "busy and when_busy is refuse",
        nodes.node(
            packages={"nvidia-utils-580": "580.95.05-1"}, loaded=nodes.loaded("580.95.05"), busy=BUSY
        ),
        nodes.mirror(version="580.126.16", change_loaded=True, when_busy="refuse"),
        "gpu_driver_when_busy=refuse: the driver cannot change from 580.95.05 to 580.126.16, the node is busy: GPU "
        "0000:17:00.0 is used by Slurm job 4711; drain the node and run again",
    ),
    unfit(
        "a process has the GPUs open that nobody knows, and when_busy is refuse",
        nodes.node(
            packages={"nvidia-utils-580": "580.95.05-1"}, loaded=nodes.loaded("580.95.05"), holders=STRANGER,
        ),
        nodes.mirror(version="580.126.16", change_loaded=True, when_busy="refuse"),
        "gpu_driver_when_busy=refuse: the driver cannot change from 580.95.05 to 580.126.16, python3 (PID 4242) holds "
        "GPUs open and is not known to be safe to stop; end it and run again",
    ),
    unfit(
        "removal of a busy driver",
        nodes.node(
            packages={"nvidia-utils-580": "580.95.05-1"}, loaded=nodes.loaded("580.95.05"), busy=BUSY,
            records={"packages": ["nvidia-utils-580"]},
        ),
        nodes.mirror(state="absent", when_busy="refuse"),
        "gpu_driver_when_busy=refuse: the driver cannot be removed, the node is busy: GPU 0000:17:00.0 is used by "
        "Slurm job 4711; drain the node and run again",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("node", "wish", "versions", "facts", "message"), NODES)
def test_unfit_node(
    node: model.Node, wish: model.Wish, versions: t.Sequence[str], facts: t.Dict[str, t.Any], message: str
) -> None:
    _state, made = nodes.decided(node, wish, *versions, **facts)
    assert made.refusal is not None
    assert made.refusal.message == message
    assert (made.steps, made.changed, made.record) == ((), False, None)
    assert made.result()["changed"] is False


def test_the_sha1_key_was_good_until_the_day() -> None:
    wish = parse({**mirror(fingerprint=SHA1), "address_prefix": "gpu_driver_"}, datetime.date(2026, 1, 31))
    _state, made = nodes.decided(nodes.node("debian", "13"), wish, "580.126.16")
    assert made.refusal is not None and "cannot be read" in made.refusal.message


def test_kernels_may_change_where_it_is_allowed() -> None:
    kernel = model.Change("linux-image-6.8.0-94-generic", None, "6.8.0-94.96")
    _state, made = nodes.decided(nodes.node(), nodes.mirror(allow_kernel_change=True), "580.126.16", changes=(kernel,))
    assert made.refusal is None


@pytest.mark.parametrize(("faults", "missing"), [(0, 2), (1, 1), (2, 0)])
def test_fewer_gpus_on_the_bus_than_declared(faults: int, missing: int) -> None:
    known = [{"gpu": f"GPU-{n}", "state": "missing", "reason": "RMA", "until": "2026-12-31"} for n in range(faults)]
    declared = {"expected": {"count": 3, "model": None}, "exceptions": known}
    _state, made = nodes.decided(nodes.node(), nodes.mirror(version="580.126.16", **declared), "580.126.16")
    message = (
        "accel_gpu_expected.count: 3 GPUs are declared, 1 found in the PCI tree (there: 0000:17:00.0); "
        f"{missing} missing: repair the node, or declare an entry in accel_gpu_exceptions with reason and until"
    )
    told = made.refusal and (made.refusal.kind, made.refusal.message)
    assert told == (("gpu_missing", message) if missing else None)
