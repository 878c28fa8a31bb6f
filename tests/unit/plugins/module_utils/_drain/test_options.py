# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before any scheduler is asked."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.draining import run
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._drain.scontrol import Slurm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"run": "a b"},
            'run: "a b" cannot be the id of a run; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        ({"node": "a b"}, 'node: "a b" is not the name of a node; give the one that the scheduler knows'),
        ({"note": "a\nb"}, 'note: "a\\nb" is not one line of text; give the reason for the drain in a few words'),
        (
            {"provider": "command"},
            "command is missing; give the program, and its first arguments, that provider command starts",
        ),
        (
            {"command": ["x"]},
            "command is for provider command only, and provider is slurm; remove one of them",
        ),
        (
            {"purpose": "a b"},
            'purpose: "a b" cannot be a purpose; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        (
            {"adopt": True},
            "adopt: true needs purpose, because only a drain with the same purpose is adopted; give it too",
        ),
        (
            {"adopt_run": "a b", "purpose": "upgrade"},
            'adopt_run: "a b" cannot be the id of a run; give 1 to 64 letters, digits, dots, underscores and hyphens',
        ),
        (
            {"adopt_run": "run6"},
            "adopt_run needs purpose, because only a drain with the same purpose is adopted; give it too",
        ),
        ({"timeout": -1.0}, "timeout: -1 is out of range; give 0 to 2592000 seconds"),
        ({"poll": 0.0}, "poll: 0 is out of range; give 0.1 to 2592000 seconds"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(WishError) as error:
        run(Slurm(), **options)
    assert error.value.message == message
