# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every bad wish gets one clear error, nothing is planned: id, items, node, whole message.

In a message <0> is the first GPU as messages name it, <all> the list of the node's GPUs.
"""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError, BlockedError
from ansible_collections.accel.gpu.plugins.module_utils._nvml.objects import GpuFailure
from ansible_collections.accel.gpu.plugins.module_utils._settings import model, plan
from ansible_collections.accel.gpu.plugins.module_utils._settings.parse import parse
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._settings.nodes import TODAY, A, B, H, T, gpu, node

NAMES = (
    "persistence_mode, ecc, power_limit, compute_mode, application_clocks, auto_boost, locked_clocks, "
    "locked_memory_clocks, accounting_mode"
)
UNIT = "/usr/lib/systemd/system/nvidia-persistenced.service"
PERSISTENCED = model.Others(persistenced=UNIT)
MPS = model.Others(mps={gpu(A).uuid: "MPS daemon (PID 77)"})
FAILED = ({"call": "nvmlDeviceGetPowerManagementLimit", "code_name": "UNKNOWN", "message": "?"},)


def one(**item):
    return {"settings": [{"gpus": "all", **item}]}


def case(name, wish, seen, message):
    return pytest.param(wish, seen, message, id=name)


CASES = [
    # shape
    case(
        "not a list",
        {"settings": "all"},
        node(),
        'settings: "all" is a string; give a list of items with gpus and settings',
    ),
    case(
        "not a mapping",
        {"settings": ["all"]},
        node(),
        'settings[0]: "all" is a string; give a mapping with gpus and settings',
    ),
    case(
        "unknown key",
        one(power=300),
        node(),
        f'settings[0]: unknown key "power"; allowed are gpus, except, {NAMES}, reason, until',
    ),
    case(
        "no gpus",
        {"settings_group": [{"power_limit": 300}]},
        node(),
        "settings_group[0]: gpus is missing; give all or a mapping with one of uuid, pci, index, model, device_id",
    ),
    case("no setting", one(reason="x"), node(), f"settings[0]: no setting is given; give one or more of {NAMES}"),
    case(
        "nothing but empty values",
        one(ecc=None),
        node(),
        f"settings[0]: no setting is given; give one or more of {NAMES}",
    ),
    case(
        "MIG device",
        {"settings": [{"gpus": {"mig": {"profile": "1g.10gb"}}, "ecc": True}]},
        node(),
        'settings[0].gpus: unknown key "mig"; allowed are uuid, pci, index, model, device_id, except',
    ),
    case(
        "date",
        one(ecc=True, until="soon"),
        node(),
        'settings[0].until: "soon" is not a date; give one such as 2026-12-01',
    ),
    case(
        "persistence word",
        one(persistence_mode="on"),
        node(),
        'settings[0].persistence_mode: "on" is a string; give true or false',
    ),
    case("ecc word", one(ecc="on"), node(), 'settings[0].ecc: "on" is a string; give true, false or default'),
    case("ecc number", one(ecc=1), node(), "settings[0].ecc: 1 is an integer; give true or false"),
    case(
        "watts with their unit",
        one(power_limit="300 W"),
        node(),
        'settings[0].power_limit: "300 W" is a string; give a number of watts, or default',
    ),
    case(
        "no watts",
        one(power_limit=0),
        node(),
        "settings[0].power_limit: 0 is out of range; give a number of watts, or default",
    ),
    case(
        "a mode of old",
        one(compute_mode="exclusive_thread"),
        node(),
        'settings[0].compute_mode: "exclusive_thread" is unknown; allowed are default, exclusive_process, prohibited',
    ),
    case(
        "clocks as a number",
        one(application_clocks=1410),
        node(),
        "settings[0].application_clocks: 1410 is an integer; give a mapping with graphics and memory in MHz, or "
        "default",
    ),
    case(
        "half a pair",
        one(application_clocks={"graphics": 1410}),
        node(),
        "settings[0].application_clocks: memory is missing; give a mapping with graphics and memory in MHz, or default",
    ),
    case(
        "keys of the other clocks",
        one(locked_clocks={"graphics": 1410, "memory": 1593}),
        node(),
        'settings[0].locked_clocks: unknown key "graphics"; allowed are min, max',
    ),
    case(
        "clocks in kHz",
        one(locked_clocks={"min": 210, "max": 1410000}),
        node(),
        "settings[0].locked_clocks.max: 1410000 is out of range; give an integer from 1 to 100000",
    ),
    case(
        "upside down",
        one(locked_memory_clocks={"min": 1593, "max": 810}),
        node(),
        "settings[0].locked_memory_clocks: min 1593 MHz is above max 810 MHz; exchange them",
    ),
    case(
        "all mistakes at once",
        {"settings": [{"gpus": "all", "ecc": "on", "auto_boost": 7}], "settings_host": 3},
        node(),
        'settings[0].ecc: "on" is a string; give true, false or default\n'
        "settings[0].auto_boost: 7 is an integer; give true or false\n"
        "settings_host: 3 is an integer; give a list of items with gpus and settings",
    ),
    # who is meant
    case(
        "a tie",
        {"settings": [{"gpus": "all", "ecc": True}, {"gpus": "all", "ecc": False, "power_limit": 300}]},
        node(gpu(A)),
        "settings[0].ecc (gpus: all) and settings[1].ecc (gpus: all) claim <0> with equal rank; keep one, or name the "
        "GPU by uuid, pci or index in the other",
    ),
    case(
        "an index that is not there, told once",
        {"settings": [{"gpus": {"index": 4}, "ecc": True, "power_limit": 300}]},
        node(gpu(A)),
        "settings[0].gpus.index: 4 matches no GPU of this node; it has <all>",
    ),
    case(
        "a GPU without an answer",
        one(ecc=True),
        node(gpu(A), failures=(GpuFailure(1, "gpu_lost", "has fallen off the bus"),)),
        "settings[0]: GPU 1 is meant too but gives no answer: has fallen off the bus",
    ),
    # ranges
    case(
        "too much power",
        one(power_limit=900),
        node(gpu(A)),
        "settings[0].power_limit (<0>): 900 W is out of range; this GPU allows 100 to 400 W",
    ),
    case(
        "too little power",
        one(power_limit=99.5),
        node(gpu(A)),
        "settings[0].power_limit (<0>): 99.5 W is out of range; this GPU allows 100 to 400 W",
    ),
    case(
        "GPUs with the same trouble are one line",
        one(power_limit=650),
        node(gpu(A), gpu(A, 1), gpu(H, 2)),
        "settings[0].power_limit (<0> and 1 more): 650 W is out of range; this GPU allows 100 to 400 W",
    ),
    case(
        "between two graphics clocks",
        one(application_clocks={"graphics": 1400, "memory": 1593}),
        node(gpu(A)),
        "settings[0].application_clocks (<0>): graphics 1400 MHz is no graphics clock of this GPU at memory 1593 MHz; "
        "it has 210 to 1410 MHz, nearest 1395 and 1410",
    ),
    case(
        "above all graphics clocks",
        one(application_clocks={"graphics": 2000, "memory": 1593}),
        node(gpu(A)),
        "settings[0].application_clocks (<0>): graphics 2000 MHz is no graphics clock of this GPU at memory 1593 MHz; "
        "it has 210 to 1410 MHz, nearest 1410",
    ),
    case(
        "no such memory clock",
        one(application_clocks={"graphics": 585, "memory": 5000}),
        node(gpu(T)),
        "settings[0].application_clocks (<0>): memory 5000 MHz is no memory clock of this GPU; it has 405, 5001",
    ),
    case(
        "a lock above the range",
        one(locked_clocks={"min": 210, "max": 1980}),
        node(gpu(A)),
        "settings[0].locked_clocks (<0>): max 1980 MHz is out of range; this GPU has 210 to 1410 MHz",
    ),
    case(
        "a memory lock below the range",
        one(locked_memory_clocks={"min": 405, "max": 2619}),
        node(gpu(H)),
        "settings[0].locked_memory_clocks (<0>): min 405 MHz is out of range; this GPU has 2619 MHz",
    ),
    # what a GPU does not offer
    case(
        "application clocks on Blackwell",
        one(application_clocks={"graphics": 1965, "memory": 3996}),
        node(gpu(B)),
        "settings[0].application_clocks (<0>): this GPU does not offer it; lock its clocks instead (locked_clocks, "
        "locked_memory_clocks)",
    ),
    case(
        "a memory lock on Turing",
        one(locked_memory_clocks={"min": 405, "max": 5001}),
        node(gpu(T)),
        "settings[0].locked_memory_clocks (<0>): this GPU does not offer it; give a selector without this GPU",
    ),
    case(
        "auto boost",
        one(auto_boost=False),
        node(gpu(A)),
        "settings[0].auto_boost (<0>): this GPU does not offer it; Pascal and newer rule it by application_clocks and "
        "locked_clocks",
    ),
    case(
        "a board without ECC",
        one(ecc=True),
        node(gpu(A, changes={"ecc": {"current": None, "pending": None}})),
        "settings[0].ecc (<0>): this GPU does not offer it; give a selector without this GPU",
    ),
    case(
        "a default that is not told",
        one(power_limit="default"),
        node(gpu(A, changes={"power_limit": {"default": None}})),
        "settings[0].power_limit (<0>): this GPU does not tell its default; give a number of watts",
    ),
    case(
        "a reading that failed is not a lack",
        one(power_limit=300),
        node(gpu(A, changes={"power_limit": {"current": None}}, failures=FAILED)),
        "settings[0].power_limit (<0>): nvmlDeviceGetPowerManagementLimit failed, so it is unknown what is set; see "
        "the kernel log for this GPU and run again",
    ),
    # MIG
    case(
        "compute mode in MIG mode",
        one(compute_mode="exclusive_process"),
        node(gpu(A, mig=True)),
        "settings[0].compute_mode (<0>): exclusive_process cannot be had in MIG mode, which this GPU is in and which "
        "allows default only; give default, or switch MIG off first (mig: false in mig_geometry, then playbook "
        "accel.gpu.mig)",
    ),
    case(
        "accounting in MIG mode",
        one(accounting_mode=True),
        node(gpu(A, mig=True)),
        "settings[0].accounting_mode (<0>): true cannot be had in MIG mode, which this GPU is in and which allows "
        "false only; give false, or switch MIG off first (mig: false in mig_geometry, then playbook accel.gpu.mig)",
    ),
    # other owners
    case(
        "MPS has the compute mode",
        one(compute_mode="default"),
        node(gpu(A, changes={"compute_mode": "exclusive_process"}), others=MPS),
        "settings[0].compute_mode (<0>): default contradicts MPS, to which the compute mode of this GPU belongs (MPS "
        "daemon (PID 77); it is exclusive_process); remove compute_mode for this GPU, or take it from MPS",
    ),
    case(
        "persistenced keeps it on",
        one(persistence_mode=False),
        node(gpu(A, changes={"persistence_mode": True}), others=PERSISTENCED),
        f"settings[0].persistence_mode (<0>): false contradicts nvidia-persistenced ({UNIT}), to which persistence "
        "mode belongs and which keeps it on; remove persistence_mode from the item, or stop and mask "
        "nvidia-persistenced.service",
    ),
    case(
        "persistenced does not do its work",
        one(persistence_mode=True),
        node(gpu(A), others=PERSISTENCED),
        f"settings[0].persistence_mode (<0>): true is wished, but nvidia-persistenced ({UNIT}), to which persistence "
        "mode belongs, does not keep it on; start nvidia-persistenced.service without --no-persistence-mode, or take "
        "it out of service (systemctl mask)",
    ),
    case(
        "a vGPU",
        one(power_limit=300),
        node(gpu(A, virtualization="vgpu")),
        "settings[0].power_limit (<0>): it is a vGPU, whose settings belong to the hypervisor; change them there",
    ),
]


def refusal(wish, seen):
    try:
        planned = plan.plan(parse(**wish), seen, plan.Options(today=TODAY))
    except AccelError as error:
        return error
    assert planned.refusal is not None, planned.actions
    assert planned.steps == ()
    return planned.refusal


@pytest.mark.parametrize(("wish", "seen", "message"), CASES)
def test_one_clear_error(wish, seen, message):
    gpus = seen.snapshot.gpus
    names = "; ".join(f"{one.index}: {one.uuid} {one.pci} {one.name}" for one in gpus)
    first = f"{gpus[0].uuid}, {gpus[0].name}" if gpus else ""
    assert refusal(wish, seen).message == message.replace("<0>", first).replace("<all>", names)


def test_the_names_of_role_variables_stand_in_front():
    with pytest.raises(AccelError, match=r"^gpu_settings_host\[0\]\.ecc: 3 is an integer"):
        parse(settings_host=[{"gpus": "all", "ecc": 3}], prefix="gpu_")


def test_what_cannot_be_read_is_no_mistake_of_the_inventory():
    seen = node(gpu(A, changes={"power_limit": {"current": None}}, failures=FAILED))
    assert isinstance(refusal(one(power_limit=300), seen), BlockedError)


def test_there_are_as_many_cases_as_settings_have_ways_to_be_wrong():
    assert len(CASES) >= 30
