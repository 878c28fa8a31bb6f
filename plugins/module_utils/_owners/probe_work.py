# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose work on this node would a reboot end, whether it uses a GPU or not (live_node rule 8)? Reads only. PRIVATE.

Work on GPUs is `probe.probe`; here are jobs, pods, containers and virtual machines of any kind. They are told by the
kernel's processes, so that none is forgotten because an engine gives no answer; Slurm alone is asked.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._data.infrastructure import NAMESPACE_PREFIXES, NAMESPACES, PROGRAMS
from . import probe_slurm
from .probe_processes import Process, processes

if t.TYPE_CHECKING:
    from .._ports import Ports

# The last part of a pod's cgroup: pod<uid>, or …-pod<uid>.slice with _ for - under the systemd driver.
_POD = re.compile(r"pod([0-9a-f][0-9a-f_-]{30,})(?:\.slice)?(?:/|$)")
# Its folder of logs is called <namespace>_<name>_<uid>. Source: kubelet, kuberuntime/helpers.go.
_LOGS = "var/log/pods"
# Engines name cgroups by 64 digits; what watches a container (conmon) is not in them. LXC and systemd-machined, which
# libvirt uses as well, name theirs by the machine.
_CONTAINER = re.compile(r"/(?:(?:docker|libpod|cri-containerd|crio|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_MACHINE = re.compile(r"/(?:lxc\.payload[./]|lxc/|machine-)([^/]+?)(?:\.scope)?(?:/|$)")
_HYPERVISORS = ("qemu-system-", "qemu-kvm")
# What a process has open that runs a virtual machine (Linux, virt/kvm/kvm_main.c) or has a device passed through.
_VIRTUAL = ("anon_inode:kvm-vm", "/dev/vfio/")


def probe(ports: Ports) -> t.Tuple[str, ...]:
    """Each as a phrase: "Slurm job 4 of ada(1001)". One that cannot be asked counts as working."""
    found = tuple(processes(ports.root))
    jobs = probe_slurm.work(ports, found)
    return (
        *(f"{owner.name} (could not be asked: {owner.why})" for owner in jobs.silent),
        *(one.owner for one in jobs.allocations),
        *_pods(ports.root, found),
        *_containers(found),
        *_machines(found),
    )


def _pods(root: str, found: t.Sequence[Process]) -> t.Iterator[str]:
    matches = (_POD.search(process.cgroup) for process in found if process.of_kubelet)
    uids = dict.fromkeys(match.group(1).replace("_", "-") for match in matches if match)
    if not uids:
        return
    names = dict(_split(name) for name in _names(os.path.join(root, _LOGS)))
    for uid in uids:
        namespace, name = names.get(uid, ("", uid))
        if not namespace.startswith(NAMESPACE_PREFIXES) and namespace not in NAMESPACES:
            yield f"kubernetes pod {namespace}/{name}" if namespace else f"kubernetes pod {name}"


def _split(name: str) -> t.Tuple[str, t.Tuple[str, str]]:
    namespace, _line, rest = name.partition("_")
    pod, _line, uid = rest.rpartition("_")
    return uid, (namespace, pod)


def _containers(found: t.Sequence[Process]) -> t.Iterator[str]:
    """By their first process, but those in which infrastructure alone runs."""
    # A node may be a container itself.
    own = next((process.cgroup for process in found if process.pid == 1), "")
    outer = set(_CONTAINER.findall(own))
    seen: t.Dict[str, t.List[Process]] = {}
    for process in found:
        inside = [one for one in _CONTAINER.findall(process.cgroup) if one not in outer]
        if inside and not process.of_kubelet:
            seen.setdefault(inside[0], []).append(process)
    for several in seen.values():
        first = several[0]
        if any(process.program not in PROGRAMS for process in several):
            yield f"container {first.container} (PID {first.pid}, {first.program})"


def _machines(found: t.Sequence[Process]) -> t.Iterator[str]:
    """Virtual machines, and containers that are named as machines. What is in a pod or a container is told as that."""
    seen: t.Set[str] = set()
    for process in found:
        if process.of_kubelet or _CONTAINER.search(process.cgroup):
            continue
        found_name = _MACHINE.search(process.cgroup)
        name = found_name.group(1) if found_name else ""
        if process.program.startswith(_HYPERVISORS) or any(one.startswith(_VIRTUAL) for one in _open_files(process)):
            yield f"virtual machine (PID {process.pid}, {process.program})"
        elif name and name not in seen:
            yield f"container {name} (PID {process.pid}, {process.program})"
        seen.add(name)


def _open_files(process: Process) -> t.Iterator[str]:
    folder = os.path.join(process.path, "fd")
    for name in _names(folder):
        try:
            yield os.readlink(os.path.join(folder, name))
        except OSError:
            continue  # closed since, or not ours to look at


def _names(folder: str) -> t.List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
