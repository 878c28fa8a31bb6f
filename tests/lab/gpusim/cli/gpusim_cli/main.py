# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start of the command `gpusim`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import typing as t

from gpusim_cli import library, options, spawn, text

REFUSED = 1
USAGE = 2
SHOWN: t.Dict[str, t.Callable[[t.Any], str]] = {"show": text.node, "counts": text.counts, "faults": text.faults}


def main(argv: t.Sequence[str]) -> int:
    """Run one verb. Returns the exit code: 0 done, 1 refused, 2 wrong usage."""
    args = options.build().parse_args(argv)
    if args.state:
        os.environ["GPUSIM_STATE"] = args.state
    if args.library:
        os.environ["GPUSIM_LIBRARY"] = args.library
    try:
        words = options.command(args)
    except ValueError as error:
        return _say(error, USAGE)
    try:
        _run(args, words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (library.ControlError, library.LibraryMissing, OSError) as error:
        return _say(error, REFUSED)
    return 0


def _say(error: Exception, code: int) -> int:
    print(f"gpusim: {error}", file=sys.stderr)
    return code


def _run(args: argparse.Namespace, words: t.List[str]) -> None:
    if getattr(args, "spawn", False):
        print(_occupy_spawned(words))
        return
    answer = library.control(words)
    if args.verb == "release":
        spawn.end(args.pid)
    elif args.verb in ("control", "boards", "keys") or getattr(args, "json", False):
        print(json.dumps(answer, indent=2))
    elif args.verb in SHOWN:
        shown = SHOWN[args.verb](answer)
        if shown:
            print(shown)


def _occupy_spawned(words: t.List[str]) -> int:
    """Occupy with a new sleeping process; a refusal leaves none behind."""
    handle = library.load()
    pid = spawn.start()
    try:
        library.control(words + [f"pid={pid}"], handle)
    except Exception:
        spawn.end(pid)
        raise
    return pid
