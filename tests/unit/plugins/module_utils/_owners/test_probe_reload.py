# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rule 7: which running containers a daemon-reload would take the GPU from. The trees are constructed."""

from __future__ import annotations

import json

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._owners.probe_reload import at_risk, containers_at_risk

HOOK = {"hooks": {"prestart": [{"path": "/usr/bin/nvidia-container-runtime-hook"}]}}
SYSTEMD = {"linux": {"cgroupsPath": "system.slice:docker:0123"}}
CGROUPFS = {"linux": {"cgroupsPath": "/docker/0123"}}


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        ({**HOOK, **SYSTEMD}, True),
        ({"hooks": {"createRuntime": [{"path": "/usr/bin/nvidia-container-toolkit"}]}, **SYSTEMD}, True),
        ({**HOOK, **CGROUPFS}, False),
        ({"hooks": {"createContainer": [{"path": "/usr/bin/nvidia-cdi-hook"}]}, **SYSTEMD}, False),
        (SYSTEMD, False),
        ({}, False),
        ({"hooks": None, "linux": None}, False),
    ],
)
def test_one_container(bundle, expected):
    assert at_risk(bundle) is expected


@pytest.mark.parametrize(
    "bundle",
    [
        "run/containerd/io.containerd.runtime.v2.task/moby/0123/config.json",
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/0123/config.json",
        "run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/0123/config.json",
        "run/containers/storage/overlay-containers/0123/userdata/config.json",
    ],
)
def test_every_engine_is_looked_at(tmp_path, bundle):
    path = tmp_path / bundle
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**HOOK, **SYSTEMD}))
    assert containers_at_risk(str(tmp_path)) == ("0123",)


def test_a_bundle_that_vanishes_or_breaks_is_no_container(tmp_path):
    path = tmp_path / "run/containerd/io.containerd.runtime.v2.task/moby/0123/config.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert containers_at_risk(str(tmp_path)) == ()
