# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input and bad nodes through the whole resident: id, wish, node, whole message; nothing on the node changes.

In a message <0> is the first GPU as messages name it, <uuid 0> its UUID, <pid> a process of the case, TIME a time.
The wishes of the planner's own table go through the resident too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._holders import probe as holders
from ansible_collections.accel.gpu.plugins.module_utils._lock import Lock
from ansible_collections.accel.gpu.plugins.module_utils._mig import journal, probe
from ansible_collections.accel.gpu.tests.component.mig.changes import A30, A100, H100, off, on
from ansible_collections.accel.gpu.tests.component.mig.node import Node
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._mig import test_bad_input as pure

MIG_MANAGER = "/etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service"
Setup = t.Callable[[Node], t.Optional[int]]


def case(name, params, boards, setup, message, **words):
    return pytest.param(params, boards, setup, message, words, id=name)


def g(*items, **options):
    return {"geometry": list(items), **options}


# --- what is wrong with a node: each prepares it and answers the PID that the message names ------------------------


def nothing(node):
    return None


def stands(*items, busy=None, gpu=None):
    def setup(node):
        node.make(list(items))
        if busy is not None:
            return node.occupy(0, busy)
        return None if gpu is None else node.sim.occupy(gpu)

    return setup


def command(*lines):
    def setup(node):
        for line in lines:
            node.sim.control(line)

    return setup


def file(path, data=b""):
    def setup(node):
        node.files.write(path, data)

    return setup


def process(name, *opened, cgroup="0::/user.slice/session-1.scope", command_line=""):
    """A process in the tree of the node that NVML does not list."""

    def setup(node):
        node.files.write("/proc/4711/comm", f"{name}\n".encode())
        node.files.write("/proc/4711/cmdline", f"{command_line or name}\0".encode())
        node.files.write("/proc/4711/cgroup", f"{cgroup}\n".encode())
        node.files.write("/proc/4711/stat", f"4711 ({name}) S 1 0".encode())
        os.makedirs(node.root / "proc/4711/fd")
        for number, target in enumerate(opened):
            os.symlink(target, node.root / f"proc/4711/fd/{number}")

    return setup


def all_of(*setups):
    def setup(node):
        found = [one_setup(node) for one_setup in setups]
        return next((pid for pid in found if pid is not None), None)

    return setup


def locked(node):
    ready_out, ready_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        Lock(node.files, command="accel-gpu mig apply").acquire(0)
        os.write(ready_in, b"x")
        time.sleep(120)
        os._exit(0)
    os.read(ready_out, 1)
    node.sim._pids.append(pid)
    return pid


def without_nvidia_smi(node):
    node.files.remove("/usr/bin/nvidia-smi")


def as_user(node):
    """The run, not the node, is what is wrong; see `_apply`."""


