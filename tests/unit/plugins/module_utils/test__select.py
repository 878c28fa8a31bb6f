# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    GpuHungError,
    GpuLostError,
    WishError,
)
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure
from ansible_collections.accel.gpu.plugins.module_utils._select import (
    GPU_KINDS,
    Selection,
    assign,
    match,
    match_instances,
    normalise_pci,
    parse_selector,
    static_conflicts,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

NODE = (
    boards.gpu("a100-80gb", index=0, uuid="GPU-5c1e0000-aaaa", instances=[("1g.10gb", 0), ("3g.40gb", 4)]),
    boards.gpu("a100-80gb", index=1, uuid="GPU-9d020000-bbbb", instances=[("1g.10gb", 2)]),
    boards.gpu("h100-80gb-sxm5", index=2, uuid="GPU-9d021111-cccc"),
    boards.gpu("t4", index=3, uuid="GPU-77770000-dddd", pci="00010000:c1:00.0"),
)


def selector(value, **more):
    return parse_selector(value, "x[0].gpus", **more)


@pytest.mark.parametrize(
    ("value", "indexes"),
    [
        ("all", [0, 1, 2, 3]),
        ({"uuid": "GPU-5c1e0000-aaaa"}, [0]),
        ({"uuid": "GPU-5c"}, [0]),
        ({"uuid": "gpu-5C1E"}, [0]),
        ({"uuid": "GPU-9d021"}, [2]),
        ({"pci": "0000:3b:00.0"}, [0]),
        ({"pci": "00000000:3C:00.0"}, [1]),
        ({"pci": "3d:00.0"}, [2]),
        ({"pci": "3d:00"}, [2]),
        ({"pci": "10000:c1:00.0"}, [3]),
        ({"index": 2}, [2]),
        ({"model": "*A100*80GB*"}, [0, 1]),
        ({"model": "A100*"}, [0, 1]),
        ({"model": "nvidia h100*"}, [2]),
        ({"model": "*B200*"}, []),
        ({"device_id": "10de:20b2"}, [0, 1]),
        ({"device_id": "10DE:2330"}, [2]),
        ({"device_id": "10de:ffff"}, []),
        ({"model": "*A100*", "except": [{"index": 0}]}, [1]),
    ],
)
def test_which_gpus_are_meant(value, indexes):
    assert [gpu.index for gpu in match(selector(value), NODE)] == indexes


def test_except_stands_beside_or_inside():
    beside = selector("all", exclude=[{"pci": "3b:00.0"}, {"model": "*T4*"}])
    assert [gpu.index for gpu in match(beside, NODE)] == [1, 2]
    assert beside.exclude[0].address == "x[0].except[0].pci"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"uuid": "GPU-9d02"}, "is ambiguous, it begins GPU-9d020000-bbbb, GPU-9d021111-cccc; give more digits"),
        ({"uuid": "GPU-0"}, "GPU-0 matches no GPU of this node; it has 0: GPU-5c1e0000-aaaa 0000:3b:00.0 NVIDIA A100"),
        ({"index": 9}, "9 matches no GPU of this node"),
        ({"pci": "99:00.0"}, "0000:99:00.0 matches no GPU of this node"),
    ],
)
def test_exact_selectors_must_match_one(value, message):
    with pytest.raises(WishError) as caught:
        match(selector(value), NODE)
    assert message in caught.value.message


MUTE = GpuFailure(4, "gpu_hung", "nvmlDeviceGetPciInfo did not answer")
NAMED = GpuFailure(4, "gpu_lost", "it fell off the bus", "0000:99:00.0", "GPU-0dead")


