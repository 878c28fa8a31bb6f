# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._rolling.geometry import lost


def gpu(uuid, *instances, mig=True):
    """An entry of gpu_info's mig_layout; an instance is "1g.10gb@0"."""
    parts = [one.split("@") for one in instances]
    return {
        "uuid": uuid,
        "mig": mig,
        "instances": [
            {"profile": profile, "placement": int(place), "compute": [{"profile": profile, "placement": 0}]}
            for profile, place in parts
        ],
    }


def layout(*gpus):
    return {"version": 1, "gpus": list(gpus)}


def did(action, what="GPU", uuid="GPU-a"):
    return {"action": action, "object": what, "gpu": uuid, "reason": "so"}


BEFORE = layout(gpu("GPU-a", "1g.10gb@0", "2g.20gb@2"), gpu("GPU-b", mig=False))
BARE = layout(gpu("GPU-a"), gpu("GPU-b", mig=False))
ALL_OFF = layout(gpu("GPU-a", mig=False), gpu("GPU-b", mig=False))
WAS = "1g.10gb at 0, 2g.20gb at 2, as before the change"


@pytest.mark.parametrize(
    ("before", "after", "actions", "expected"),
    [
        (BEFORE, BEFORE, [], []),
        (BEFORE, BARE, [], [f"MIG of GPU-a: mig on without instances is there and not {WAS}"]),
        (BEFORE, ALL_OFF, [], [f"MIG of GPU-a: mig off is there and not {WAS}"]),
        (BEFORE, layout(gpu("GPU-b", mig=False)), [], [f"MIG of GPU-a: no answer is there and not {WAS}"]),
        # Nobody's wish, or one for another GPU of the node.
        (BEFORE, BARE, [did("left_alone")], [f"MIG of GPU-a: mig on without instances is there and not {WAS}"]),
        (
            BEFORE,
            BARE,
            [did("keep", "mig off, no instances", "GPU-b"), did("left_alone")],
            [f"MIG of GPU-a: mig on without instances is there and not {WAS}"],
        ),
        # A wish for the mode alone says nothing about instances.
        (BEFORE, BARE, [did("keep", "mig on")], [f"MIG of GPU-a: mig on without instances is there and not {WAS}"]),
        (
            BEFORE,
            BARE,
            [did("set_mig_mode", "mig on"), did("reset_gpu")],
            [f"MIG of GPU-a: mig on without instances is there and not {WAS}"],
        ),
        # Declared otherwise.
        (BEFORE, layout(gpu("GPU-a", "7g.80gb@0")), [did("create_gpu_instance", "7g.80gb at 0")], []),
        (BEFORE, ALL_OFF, [did("set_mig_mode", "mig off")], []),
        (BEFORE, ALL_OFF, [did("keep", "mig off, no instances")], []),
        # More than before is no loss.
        (BARE, BEFORE, [], []),
        (BARE, ALL_OFF, [], ["MIG of GPU-a: mig off is there and not mig on without instances, as before the change"]),
        (ALL_OFF, BEFORE, [], []),
        # A driver that did not answer before.
        ({}, BEFORE, [], []),
    ],
)
def test_what_nobody_declares_is_there_again(before, after, actions, expected):
    assert lost(before, after, actions) == expected


def test_a_compute_instance_counts():
    now = layout(gpu("GPU-a", "1g.10gb@0"))
    then = layout({**gpu("GPU-a", "1g.10gb@0"), "instances": [{**now["gpus"][0]["instances"][0], "compute": []}]})
    assert len(lost(then, now, [])) == 1


NOT_CREATED = "GPU-a: the MIG layout 1g.10gb at 0:1 could not be created again (no answer); the next run tries it"


@pytest.mark.parametrize(
    ("before", "after", "actions", "expected"),
    [
        # The run that died had known it, the documents of this one do not.
        (layout(), BARE, [], [NOT_CREATED]),
        (ALL_OFF, ALL_OFF, [], [NOT_CREATED]),
        # Once is enough, and what is declared decides.
        (BEFORE, BARE, [], [f"MIG of GPU-a: mig on without instances is there and not {WAS}"]),
        (layout(), BARE, [did("create_gpu_instance")], []),
        (layout(), BARE, [did("create_gpu_instance", uuid="GPU-b")], [NOT_CREATED]),
    ],
)
def test_what_gpu_driver_could_not_create_counts_too(before, after, actions, expected):
    assert lost(before, after, actions, [NOT_CREATED]) == expected
