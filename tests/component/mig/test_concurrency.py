# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several runs at once on one node, as real processes."""

from __future__ import annotations

import os
import time

from ansible_collections.accel.gpu.tests.component.mig.changes import H100, on
from ansible_collections.accel.gpu.tests.component.mig.node import in_child

WISHES = (
    [on({"1g.10gb": 7})],
    [on({"3g.40gb": 2})],
    [on({"7g.80gb": 1})],
    [on({"2g.20gb": 3, "1g.10gb": 1})],
)


def test_runs_follow_each_other(node):
    made = node(f"{H100},{H100}")
    for wish in WISHES:
        made.make(wish)  # every wish alone is fine
    order = made.folder / "order"
    children = [_start(made, wish, order) for wish in WISHES * 2]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * len(children), order.read_text(encoding="utf-8")
    last = made.layouts()
    # Whoever came last has all of its wish, on both GPUs.
    reached = []
    for wish in WISHES:
        checked = made.apply({"geometry": wish}, check=True)
        reached.append(not checked["changed"])
    assert reached.count(True) == 1, last
    assert not made.has_journal


def _start(made, wish, order):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            result = made.apply({"geometry": wish, "lock_timeout": 120})
            with open(order, "a", encoding="utf-8") as handle:
                handle.write(f"{os.getpid()} {result['changed']} {result.get('msg')}\n")
            code = 1 if result.get("failed") else 0
        finally:
            os._exit(code)
    return pid


def test_the_second_run_of_the_same_wish_finds_nothing_to_do(node):
    """It plans while the first one works, waits, reads again, and has no change to report."""
    made = node(H100)
    made.make([on({"1g.10gb": 7})])
    wish = {"geometry": [on({"3g.40gb": 2})], "lock_timeout": 60}
    made.sim.control("fault nvmlDeviceCreateGpuInstanceWithPlacement nth=1 hang=2")
    first = _start(made, wish["geometry"], made.folder / "order")
    while not made.has_journal:
        time.sleep(0.01)
    second = in_child(lambda: made.apply(wish))
    os.waitpid(first, 0)
    assert second is not None and (second.get("msg"), second["changed"]) == (None, False)
    assert [entry[0] for entry in made.layouts()[0][2]] == ["3g.40gb", "3g.40gb"]
