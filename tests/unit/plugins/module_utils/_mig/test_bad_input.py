# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every bad wish gets one clear error, nothing is planned: id, wish, boards of the node, whole message.

In a message <0> is the first GPU as messages name it, <uuid 0> its UUID, <all> the list of the node's GPUs.
"""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._mig import model
from ansible_collections.accel.gpu.plugins.module_utils._mig.parse import parse
from ansible_collections.accel.gpu.plugins.module_utils._mig.plan import plan
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils import boards

A = "a100-80gb"
H = "h100-80gb-sxm5"
R = "rtx-pro-6000-blackwell-96gb"


def g(*items):
    return {"geometry": list(items)}


def one(instances, **more):
    return g({"gpus": "all", "instances": instances, **more})


def doc(items, label="a"):
    return {"mig_parted": {"version": "v1", "mig-configs": {"a": items}}, "mig_parted_label": label}


def case(name, wish, keys, message):
    return pytest.param(wish, keys, message, id=name)


CASES = [
    # shape
    case(
        "not a list",
        {"geometry": "all"},
        [A],
        'geometry: "all" is a string; give a list of items with gpus, mig and instances',
    ),
    case(
        "item not a mapping",
        g("all"),
        [A],
        'geometry[0]: "all" is a string; give a mapping with gpus, mig and instances',
    ),
    case(
        "unknown key",
        g({"gpus": "all", "instance": {"1g.10gb": 7}}),
        [A],
        'geometry[0]: unknown key "instance"; allowed are gpus, except, mig, instances, reason, until',
    ),
    case(
        "no gpus",
        g({"instances": {"1g.10gb": 7}}),
        [A],
        "geometry[0]: gpus is missing; give all or a mapping with one of uuid, pci, index, model, device_id",
    ),
    case(
        "neither mig nor instances",
        g({"gpus": "all"}),
        [A],
        "geometry[0]: neither mig nor instances is given; say mig: true, mig: false or instances",
    ),
    case(
        "mig is a string",
        g({"gpus": "all", "mig": "yes"}),
        [A],
        'geometry[0].mig: "yes" is a string; give true or false',
    ),
    case(
        "mig false with instances",
        g({"gpus": "all", "mig": False, "instances": {"1g.10gb": 7}}),
        [A],
        "geometry[0]: mig is false but instances are given; remove one of them",
    ),
    case(
        "zero count",
        one({"1g.10gb": 0}),
        [A],
        'geometry[0].instances["1g.10gb"]: 0 is out of range; give an integer from 1 to 64',
    ),
    case(
        "negative count",
        one([{"profile": "1g.10gb", "count": -1}]),
        [A],
        "geometry[0].instances[0].count: -1 is out of range; give an integer from 1 to 64",
    ),
    case(
        "count is a string",
        one({"1g.10gb": "7"}),
        [A],
        'geometry[0].instances["1g.10gb"]: "7" is a string; give an integer from 1 to 64',
    ),
    case(
        "count is a boolean",
        one([{"profile": "1g.10gb", "count": True}]),
        [A],
        "geometry[0].instances[0].count: true is a boolean; give an integer from 1 to 64",
    ),
    case(
        "count is a fraction",
        one([{"profile": "1g.10gb", "count": 1.5}]),
        [A],
        "geometry[0].instances[0].count: 1.5 is a number; give an integer from 1 to 64",
    ),
    case(
        "count beyond any GPU",
        one({"1g.10gb": 700}),
        [A],
        'geometry[0].instances["1g.10gb"]: 700 is out of range; give an integer from 1 to 64',
    ),
    case(
        "instances is a string",
        one("1g.10gb"),
        [A],
        'geometry[0].instances: "1g.10gb" is a string; give a mapping of profile to count, or a list',
    ),
    case(
        "profile is no name",
        one({"1g10gb": 7}),
        [A],
        'geometry[0].instances["1g10gb"]: "1g10gb" is not a profile name; give a profile such as '
        '"1g.10gb", "1g.10gb+me" or "1g.24gb-me"',
    ),
    case(
        "plus and minus mixed",
        one({"1g.24gb+gfx-me": 1}),
        [R],
        'geometry[0].instances["1g.24gb+gfx-me"]: "1g.24gb+gfx-me" is not a profile name; give a profile '
        'such as "1g.10gb", "1g.10gb+me" or "1g.24gb-me"',
    ),
    case(
        "profile of a compute instance",
        one({"1c.3g.40gb": 3}),
        [A],
        'geometry[0].instances["1c.3g.40gb"]: "1c.3g.40gb" names a compute instance; give profile: '
        "3g.40gb with compute: [1c.3g.40gb]",
    ),
    case(
        "profile and figures",
        one([{"profile": "1g.10gb", "slices": 1}]),
        [A],
        "geometry[0].instances[0]: profile and slices exclude each other; keep one form",
    ),
    case(
        "neither profile nor figures",
        one([{"count": 1}]),
        [A],
        "geometry[0].instances[0]: neither profile nor slices is given; give one of them",
    ),
    case(
        "memory below zero",
        one([{"slices": 1, "memory_gib": -10}]),
        [A],
        "geometry[0].instances[0].memory_gib: -10 is out of range; give a number of GiB above 0",
    ),
    case(
        "attributes is a string",
        one([{"slices": 1, "attributes": "me"}]),
        [A],
        'geometry[0].instances[0].attributes: "me" is a string; give a list like ["+me"]',
    ),
    case(
        "placement for several",
        one([{"profile": "1g.10gb", "count": 2, "placement": 0}]),
        [A],
        "geometry[0].instances[0]: count is 2 with placement 0, but a placement holds one instance; give "
        "one entry for each placement",
    ),
    case(
        "until is no date",
        g({"gpus": "all", "mig": False, "until": "soon"}),
        [A],
        'geometry[0].until: "soon" is not a date; give one such as 2026-12-01',
    ),
    case("key is a number", one({1: 7}), [A], "geometry[0].instances: key 1 is an integer; quote it, keys are strings"),
    case(
        "layout document of another version",
        {"geometry": {"version": 2, "gpus": []}},
        [A],
        "geometry.version: 2 is unknown; this release reads 1",
    ),
    case(
        "layout document without UUID",
        {"geometry": {"version": 1, "gpus": [{"mig": True}]}},
        [A],
        "geometry.gpus[0].uuid: is empty; give the UUID of a GPU",
    ),
    case(
        "both forms",
        {"geometry": [{"gpus": "all", "mig": True}], **doc([{"devices": "all", "mig-enabled": False}])},
        [A],
        "mig_parted and geometry exclude each other; keep one form of the wish",
    ),
    case(
        "several problems",
        g({"gpus": "all", "mig": 1}, {"gpus": "all", "instances": {"1g.10gb": -2}}),
        [A],
        "\n".join(
            (
                "geometry[0].mig: 1 is an integer; give true or false",
                'geometry[1].instances["1g.10gb"]: -2 is out of range; give an integer from 1 to 64',
            )
        ),
    ),
    # selectors
    case(
        "unknown selector",
        g({"gpus": {"serial": "1"}, "mig": True}),
        [A],
        'geometry[0].gpus: unknown key "serial"; allowed are uuid, pci, index, model, device_id, except',
    ),
    case(
        "selector word",
        g({"gpus": "every", "mig": True}),
        [A],
        'geometry[0].gpus: "every" is not a selector; give all or a mapping with one of uuid, pci, index,'
        " model, device_id",
    ),
    case(
        "two selectors in one",
        g({"gpus": {"uuid": "GPU-00", "index": 0}, "mig": True}),
        [A],
        "geometry[0].gpus: uuid, index given; give exactly one of uuid, pci, index, model, device_id",
    ),
    case(
        "mig selector",
        g({"gpus": {"mig": {"profile": "1g.10gb"}}, "mig": True}),
        [A],
        'geometry[0].gpus: unknown key "mig"; allowed are uuid, pci, index, model, device_id, except',
    ),
    case(
        "UUID of an instance",
        g({"gpus": {"uuid": "MIG-4711"}, "mig": True}),
        [A],
        'geometry[0].gpus.uuid: "MIG-4711" is not a GPU UUID; give GPU-… in full or the beginning of it',
    ),
    case(
        "stale UUID",
        g({"gpus": {"uuid": "GPU-9d02"}, "mig": True}),
        [A],
        "geometry[0].gpus.uuid: GPU-9d02 matches no GPU of this node; it has <all>",
    ),
    case(
        "ambiguous UUID",
        g({"gpus": {"uuid": "GPU-0"}, "mig": True}),
        [A, H],
        "geometry[0].gpus.uuid: GPU-0 is ambiguous, it begins <uuid 0>, <uuid 1>; give more digits",
    ),
    case(
        "PCI address that is none",
        g({"gpus": {"pci": "3b"}, "mig": True}),
        [A],
        'geometry[0].gpus.pci: "3b" is not a PCI address; give one such as "0000:3b:00.0"',
    ),
    case(
        "PCI address of no GPU",
        g({"gpus": {"pci": "0000:99:00.0"}, "mig": True}),
        [A],
        "geometry[0].gpus.pci: 0000:99:00.0 matches no GPU of this node; it has <all>",
    ),
    case(
        "index of no GPU",
        g({"gpus": {"index": 5}, "mig": True}),
        [A],
        "geometry[0].gpus.index: 5 matches no GPU of this node; it has <all>",
    ),
    case(
        "index is a string",
        g({"gpus": {"index": "0"}, "mig": True}),
        [A],
        'geometry[0].gpus.index: "0" is a string; give an integer, 0 or more',
    ),
    case(
        "device id that is none",
        g({"gpus": {"device_id": "20b2"}, "mig": True}),
        [A],
        'geometry[0].gpus.device_id: "20b2" is not a device ID; give vendor:device such as "10de:20b5"',
    ),
    case(
        "exception of no GPU",
        g({"gpus": "all", "except": [{"index": 3}], "mig": True}),
        [A],
        "geometry[0].except[0].index: 3 matches no GPU of this node; it has <all>",
    ),
    case(
        "exception of all",
        g({"gpus": "all", "except": ["all"], "mig": True}),
        [A],
        "geometry[0].except[0]: an exception names GPUs plainly; give one of uuid, pci, index, model, device_id",
    ),
    case(
        "tie in one layer",
        g({"gpus": "all", "mig": True}, {"gpus": "all", "mig": False}),
        [A],
        "geometry[0] (gpus: all) and geometry[1] (gpus: all) claim <0> with equal rank; keep one, or name"
        " the GPU by uuid, pci or index in the other",
    ),
    case(
        "tie of equal rank",
        g({"gpus": {"uuid": "GPU-0"}, "mig": True}, {"gpus": {"pci": "3b:00.0"}, "mig": False}),
        [A],
        "geometry[0] (gpus: uuid GPU-0) and geometry[1] (gpus: pci 0000:3b:00.0) claim <0> with equal rank; keep one",
    ),
    # against the live GPU
    case(
        "MIG on a board without",
        g({"gpus": "all", "mig": True}),
        ["t4"],
        "geometry[0] (<0>): mig is true, but this GPU has no MIG; give mig: false, or a selector without this GPU",
    ),
    case(
        "unknown profile",
        one({"3g.20gb": 2}),
        [H],
        'geometry[0] (<0>): profile "3g.20gb" does not exist on this GPU; it offers 1g.10gb, 1g.10gb+me, '
        "1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb; give one of these",
    ),
    case(
        "profile of a neighbour board",
        one({"1g.12gb": 7}),
        [A],
        'geometry[0] (<0>): profile "1g.12gb" does not exist on this GPU; it offers 1g.10gb, 1g.10gb+me, '
        "1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb; give one of these",
    ),
    case(
        "attribute that this GPU has not",
        one({"1g.10gb+gfx": 1}),
        [H],
        'geometry[0] (<0>): profile "1g.10gb+gfx" does not exist on this GPU; it offers 1g.10gb, '
        "1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb; give one of these",
    ),
    case(
        "figures that nothing has",
        one([{"slices": 1, "memory_gib": 40}]),
        [A],
        "geometry[0].instances[0] (<0>): no profile has slices 1, memory_gib 40; this GPU offers 1g.10gb "
        "(slices 1, 9.50 GiB), 1g.10gb+me (slices 1, 9.50 GiB), 1g.20gb (slices 1, 19.50 GiB), 2g.20gb "
        "(slices 2, 19.50 GiB), 3g.40gb (slices 3, 39.25 GiB), 4g.40gb (slices 4, 39.25 GiB), 7g.80gb "
        "(slices 7, 79.00 GiB); correct the figures or give profile by name",
    ),
    case(
        "figures that several have",
        one([{"slices": 1}]),
        [A],
        "geometry[0].instances[0] (<0>): several profiles have slices 1: 1g.10gb, 1g.20gb; this GPU "
        "offers 1g.10gb (slices 1, 9.50 GiB), 1g.10gb+me (slices 1, 9.50 GiB), 1g.20gb (slices 1, 19.50 "
        "GiB), 2g.20gb (slices 2, 19.50 GiB), 3g.40gb (slices 3, 39.25 GiB), 4g.40gb (slices 4, 39.25 "
        "GiB), 7g.80gb (slices 7, 79.00 GiB); correct the figures or give profile by name",
    ),
    case(
        "too many",
        one({"1g.10gb": 8}),
        [A],
        "geometry[0] (<0>): 8 x 1g.10gb do not fit: they need 8 compute slices, the GPU has 7; of these "
        "would fit 7 x 1g.10gb",
    ),
    case(
        "too many slots",
        one({"3g.40gb": 3}),
        [H],
        "geometry[0] (<0>): 3 x 3g.40gb do not fit: they need 12 memory slots, the GPU has 8; of these "
        "would fit 2 x 3g.40gb",
    ),
    case(
        "too much of several",
        one({"4g.40gb": 1, "3g.40gb": 1, "1g.10gb": 1}),
        [A],
        "geometry[0] (<0>): 1 x 4g.40gb + 1 x 3g.40gb + 1 x 1g.10gb do not fit: they need 9 memory slots,"
        " the GPU has 8; of these would fit 1 x 4g.40gb + 1 x 3g.40gb, or 1 x 4g.40gb + 1 x 1g.10gb, or 1"
        " x 3g.40gb + 1 x 1g.10gb",
    ),
    case(
        "too many slices",
        one({"2g.20gb": 3, "1g.20gb": 1, "1g.10gb": 1}),
        [A],
        "geometry[0] (<0>): 3 x 2g.20gb + 1 x 1g.20gb + 1 x 1g.10gb do not fit: they need 9 memory slots,"
        " the GPU has 8; of these would fit 3 x 2g.20gb + 1 x 1g.20gb, or 3 x 2g.20gb + 1 x 1g.10gb, or 2"
        " x 2g.20gb + 1 x 1g.20gb + 1 x 1g.10gb",
    ),
    case(
        "A30 has four",
        one({"1g.6gb": 7}),
        ["a30-24gb"],
        "geometry[0] (<0>): 7 x 1g.6gb do not fit: they need 7 memory slots, the GPU has 4; of these "
        "would fit 4 x 1g.6gb",
    ),
    case(
        "media engines twice",
        one({"1g.10gb+me": 2}),
        [H],
        "geometry[0] (<0>): 2 x 1g.10gb+me do not fit: they need 2 optical flow engines, the GPU has 1; "
        "of these would fit 1 x 1g.10gb+me",
    ),
    case(
        "all media engines",
        one({"1g.24gb+me.all": 1, "1g.24gb": 1}),
        [R],
        "geometry[0] (<0>): 1 x 1g.24gb + 1 x 1g.24gb+me.all do not fit: they need 5 decoders, the GPU "
        "has 4; of these would fit 1 x 1g.24gb, or 1 x 1g.24gb+me.all",
    ),
    case(
        "placement that is none",
        one([{"profile": "3g.40gb", "placement": 2}]),
        [A],
        "geometry[0].instances[0].placement (<0>): 3g.40gb cannot start at memory slot 2; it can at 0, 4",
    ),
    case(
        "overlapping placements",
        one([{"profile": "3g.40gb", "placement": 4}, {"profile": "2g.20gb", "placement": 4}]),
        [A],
        "geometry[0] (<0>): 1 x 3g.40gb at 4:4 + 1 x 2g.20gb at 4:2 do not fit: 3g.40gb at 4:4 and "
        "2g.20gb at 4:2 both want memory slots 4, 5; of these would fit 1 x 3g.40gb at 4:4, or 1 x "
        "2g.20gb at 4:2",
    ),
    case(
        "placement in the way",
        one([{"profile": "1g.10gb", "placement": 3}, {"profile": "4g.40gb"}]),
        [A],
        "geometry[0] (<0>): 1 x 4g.40gb + 1 x 1g.10gb at 3:1 do not fit: beside 1 x 1g.10gb at 3:1 there "
        "is no room for 4g.40gb, which can be at 0:4 (memory slot 3 taken); of these would fit 1 x "
        "4g.40gb, or 1 x 1g.10gb at 3:1",
    ),
    case(
        "12 slots cut badly",
        one([{"profile": "1g.24gb", "placement": 3}, {"profile": "1g.24gb", "placement": 6}, {"profile": "2g.48gb"}]),
        [R],
        "geometry[0] (<0>): 1 x 2g.48gb + 1 x 1g.24gb at 3:3 + 1 x 1g.24gb at 6:3 do not fit: beside 1 x "
        "1g.24gb at 3:3 + 1 x 1g.24gb at 6:3 there is no room for 2g.48gb, which can be at 0:6 (memory "
        "slots 3, 4, 5 taken), 6:6 (memory slots 6, 7, 8 taken); of these would fit 1 x 2g.48gb + 1 x "
        "1g.24gb at 3:3, or 1 x 2g.48gb + 1 x 1g.24gb at 6:3, or 1 x 1g.24gb at 3:3 + 1 x 1g.24gb at 6:3",
    ),
    case(
        "compute instance of another profile",
        one([{"profile": "3g.40gb", "compute": ["1c.4g.40gb"]}]),
        [A],
        "geometry[0].instances[0].compute[0]: 1c.4g.40gb is no compute instance of 3g.40gb; give 1c to 3c",
    ),
    case(
        "compute instance of another size",
        one([{"profile": "3g.40gb", "compute": ["1c.3g.20gb"]}]),
        [A],
        "geometry[0].instances[0].compute[0]: 1c.3g.20gb is no compute instance of 3g.40gb; give 1c to 3c",
    ),
    case(
        "compute instances beyond the slices",
        one([{"profile": "3g.40gb", "compute": ["2c", "2c"]}]),
        [A],
        "geometry[0].instances[0].compute: 2c + 2c take 4 compute slices, the GPU instance has 3; remove some",
    ),
    case(
        "compute instance that 4g has not",
        one([{"profile": "4g.40gb", "compute": ["3c.4g.40gb"]}]),
        [A],
        "geometry[0].instances[0].compute[0] (<0>): 4g.40gb has no compute instance 3c.4g.40gb; it offers"
        " 1c.4g.40gb, 2c.4g.40gb, 4g.40gb",
    ),
    case(
        "compute instance too large for figures",
        one([{"slices": 2, "memory_gib": 20, "compute": ["3c"]}]),
        [A],
        "geometry[0].instances[0].compute[0] (<0>): 3c is no compute instance of a 2g GPU instance; give 1c to 2c",
    ),
    case(
        "compute is a string",
        one([{"profile": "3g.40gb", "compute": "1c.3g.40gb"}]),
        [A],
        'geometry[0].instances[0].compute: "1c.3g.40gb" is a string; give a list such as ["1c.3g.40gb", "2c.3g.40gb"]',
    ),
    case(
        "no headroom",
        {**one({"3g.40gb": 2}), "headroom_percent": 10},
        [H],
        "geometry[0] (<0>): headroom_percent 10 wants 7.92 of 79.25 GiB left free, the geometry leaves "
        "0.25 GiB; wish fewer or smaller instances, or a smaller headroom_percent",
    ),
    case(
        "two GPUs, two problems",
        g({"gpus": {"index": 0}, "instances": {"1g.5gb": 7}}, {"gpus": {"index": 1}, "mig": True}),
        [A, "t4"],
        "\n".join(
            (
                'geometry[0] (<0>): profile "1g.5gb" does not exist on this GPU; it offers 1g.10gb, '
                "1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb; give one of these",
                "geometry[1] (<1>): mig is true, but this GPU has no MIG; give mig: false, or a selector "
                "without this GPU",
            )
        ),
    ),
    # mig-parted
    case(
        "mig-parted without label",
        {**doc([{"devices": "all", "mig-enabled": False}]), "mig_parted_label": None},
        [A],
        "mig_parted_label: is missing; the document offers a",
    ),
    case(
        "label without document",
        {"mig_parted_label": "all-balanced"},
        [A],
        "mig_parted_label: a label is given without mig_parted; give the document too",
    ),
    case(
        "unknown label",
        doc([{"devices": "all", "mig-enabled": False}], "all-1g.10gb"),
        [A],
        'mig_parted_label: "all-1g.10gb" is not in the document; it offers a',
    ),
    case(
        "mig-parted of another version",
        {"mig_parted": {"version": "v2", "mig-configs": {}}, "mig_parted_label": "a"},
        [A],
        'mig_parted.version: "v2" is unknown; this release reads v1',
    ),
    case(
        "mig-parted without configs",
        {"mig_parted": {"version": "v1", "mig-configs": {}}, "mig_parted_label": "a"},
        [A],
        "mig_parted.mig-configs: is empty; give at least one label",
    ),
    case(
        "mig-parted with another top-level key",
        {"mig_parted": {"version": "v1", "mig-configs": {"a": []}, "extra": 1}, "mig_parted_label": "a"},
        [A],
        'mig_parted: unknown key "extra"; allowed are version, mig-configs',
    ),
    case(
        "mig-parted empty label", doc([]), [A], 'mig_parted.mig-configs["a"]: the list is empty; give at least one item'
    ),
    case(
        "mig-parted unknown key",
        doc([{"devices": "all", "mig-enabled": True, "mig-devices": {}, "uuid": "x"}]),
        [A],
        'mig_parted.mig-configs["a"][0]: unknown key "uuid"; allowed are device-filter, devices, '
        "mig-enabled, mig-devices",
    ),
    case(
        "mig-parted without devices",
        doc([{"mig-enabled": False}]),
        [A],
        'mig_parted.mig-configs["a"][0]: devices is missing; it is required',
    ),
    case(
        "mig-parted devices word",
        doc([{"devices": "none", "mig-enabled": False}]),
        [A],
        'mig_parted.mig-configs["a"][0].devices: "none" is a string; give the word all, or a list of '
        "indexes such as [0, 1]",
    ),
    case(
        "mig-parted enabled is a string",
        doc([{"devices": "all", "mig-enabled": "true"}]),
        [A],
        'mig_parted.mig-configs["a"][0].mig-enabled: "true" is a string; give true or false',
    ),
    case(
        "mig-parted without mig-devices",
        doc([{"devices": "all", "mig-enabled": True}]),
        [A],
        'mig_parted.mig-configs["a"][0]: mig-devices is missing; with mig-enabled: true give it, {} for no instances',
    ),
    case(
        "mig-parted off with devices",
        doc([{"devices": "all", "mig-enabled": False, "mig-devices": {"1g.10gb": 1}}]),
        [A],
        'mig_parted.mig-configs["a"][0]: mig-enabled is false but mig-devices are given; remove one of them',
    ),
    case(
        "mig-parted negative count",
        doc([{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": -1}}]),
        [A],
        'mig_parted.mig-configs["a"][0].mig-devices["1g.10gb"]: -1 is out of range; give an integer, 0 or more',
    ),
    case(
        "mig-parted all counts zero",
        doc([{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.10gb": 0}}]),
        [A],
        'mig_parted.mig-configs["a"][0].mig-devices: every count is 0; give {} for a GPU in MIG mode without instances',
    ),
    case(
        "mig-parted filter unreadable",
        doc([{"device-filter": "20B210DE", "devices": "all", "mig-enabled": False}]),
        [A],
        'mig_parted.mig-configs["a"][0].device-filter: "20B210DE" cannot be read; give 0x<device><vendor>'
        ' such as "0x20B010DE", with :0x<subdevice><subvendor> where needed (mig-parted would silently '
        "match no GPU)",
    ),
    case(
        "mig-parted profile is no name",
        doc([{"devices": "all", "mig-enabled": True, "mig-devices": {"small": 1}}]),
        [A],
        'mig_parted.mig-configs["a"][0].mig-devices["small"]: "small" is not a profile name; give one '
        'such as "1g.10gb"',
    ),
    case(
        "mig-parted profile of another board",
        doc([{"devices": "all", "mig-enabled": True, "mig-devices": {"1g.5gb": 7}}]),
        [A],
        'mig_parted.mig-configs["a"][0].mig-devices (<0>): profile "1g.5gb" does not exist on this GPU; '
        "it offers 1g.10gb, 1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb; give one of these",
    ),
    case(
        "mig-parted on for an index without MIG",
        doc([{"devices": [0], "mig-enabled": True, "mig-devices": {}}]),
        ["t4"],
        'mig_parted.mig-configs["a"][0] (<0>): mig is true, but this GPU has no MIG; give mig: false, or '
        "a selector without this GPU",
    ),
]


def spelled(message, gpus):
    message = message.replace("<all>", "; ".join(f"{gpu.index}: {gpu.uuid} {gpu.pci} {gpu.name}" for gpu in gpus))
    for gpu in gpus:
        message = message.replace(f"<{gpu.index}>", f"{gpu.uuid}, {gpu.name}").replace(f"<uuid {gpu.index}>", gpu.uuid)
    return message


@pytest.mark.parametrize(("wish", "keys", "message"), CASES)
def test_bad_wish(wish, keys, message):
    gpus = [boards.gpu(key, index=index) for index, key in enumerate(keys)]
    wish = dict(wish)
    options = model.Options(headroom_percent=wish.pop("headroom_percent", 0))
    with pytest.raises(WishError) as caught:
        plan(parse(**wish), boards.node(*gpus), options=options)
    assert caught.value.message == spelled(message, gpus)


def test_gpus_of_one_model_with_one_problem_are_told_once():
    gpus = [boards.gpu(A, index=index) for index in range(8)] + [boards.gpu(H, index=8)]
    with pytest.raises(WishError) as caught:
        plan(parse(**one({"1g.5gb": 7})), boards.node(*gpus))
    lines = caught.value.message.split("\n")
    assert [line.rpartition("give one of these")[2] for line in lines] == [
        " (the same for 7 more GPUs of this model)",
        "",
    ]


def test_an_error_costs_no_time_however_large_the_wish():
    """Many explicit placements: what would fit is then found greedily."""
    places = [(row.name, place.start) for row in boards.profiles(A) for place in row.placements]
    wish = one([{"profile": name, "placement": start} for name, start in places])
    with pytest.raises(WishError, match=r"of these would fit 1 x 7g\.80gb at 0:8$"):
        plan(parse(**wish), boards.node(boards.gpu(A)))
