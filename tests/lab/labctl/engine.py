# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The docker command line and the daemon behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from labctl.common import BUILD, LabError, Progress

START_SECONDS = 60.0


def docker(*args: str, stdin: bytes | None = None, timeout: float = 120.0) -> str:
    """Run docker and return its standard output. LabError carries what it printed when it fails."""
    argv = ["docker", *args]
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise LabError("there is no docker command; install Docker (Debian: apt-get install docker.io)") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"docker {args[0]} gave no answer within {timeout:g} s") from None
    if done.returncode != 0:
        raise LabError(f"docker {' '.join(args[:3])}… failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def answers() -> bool:
    """Whether a daemon answers on the configured socket."""
    try:
        docker("version", "--format", "{{.Server.Version}}", timeout=30)
    except LabError:
        return False
    return True


def ensure_daemon() -> None:
    """Make sure that a daemon answers; root on a Debian-like machine gets it installed and started, and is told so."""
    if answers():
        return
    if os.geteuid() != 0:
        raise LabError(
            "no Docker daemon answers for this user; start it, or add the user to the group docker, or run this as root"
        )
    progress = Progress("docker")
    if shutil.which("dockerd") is None:
        apt_install(progress, "docker.io")
    if shutil.which("docker") is None:
        # Debian 13 has the command in a package of its own
        apt_install(progress, "docker-cli")
    _start(progress)


def apt_install(progress: Progress, *packages: str) -> None:
    """Install Debian packages on this machine (root only), saying so."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise LabError(f"this needs {', '.join(packages)}; install it, or run this as root on Debian or Ubuntu")
    progress.say(f"installing {', '.join(packages)} with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)} failed: {done.stderr.strip()}")


def _start(progress: Progress) -> None:
    log = BUILD / "dockerd.log"
    if Path("/run/systemd/system").is_dir():
        progress.say("starting docker.service")
        subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
    else:
        progress.say("starting dockerd, its log is .build/dockerd.log")
        BUILD.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            # a session of its own: it must outlive the terminal and this command
            subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise LabError(f"the Docker daemon did not answer within {START_SECONDS:g} s; see its log ({log.name})")
        time.sleep(0.3)
    progress.say("the Docker daemon answers")
