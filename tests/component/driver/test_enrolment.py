# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key that DKMS signs with is made where there is none, and handed to firmware with a password for the console."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_enrolment
from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports

CERTIFICATE = "/var/lib/dkms/mok.pub"


def ports(root: Path, calls: t.List[t.List[str]], failing: str = "") -> Ports:
    """openssl writes the file that it was told to write."""
    files = Files(str(root))

    def run(argv: t.Sequence[str], **_options: t.Any) -> t.Tuple[int, str, str]:
        calls.append(list(argv))
        if argv[0] == failing:
            return 1, "", "no entropy"
        if argv[0] == "openssl":
            files.write(argv[argv.index("-out") + 1], b"certificate")
        return 0, "", ""

    return Ports(run, files, t.cast(t.Any, None))


def test_a_missing_key_is_made_first(tmp_path: Path) -> None:
    calls: t.List[t.List[str]] = []
    sentence = apply_enrolment.prepare(ports(tmp_path, calls), CERTIFICATE)
    assert [argv[0] for argv in calls] == ["openssl", "mokutil"]
    assert calls[1] == ["mokutil", "--import", CERTIFICATE]
    password = tmp_path / apply_enrolment.PASSWORD.lstrip("/")
    assert password.stat().st_mode & 0o777 == 0o600
    assert apply_enrolment.PASSWORD in sentence


def test_a_key_that_is_there_stays(tmp_path: Path) -> None:
    calls: t.List[t.List[str]] = []
    Files(str(tmp_path)).write(CERTIFICATE, b"older")
    apply_enrolment.prepare(ports(tmp_path, calls), CERTIFICATE)
    assert [argv[0] for argv in calls] == ["mokutil"]


def test_a_key_that_cannot_be_made_is_told_and_no_password_is_left(tmp_path: Path) -> None:
    with pytest.raises(BlockedError) as caught:
        apply_enrolment.prepare(ports(tmp_path, [], failing="openssl"), CERTIFICATE)
    assert caught.value.message.startswith(
        f"the key {CERTIFICATE} that DKMS signs with cannot be made: openssl req -new "
    )
    assert caught.value.message.endswith("ended with 1: no entropy; make it by hand and run again")
    assert not (tmp_path / apply_enrolment.PASSWORD.lstrip("/")).exists()
