# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making the images: a base by mmdebstrap, a node image as one layer on it. Nothing is pulled."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import threading
import typing as t
import uuid

from labctl import mirror, recipe
from labctl.common import BUILD, GPUSIM, LabError, Progress
from labctl.engine import docker, ensure_daemon, host_script
from labctl.files import Entry, archive

# Every image and container of the lab carries it, and nothing without it is ever touched.
LABEL = "accel.lab"
HEARTBEAT_SECONDS = 10.0


def ensure(name: str = "node") -> str:
    """The tag of image `name`, made if the recipe has changed."""
    ensure_daemon()
    with _lock():
        build_gpusim()
        wanted = recipe.load(name)
        if exists(wanted.tag):
            return wanted.tag
        progress = Progress(f"image {wanted.tag}")
        if not exists(wanted.base_tag):
            _make_base(wanted, progress)
        _make_layer(wanted, progress)
        progress.say("ready")
        return wanted.tag


def exists(tag: str) -> bool:
    return bool(docker("images", "--quiet", tag).strip())


def remove_all() -> list[str]:
    """Remove every image of the lab; images that a container still uses are an error."""
    found = docker("images", "--filter", f"label={LABEL}", "--format", "{{.Repository}}:{{.Tag}}").split()
    for tag in found:
        docker("rmi", tag)
    return found


def build_gpusim() -> None:
    """Bring the simulated library up to date (a no-op of make when it is)."""
    out = BUILD / "gpusim"
    argv = ["make", "--no-print-directory", "-C", str(GPUSIM), f"OUT={out}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"gpusim does not build: {(done.stderr or done.stdout).strip()}")


@contextlib.contextmanager
def _lock() -> t.Iterator[None]:
    """Scenarios start in parallel; one of them makes the image, the others wait for it."""
    folder = BUILD / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "image.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make_base(wanted: recipe.Recipe, progress: Progress) -> None:
    if shutil.which("mmdebstrap") is None:
        host_script("host_packages.sh")
    progress.say(f"base {wanted.base_tag}: {wanted.suite}, {len(wanted.packages)} packages and what they need")
    folder = BUILD / "image"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"base-{os.getpid()}.tar"
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(wanted.packages)}",
        # an image with empty package lists makes every cached package task fail with "No package matching"
        "--skip=cleanup/apt/lists",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::GzipIndexes "true"',
        *(f"--aptopt={option}" for option in mirror.proxy_options()),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in wanted.exclude),
        wanted.suite,
        str(target),
        *mirror.source_lines(wanted.suite, wanted.components),
    ]
    try:
        run_shown(argv, progress)
        progress.say(f"importing {target.stat().st_size / 1e6:.0f} MB")
        docker("import", "--change", f"LABEL {LABEL}=base", str(target), wanted.base_tag, timeout=600)
    finally:
        target.unlink(missing_ok=True)


def _make_layer(wanted: recipe.Recipe, progress: Progress) -> None:
    """One layer by create, copy, run and commit: it needs no builder, which old and new engines do not share."""
    name = f"accel-lab-build-{uuid.uuid4().hex[:8]}"
    progress.say(f"layer with {len(wanted.entries)} files")
    setup = Entry("usr/lib/accel-lab/setup.sh", 0o755, wanted.setup)
    docker(
        "create", "--name", name, "--label", f"{LABEL}=build", "--network", "none",
        wanted.base_tag, "/bin/sh", "/usr/lib/accel-lab/setup.sh",
    )  # fmt: skip
    try:
        docker("cp", "-", f"{name}:/", stdin=archive([*wanted.entries, setup]))
        docker("start", "--attach", name, timeout=300)
        docker(
            "commit",
            "--change", f"LABEL {LABEL}=image accel.lab.image={wanted.name}",
            "--change", 'CMD ["/lib/systemd/systemd"]',
            name, wanted.tag,
        )  # fmt: skip
    finally:
        docker("rm", "--force", name)


def run_shown(argv: list[str], progress: Progress) -> None:
    """Run a long command, show its stages as they come and a sign of life between them."""
    finished = threading.Event()

    def heartbeat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            progress.say("still working")

    threading.Thread(target=heartbeat, daemon=True).start()
    tail: list[str] = []
    try:
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            for line in child.stderr:
                tail = [*tail[-30:], line.rstrip()]
                if line.startswith("I: ") and "tempdir" not in line:
                    progress.say(line[3:].strip())
    finally:
        finished.set()
    if child.returncode != 0:
        raise LabError(f"{argv[0]} failed with exit status {child.returncode}:\n" + "\n".join(tail))
