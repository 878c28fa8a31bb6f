# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting, restarting and stopping simulated nodes. Only containers that carry the lab's label are ever touched."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import os
import re
import time
import typing as t
from pathlib import Path

from labctl.common import LabError, Progress
from labctl.engine import docker
from labctl.files import Entry, archive
from labctl.image import LABEL
from labctl.inventory import NodeSpec

BOOT_SECONDS = 60.0
STOP_SECONDS = 20
POWER_ON = "gpusim-boot.service"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
SYSTEMD_HIERARCHY = Path("/sys/fs/cgroup/systemd")
# systemd as PID 1 without --privileged, which fails where the machine itself lacks a capability. Major 195 are the
# GPUs: with the rule an allowed open() ends in ENXIO (no such hardware), without it everything ends in EPERM.
# SYS_PTRACE: root of a real node may look at every process (which container is it in?), a container's may not.
RUN_FLAGS = (
    "--cap-add", "SYS_ADMIN",
    "--cap-add", "NET_ADMIN",
    "--cap-add", "SYS_PTRACE",
    "--security-opt", "seccomp=unconfined",
    "--security-opt", "apparmor=unconfined",
    "--device-cgroup-rule", "c 195:* rwm",
    "--tmpfs", "/run",
    "--tmpfs", "/tmp:exec",
    "--env", "container=docker",
    "--stop-signal", "SIGRTMIN+3",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Container:
    """One node that exists."""

    name: str
    scenario: str
    host: str
    boards: str
    status: str
    image: str
    spec: str


@dataclasses.dataclass(frozen=True)
class Started:
    """What `up` did for one host: created, started or reused, and how long it took to boot."""

    name: str
    how: str
    seconds: float
    failed_units: tuple[str, ...]


def container_name(scenario: str, host: str) -> str:
    """The name by which docker, and Ansible's connection, know the node."""
    for what, word in (("scenario", scenario), ("host", host)):
        if not NAME.fullmatch(word):
            raise LabError(
                f"{what} {word!r} cannot be part of a container's name: letters, digits, - and _ are allowed"
            )
    return f"accel-{scenario}-{host}"


def up(scenario: str, specs: t.Sequence[NodeSpec], tags: str | t.Mapping[str, str]) -> list[Started]:
    """Bring every node of the scenario to life, at most as many at a time as the machine has processors (and 8).

    `tags` is the image of all of them, or has one for each image that the specs name.
    """
    tag = {spec.image: tags if isinstance(tags, str) else tags[spec.image] for spec in specs}
    existing = {one.name: one for one in containers(scenario)}
    workers = max(1, min(8, 2 * (os.cpu_count() or 1)))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_up_one, scenario, spec, tag[spec.image], existing) for spec in specs]
        return [job.result() for job in jobs]


def down(scenario: str | None) -> list[str]:
    """Remove the nodes of a scenario, or of all scenarios (None)."""
    found = [one.name for one in containers(scenario)]
    if found:
        docker("rm", "--force", "--volumes", *found)
    return found


def restart(scenario: str, host: str, hard: bool = False) -> Started:
    """Reboot one node: an orderly shutdown, or (hard) the power cut, then a boot."""
    name = _existing(scenario, host).name
    began = time.monotonic()
    if hard:
        docker("kill", name)
    else:
        docker("stop", "--time", str(STOP_SECONDS), name)
    docker("start", name)
    return Started(name, "restarted", time.monotonic() - began, _booted(name))


def execute(scenario: str, host: str, argv: t.Sequence[str]) -> t.NoReturn:
    """Become `docker exec` in the node."""
    name = _existing(scenario, host).name
    terminal = ["--interactive", "--tty"] if os.isatty(0) else ["--interactive"]
    words = argv[1:] if argv[:1] == ["--"] else argv
    os.execvp("docker", ["docker", "exec", *terminal, name, *words])


def containers(scenario: str | None = None) -> list[Container]:
    """The nodes that exist, running or not, by name."""
    wanted = f"label={LABEL}=node" if scenario is None else f"label={LABEL}.scenario={scenario}"
    names = docker("ps", "--all", "--filter", f"label={LABEL}=node", "--filter", wanted, "--format", "{{.ID}}").split()
    if not names:
        return []
    found = []
    for one in json.loads(docker("inspect", *names)):
        labels = one["Config"]["Labels"]
        found.append(
            Container(
                name=one["Name"].lstrip("/"),
                scenario=labels[f"{LABEL}.scenario"],
                host=labels[f"{LABEL}.host"],
                boards=labels[f"{LABEL}.boards"],
                status=one["State"]["Status"],
                image=one["Config"]["Image"],
                spec=labels[f"{LABEL}.spec"],
            )
        )
    return sorted(found, key=lambda one: one.name)


