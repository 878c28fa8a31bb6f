# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback: after a run, one table of hosts, GPUs and geometry, what changed and why."""

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: A table of hosts, drivers, GPUs and MIG geometry, what changed and why
version_added: 1.0.0
author:
  - accel.gpu maintainers (@accel-gpu)
description:
  - Reads the results of M(accel.gpu.gpu_driver), M(accel.gpu.gpu_settings), M(accel.gpu.mig_geometry) and
    M(accel.gpu.node_agent) as they come and prints one table at the end of the run, with what is still owed.
  - In check mode it shows the geometry as it is, and what would change.
requirements:
  - Enabled by name, such as C(ANSIBLE_CALLBACKS_ENABLED=accel.gpu.summary), or in C(ansible.cfg) as
    C(callbacks_enabled=accel.gpu.summary) below C([defaults]).
"""

import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase

from ..module_utils._owed import owed_states

Result = t.Mapping[str, t.Any]

# Actions that tell of something left as it is.
_STILL = ("keep", "left_alone", "note", "deferred", "refused")
_HEADINGS = ("HOST", "GPU", "GEOMETRY", "CHANGED", "WHY")
# In check mode nothing has changed yet.
_CHECK_HEADINGS = ("HOST", "GPU", "GEOMETRY NOW", "WOULD CHANGE", "WHY")


class CallbackModule(CallbackBase):
    """Looked up by ansible-core."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "accel.gpu.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._geometry: dict[str, Result] = {}
        self._agent: dict[str, Result] = {}
        self._driver: dict[str, Result] = {}
        self._settings: dict[str, Result] = {}
        self._restarts: dict[str, list[Result]] = {}
        self._failed: dict[str, str] = {}
        # Hosts whose geometry itself failed: its actions are a plan that was not followed.
        self._refused: set[str] = set()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._take(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._take(result)
        if not ignore_errors:
            host = _part(result, "host").get_name()
            self._failed[host] = message(_part(result, "result"), _part(result, "task"))
            if _part(result, "task").action.rsplit(".", 1)[-1] == "mig_geometry":
                self._refused.add(host)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._failed[_part(result, "host").get_name()] = message(_part(result, "result"), "unreachable")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        hosts = sorted(set(stats.processed) | set(self._geometry) | set(self._failed))
        if not self._geometry and not self._agent and not self._settings and not self._driver:
            return  # another playbook: nothing here to tell
        headings = _CHECK_HEADINGS if context.CLIARGS.get("check") else _HEADINGS
        for line in table([row for host in hosts for row in self._rows(host)], headings):
            self._display.display(line)
        for host in hosts:
            owing = [told.get(host) or {} for told in (self._driver, self._agent, self._settings, self._geometry)]
            for line in owed_states([*owing, *self._restarts.get(host, ())]):
                self._display.display(f"owed to {host}: {line}", color="yellow")

    def _take(self, result: t.Any) -> None:
        name = _part(result, "task").action.rsplit(".", 1)[-1]
        if name == "mig_geometry":
            self._geometry[_part(result, "host").get_name()] = _part(result, "result")
        elif name == "systemd_service":
            self._restarts.setdefault(_part(result, "host").get_name(), []).append(_part(result, "result"))
        elif name == "gpu_driver":
            self._driver[_part(result, "host").get_name()] = _part(result, "result")
        elif name == "gpu_settings":
            self._settings[_part(result, "host").get_name()] = _part(result, "result")
        elif name == "node_agent":
            self._agent[_part(result, "host").get_name()] = _part(result, "result")

    def _rows(self, host: str) -> list[tuple[str, ...]]:
        failed: list[tuple[str, ...]] = [(host, "-", "-", "failed", self._failed[host])] if host in self._failed else []
        geometry, agent = self._geometry.get(host), self._agent.get(host)
        rows = driver_rows(host, self._driver.get(host) or {})
        if failed and (geometry is None or host in self._refused):
            return rows + failed
        settings = self._settings.get(host) or {}
        if geometry is None and agent is None and not settings:
            return rows or [(host, "-", "-", "skipped", "declares no GPU")]
        if geometry is not None or not settings:
            rows += [*gpu_rows(host, geometry or {}), *wish_rows(host, geometry or {})]
        rows += [*setting_rows(host, settings), *wish_rows(host, settings)]
        if agent is not None and agent.get("changed"):
            rows.append((host, "node agent", "-", "yes", why(agent.get("actions") or ())))
        return rows + failed


def _part(result: t.Any, name: str) -> t.Any:
    """ansible-core 2.18 knows these attributes with an underscore only."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")


def message(result: Result, otherwise: t.Any) -> str:
    """The first line of what a failed task says; several sentences come as a list."""
    told = result.get("msg") or str(otherwise)
    return str(told if isinstance(told, str) else "; ".join(map(str, told))).splitlines()[0]


def wish_rows(host: str, result: Result) -> list[tuple[str, ...]]:
    """One row where the stored wish is all that changed, so that no change of the recap stays unexplained."""
    done = [action for action in result.get("actions") or () if action["action"] not in _STILL]
    if not done or any(action.get("gpu") for action in done) or not result.get("gpus"):
        return []
    return [(host, "stored wish", "-", "yes", why(done))]


def driver_rows(host: str, result: Result) -> list[tuple[str, ...]]:
    """One row for the driver of a host that role gpu_driver has looked after; packages are counted, not listed."""
    versions = result.get("driver") or {}
    if result.get("failed") or not versions:
        return []
    done = [action for action in result.get("actions") or () if action["action"] not in _STILL]
    wanted, pending = versions.get("wanted"), result.get("upgrade_pending")
    flavour = f" ({result['flavour']})" if wanted and result.get("flavour") else ""
    told = why(done) if done else "is as declared"
    if pending and not done:
        told = f"upgrade pending {pending['from']} → {pending['to']}"
    elif result.get("fabric_deferred") and not done:
        told = f"waits: {result['fabric_deferred'][0]}"
    return [(host, f"driver {wanted or 'removed'}{flavour}", "-", "yes" if result.get("changed") else "no", told)]


def setting_rows(host: str, result: Result) -> list[tuple[str, ...]]:
    """One row for each GPU on which settings were made."""
    rows: list[tuple[str, ...]] = []
    for gpu in () if result.get("failed") else result.get("gpus") or ():
        mine = [action for action in result.get("actions") or () if action.get("gpu") == gpu["uuid"]]
        made = [action for action in mine if action["action"] == "set_setting"]
        if made:
            told = ", ".join(str(action["object"]) for action in made)
            rows.append((host, f"{gpu['pci']} {gpu['name']}", "-", "yes", f"{told}: {_reason(made)}"))
    return rows


def gpu_rows(host: str, result: Result) -> list[tuple[str, ...]]:
    """One row for each GPU of a result of mig_geometry."""
    rows: list[tuple[str, ...]] = []
    for gpu in result.get("gpus") or ():
        mine = [action for action in result.get("actions") or () if action.get("gpu") == gpu["uuid"]]
        done = [action for action in mine if action["action"] not in _STILL]
        rows.append((host, f"{gpu['pci']} {gpu['name']}", geometry(gpu), "yes" if done else "no", why(done or mine)))
    return rows or [(host, "-", "-", "no", why(result.get("actions") or ()))]


def geometry(gpu: Result) -> str:
    """`7 x 1g.10gb`, `3g.40gb (1c.3g.40gb, 2c.3g.40gb), 4g.40gb`, `MIG off`."""
    if not gpu.get("mig"):
        return "no MIG" if gpu.get("mig") is None else "MIG off"
    names = [_instance(instance) for instance in gpu.get("instances") or ()]
    if not names:
        return "MIG on, no instances"
    counted = {name: names.count(name) for name in names}
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counted.items())


def _instance(instance: Result) -> str:
    profile = instance["profile"]
    inner = [compute["profile"] for compute in instance.get("compute") or ()]
    return profile if inner == [profile] else f"{profile} ({', '.join(inner) or 'no compute instance'})"


def why(actions: t.Iterable[Result]) -> str:
    """`7 create_gpu_instance, 7 create_compute_instance: wished by …`: what was done, and the first reason."""
    done = list(actions)
    if not done:
        return "nothing is wished here"
    words = [str(action["action"]) for action in done]
    counted = {word: words.count(word) for word in words}
    told = ", ".join(word if count == 1 else f"{count} {word}" for word, count in counted.items())
    return f"{told}: {_reason(done)}"


def _reason(actions: t.Sequence[Result]) -> str:
    # The instances are what was wished; mode and reset are means.
    wished = [action for action in actions if action["action"] == "create_gpu_instance"]
    return str((wished or actions)[0].get("reason", "")).splitlines()[0]


def table(rows: t.Sequence[tuple[str, ...]], headings: tuple[str, ...] = _HEADINGS) -> list[str]:
    """Columns as wide as their longest cell; the last one is free."""
    all_rows = [headings, *rows]
    widths = [max(len(row[column]) for row in all_rows) for column in range(len(headings) - 1)]
    return ["", *("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]) for row in all_rows)]
