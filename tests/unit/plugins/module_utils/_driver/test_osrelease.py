# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Distributions by the lines of their os-release files that count (shortened, as the distributions write them)."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Distribution
from ansible_collections.accel.gpu.plugins.module_utils._driver.texts.osrelease import distribution, fields


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
            ("debian", "12", "debian", "bookworm", "x86_64", "Debian GNU/Linux 12 (bookworm)"),
        ),
        (
            'PRETTY_NAME="Ubuntu 24.04.2 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n',
            ("ubuntu", "24.04", "debian", "noble", "x86_64", "Ubuntu 24.04.2 LTS"),
        ),
        (
            'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
            ("rocky", "9.4", "rhel", "", "x86_64", "Rocky Linux"),
        ),
        (
            "NAME='Red Hat Enterprise Linux'\nID=rhel\nID_LIKE=fedora\nVERSION_ID=\"8.10\"\n",
            ("rhel", "8.10", "rhel", "", "x86_64", "Red Hat Enterprise Linux"),
        ),
        (
            'NAME="SLES"\nVERSION_ID="15.6"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\nID="sles"\n'
            'ID_LIKE="suse"\n',
            ("sles", "15.6", "suse", "", "x86_64", "SUSE Linux Enterprise Server 15 SP6"),
        ),
        ('ID=mint\nID_LIKE="ubuntu debian"\nVERSION_ID=22\n', ("mint", "22", "debian", "", "x86_64", "mint")),
        ("ID=arch\nNAME=Arch\n", ("arch", "", "", "", "x86_64", "Arch")),
        ("", ("linux", "", "", "", "x86_64", "linux")),
    ],
)
def test_each_distribution_has_its_family(text, wanted):
    assert distribution(text, "x86_64") == Distribution(*wanted)


def test_comments_quotes_and_broken_quotes_are_read():
    text = '# a comment\nA="with \\"quotes\\""\nB=\'single\'\nC="no end\nnothing\nD=\n'
    assert fields(text) == {"A": 'with "quotes"', "B": "single", "C": "no end", "D": ""}
