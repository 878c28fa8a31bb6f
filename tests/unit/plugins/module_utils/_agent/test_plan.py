# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module node_agent plans, from constructed states of a node."""

from __future__ import annotations

import base64
import dataclasses
import zlib

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._agent import plan as install
from ansible_collections.accel.gpu.plugins.module_utils._agent.plan import FoundFile, InstallState, sha256
from ansible_collections.accel.gpu.plugins.module_utils._agent.unit import (
    ARCHIVE,
    BINDING,
    HELD,
    LAUNCHER,
    UNIT,
    launcher_text,
    unit_text,
    wanted_links,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError

ARCHIVE_BYTES, BINDING_BYTES = b"archive", b"binding"
PARAMS = {
    "state": "present",
    "boot_timeout": 300,
    "boot_failure": "hold",
    "daemon_reload": "auto",
    "interpreter": "/usr/bin/python3",
    "archive_sha256": sha256(ARCHIVE_BYTES),
    "binding_sha256": sha256(BINDING_BYTES),
}
NEVER_STARTED = {"LoadState": "not-found", "ActiveState": "inactive", "Result": "success", "NeedDaemonReload": "no"}
RUNNING = {"LoadState": "loaded", "ActiveState": "active", "Result": "success", "NeedDaemonReload": "no"}
BARE = InstallState(files={}, links=frozenset(), unit=NEVER_STARTED)


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def installed(failure: str = "hold", **changes) -> InstallState:
    launcher, unit = launcher_text("/usr/bin/python3"), unit_text(300, failure)
    state = InstallState(
        files={
            ARCHIVE: FoundFile(sha256(ARCHIVE_BYTES), 0o644),
            BINDING: FoundFile(sha256(BINDING_BYTES), 0o644),
            LAUNCHER: FoundFile(sha256(launcher.encode()), 0o755, launcher),
            UNIT: FoundFile(sha256(unit.encode()), 0o644, unit),
        },
        links=frozenset(wanted_links(failure)),
        unit=RUNNING,
        wishes=("mig",),
    )
    return dataclasses.replace(state, **changes)


def plan(found: InstallState, /, **params) -> install.InstallPlan:
    return install.plan(install.parse({**PARAMS, **params}), found)


def test_a_bare_node_gets_everything_and_the_unit_is_started_once():
    made = plan(BARE)
    assert made.changed
    assert [file.path for file in made.write] == [BINDING, ARCHIVE, LAUNCHER, UNIT]
    assert made.link == wanted_links("hold")
    assert made.reload and made.start
    assert made.missing_payload == (BINDING, ARCHIVE)


def test_the_payload_completes_the_plan():
    made = plan(BARE, archive=packed(ARCHIVE_BYTES), binding=packed(BINDING_BYTES))
    assert made.missing_payload == ()
    assert {file.path: file.content for file in made.write}[ARCHIVE] == ARCHIVE_BYTES


def test_a_right_node_is_left_alone():
    made = plan(installed())
    assert (made.changed, made.actions, made.diff) == (False, [], {"before": {}, "after": {}})
    assert not made.reload and not made.start


@pytest.mark.parametrize("path", [ARCHIVE, BINDING, LAUNCHER, UNIT])
def test_drift_of_one_file_mends_only_it(path):
    state = installed()
    files = {**state.files, path: FoundFile("0" * 64, state.files[path].mode, "by hand\n")}
    made = plan(dataclasses.replace(state, files=files))
    assert [file.path for file in made.write] == [path]
    assert made.reload is (path == UNIT)
    assert [action["action"] for action in made.actions] == ["replace"] + ["daemon_reload"] * (path == UNIT)


def test_drift_of_a_mode_is_mended():
    state = installed()
    launcher = state.files[LAUNCHER]
    made = plan(dataclasses.replace(state, files={**state.files, LAUNCHER: dataclasses.replace(launcher, mode=0o644)}))
    assert [(action["action"], action["object"]) for action in made.actions] == [("set_mode", LAUNCHER)]


def test_from_hold_to_continue_takes_the_requirements_away_and_nothing_else():
    made = plan(installed("hold"), boot_failure="continue")
    assert len(made.unlink) == len(HELD)
    assert all(".requires/" in path for path in made.unlink)
    assert made.link == ()
    assert [file.path for file in made.write] == [UNIT]


def test_a_container_of_the_legacy_hook_forbids_the_reload():
    state = installed("hold", at_risk=("0123456789abcdef",))
    made = plan(state, boot_failure="continue")
    assert not made.reload
    assert made.result()["daemon_reload_required"] is True
    deferred = [action for action in made.actions if action["action"] == "deferred"]
    assert "0123456789ab" in deferred[0]["reason"]


def test_the_opt_out_reloads_anyway():
    made = plan(installed("hold", at_risk=("0123456789abcdef",)), boot_failure="continue", daemon_reload="allowed")
    assert made.reload and made.result()["daemon_reload_required"] is False


def test_an_owed_reload_is_reported_without_being_a_change():
    made = plan(installed(unit={**RUNNING, "NeedDaemonReload": "yes"}, at_risk=("0123",)))
    assert (made.changed, made.result()["daemon_reload_required"]) == (False, True)


def test_an_owed_reload_is_made_up_for_once_nobody_is_at_risk():
    made = plan(installed(unit={**RUNNING, "NeedDaemonReload": "yes"}))
    assert made.changed and made.reload


def test_a_node_with_wishes_is_never_started_by_the_module():
    made = plan(installed(unit={**RUNNING, "ActiveState": "inactive"}))
    assert not made.changed and not made.start


def test_a_failed_boot_is_owed_until_it_is_gone():
    boot = {"message": "mig refused: GPU-1 is busy"}
    made = plan(installed(unit={**RUNNING, "ActiveState": "failed", "Result": "exit-code"}, boot=boot))
    assert not made.changed
    owed = made.result()["owed"]
    assert [entry["state"] for entry in owed] == ["boot_failed"]
    assert "GPU-1 is busy" in owed[0]["reason"]


def test_absent_removes_everything_and_says_what_it_leaves():
    made = plan(installed(leftovers=("/usr/lib/accel-gpu/__pycache__/pynvml.pyc",)), state="absent")
    assert set(made.remove) == {ARCHIVE, BINDING, LAUNCHER, UNIT, "/usr/lib/accel-gpu/__pycache__/pynvml.pyc"}
    assert made.unlink == wanted_links("hold")
    assert made.reload and not made.start
    assert [action["object"] for action in made.actions if action["action"] == "left_alone"] == ["wish of mig"]


def test_absent_on_a_bare_node_is_nothing():
    made = plan(BARE, state="absent")
    assert not made.changed and not made.reload


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"boot_timeout": 10}, "boot_timeout: 10 is too short"),
        ({"archive": "not base64!"}, "archive: is not base64 of zlib data"),
        ({"archive_sha256": None}, "archive_sha256, binding_sha256: both are needed"),
        ({"archive": packed(b"other")}, "does not have the announced digest"),
    ],
)
def test_wrong_options_are_named(params, words):
    with pytest.raises(WishError, match=words):
        plan(BARE, **params)


def test_the_unit_stands_between_those_who_make_gpus_ready_and_those_who_use_them():
    lines = dict(line.split("=", 1) for line in unit_text(300, "hold").splitlines() if "=" in line)
    assert set(lines["After"].split()) == {"nvidia-persistenced.service", "nvidia-fabricmanager.service"}
    users = ["docker", "containerd", "crio", "kubelet", "slurmd", "nvidia-dcgm", "nvidia-cdi-refresh", "nvidia-mps"]
    assert {f"{name}.service" for name in users} <= set(lines["Before"].split())
    assert "nvidia-cdi-refresh.service" not in lines["RequiredBy"].split()
    assert lines["TimeoutStartSec"] == "300"
    assert "RequiredBy" not in unit_text(300, "continue")


def test_the_agent_stops_before_systemd_would_kill_it():
    assert "boot --timeout 290 --on-failure hold" in unit_text(300, "hold")


def test_a_failed_unit_without_wishes_is_started_again():
    assert plan(installed(unit={**RUNNING, "ActiveState": "failed"}, wishes=())).start


def test_absent_forgets_a_failed_unit():
    assert plan(installed(unit={**RUNNING, "ActiveState": "failed"}), state="absent").forget
    assert not plan(installed(), state="absent").forget
