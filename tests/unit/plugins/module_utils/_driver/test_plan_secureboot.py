# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Secure Boot would load the modules to come, and the key that a person has to enrol first."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver import model, steps
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.decisions import (
    NEW,
    OLD,
    again,
    dependency,
    fresh,
    only,
    settled,
    words,
)

SECURE = model.SecureBoot(True)
SENTENCE = (
    "Secure Boot is on and firmware does not know the key {} that DKMS signs the driver's modules "
    "with: reboot, choose Enroll MOK at the console, type the password in "
    "/var/lib/accel-gpu/driver/enrolment-password of this node, and run again"
)


ENROLMENTS = [
    ("ubuntu 24.04", "/var/lib/shim-signed/mok/MOK.der", ("dkms", "mokutil", "shim-signed")),
    ("debian 13", "/var/lib/dkms/mok.pub", ("dkms", "mokutil", "openssl")),
]


@pytest.mark.parametrize(("where", "certificate", "tools"), ENROLMENTS)
def test_an_enrolment_is_prepared_before_anything_is_installed(
    where: str, certificate: str, tools: t.Sequence[str]
) -> None:
    state, made = nodes.decided(nodes.node(*where.split(), secure_boot=SECURE), nodes.mirror(), NEW)
    assert words(made) == ["RefreshIndex", "ChangePackages", "PrepareEnrolment"]
    assert only(made, steps.ChangePackages).install == tuple((name, None) for name in tools)
    assert only(made, steps.PrepareEnrolment).certificate == certificate
    # What the whole system or its boot needs is no part of a later removal.
    ours = {"tools": ["dkms", "mokutil"]}
    assert (made.owed.enrolment, made.changed, made.record) == (SENTENCE.format(certificate), True, ours)
    waiting = nodes.after(state, made)
    assert waiting.packages == {}
    _state, second = nodes.decided(waiting, nodes.mirror(), NEW)
    assert (second.steps, second.changed, second.owed.enrolment) == ((), False, SENTENCE.format(certificate))
    known = dataclasses.replace(waiting, secure_boot=waiting.secure_boot._replace(dkms_key_enrolled=True))
    _state, third = nodes.decided(known, nodes.mirror(), NEW)
    assert third.owed.enrolment is None and "LoadModules" in words(third)


def test_signed_modules_need_no_enrolment() -> None:
    node = nodes.node("sles", "15.6", secure_boot=SECURE)
    _state, made = nodes.decided(node, nodes.mirror(modules="precompiled"), NEW)
    assert made.owed.enrolment is None and "ChangePackages" in words(made)


def signed(**facts: t.Any) -> model.Node:
    """Ubuntu's signed modules are loaded; nothing was ever built on the node."""
    wish = nodes.wish(source="distribution", branch="580", modules="precompiled")
    state, made = nodes.decided(nodes.node(), wish, OLD)
    return dataclasses.replace(nodes.after(state, made), loaded=nodes.loaded(OLD), secure_boot=SECURE, **facts)


def test_modules_to_come_need_an_enrolment_though_signed_ones_are_loaded() -> None:
    key = "/var/lib/shim-signed/mok/MOK.der"
    wish = {"source": "distribution", "branch": "580", "modules": "dkms"}
    _state, made = nodes.decided(signed(), nodes.wish(**wish), OLD)
    assert words(made) == ["RefreshIndex", "ChangePackages", "PrepareEnrolment"]
    assert made.owed.enrolment == SENTENCE.format(key)
    # As long as the loaded driver keeps its packages, nothing is to come.
    _state, made = nodes.decided(signed(), nodes.wish(newest=True, **wish), NEW, OLD)
    assert (made.owed.enrolment, made.owed.upgrade) == (None, (OLD, NEW))


def test_a_loaded_module_that_was_built_on_the_node_proves_its_key() -> None:
    """Its certificate may lie where nobody looks."""
    node = dataclasses.replace(settled(), secure_boot=SECURE)
    made = again(node, nodes.mirror(version=NEW, change_loaded=True), changes=dependency(NEW, OLD))
    assert (made.owed.enrolment, "ReloadModules" in words(made)) == (None, True)


def test_a_download_prepares_no_enrolment() -> None:
    _state, made = fresh(nodes.mirror(download_only=True), secure_boot=SECURE)
    assert words(made) == ["WriteFile", "WriteFile", "RefreshIndex", "ChangePackages"]
    assert only(made, steps.ChangePackages).download is True
    assert made.owed.enrolment == (
        "Secure Boot is on and firmware does not know the key /var/lib/shim-signed/mok/MOK.der that DKMS signs the "
        "driver's modules with: a run without gpu_driver_download_only prepares its enrolment"
    )
