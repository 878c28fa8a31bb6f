# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of `nvidia-smi`: which options exist and which take a value. The sub-command mig has its own."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from nvsmi import errors

HELP = "Please run 'nvidia-smi -h' for help."

# (short, long, takes a value)
OPTIONS = (
    ("-h", "--help", False), ("", "--version", False), ("-L", "--list-gpus", False), ("-q", "--query", False),
    ("-i", "--id", True), ("-f", "--filename", True), ("-d", "--display", True), ("", "--format", True),
    ("", "--query-gpu", True), ("", "--query-compute-apps", True), ("", "--query-remapped-rows", True),
    ("", "--query-supported-clocks", True), ("", "--help-query-gpu", False), ("", "--help-query-compute-apps", False),
    ("", "--help-query-remapped-rows", False), ("", "--help-query-supported-clocks", False),
    ("-pm", "--persistence-mode", True), ("-e", "--ecc-config", True), ("-p", "--reset-ecc-errors", True),
    ("-c", "--compute-mode", True), ("-r", "--gpu-reset", False), ("-lgc", "--lock-gpu-clocks", True),
    ("-rgc", "--reset-gpu-clocks", False), ("-lmc", "--lock-memory-clocks", True),
    ("-rmc", "--reset-memory-clocks", False), ("-ac", "--applications-clocks", True),
    ("-rac", "--reset-applications-clocks", False), ("-pl", "--power-limit", True),
    ("-mig", "--multi-instance-gpu", True), ("-eow", "--error-on-warning", False),
)  # fmt: skip
MODIFICATIONS = ("-pm", "-e", "-p", "-c", "-r", "-lgc", "-rgc", "-lmc", "-rmc", "-ac", "-rac", "-pl", "-mig")
QUERIES = ("--query-gpu", "--query-compute-apps", "--query-remapped-rows", "--query-supported-clocks")
ALIASES = {"--query-apps": "--query-compute-apps", "--reset-application-clocks": "-rac", "--application-clocks": "-ac"}


@dataclass
class Wish:
    """The parsed command line: option (short name where it has one) → value, "" for a switch."""

    given: t.Dict[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def get(self, name: str) -> t.Optional[str]:
        return self.given.get(name)

    @property
    def modification(self) -> t.Optional[str]:
        return next((name for name in MODIFICATIONS if name in self.given), None)

    @property
    def query(self) -> t.Optional[str]:
        return next((name for name in QUERIES if name in self.given), None)


def parse(argv: t.Sequence[str]) -> Wish:
    """Read the options; every mistake is a SmiError with exit code 2."""
    wish = Wish()
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        name, takes = _known(name, word)
        if not takes and equals:
            raise errors.usage(f"ERROR: Option {word} is not recognized. {HELP}")
        if takes and not equals:
            if not words:
                raise errors.usage(f"ERROR: Option {word} is missing its value. {HELP}")
            text = words.pop(0)
        wish.given[name] = text
    _check(wish)
    return wish


def _known(name: str, word: str) -> t.Tuple[str, bool]:
    name = ALIASES.get(name, name)
    for short, long, takes in OPTIONS:
        if name and name in (short, long):
            return short or long, takes
    raise errors.usage(f"ERROR: Option {word} is not recognized. Please run 'nvidia-smi -h'.")


def _check(wish: Wish) -> None:
    if sum(name in wish for name in MODIFICATIONS) > 1:
        raise errors.usage(
            "Invalid combination of input arguments. Only one device modification may be done at a time. " + HELP
        )
    if sum(name in wish for name in QUERIES) > 1:
        raise errors.usage("Only one --query-* switch can be used at a time.")
    if wish.query and "--format" not in wish:
        raise errors.usage('"--format=" switch is missing. ' + HELP)
    if "--format" in wish and not wish.query:
        raise errors.usage("Invalid combination of input arguments. " + HELP)
    if "-d" in wish and "-q" not in wish:
        raise errors.usage(
            "Invalid combination of input arguments. Specify -q/--query and -d/--display to run a filtered query.  "
            + HELP
        )
