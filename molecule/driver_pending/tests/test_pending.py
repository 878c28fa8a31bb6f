# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


def test_nothing_of_the_driver_is_left(node):
    host = node("serving").host
    assert (
        host.check_output("dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' '*nvidia*' 'libcuda*' | grep ^ii || :")
        == ""
    )
    assert host.check_output("apt-mark showhold") == ""
    assert host.check_output("find /etc -name '*accel-gpu*' -not -path '*/systemd/*' -not -path /etc/accel-gpu") == ""
    assert not host.file("/sys/module/nvidia").exists


def test_the_node_keeps_no_record(node):
    assert not node("serving").host.file("/var/lib/accel-gpu/driver").exists
