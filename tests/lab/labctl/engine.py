# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The docker command line and the daemon behind it."""

from __future__ import annotations

import subprocess
import sys

from labctl.common import REPOSITORY, LabError


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
    """Make sure that a daemon answers; tools/docker.sh installs and starts one where it may, and says so."""
    if not answers():
        host_script("docker.sh")


def host_script(name: str) -> None:
    """Run one of the scripts that bring this machine what it lacks; its last words become the error."""
    script = REPOSITORY / "tools" / name
    done = subprocess.run(
        [str(script)], cwd=REPOSITORY, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(done.stderr.strip() or f"tools/{name} failed with exit status {done.returncode}")
