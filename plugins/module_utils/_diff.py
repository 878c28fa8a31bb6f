# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One tracker that yields `changed`, the difference and the list of actions. PRIVATE to the collection."""

from __future__ import annotations

import typing as t


class Tracker:
    """Collects what a plan does and what it leaves alone.

    An action is a dictionary with `action`, `object`, `reason` and, where it helps, further plain values such as
    `gpu`. Only `change` makes the result changed; keys of the difference are those that changed.
    """

    def __init__(self) -> None:
        self._before: t.Dict[str, t.Any] = {}
        self._after: t.Dict[str, t.Any] = {}
        self._actions: t.List[t.Dict[str, t.Any]] = []
        self._changed = False

    def change(
        self, key: str, before: t.Any, after: t.Any, *, action: str, object: str, reason: str, **facts: t.Any
    ) -> None:
        """Something will differ: `key` goes from `before` to `after` by `action`.

        A key may change in several steps: the first `before` and the last `after` count.
        """
        self._before.setdefault(key, before)
        self._after[key] = after
        self._changed = True
        self.act(action, object, reason, **facts)

    def keep(self, object: str, reason: str, **facts: t.Any) -> None:
        """Something is left as it is."""
        self.act("keep", object, reason, **facts)

    def note(self, object: str, reason: str, **facts: t.Any) -> None:
        """Something a person should know."""
        self.act("note", object, reason, **facts)

    def act(self, action: str, object: str, reason: str, **facts: t.Any) -> None:
        """Any other line of the list (`deferred`, `refused`, `left_alone`, ...); changes nothing."""
        self._actions.append({"action": action, **facts, "object": object, "reason": reason})

    @property
    def changed(self) -> bool:
        return self._changed

    @property
    def diff(self) -> t.Dict[str, t.Dict[str, t.Any]]:
        return {"before": dict(self._before), "after": dict(self._after)}

    @property
    def actions(self) -> t.List[t.Dict[str, t.Any]]:
        return list(self._actions)