CASES = [
    case(
        "busy instance",
        g(on({"7g.80gb": 1})),
        A100,
        stands(on({"1g.10gb": 2}), busy=4),
        (
            "geometry[0] (<0>): the wish needs GPU instances that are in use: 1g.10gb at 4:1 is in use by "
            "process <pid> (sleep); drain them first, or give when_busy: defer"
        ),
    ),
    case(
        "one of two busy",
        g(on({"4g.40gb": 1, "3g.40gb": 1})),
        H100,
        stands(on({"1g.10gb": 7}), busy=0),
        (
            "geometry[0] (<0>): the wish needs GPU instances that are in use: 1g.10gb at 0:1 is in use by "
            "process <pid> (sleep); drain them first, or give when_busy: defer"
        ),
    ),
    case(
        "busy GPU and its mode",
        g(on({"1g.10gb": 1})),
        A100,
        stands(gpu=0),
        (
            "geometry[0] (<0>): MIG cannot be switched on now: the GPU is in use by process <pid> (sleep); "
            "drain it first, or give when_busy: defer"
        ),
    ),
    case(
        "busy instance and mode off",
        g(off()),
        H100,
        stands(on({"3g.40gb": 1}), busy=4),
        (
            "geometry[0] (<0>): MIG cannot be switched off now: the GPU is in use by process <pid> (sleep); "
            "drain it first, or give when_busy: defer"
        ),
    ),
    case(
        "process and allow_destroy_allocated",
        g(on({"7g.80gb": 1}), allow_destroy_allocated=True),
        A100,
        stands(on({"1g.10gb": 1}), busy=6),
        (
            "geometry[0] (<0>): the wish needs GPU instances that are in use: 1g.10gb at 6:1 is in use by "
            "process <pid> (sleep); drain them first, or give when_busy: defer"
        ),
    ),
    case(
        "two busy GPUs",
        g(off()),
        f"{H100},{H100}",
        all_of(stands(on({"7g.80gb": 1}), busy=0), lambda node: node.occupy(1, 0) and None),
        (
            "geometry[0] (<0>): MIG cannot be switched off now: the GPU is in use by process <pid> (sleep); "
            "drain it first, or give when_busy: defer\ngeometry[0] (<1>): MIG cannot be switched off now: "
            "the GPU is in use by process <pid> (sleep); drain it first, or give when_busy: defer"
        ),
    ),
    case(
        "owner that cannot be asked",
        g(on({"7g.80gb": 1})),
        A100,
        all_of(stands(on({"1g.10gb": 1})), process("slurmd", command_line="/usr/sbin/slurmd")),
        (
            "geometry[0] (<0>): the wish needs GPU instances that are in use: 1g.10gb at 6:1 is in use by "
            "Slurm (could not be asked: scontrol --oneliner show node <host>: scontrol: No such file or "
            "directory); drain them first, or give when_busy: defer"
        ),
    ),
    case(
        "processes that NVML refuses to list",
        g(on({"7g.80gb": 1})),
        A100,
        all_of(
            stands(on({"1g.10gb": 1})),
            command("fault nvmlDeviceGetComputeRunningProcesses_v3 nth=1 code=NVML_ERROR_NO_PERMISSION times=100"),
        ),
        (
            "geometry[0] (<0>): nvmlDeviceGetComputeRunningProcesses_v3 failed, so it is unknown what is in "
            "use; see the kernel log for this GPU and run again"
        ),
    ),
    case(
        "not root",
        g(on({"1g.10gb": 1})),
        H100,
        as_user,
        "changing MIG needs root, this runs as another user; set become: true",
    ),
    case(
        "no driver",
        g(on({"1g.10gb": 1})),
        "",
        nothing,
        "the NVIDIA driver is installed but its kernel module is not loaded; load it (modprobe nvidia), see the kernel "
        "log if that fails, or run role gpu_driver",
    ),
    case(
        "driver not loaded",
        g(on({"1g.10gb": 1})),
        H100,
        command("unload"),
        (
            "the NVIDIA driver is installed but its kernel module is not loaded; load it (modprobe nvidia), "
            "see the kernel log if that fails, or run role gpu_driver"
        ),
    ),
    case(
        "library and module differ",
        g(on({"1g.10gb": 1})),
        H100,
        command("node kernel_driver 550.54.14"),
        (
            "libnvidia-ml.so.1 is version unknown but the loaded kernel module is version unknown; drain "
            "the node, then reload the nvidia modules or reboot"
        ),
    ),
    case(
        "GPU hangs",
        g(on({"1g.10gb": 1})),
        f"{H100},{A100}",
        command("fault nvmlDeviceGetMigMode nth=1 hang times=100 gpu=0"),
        (
            "geometry[0]: GPU 0 is meant too but gives no answer: nvmlDeviceGetMigMode on GPU 0000:10:00.0 "
            "did not answer within 0.3 s; the GPU or its driver hangs: see the kernel log for an Xid, drain "
            "the node and reboot it"
        ),
        deadline=0.3,
    ),
    case(
        "NVML hangs",
        g(on({"1g.10gb": 1})),
        H100,
        command("fault nvmlInitWithFlags nth=1 hang times=100"),
        (
            "nvmlInitWithFlags did not answer within 0.3 s; the GPU or its driver hangs: see the kernel log "
            "for an Xid, drain the node and reboot it"
        ),
        deadline=0.3,
    ),
    case(
        "GPU lost",
        g(on({"1g.10gb": 1})),
        f"{H100},{A100}",
        command("set 0 lost 1"),
        (
            "geometry[0]: GPU 0 is meant too but gives no answer: nvmlDeviceGetHandleByIndex on GPU index 0 "
            "failed: GPU_IS_LOST (the GPU fell off the bus); drain the node and reset this GPU, reboot if "
            "that fails, and contact support if it comes back"
        ),
    ),
    case(
        "GPU lost, by index",
        g(on({"1g.10gb": 1}, {"index": 0})),
        f"{H100},{A100}",
        command("set 0 lost 1"),
        (
            "geometry[0].gpus.index: index 0 names a GPU that gives no answer: nvmlDeviceGetHandleByIndex "
            "on GPU index 0 failed: GPU_IS_LOST (the GPU fell off the bus); drain the node and reset this "
            "GPU, reboot if that fails, and contact support if it comes back"
        ),
    ),
    case(
        "stale UUID",
        g(on({"1g.10gb": 1}, {"uuid": "GPU-11111111-2222-3333-4444-555555555555"})),
        H100,
        nothing,
        (
            "geometry[0].gpus.uuid: GPU-11111111-2222-3333-4444-555555555555 matches no GPU of this node; "
            "it has 0: <uuid 0> 0000:10:00.0 NVIDIA H100 80GB HBM3"
        ),
    ),
    case(
        "mig-manager",
        g(on({"1g.10gb": 1})),
        H100,
        file(MIG_MANAGER),
        (
            "takeover=false: the MIG geometry of this node belongs to another manager (NVIDIA's "
            "mig-manager: nvidia-mig-manager.service is enabled "
            "(/etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service)); declare the "
            "geometry there, or take it out of service, or set accel_gpu_takeover: true (takeover) to act "
            "beside it"
        ),
    ),
    case(
        "driver container",
        g(on({"1g.10gb": 1})),
        H100,
        file("/proc/self/mounts", b"overlay /run/nvidia/driver overlay rw 0 0\n"),
        (
            "takeover=false: the MIG geometry of this node belongs to another manager (GPU Operator's "
            "driver container: /run/nvidia/driver is mounted); declare the geometry there, or take it out "
            "of service, or set accel_gpu_takeover: true (takeover) to act beside it"
        ),
    ),
    case(
        "GPU Operator's toolkit",
        g(on({"1g.10gb": 1})),
        H100,
        file("/run/nvidia/validations/toolkit-ready"),
        (
            "takeover=false: the MIG geometry of this node belongs to another manager (GPU Operator's "
            "toolkit: /run/nvidia/validations/toolkit-ready exists); declare the geometry there, or take it "
            "out of service, or set accel_gpu_takeover: true (takeover) to act beside it"
        ),
    ),
    case(
        "another manager although nothing differs",
        g(off()),
        H100,
        file(MIG_MANAGER),
        (
            "takeover=false: the MIG geometry of this node belongs to another manager (NVIDIA's "
            "mig-manager: nvidia-mig-manager.service is enabled "
            "(/etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service)); declare the "
            "geometry there, or take it out of service, or set accel_gpu_takeover: true (takeover) to act "
            "beside it"
        ),
    ),
    case(
        "lock timeout",
        g(on({"1g.10gb": 1}), lock_timeout=0.2),
        H100,
        locked,
        (
            "the node's lock /run/accel-gpu/lock is held by PID <pid> (accel-gpu mig apply) since TIME; "
            "waited lock_timeout=0.2 s; wait for that run to end, or allow a longer lock_timeout"
        ),
    ),
    case(
        "Ampere in a virtual machine",
        g(on({"1g.10gb": 1})),
        A100,
        nothing,
        (
            "geometry[0] (<0>): MIG cannot be switched on: the mode of ampere GPUs needs a reset, which a "
            "virtual machine cannot do, and asking for it could strand the GPU; set the mode on the host "
            "before the machine starts"
        ),
        virt="passthrough",
    ),
    case(
        "Ampere in a virtual machine, at boot",
        g(on({"1g.10gb": 1}), mig_apply="next_boot"),
        A100,
        nothing,
        (
            "geometry[0] (<0>): MIG cannot be switched on: the mode of ampere GPUs needs a reset, which a "
            "virtual machine cannot do, and asking for it could strand the GPU; set the mode on the host "
            "before the machine starts"
        ),
        virt="passthrough",
    ),
    case(
        "vGPU",
        g(on({"1g.10gb": 1})),
        H100,
        nothing,
        (
            "geometry[0] (<0>): MIG cannot be switched on: it is a vGPU, whose MIG mode belongs to the "
            "hypervisor; change it there"
        ),
        virt="vgpu",
    ),
    case(
        "unknown holder",
        g(on({"1g.6gb": 1})),
        A30,
        process("Xorg", "/dev/nvidia0", cgroup="0::/system.slice/gdm.service"),
        (
            "geometry[0] (<0>): MIG cannot be switched on now: it is held open by Xorg of gdm.service (PID "
            "4711), which is not known to be safe to stop; stop it and run again, or give mig_apply: "
            "next_boot"
        ),
    ),
    case(
        "unknown holder on Hopper",
        g(on({"1g.10gb": 1})),
        H100,
        process("nvtop", "/dev/nvidia0"),
        (
            "geometry[0] (<0>): MIG cannot be switched on now: it is held open by nvtop (PID 4711), which "
            "is not known to be safe to stop; stop it and run again, or give mig_apply: next_boot"
        ),
    ),
    case(
        "no nvidia-smi to reset with",
        g(on({"1g.10gb": 1})),
        A100,
        without_nvidia_smi,
        (
            "geometry[0] (<0>): MIG cannot be switched on now: ampere GPUs need a reset for it, and "
            "nvidia-smi, which does it, cannot be run on this node; install it or give mig_apply: next_boot"
        ),
    ),
    case(
        "fewer GPUs than expected",
        g(off(), expected={"count": 2}),
        H100,
        nothing,
        (
            "accel_gpu_expected.count: 2 GPUs are declared, 1 answer (there: NVIDIA H100 80GB HBM3); 1 "
            "missing: repair the node, or declare an entry in accel_gpu_exceptions with reason and until"
        ),
    ),
    case(
        "another model than expected",
        g(off(), expected={"count": 1, "model": "*A100*"}),
        H100,
        nothing,
        (
            "accel_gpu_expected.count: 1 GPUs of model *A100* are declared, 0 answer (there: NVIDIA H100 "
            "80GB HBM3); 1 missing: repair the node, or declare an entry in accel_gpu_exceptions with "
            "reason and until"
        ),
    ),
    case(
        "expected without count",
        g(off(), expected={"model": "*A100*"}),
        H100,
        nothing,
        "expected: count is missing; give the number of GPUs of the host, 0 for none",
    ),
    case(
        "exception without end",
        g(off(), expected={"count": 2}, exceptions=[{"gpu": "GPU-1", "state": "missing", "reason": "x"}]),
        H100,
        nothing,
        "exceptions[0]: until is missing; an exception has gpu, state, reason, until",
    ),
    case(
        "headroom",
        g(on({"7g.80gb": 1}), headroom_percent=20),
        H100,
        nothing,
        (
            "geometry[0] (<0>): headroom_percent 20 wants 15.85 of 79.25 GiB left free, the geometry leaves "
            "0.00 GiB; wish fewer or smaller instances, or a smaller headroom_percent"
        ),
    ),
    case(
        "headroom is a string",
        g(off(), headroom_percent="much"),
        H100,
        nothing,
        'headroom_percent: "much" is a string; give a number from 0 to 100',
    ),
    case(
        "headroom out of range",
        g(off(), headroom_percent=101),
        H100,
        nothing,
        "headroom_percent: 101 is out of range; allowed is 0 to 100",
    ),
    case(
        "lock_timeout negative",
        g(off(), lock_timeout=-1),
        H100,
        nothing,
        "lock_timeout: -1 is out of range; give a number from 0 to 86400",
    ),
    case(
        "mig_apply unknown",
        g(off(), mig_apply="later"),
        H100,
        nothing,
        'mig_apply: "later" is unknown; allowed is now, next_boot',
    ),
    case(
        "when_busy unknown",
        g(off(), when_busy="kill"),
        H100,
        nothing,
        'when_busy: "kill" is unknown; allowed is refuse, defer',
    ),
    case(
        "broken journal",
        g(off()),
        H100,
        file(journal.PATH, b"{"),
        (
            "/var/lib/accel-gpu/mig/journal.json is not JSON: Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1); restore it from a backup or remove it"
        ),
    ),
    case(
        "foreign journal",
        g(off()),
        H100,
        file(journal.PATH, b"[]"),
        (
            "/var/lib/accel-gpu/mig/journal.json is no journal of accel.gpu (TypeError('list indices must "
            "be integers or slices, not str')); compare the GPUs with the wish by hand, then remove the file"
        ),
    ),
    case(
        "no GPU at all",
        g(on({"1g.10gb": 1}, {"index": 0})),
        "none",
        nothing,
        "geometry[0].gpus.index: 0 matches no GPU of this node; it has no GPU at all",
    ),
]


