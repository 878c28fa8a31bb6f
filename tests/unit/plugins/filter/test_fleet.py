# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters as a template sees them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.accel.gpu.plugins.filter import rolling
from ansible_collections.accel.gpu.plugins.filter.fleet import FilterModule

FILTERS = FilterModule().filters()
LAYOUT = {"version": 1, "gpus": [{"uuid": "GPU-1", "pci": "0000:10:00.0", "name": "NVIDIA A30", "mig": False}]}


def test_only_the_named_hosts_are_judged():
    wrong = {"mig_geometry": "1g.10gb"}
    told = FILTERS["fleet_problems"](["sound"], {"sound": {}, "elsewhere": wrong})
    assert told == {"errors": [], "warnings": []}
    told = FILTERS["fleet_problems"](["sound", "elsewhere"], {"sound": {}, "elsewhere": wrong})
    assert [line.partition(":")[0] for line in told["errors"]] == ["elsewhere"]


def test_a_layout_becomes_items_of_mig_geometry():
    assert FILTERS["mig_wishes"](LAYOUT) == [{"gpus": {"uuid": "GPU-1"}, "mig": False}]


def test_a_foreign_document_is_refused():
    with pytest.raises(AnsibleFilterError, match="document.version: 2 is unknown"):
        FILTERS["mig_wishes"]({**LAYOUT, "version": 2})


def test_owed_states_are_sentences():
    assert FILTERS["owed_states"]([{"reboot_required": True}, {}]) == [
        "reboot: the stored wish is applied at the next boot"
    ]


def test_a_restart_is_owed_until_a_task_has_done_it():
    geometry = {"changed": True, "restart_required": ["slurmd.service", "nvidia-dcgm.service"]}
    restarted = {"changed": True, "results": [{"name": "slurmd.service", "changed": True, "item": "slurmd.service"}]}
    failed = {"results": [{"name": "nvidia-dcgm.service", "failed": True, "changed": False}]}
    owed = "restart of nvidia-dcgm.service: it was started before the MIG devices changed"
    assert FILTERS["owed_states"]([geometry, restarted, failed]) == [owed]
    assert len(FILTERS["owed_states"]([geometry, {"results": [], "skipped": True}])) == 2


def test_every_filter_is_documented(request):
    folder = request.path.parents[4] / "plugins" / "filter"
    assert {path.stem for path in folder.glob("*.yml")} == {*FILTERS, *rolling.FilterModule().filters()}