def _up_one(scenario: str, spec: NodeSpec, image: str, existing: t.Mapping[str, Container]) -> Started:
    name = container_name(scenario, spec.host)
    began = time.monotonic()
    old = existing.get(name)
    if old is not None and (old.image, old.spec) == (image, spec_hash(spec)):
        how = "reused" if old.status == "running" else "started"
        if how == "started":
            docker("start", name)
    else:
        if old is not None:
            docker("rm", "--force", "--volumes", name)
        how = "created"
        docker(*create_arguments(scenario, spec, image))
        if spec.units:
            # the links that `systemctl enable` makes, so that is-enabled tells the truth
            docker("cp", "-", f"{name}:/", stdin=archive(enabled(spec.units)))
        docker("start", name)
    return Started(name, how, time.monotonic() - began, _booted(name))


def enabled(units: t.Iterable[str]) -> list[Entry]:
    """The links that enable units of the node."""
    folder = "etc/systemd/system/multi-user.target.wants"
    return [Entry(f"{folder}/{unit}", 0o777, f"/lib/systemd/system/{unit}".encode(), link=True) for unit in units]


def create_arguments(scenario: str, spec: NodeSpec, image: str) -> list[str]:
    """The whole docker command line that creates a node."""
    labels = {
        LABEL: "node",
        f"{LABEL}.scenario": scenario,
        f"{LABEL}.host": spec.host,
        f"{LABEL}.boards": ",".join(spec.boards),
        f"{LABEL}.state": spec.state,
        f"{LABEL}.spec": spec_hash(spec),
    }
    name = container_name(scenario, spec.host)
    arguments = ["create", "--name", name, "--hostname", spec.host, "--pull", "never"]
    arguments += [*RUN_FLAGS, *cgroup_flags(cgroup_version(), SYSTEMD_HIERARCHY.is_dir())]
    arguments += ["--env", f"ACCEL_LAB_NODE={spec.as_json()}"]
    for key, value in labels.items():
        arguments += ["--label", f"{key}={value}"]
    return [*arguments, image]


def cgroup_flags(version: int, systemd_hierarchy: bool) -> list[str]:
    """How the node's systemd gets a writable cgroup tree.

    Version 1: the one hierarchy that systemd keeps for itself. Given the whole tree, the node's systemd would make
    folders in the machine's own and set it read-only for everybody. Version 2 has one tree only, and a node stays below
    its container's folder there.
    """
    if version == 2:
        return ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    if not systemd_hierarchy:
        raise LabError(
            f"this machine has cgroup v1 without systemd's own hierarchy; as root: mkdir -p {SYSTEMD_HIERARCHY} && "
            f"mount -t cgroup -o none,name=systemd cgroup {SYSTEMD_HIERARCHY}"
        )
    return ["--cgroupns", "host", "--volume", f"{SYSTEMD_HIERARCHY}:{SYSTEMD_HIERARCHY}:rw"]


@functools.lru_cache(maxsize=1)
def cgroup_version() -> int:
    return int(docker("info", "--format", "{{.CgroupVersion}}").strip() or 1)


def spec_hash(spec: NodeSpec) -> str:
    """Nodes with equal hashes are reused, so the flags that a node is started with are part of it."""
    told = spec.as_json() + "\n".join(RUN_FLAGS)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _existing(scenario: str, host: str) -> Container:
    name = container_name(scenario, host)
    for one in containers(scenario):
        if one.name == name:
            return one
    raise LabError(f"scenario {scenario!r} has no node {host!r}; `list` shows what there is")


def _booted(name: str) -> tuple[str, ...]:
    """Wait until systemd has started everything; the failed units, or LabError at the deadline."""
    deadline = time.monotonic() + BOOT_SECONDS
    state = "not reached"
    while time.monotonic() < deadline:
        state = _ask(name, "systemctl", "is-system-running")
        if state == "running":
            return ()
        if state == "degraded":
            return _failed_units(name)
        time.sleep(0.1)
    jobs = _ask(name, "systemctl", "list-jobs", "--no-legend")
    log = docker("logs", "--tail", "20", name)
    raise LabError(f"{name} has not booted within {BOOT_SECONDS:g} s (systemd says {state!r})\n{jobs}\n{log}")


def _failed_units(name: str) -> tuple[str, ...]:
    listing = _ask(name, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
    failed = tuple(line.split()[0] for line in listing.splitlines())
    if POWER_ON in failed:
        # without it there is no GPU and no trace of one: this is no node
        words = _ask(
            name, "journalctl", "--unit", POWER_ON, "--identifier", "python3", "--output", "cat", "--lines", "3"
        )
        raise LabError(f"{name}: its simulated boards could not be set up:\n{words}")
    return failed


def _ask(name: str, *argv: str) -> str:
    """Standard output of a command in the node whatever its exit status: systemctl's says more than ours needs."""
    try:
        return docker("exec", name, "/bin/sh", "-c", '"$@" 2>/dev/null || true', "sh", *argv, timeout=30).strip()
    except LabError as error:
        status = docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name).split()
        if status[:1] != ["running"]:
            log = docker("logs", "--tail", "20", name)
            raise LabError(f"{name} stopped while booting ({' '.join(status)}):\n{log}") from error
        return ""


def report(progress: Progress, started: t.Iterable[Started]) -> None:
    for one in started:
        failed = f", FAILED UNITS: {', '.join(one.failed_units)}" if one.failed_units else ""
        progress.say(f"{one.name} {one.how}, booted after {one.seconds:.1f} s{failed}")
