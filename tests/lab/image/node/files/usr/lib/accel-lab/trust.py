# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secure Boot of the simulated machine: its EFI variable, the keys it trusts, and those that wait for the console.

A key of the lab is a file of any content; its number is the SHA-1 of that content.
"""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import sim

# laid over /sys/firmware/efi
EFI = sim.RUN / "efi"
VARIABLE = "efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# attributes "boot service and runtime access", then the value
ATTRIBUTES = b"\x06\0\0\0"
KEYS = Path("/var/lib/accel-lab/mok")
ENROLLED, PENDING = KEYS / "enrolled", KEYS / "pending"
# somebody will stand at the console at the next boot and say yes
CONFIRMED = KEYS / "confirmed"
# the key of the distribution, by which its prebuilt modules are signed; every machine trusts it
BUILT_IN = {"88f752e560a1e0737e31163a466ad7b70a850c19": "Canonical Ltd. Kernel Module Signing"}


def lay(enabled: bool) -> None:
    """The EFI variables of a machine with Secure Boot on or off."""
    path = EFI / VARIABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ATTRIBUTES + bytes([enabled]))


def efi() -> bool:
    return (EFI / VARIABLE).exists()


def secure_boot() -> bool:
    return efi() and (EFI / VARIABLE).read_bytes()[-1:] == b"\1"


def number(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def keys(folder: Path) -> t.Dict[str, bytes]:
    """Numbers and contents of the keys in ENROLLED or PENDING."""
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def trusted() -> t.List[str]:
    return [*BUILT_IN, *keys(ENROLLED)]


def accepts(facts: t.Mapping[str, str]) -> bool:
    """Whether the kernel would load a module with these facts."""
    return not secure_boot() or facts.get("sig_key") in trusted()


def wait(content: bytes) -> None:
    """Let a key wait for the console."""
    PENDING.mkdir(parents=True, exist_ok=True)
    (PENDING / number(content)).write_bytes(content)


def at_boot() -> None:
    """The console's part of a boot: keys that wait are taken if somebody confirms, else they go on waiting."""
    if CONFIRMED.exists():
        ENROLLED.mkdir(parents=True, exist_ok=True)
        for name in keys(PENDING):
            (PENDING / name).rename(ENROLLED / name)
        CONFIRMED.unlink()
