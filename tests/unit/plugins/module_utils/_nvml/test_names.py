# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers of NVML to words, addresses, and the packed binding."""

from __future__ import annotations

import types

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._data import nvml_names
from ansible_collections.accel.gpu.plugins.module_utils._errors import (
    DriverMismatchError,
    DriverMissingError,
    NotRootError,
    NvmlError,
    WishError,
)
from ansible_collections.accel.gpu.plugins.module_utils._nvml import address, binding, links, load, read, settings


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, []),
        (0x1, ["gpu_idle"]),
        (0x48, ["hw_slowdown", "hw_thermal_slowdown"]),
        (0x1FF, [name for _bit, name in nvml_names.EVENT_REASONS]),
        (0x8000000000000004, ["sw_power_cap", "unknown_0x8000000000000000"]),
    ],
)
def test_event_reasons(mask, names):
    assert nvml_names.event_reasons(mask) == names


def test_a_number_of_a_newer_driver_breaks_nothing():
    assert nvml_names.word(nvml_names.ARCHITECTURES, 99) == "unknown_99"
    assert nvml_names.code_name(77) == "CODE_77"
    assert nvml_names.code_name(19) == "IN_USE"


def test_the_tables_agree_with_pynvml():
    """The numbers are those of NVIDIA's own binding."""
    pynvml = pytest.importorskip("pynvml")
    codes = {name: number for name, number in vars(pynvml).items() if name.startswith("NVML_ERROR_")}
    assert {f"NVML_ERROR_{name}": code for code, name in nvml_names.CODES.items() if code} == codes
    for table, prefix in (
        (nvml_names.ARCHITECTURES, "NVML_DEVICE_ARCH_"),
        (nvml_names.VIRTUALIZATION, "NVML_GPU_VIRTUALIZATION_MODE_"),
        (nvml_names.COMPUTE_MODES, "NVML_COMPUTEMODE_"),
        (nvml_names.FABRIC_STATES, "NVML_GPU_FABRIC_STATE_"),
        (nvml_names.FABRIC_HEALTH, "NVML_GPU_FABRIC_HEALTH_SUMMARY_"),
    ):
        for number, name in table.items():
            assert getattr(pynvml, prefix + name.upper()) == number
    assert pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION == nvml_names.FIELD_RECOVERY_ACTION
    assert pynvml.NVML_FI_DEV_MEMORY_TEMP == nvml_names.FIELD_MEMORY_TEMPERATURE


def test_recovery_actions_agree_with_pynvml():
    pynvml = pytest.importorskip("pynvml")
    prefix = "NVML_GPU_RECOVERY_ACTION_"
    theirs = {number: name[len(prefix) :].lower() for name, number in vars(pynvml).items() if name.startswith(prefix)}
    assert theirs == nvml_names.RECOVERY_ACTIONS


@pytest.mark.parametrize(
    ("domain", "bus", "text"), [(0, 0x3B, "0000:3b:00.0"), (0x10000, 1, "10000:01:00.0"), (9, 0xC1, "0009:c1:00.0")]
)
def test_pci_address(domain, bus, text):
    assert address.pci_address(types.SimpleNamespace(domain=domain, bus=bus, device=0)) == text


@pytest.mark.parametrize(("number", "text"), [(0x20B210DE, "10de:20b2"), (0, None), (None, None)])
def test_pci_id(number, text):
    assert address.pci_id(number) == text


@pytest.mark.parametrize(("number", "text"), [(13000, "13.0"), (12080, "12.8"), (None, None)])
def test_cuda_version(number, text):
    assert read.cuda_version(number) == text


@pytest.mark.parametrize(("milliwatts", "watts"), [(400000, 400.0), (62512, 62.512), (0, 0.0), (None, None)])
def test_watts(milliwatts, watts):
    assert settings.watts(milliwatts) == watts


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, []),
        (0b10101010, []),
        (0b01, ["degraded_bandwidth"]),
        (0b01_10_01_10, ["route_recovery", "access_timeout_recovery"]),
    ],
)
def test_fabric_flags(mask, names):
    assert links.fabric_flags(mask) == names


def test_numa_node_of_a_tree(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:3b:00.0"
    device.mkdir(parents=True)
    (device / "numa_node").write_text("1\n")
    assert read.numa_node(str(tmp_path), "0000:3b:00.0") == 1
    (device / "numa_node").write_text("-1\n")
    assert read.numa_node(str(tmp_path), "0000:3b:00.0") is None
    assert read.numa_node(str(tmp_path), "0000:af:00.0") is None


def test_the_binding_travels_unharmed():
    source = "# ünïcode\nx = 1\n" * 1000
    packed = binding.pack(source)
    assert binding.unpack(packed) == source
    assert packed.isascii()
    assert len(packed) < len(source) / 10


@pytest.mark.parametrize("packed", ["x", "eA==", "import pynvml", "ü"])
def test_a_broken_binding_names_its_option(packed):
    with pytest.raises(WishError, match="option nvml_binding is not a packed pynvml source"):
        binding.unpack(packed)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (9, DriverMissingError, "kernel module is not loaded"),
        (12, DriverMissingError, "kernel module is not loaded"),
        (18, DriverMismatchError, "drain the node, then reload the nvidia modules or reboot"),
        (4, NotRootError, "become root"),
        (999, NvmlError, "nvmlInit failed: UNKNOWN"),
    ],
)
def test_errors_of_init(code, kind, words):
    error = load.init_error(code)
    assert error.__class__.__name__ == kind.__name__
    assert words in error.message