@pytest.mark.parametrize(("params", "boards", "setup", "message", "words"), CASES)
def test_bad_input(params, boards, setup, message, words, node, monkeypatch):
    monkeypatch.setattr(holders, "_PAUSE", 0)
    made = node(boards, **words)
    gpus = made.sim.show()["gpus"] if boards else []
    setup(made)
    before = _state(made)
    result = _apply(made, params, setup, monkeypatch)
    assert _told(made, result["msg"]) == _spelled(message, gpus)
    assert (result["failed"], result["changed"]) == (True, False)
    assert _state(made) == before
    if params.get("lock_timeout") is not None:
        return  # check mode takes no lock
    checked = _apply(made, params, setup, monkeypatch, check=True)
    assert _state(made) == before
    if result["error"]["kind"] in ("driver_missing", "driver_mismatch"):
        # An earlier role of the same run would bring the driver, or reload it.
        assert (checked["changed"], [line["action"] for line in checked["actions"]]) == (True, ["deferred"])
        assert checked["actions"][0]["reason"] == f"needs gpu_driver: {result['msg']}"
    else:
        assert checked["msg"] == result["msg"]


def _apply(made, params, setup, monkeypatch, check=False):
    with monkeypatch.context() as patch:
        if setup is as_user:
            patch.setattr(probe.os, "geteuid", lambda: 1000)
            patch.setenv("GPUSIM_EUID", "1000")
        return made.apply(params, check=check)


