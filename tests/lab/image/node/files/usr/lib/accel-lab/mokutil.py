#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for mokutil: Secure Boot's state and the machine owner's keys of the simulated machine.

The genuine one wants a mounted efivarfs. Words and exit statuses are repeated from memory of its source (not verified).
"""

from __future__ import annotations

import argparse
import sys
import typing as t
from pathlib import Path

import trust


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="mokutil")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sb-state", action="store_true")
    what.add_argument("--list-enrolled", "-l", action="store_true")
    what.add_argument("--list-new", "-N", action="store_true")
    what.add_argument("--test-key", "-t", metavar="FILE", type=Path)
    what.add_argument("--import", "-i", dest="wanted", metavar="FILE", type=Path)
    parser.add_argument("--root-pw", "-P", action="store_true")
    parser.add_argument("--hash-file", "-f", type=Path)
    options = parser.parse_args(argv)
    if not trust.efi():
        sys.stderr.write("EFI variables are not supported on this system\n")
        return 1
    if options.sb_state:
        print(f"SecureBoot {'enabled' if trust.secure_boot() else 'disabled'}")
        return 0
    if options.list_enrolled or options.list_new:
        show(trust.keys(trust.ENROLLED if options.list_enrolled else trust.PENDING))
        return 0
    path = options.test_key or options.wanted
    if not path.is_file():
        sys.stderr.write(f"Failed to open {path}\n")
        return 1
    content = path.read_bytes()
    if trust.number(content) in trust.trusted():
        print(f"{path} is already enrolled")
        return 1 if options.test_key else 0
    if options.test_key:
        print(f"{path} is not enrolled")
        return 0
    if not (options.root_pw or options.hash_file or sys.stdin.readline().strip()):
        sys.stderr.write("Failed to get password\n")
        return 1
    trust.wait(content)
    return 0


def show(keys: t.Mapping[str, bytes]) -> None:
    for position, (number, content) in enumerate(keys.items(), start=1):
        pairs = ":".join(number[start : start + 2] for start in range(0, len(number), 2))
        subject = content.decode(errors="replace").partition("\n")[0]
        print(f"[key {position}]\nSHA1 Fingerprint: {pairs}\nCertificate:\n    Data:\n        Subject: {subject}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