@pytest.mark.parametrize("value", [{"uuid": "GPU-0"}, {"pci": "99:00.0"}])
@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (MUTE, GpuHungError, "matches no GPU that answers, and may be GPU 4, which gives no answer: nvmlDeviceGet"),
        (NAMED, GpuLostError, "names a GPU that gives no answer: it fell"),
    ],
)
def test_a_gpu_that_hangs_is_no_mistake_of_the_inventory(value, failure, kind, words):
    with pytest.raises(kind, match=words):
        match(selector(value), NODE, (failure,))
    spared = match(selector("all", exclude=[value]), NODE, (failure,))
    assert [gpu.index for gpu in spared] == [gpu.index for gpu in NODE]


def test_a_gpu_that_answers_in_part_can_be_excepted():
    """A user who is not root sees GPUs whose MIG state stands among the failures."""
    half = GpuFailure(0, "permission", "become root", NODE[0].pci, NODE[0].uuid)
    spared = match(selector("all", exclude=[{"uuid": NODE[0].uuid}]), NODE, (half,))
    assert [gpu.index for gpu in spared] == [1, 2, 3]


def test_a_gpu_that_hangs_is_not_every_gpu():
    other = GpuFailure(4, "gpu_lost", "it fell off the bus", "0000:98:00.0", "GPU-1")
    with pytest.raises(WishError, match="matches no GPU of this node"):
        match(selector({"uuid": "GPU-0"}), NODE, (other,))
    assert [gpu.index for gpu in match(selector({"index": 0}), NODE, (MUTE,))] == [0]
    with pytest.raises(WishError, match="matches no GPU of this node"):
        match(selector({"index": 9}), NODE, (MUTE,))


def test_a_node_without_gpus_is_told_so():
    with pytest.raises(WishError, match="it has no GPU at all"):
        match(selector({"index": 0}), ())


@pytest.mark.parametrize(
    ("text", "pci"),
    [
        ("0000:3b:00.0", "0000:3b:00.0"),
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("3b:00.0", "0000:3b:00.0"),
        ("3b:0", "0000:3b:00.0"),
        ("00010000:C1:00.1", "10000:c1:00.1"),
        ("3b", None),
        ("", None),
        ("0000:3b:00.9", None),
        ("zz:00.0", None),
    ],
)
def test_pci_spellings(text, pci):
    assert normalise_pci(text) == pci


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7))
def test_every_spelling_of_a_pci_address_is_one(domain, bus, device, function):
    wide = normalise_pci(f"{domain:08X}:{bus:02X}:{device:02X}.{function}")
    assert wide == normalise_pci(f"{domain:04x}:{bus:02x}:{device:02x}.{function}")
    assert wide is not None
    assert normalise_pci(wide) == wide


# --- instances, for roles that name MIG devices ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"profile": "1g.10gb"}, [(0, 0), (1, 2)]),
        ({"profile": "1g.10gb", "placement": 2}, [(1, 2)]),
        ({"profile": "1g.10gb", "gpu": {"index": 0}}, [(0, 0)]),
        ({"profile": "3g.40gb"}, [(0, 4)]),
        ({"profile": "7g.80gb"}, []),
    ],
)
def test_instances(value, found):
    got = match_instances(selector({"mig": value}), NODE)
    assert [(gpu.index, instance.placement.start) for gpu, instance in got] == found
    assert {gpu.index for gpu in match(selector({"mig": value}), NODE)} == {index for index, start in found}


def test_roles_may_leave_kinds_out():
    with pytest.raises(WishError, match='unknown key "mig"'):
        selector({"mig": {"profile": "1g.10gb"}}, kinds=GPU_KINDS)


# --- who wins ------------------------------------------------------------------------------------------------------


def selections(*given_):
    return [
        Selection(parse_selector(value, f"x{layer}[{n}].gpus"), layer, name, f"x{layer}[{n}]")
        for n, (name, layer, value) in enumerate(given_)
    ]


def winners(*given_):
    return {
        gpu.index: assign(selections(*given_), NODE)[gpu.uuid].item
        for gpu in NODE
        if gpu.uuid in assign(selections(*given_), NODE)
    }


