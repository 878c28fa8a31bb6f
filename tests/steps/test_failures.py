# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What failed in a scenario is shown, and nothing of what passed."""

from __future__ import annotations

import failures

REPORT = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase name="test_good"/>
<testcase name="test_pid"><failure message="assert 1 == 2">E   assert 1 == 2</failure></testcase>
<testcase name="test_node"><error message="no node"/></testcase>
</testsuite></testsuites>"""


def test_only_what_failed_is_shown(tmp_path, capsys):
    path = tmp_path / "driver_upgrade.xml"
    path.write_text(REPORT)
    failures.main(path)
    assert capsys.readouterr().out == (
        "----- driver_upgrade test_pid: E   assert 1 == 2\n----- driver_upgrade test_node: no node\n"
    )


def test_a_scenario_that_did_not_come_to_its_tests_shows_nothing(tmp_path, capsys):
    failures.main(tmp_path / "site.xml")
    assert capsys.readouterr().out == ""
