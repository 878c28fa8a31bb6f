# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the end of a run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.callback.summary import (
    CallbackModule,
    driver_rows,
    geometry,
    gpu_rows,
    message,
    setting_rows,
    table,
    why,
    wish_rows,
)
from ansible_collections.accel.gpu.plugins.module_utils._owed import owed_states

GPU = {"uuid": "GPU-1", "pci": "0000:10:00.0", "name": "NVIDIA A30", "mig": True}


def instance(profile, *compute):
    return {"profile": profile, "compute": [{"profile": name} for name in compute or (profile,)]}


def test_equal_instances_are_counted():
    assert geometry({**GPU, "instances": [instance("1g.6gb")] * 4}) == "4 x 1g.6gb"
    mixed = [instance("2g.12gb"), instance("1g.6gb"), instance("1g.6gb")]
    assert geometry({**GPU, "instances": mixed}) == "2g.12gb, 2 x 1g.6gb"


def test_compute_instances_are_shown_where_they_do_not_span():
    assert geometry({**GPU, "instances": [instance("2g.12gb", "1c.2g.12gb")]}) == "2g.12gb (1c.2g.12gb)"
    empty = {"profile": "2g.12gb", "compute": []}
    assert geometry({**GPU, "instances": [empty]}) == "2g.12gb (no compute instance)"


def test_words_for_no_instances():
    assert geometry({**GPU, "mig": False}) == "MIG off"
    assert geometry({**GPU, "mig": None}) == "no MIG"
    assert geometry({**GPU, "instances": []}) == "MIG on, no instances"


def driver(changed=False, pending=None, wanted="580.126.16", actions=()):
    return {
        "changed": changed,
        "driver": {"wanted": wanted, "installed": wanted, "loaded": wanted, "library": wanted},
        "flavour": "open",
        "upgrade_pending": pending,
        "actions": [{"action": action, "object": "x", "reason": "wished by version"} for action in actions],
    }


@pytest.mark.parametrize(
    ("result", "row"),
    [
        (driver(), ("driver 580.126.16 (open)", "-", "no", "is as declared")),
        (
            driver(changed=True, actions=["install_package", "install_package", "load_modules"]),
            ("driver 580.126.16 (open)", "-", "yes", "2 install_package, load_modules: wished by version"),
        ),
        (
            driver(pending={"from": "580.95.05", "to": "580.126.16"}),
            ("driver 580.126.16 (open)", "-", "no", "upgrade pending 580.95.05 → 580.126.16"),
        ),
        (
            {**driver(), "fabric_deferred": ["nvidia-fabricmanager.service: the node is busy", "nvlsm: the same"]},
            ("driver 580.126.16 (open)", "-", "no", "waits: nvidia-fabricmanager.service: the node is busy"),
        ),
        (driver(wanted=None), ("driver removed", "-", "no", "is as declared")),
    ],
)
def test_the_row_of_a_driver(result, row):
    assert driver_rows("node-1", result) == [("node-1", *row)]


def test_a_driver_that_failed_or_was_not_asked_for_has_no_row():
    assert driver_rows("node-1", {}) == []
    assert driver_rows("node-1", {**driver(), "failed": True}) == []


def test_a_change_is_told_with_the_reason_of_the_instances():
    actions = [
        {"action": "set_mig_mode", "gpu": "GPU-1", "reason": "mode"},
        {"action": "create_gpu_instance", "gpu": "GPU-1", "reason": "wished by geometry[0]"},
        {"action": "create_gpu_instance", "gpu": "GPU-1", "reason": "wished by geometry[0]"},
        {"action": "keep", "gpu": "GPU-1", "reason": "is wished"},
        {"action": "create_gpu_instance", "gpu": "GPU-2", "reason": "of another GPU"},
    ]
    rows = gpu_rows("node-1", {"gpus": [{**GPU, "instances": []}], "actions": actions})
    told = "set_mig_mode, 2 create_gpu_instance: wished by geometry[0]"
    assert rows == [("node-1", "0000:10:00.0 NVIDIA A30", "MIG on, no instances", "yes", told)]


def test_what_is_left_alone_is_no_change():
    actions = [{"action": "keep", "gpu": "GPU-1", "reason": "is as geometry[0] wishes"}]
    rows = gpu_rows("node-1", {"gpus": [{**GPU, "instances": []}], "actions": actions})
    assert rows[0][3:] == ("no", "keep: is as geometry[0] wishes")
    assert why([]) == "nothing is wished here"


def test_a_wish_that_is_only_stored_is_told():
    stored = {"action": "write_wish", "object": "mig.json", "reason": "it differs"}
    kept = {"action": "keep", "gpu": "GPU-1", "reason": "is as geometry[0] wishes"}
    made = {"action": "create_gpu_instance", "gpu": "GPU-1", "reason": "wished by geometry[0]"}
    result = {"gpus": [{**GPU, "instances": []}], "actions": [stored, kept]}
    assert wish_rows("node-1", result) == [("node-1", "stored wish", "-", "yes", "write_wish: it differs")]
    assert wish_rows("node-1", {**result, "actions": [stored, made]}) == []
    assert wish_rows("node-1", {**result, "actions": [kept]}) == []


