#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command accel-lab: what goes wrong on a node with packages, and the hand at its console."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import dkms
import sim
import trust

FAIL = Path("/etc/accel-lab/fail")
ARCHIVES = Path("/var/cache/apt/archives")
LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/dpkg/lock"))
JOURNAL = Path("/var/lib/dpkg/updates/0001")
STATUS = Path("/var/lib/dpkg/status")


def main(argv: t.Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="accel-lab")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    one = verbs.add_parser("enrol", help="confirm the keys that wait, at the console, during the next boot")
    one.set_defaults(run=enrol)
    one = verbs.add_parser("dkms", help="how builds go; without options as usual")
    one.add_argument("--seconds", type=float, default=dkms.DEFAULTS["seconds"])
    one.add_argument("--fail", action="store_true", help="builds fail")
    one.add_argument("--unsigned", action="store_true", help="modules get no signature")
    one.set_defaults(run=builds)
    one = verbs.add_parser("fail", help="let the scripts of these packages fail; none: of no package")
    one.add_argument("packages", nargs="*", metavar="PACKAGE")
    one.set_defaults(run=fail)
    one = verbs.add_parser("headers", help="take a kernel's headers away or bring them back")
    one.add_argument("what", choices=("hide", "show"))
    one.add_argument("--kernel", default=os.uname().release)
    one.set_defaults(run=headers)
    one = verbs.add_parser("disk", help="no room for downloaded packages, or room again")
    one.add_argument("what", choices=("full", "free"))
    one.set_defaults(run=disk)
    one = verbs.add_parser("lock", help="another dpkg is running, for so many seconds")
    one.add_argument("seconds", type=float)
    one.set_defaults(run=lock)
    one = verbs.add_parser("interrupt", help="dpkg was interrupted; dpkg --configure -a mends it")
    one.set_defaults(run=interrupt)
    options = parser.parse_args(argv)
    options.run(options)


def enrol(_options: argparse.Namespace) -> None:
    sim.put(trust.CONFIRMED, "")


def builds(options: argparse.Namespace) -> None:
    wanted = {"seconds": options.seconds, "fail": options.fail, "sign": not options.unsigned}
    sim.put(dkms.SETTINGS, json.dumps(wanted) + "\n")


def fail(options: argparse.Namespace) -> None:
    sim.put(FAIL, "".join(f"{name}\n" for name in options.packages))


def headers(options: argparse.Namespace) -> None:
    link = Path("/lib/modules", options.kernel, "build")
    hidden = link.with_name("build.hidden")
    if options.what == "hide":
        link.rename(hidden)
    else:
        hidden.rename(link)


def disk(options: argparse.Namespace) -> None:
    if options.what == "free":
        subprocess.run(["umount", str(ARCHIVES)], check=True)
        return
    # one page, which is taken
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(ARCHIVES)], check=True)
    (ARCHIVES / "partial").mkdir()
    (ARCHIVES / "filler").write_text("full")


def lock(options: argparse.Namespace) -> None:
    """Returns as soon as the locks are held; a process in the background keeps them."""
    handles = [path.open("w") for path in LOCKS]
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        os.read(ready, 1)
        return
    os.setsid()
    for handle in handles:
        fcntl.lockf(handle, fcntl.LOCK_EX)
    os.close(told)
    os.closerange(0, 3)
    time.sleep(options.seconds)


def interrupt(_options: argparse.Namespace) -> None:
    """What a killed dpkg leaves: an entry that is not yet in its status file."""
    first = STATUS.read_text().partition("\n\n")[0]
    JOURNAL.write_text(f"{first}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
