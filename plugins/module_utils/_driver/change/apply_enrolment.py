# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask firmware to enrol the key with which DKMS signs; a person confirms it at the console. PRIVATE to the collection.

mokutil asks for a password twice on its standard input (so does Debian's update-secureboot-policy feed it), and the
screen at the next boot asks for it again. It is good for that one time, and lies in a file that only root reads.
"""

from __future__ import annotations

import os
import secrets
import typing as t

from ..._data.driver_system import MAKE_KEY
from ..._errors import BlockedError
from ..._run import NOT_FOUND
from ..record import FOLDER

if t.TYPE_CHECKING:
    from ..._ports import Ports

PASSWORD = f"{FOLDER}/enrolment-password"
_SECONDS = 60.0
# MokManager takes 1 to 256 characters; figures are on every keyboard whatever its layout.
_DIGITS = 8


def prepare(ports: Ports, certificate: str) -> str:
    """The sentence that tells the person what is left to do. Raises BlockedError."""
    _make(ports, certificate)
    password = "".join(secrets.choice("0123456789") for _digit in range(_DIGITS))
    ports.files.write(PASSWORD, f"{password}\n".encode(), mode=0o600)
    argv = ["mokutil", "--import", certificate]
    code, out, err = ports.run(argv, timeout=_SECONDS, stdin=f"{password}\n{password}\n")
    if code != 0:
        ports.files.remove(PASSWORD)
        said = "mokutil is not installed" if code == NOT_FOUND else " ".join((err + " " + out).split()) or "no output"
        raise BlockedError(f"{' '.join(argv)} ended with {code}: {said}; enrol {certificate} by hand", exit_code=code)
    return (
        f"reboot, choose Enroll MOK at the console and type the password in {PASSWORD} of this node; "
        "after that the kernel accepts the driver's modules"
    )


def _make(ports: Ports, certificate: str) -> None:
    """DKMS makes its key at the first build, which is to come after the enrolment."""
    argv = MAKE_KEY.get(certificate)
    if argv is None or ports.files.exists(certificate):
        return
    os.makedirs(ports.files.path(os.path.dirname(certificate)), mode=0o755, exist_ok=True)
    code, out, err = ports.run(list(argv), timeout=_SECONDS)
    if code != 0 or not ports.files.exists(certificate):
        # Lines before the last ones show only how far the key is.
        said = " ".join(" ".join((err + out).splitlines()[-2:]).split()) or "no output"
        raise BlockedError(
            f"the key {certificate} that DKMS signs with cannot be made: {' '.join(argv)} ended with {code}: {said}; "
            "make it by hand and run again",
            exit_code=code,
        )