def test_the_more_specific_selector_wins_whatever_its_layer():
    got = winners(("uuid", 0, {"uuid": "GPU-5c1e"}), ("model", 1, {"model": "*A100*"}), ("all", 2, "all"))
    assert got == {0: "uuid", 1: "model", 2: "all", 3: "all"}


def test_the_later_layer_wins_among_equals():
    assert winners(("x", 0, "all"), ("host", 2, "all"), ("group", 1, "all")) == dict.fromkeys(range(4), "host")
    assert winners(("x", 0, {"uuid": "GPU-5c"}), ("group", 1, {"pci": "3b:00.0"})) == {0: "group"}


def test_an_address_stands_above_an_index():
    assert winners(("x", 0, {"pci": "3b:00.0"}), ("host", 2, {"index": 0})) == {0: "x"}
    assert winners(("x", 0, {"uuid": "GPU-5c"}), ("same", 0, {"index": 0})) == {0: "x"}


def test_mig_stands_between_exact_and_model():
    got = winners(("mig", 0, {"mig": {"profile": "1g.10gb"}}), ("model", 2, {"model": "*"}), ("index", 0, {"index": 1}))
    assert got == {0: "mig", 1: "index", 2: "model", 3: "model"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("all", "all"), ({"pci": "3b:00.0"}, {"uuid": "GPU-5c"}), ({"model": "*A100*"}, {"device_id": "10de:20b2"})],
)
def test_a_tie_inside_one_layer_names_both_and_the_gpu(one, other):
    with pytest.raises(WishError) as caught:
        assign(selections(("a", 1, one), ("b", 1, other)), NODE)
    assert "x1[0]" in caught.value.message
    assert "x1[1]" in caught.value.message
    assert "claim GPU-5c1e0000-aaaa, NVIDIA A100-SXM4-80GB with equal rank" in caught.value.message


def test_a_tie_that_a_stronger_item_settles_is_none():
    settled = [(name, 0, {"index": index}) for index, name in enumerate("cde")]
    got = winners(("a", 0, {"model": "*A100*"}), ("b", 0, {"model": "*80GB*"}), *settled)
    assert got == {0: "c", 1: "d", 2: "e"}


def test_every_selector_that_matches_nothing_is_named():
    with pytest.raises(WishError) as caught:
        assign(selections(("a", 0, {"index": 8}), ("b", 1, {"uuid": "GPU-0"})), NODE)
    assert len(caught.value.message.split("\n")) == 2
    assert len(caught.value.facts["problems"]) == 2


@pytest.mark.parametrize(
    ("one", "other", "sure"),
    [
        (("all", 0), ("all", 0), True),
        (("all", 0), ("all", 1), False),
        (({"uuid": "GPU-9d02"}, 2), ({"uuid": "GPU-9D021111-cccc"}, 2), True),
        (({"uuid": "GPU-9d02"}, 2), ({"uuid": "GPU-5c"}, 2), False),
        (({"pci": "3b:00.0"}, 0), ({"pci": "0000:3b:00.0"}, 0), True),
        (({"index": 0}, 0), ({"pci": "3b:00.0"}, 0), False),
        (({"model": "*A100*"}, 0), ({"model": "*A100*"}, 0), True),
        (({"model": "*A100*", "except": [{"index": 1}]}, 0), ({"model": "*A100*"}, 0), False),
        (({"mig": {"profile": "1g.10gb"}}, 0), ({"mig": {"profile": "1g.10gb"}}, 0), True),
        (({"mig": {"profile": "1g.10gb"}}, 0), ({"mig": {"profile": "1g.10gb", "placement": 0}}, 0), False),
    ],
)
def test_conflicts_that_are_certain_without_a_host(one, other, sure):
    found = static_conflicts(selections(("a", one[1], one[0]), ("b", other[1], other[0])))
    assert bool(found) is sure
    assert all("claim the same GPUs with equal rank" in sentence for sentence in found)