def _told(made, text):
    """The message without what differs from run to run."""
    for pid in made.sim._pids:
        text = text.replace(str(pid), "<pid>")
    text = re.sub(r"show node \S+:", "show node <host>:", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def _spelled(message, gpus):
    for number, gpu in enumerate(gpus):
        message = message.replace(f"<{number}>", f"{gpu['uuid']}, {gpu['name']}")
        message = message.replace(f"<uuid {number}>", gpu["uuid"])
    return message


def _state(made):
    """Everything of the node but counters of calls and the lock, which is no state."""
    shown = made.sim.show() if made.sim.state.exists() else {}
    files = {
        str(path.relative_to(made.root)): path.read_bytes()
        for path in sorted(made.root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
    return {key: value for key, value in shown.items() if key in ("gpus", "loaded", "driver")}, files


# Their messages hold UUIDs and addresses that are made by hand there.
BY_HAND = ("ambiguous UUID", "tie of equal rank")


@pytest.mark.parametrize(("wish", "keys", "message"), [entry for entry in pure.CASES if entry.id not in BY_HAND])
def test_bad_wish_on_a_node(wish, keys, message, node):
    made = node(",".join(keys))
    with made.seen(), made.ports().open_nvml() as session:
        gpus = session.snapshot(("identity",)).gpus
    before = _state(made)
    result = made.apply(wish)
    assert result.get("msg") == pure.spelled(message, gpus)
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "wish")
    assert _state(made) == before


def test_missing_library(tmp_path):
    """In a process of its own: this one has loaded the library already."""
    script = (
        "from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError\n"
        "from ansible_collections.accel.gpu.plugins.module_utils._files import Files\n"
        "from ansible_collections.accel.gpu.plugins.module_utils._mig import resident\n"
        "from ansible_collections.accel.gpu.plugins.module_utils._nvml.session import open_session\n"
        "from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports\n"
        "from ansible_collections.accel.gpu.plugins.module_utils._run import SubprocessRun\n"
        f"ports = Ports(SubprocessRun(), Files({str(tmp_path)!r}), open_session, {str(tmp_path)!r})\n"
        "try:\n"
        "    resident.read(resident.parse({'geometry': [{'gpus': 'all', 'mig': False}]}), ports)\n"
        "except AccelError as error:\n"
        "    print(error.kind, error.message)\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == (
        "driver_missing the NVIDIA library cannot be loaded (libnvidia-ml.so.1: cannot open shared object file: No "
        "such file or directory); install the NVIDIA driver on this node (role gpu_driver)\n"
    )
    assert list(tmp_path.iterdir()) == []
