# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Keys that rpm takes for all repositories.

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import probe
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.nodes import KEY
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.answers import node

RPM = [("ID=rhel\n", "usr/bin/dnf"), ("ID=sles\n", "usr/bin/zypper")]
FINGERPRINT = "0E1DF25F74818E37ADABF3F2DF5AAD8B14E53200"  # of the key that tests of the driver have
OTHER = "gpg-pubkey\t0:352c64e5-61a6f2b1\t(none)\n"
THERE = "gpg-pubkey\t0:14e53200-6b0764e3\t(none)\n"


@pytest.mark.parametrize(("release", "program"), RPM)
@pytest.mark.parametrize(("keys", "new"), [(OTHER, (FINGERPRINT,)), (OTHER + THERE, ())])
def test_rpm_takes_a_key_and_says_whether_it_is_new(tmp_path, release, program, keys, new):
    ports, run = node(tmp_path, release, program, rpm=[(0, keys, "")])
    ports.files.write("/etc/pki/key", KEY.encode())
    with probe.manager(ports) as one:
        assert one.trust("/etc/pki/key") == new
    assert run.calls[-1] == ["rpm", "--import", "/etc/pki/key"]


@pytest.mark.parametrize(("release", "program"), RPM)
@pytest.mark.parametrize(
    ("keys", "gone"), [(OTHER + THERE, ["rpm", "-e", "--allmatches", "gpg-pubkey-14e53200-6b0764e3"]), (OTHER, None)]
)
def test_rpm_forgets_one_key_alone(tmp_path, release, program, keys, gone):
    ports, run = node(tmp_path, release, program, rpm=[(0, keys, "")])
    with probe.manager(ports) as one:
        one.distrust(FINGERPRINT)
    assert [call for call in run.calls if "-e" in call] == ([gone] if gone else [])


def test_apt_has_no_keys_for_all(tmp_path):
    ports, run = node(tmp_path)
    with probe.manager(ports) as one:
        assert one.trust("/etc/apt/keyrings/key.asc") == ()
        one.distrust(FINGERPRINT)
    assert run.calls == []
