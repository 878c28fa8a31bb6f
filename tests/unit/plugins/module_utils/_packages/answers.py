# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node whose package managers answer from a list."""

from __future__ import annotations

import itertools
import os
import typing as t

from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports

UNREACHABLE = "W: Failed to fetch http://a.example/InRelease  Could not connect to a.example:80\n"
MANAGERS = {
    "apt": ("ID=debian\n", "usr/bin/apt-get"),
    "dnf": ("ID=rhel\n", "usr/bin/dnf"),
    "zypper": ("ID=sles\n", "usr/bin/zypper"),
}


class Answers:
    """A Run that answers each command by the program's name, the last answer again and again."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "-"): list(given) for name, given in answers.items()}
        self.calls = []

    def __call__(self, argv, timeout=None, stdin=None):
        words = list(itertools.dropwhile(lambda word: "=" in word, argv[1:])) if argv[0] == "env" else list(argv)
        self.calls.append(words)
        given = self.answers.get(words[0], [(0, "", "")])
        return given.pop(0) if len(given) > 1 else given[0]


def _no_nvml() -> t.NoReturn:
    raise AssertionError("no package manager asks NVML")


LISTS = "var/lib/apt/lists/a.example_dists_trixie_main_binary-amd64_Packages.lz4"


def node(tmp_path, release="ID=debian\n", program="usr/bin/apt-get", check=False, **answers):
    for path, text in (("etc/os-release", release), (program, ""), (LISTS, "")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    os.utime((tmp_path / LISTS).parent, (1, 1))
    run = Answers(**answers)
    return Ports(run, Files(str(tmp_path)), _no_nvml, root=str(tmp_path), check=check), run
