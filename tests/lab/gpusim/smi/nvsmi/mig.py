# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`nvidia-smi mig`: its command line and which action it starts."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from nvsmi import errors, mig_change, mig_list, mig_read, targets, usage

# short name → (long name, takes a value: "no", "yes" or "may")
OPTIONS = {
    "-h": ("--help", "no"),
    "-i": ("--id", "yes"),
    "-gi": ("--gpu-instance-id", "yes"),
    "-ci": ("--compute-instance-id", "yes"),
    "-lgip": ("--list-gpu-instance-profiles", "no"),
    "-lgipp": ("--list-gpu-instance-possible-placements", "no"),
    "-C": ("--default-compute-instance", "no"),
    "-cgi": ("--create-gpu-instance", "yes"),
    "-dgi": ("--destroy-gpu-instance", "no"),
    "-lgi": ("--list-gpu-instances", "no"),
    "-lcip": ("--list-compute-instance-profiles", "no"),
    "-lcipp": ("--list-compute-instance-possible-placements", "no"),
    "-cci": ("--create-compute-instance", "may"),
    "-dci": ("--destroy-compute-instance", "no"),
    "-lci": ("--list-compute-instances", "no"),
}
ACTIONS = {
    "-lgip": mig_list.gpu_instance_profiles,
    "-lgipp": mig_list.gpu_instance_placements,
    "-lgi": mig_list.gpu_instances,
    "-lcip": mig_list.compute_instance_profiles,
    "-lcipp": mig_list.compute_instance_placements,
    "-lci": mig_list.compute_instances,
    "-cgi": mig_change.create_gpu_instances,
    "-dgi": mig_change.destroy_gpu_instances,
    "-cci": mig_change.create_compute_instances,
    "-dci": mig_change.destroy_compute_instances,
}


@dataclass
class MigWish:
    """The parsed command line of the sub-command."""

    given: t.Dict[str, str] = field(default_factory=dict)

    def ids(self, name: str) -> t.Optional[t.List[int]]:
        """The numbers of -gi or -ci, None without the option."""
        text = self.given.get(name)
        if text is None:
            return None
        pieces = [piece.strip() for piece in text.split(",")]
        if not all(piece.isdigit() for piece in pieces):
            raise errors.usage(f'Option "{text}" is invalid for "{name}".')
        return [int(piece) for piece in pieces]


def main(argv: t.Sequence[str]) -> int:
    """Run one action on the GPUs of -i."""
    wish = parse(argv)
    if "-h" in wish.given or not wish.given:
        print(usage.MIG_TEXT)
        return errors.OK
    chosen = [name for name in ACTIONS if name in wish.given]
    if len(chosen) != 1:
        raise errors.usage("Invalid combination of input arguments. Please run 'nvidia-smi mig -h' for help.")
    gpus = targets.present(wish.given.get("-i"))
    scope = mig_read.Scope(gpus, wish.ids("-gi"), wish.ids("-ci"), "-C" in wish.given)
    return ACTIONS[chosen[0]](scope, wish.given[chosen[0]])


def parse(argv: t.Sequence[str]) -> MigWish:
    """Read the options; every mistake is a SmiError with exit code 2."""
    wish = MigWish()
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        short, takes = _known(name)
        if takes == "no":
            if equals:
                raise errors.usage(f'Option "{word}" is not recognized.')
        elif not equals:
            if words and not words[0].startswith("-"):
                text = words.pop(0)
            elif takes == "yes":
                raise errors.usage(f'Option "{word}" is missing its value.')
        wish.given[short] = text
    return wish


def _known(name: str) -> t.Tuple[str, str]:
    for short, (long, takes) in OPTIONS.items():
        if name in (short, long):
            return short, takes
    raise errors.usage(f'Option "{name}" is not recognized.')
