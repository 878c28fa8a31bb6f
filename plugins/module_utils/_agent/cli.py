# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command accel-gpu. PRIVATE to the collection; its words, exit codes and JSON are public."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import signal
import sys
import typing as t

from .. import _wishes
from .._errors import AccelError, WishError
from .._files import Files
from .._nvml.session import open_session
from .._ports import Ports
from .._run import SubprocessRun
from . import text
from .boot import SUMMARY, Boot
from .flow import DIFFERS, ERROR, OK, Report, code_of, options_of, run
from .residents import RESIDENTS, Resident, in_order

EPILOG = """\
exit codes:
  0  as wished, or done
  1  failed on the way; what was there before is restored where possible
  2  wrong usage
  3  the node differs from the wish (assert, plan, status)
  4  refused, nothing was touched: busy, another manager, a change that cannot be completed, locked
  5  done as far as possible; a reset, a reboot or a drain is owed
  6  the wish is wrong or cannot be met by this hardware
  7  no root, no driver, or a GPU that gives no answer
  8  out of time (boot)
"""

Arguments = argparse.Namespace


def main(argv: t.Optional[t.Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments, _ports(arguments))
        return code
    except AccelError as error:
        _tell(f"accel-gpu: {error.message}")
        return code_of(error)
    except BrokenPipeError:  # `accel-gpu mig export | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="accel-gpu",
        description="Declared state of the GPUs of this node, without the control node.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--root", default="/", help=argparse.SUPPRESS)  # trees of other machines, in tests
    root.add_argument("--deadline", type=float, default=30.0, metavar="SECONDS", help="for one NVML call (30)")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for resident in RESIDENTS:
        _resident_parser(commands, resident)
    boot = commands.add_parser("boot", help="bring back everything that is wished (the boot unit runs this)")
    boot.add_argument("--timeout", type=float, default=290.0, metavar="SECONDS", help="for all residents (290)")
    boot.add_argument("--on-failure", choices=("hold", "continue"), default="hold", help="written into the summary")
    boot.set_defaults(run=_boot)
    status = commands.add_parser("status", help="the last boot, and whether the node is as wished now")
    status.add_argument("--json", action="store_true", help="for machines")
    status.set_defaults(run=_status)
    return root


def _resident_parser(commands: t.Any, resident: Resident) -> None:
    verbs = commands.add_parser(resident.name, help=f"the part of role {resident.role_name}").add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    export = verbs.add_parser("export", help="print what is there, as JSON that assert, plan and apply take back")
    export.add_argument("--json", action="store_true", help="the only form there is; accepted for symmetry")
    export.set_defaults(run=functools.partial(_export, resident))
    wanted = {
        "plan": ("tell what apply would do, and change nothing", False),
        "assert": ("succeed only if the node is as wished; tell every difference", False),
        "apply": ("bring the node to the wish", True),
    }
    for verb, (told, change) in wanted.items():
        sub = verbs.add_parser(verb, help=told)
        sub.add_argument("file", nargs="?", help="a wish or an exported layout, - for standard input (the stored wish)")
        sub.add_argument("--json", action="store_true", help="for machines")
        sub.set_defaults(run=functools.partial(_wished, resident, change))


def _export(resident: Resident, arguments: Arguments, ports: Ports) -> int:
    _say(json.dumps(resident.export(ports), indent=2))
    return OK


def _wished(resident: Resident, change: bool, arguments: Arguments, ports: Ports) -> int:
    report = run(resident, _options(resident, arguments.file, ports), ports, apply=change)
    if arguments.json:
        _say(json.dumps(report.document(), indent=2))
    else:
        _say("\n".join(text.report(report)))
    return report.code


def _options(resident: Resident, file: t.Optional[str], ports: Ports) -> t.Dict[str, t.Any]:
    if file is None:
        stored = _wishes.path_of(resident.name)
        document = ports.files.read_json(stored)
        if document is None:
            raise WishError(
                f"{stored} is not there: nothing is wished here; give a file, or run role {resident.role_name}"
            )
        return options_of(document, resident, stored)
    try:
        with sys.stdin if file == "-" else open(file, encoding="utf-8") as stream:
            return options_of(json.load(stream), resident, file)
    except (OSError, ValueError) as error:
        raise WishError(f"{file}: cannot be read as JSON: {error}") from error


def _boot(arguments: Arguments, ports: Ports) -> int:
    boot = Boot(ports, arguments.on_failure, _now)

    def give_up(number: int, frame: t.Any) -> None:
        # No exception: it would send the core into its restore, for which there is no time either.
        code = boot.timed_out(arguments.timeout)
        os._exit(code)

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.setitimer(signal.ITIMER_REAL, arguments.timeout)
    code = boot.run()
    signal.setitimer(signal.ITIMER_REAL, 0)
    for line in text.boot(ports.files.read_json(SUMMARY)):
        _say(line)
    return code


def _status(arguments: Arguments, ports: Ports) -> int:
    boot = ports.files.read_json(SUMMARY)
    reports = [_live(resident, ports) for resident in in_order() if _is_wished(resident, ports)]
    if arguments.json:
        _say(json.dumps({"boot": boot, "residents": [report.document() for report in reports]}, indent=2))
    else:
        _say("\n".join(text.boot(boot) + [line for report in reports for line in text.report(report)]))
    codes = [report.code for report in reports if report.code != OK]
    if boot is not None and boot.get("status") != "ok":
        codes.append(DIFFERS)
    return codes[0] if codes else OK


def _is_wished(resident: Resident, ports: Ports) -> bool:
    return bool(ports.files.exists(_wishes.path_of(resident.name)))


def _live(resident: Resident, ports: Ports) -> Report:
    return run(resident, _options(resident, None, ports), ports, apply=False)


def _ports(arguments: Arguments) -> Ports:
    return Ports(
        run=SubprocessRun(),
        files=Files(arguments.root),
        open_nvml=functools.partial(open_session, deadline=arguments.deadline, root=arguments.root),
        root=arguments.root,
        log=_tell,
    )


def _say(text_: str) -> None:
    sys.stdout.write(f"{text_}\n")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    raise SystemExit(main())
