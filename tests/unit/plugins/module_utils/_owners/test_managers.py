# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other managers in constructed trees (not taken from a machine)."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._owners import managers

WANTS = "/etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service"
MIG = ("the MIG geometry", "declare the geometry there")
TOOLKIT = "/usr/local/nvidia/toolkit/nvidia-container-runtime"


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


def test_a_node_of_its_own_has_none(files):
    files.write("/proc/self/mounts", b"overlay / overlay rw 0 0\ntmpfs /run/nvidia/driver-not tmpfs rw 0 0\n")
    files.write("/etc/systemd/system/nvidia-mig-manager.service", b"")  # installed is not enabled
    assert managers.probe(files) == ()
    assert managers.refusal((), *MIG) is None


@pytest.mark.parametrize(
    ("path", "data", "name", "evidence"),
    [
        (
            "/proc/self/mounts",
            b"overlay / overlay rw 0 0\noverlay /run/nvidia/driver overlay rw 0 0\n",
            "GPU Operator's driver container",
            "/run/nvidia/driver is mounted",
        ),
        (WANTS, b"", "NVIDIA's mig-manager", f"nvidia-mig-manager.service is enabled ({WANTS})"),
        (
            "/run/nvidia/validations/toolkit-ready",
            b"",
            "GPU Operator's toolkit",
            "/run/nvidia/validations/toolkit-ready exists",
        ),
        (TOOLKIT, b"", "GPU Operator's toolkit", f"{TOOLKIT} exists"),
    ],
)
def test_each_shows_itself_by_a_file(files, path, data, name, evidence):
    files.write(path, data)
    assert managers.probe(files) == (managers.Manager(name, evidence),)


def test_the_refusal_names_all_and_the_opt_out(files):
    files.write(WANTS, b"")
    files.write(TOOLKIT, b"")
    error = managers.refusal(managers.probe(files), *MIG)
    assert error is not None and error.kind == "foreign_manager"
    assert error.message == (
        "takeover=false: the MIG geometry of this node belongs to another manager (NVIDIA's mig-manager: "
        f"nvidia-mig-manager.service is enabled ({WANTS}); GPU Operator's toolkit: {TOOLKIT} exists); declare the "
        "geometry there, or take it out of service, or set accel_gpu_takeover: true (takeover) to act beside it"
    )


def test_the_refusal_says_what_belongs_to_them(files):
    files.write(TOOLKIT, b"")
    error = managers.refusal(managers.probe(files), "the driver", "declare its version there")
    assert error is not None and error.message == (
        "takeover=false: the driver of this node belongs to another manager (GPU Operator's toolkit: "
        f"{TOOLKIT} exists); declare its version there, or take it out of service, or set accel_gpu_takeover: true "
        "(takeover) to act beside it"
    )