SET = [
    {"action": "set_setting", "gpu": "GPU-1", "object": "power_limit 150 W", "reason": "wished by settings[0]"},
    {"action": "set_setting", "gpu": "GPU-1", "object": "ecc off", "reason": "wished by settings[1]; it is on"},
    {"action": "keep", "gpu": "GPU-1", "object": "compute_mode default", "reason": "is as settings[0] wishes"},
]


def test_settings_are_a_row_of_their_own():
    told = "power_limit 150 W, ecc off: wished by settings[0]"
    assert setting_rows("node-1", {"gpus": [GPU], "actions": SET}) == [
        ("node-1", "0000:10:00.0 NVIDIA A30", "-", "yes", told)
    ]
    assert setting_rows("node-1", {"gpus": [GPU], "actions": SET[2:]}) == []
    assert setting_rows("node-1", {"gpus": [GPU], "actions": SET, "failed": True}) == []


def test_settings_alone_make_a_table_and_their_owed_states_are_told(shown):
    callback, lines = shown
    done = ended("accel.gpu.gpu_settings", subject="settings", gpus=[GPU], actions=SET, reset_required=["GPU-1"])
    callback.v2_runner_on_ok(done)
    callback.v2_playbook_on_stats(SimpleNamespace(processed={"node-1": 1}))
    assert any("power_limit 150 W, ecc off" in line for line in lines)
    assert lines[-1] == "owed to node-1: reset of GPU-1: its pending ECC mode waits for it"


def ended(action, **result):
    """What ansible-core hands to a callback, in the names of 2.18."""
    return SimpleNamespace(
        _host=SimpleNamespace(get_name=lambda: "node-1"), _task=SimpleNamespace(action=action), _result=result
    )


@pytest.fixture
def shown(monkeypatch):
    """A callback and the lines that it shows at the end."""
    lines = []
    callback = CallbackModule()
    monkeypatch.setattr(callback, "_display", SimpleNamespace(display=lambda line, **_: lines.append(line)))
    monkeypatch.setattr("ansible.context.CLIARGS", {"check": False})
    return callback, lines


def test_a_refused_geometry_shows_no_plan(shown):
    callback, lines = shown
    planned = [{"action": "write_wish", "reason": "it differs"}]
    gpus = [{**GPU, "instances": []}]
    callback.v2_runner_on_failed(ended("accel.gpu.mig_geometry", msg="does not fit", gpus=gpus, actions=planned))
    callback.v2_playbook_on_stats(SimpleNamespace(processed={"node-1": 1}))
    assert [line.split() for line in lines[2:]] == [["node-1", "-", "-", "failed", "does", "not", "fit"]]


def test_what_was_done_is_shown_where_a_later_task_fails(shown):
    callback, lines = shown
    made = [{"action": "create_gpu_instance", "gpu": "GPU-1", "reason": "wished"}]
    callback.v2_runner_on_ok(ended("accel.gpu.mig_geometry", gpus=[{**GPU, "instances": []}], actions=made))
    callback.v2_runner_on_failed(ended("ansible.builtin.debug", msg=["a reset is owed"]))
    callback.v2_playbook_on_stats(SimpleNamespace(processed={"node-1": 1}))
    assert "create_gpu_instance: wished" in lines[2]
    assert lines[3].split() == ["node-1", "-", "-", "failed", "a", "reset", "is", "owed"]


def test_sentences_of_a_failed_task_are_one_line():
    assert message({"msg": ["one", "two"]}, "task") == "one; two"
    assert message({"msg": "one\ntwo"}, "task") == "one"
    assert message({}, "unreachable") == "unreachable"


def test_check_mode_has_its_own_headings():
    lines = table([("n", "a", "b", "yes", "w")], ("HOST", "GPU", "GEOMETRY NOW", "WOULD CHANGE", "WHY"))
    assert lines[1].split() == ["HOST", "GPU", "GEOMETRY", "NOW", "WOULD", "CHANGE", "WHY"]


def test_columns_are_as_wide_as_their_cells():
    lines = table([("node-1", "a", "b", "no", "why not"), ("n", "aaaa", "b", "yes", "")])
    starts = {line.index(cell) for line, cell in zip(lines[1:], ("WHY", "why not"))}
    assert len(starts) == 1


def test_owed_states_of_all_results_are_told():
    agent = {"daemon_reload_required": True, "owed": [{"object": "unit", "state": "boot_failed", "reason": "busy"}]}
    mig = {"reset_required": ["GPU-1"], "reboot_required": True, "deferred": ["GPU-2"]}
    assert owed_states([agent, mig, {}]) == [
        "systemctl daemon-reload: a running container would lose its GPU",
        "unit: boot_failed, busy",
        "reset of GPU-1: its pending MIG mode waits for it",
        "reboot: the stored wish is applied at the next boot",
        "geometry of GPU-2: deferred while it is busy",
    ]
