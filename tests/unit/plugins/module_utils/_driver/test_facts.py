# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secure Boot, PCI and modules in memory, from texts and bytes as the kernel and mokutil give them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.texts import loaded, pci, secureboot

OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.126.16  Release Build  (dvs-builder@U22)\nGCC\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Wed Oct  8 08:45:36 UTC 2026\nGCC version: Open\n"


@pytest.mark.parametrize(("text", "wanted"), [(OPEN, True), (CLOSED, False), ("", None), ("something else\n", None)])
def test_the_module_says_whether_it_is_open(text, wanted):
    assert loaded.is_open(text) is wanted


HOLDERS = {
    "nvidia": ["nvidia_uvm", "nvidia_modeset", "nvidia_peermem", "gdrdrv"],
    "nvidia_modeset": ["nvidia_drm"],
    "nvidia_uvm": ["nvidia_fs"],
    "nvidia_fs": [],
    "drm": ["nvidia_drm", "nouveau"],
    "nouveau": [],
}


def test_dependents_go_from_the_outside():
    order = loaded.removal_order("nvidia", HOLDERS)
    assert order == ("gdrdrv", "nvidia_drm", "nvidia_modeset", "nvidia_peermem", "nvidia_fs", "nvidia_uvm")
    assert loaded.removal_order("nouveau", HOLDERS) == ()
    assert loaded.removal_order("unknown", HOLDERS) == ()


def test_a_module_with_two_users_goes_after_both():
    holders = {"nvidia": ["a", "b", "c"], "b": ["a"], "c": ["b"]}
    assert loaded.removal_order("nvidia", holders) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.126.16", "580.126.16"),
        ("/usr/lib64/libnvidia-ml.so.550.163", "550.163"),
        ("/usr/lib64/libnvidia-ml.so.1", None),
        ("/usr/lib64/libnvidia-mlx.so.580.1.1", None),
    ],
)
def test_the_library_has_its_version_in_its_name(path, version):
    assert loaded.library_version(path) == version


def test_the_cache_of_the_linker_names_libraries_for_64_bits_first():
    cache = b"glibc-ld.so.cache1.1\x02\0\0\0libnvidia-ml.so.1\0/lib/i386-linux-gnu/libnvidia-ml.so.1\0"
    cache += b"/usr/lib/libnvidia-ml.so.1\0/lib/x86_64-linux-gnu/libnvidia-ml.so.1\0/usr/lib64/libnvidia-ml.so\0"
    assert loaded.cached_libraries(cache) == (
        "/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
        "/lib/i386-linux-gnu/libnvidia-ml.so.1",
        "/usr/lib/libnvidia-ml.so.1",
    )
    assert loaded.cached_libraries(b"") == ()


def test_parameters_have_the_names_of_modprobe():
    text = 'ResmanDebugLevel: 4294967295\nRegistryDwords: ""\nRmMsg:\n'
    assert loaded.parameters(text) == {
        "NVreg_ResmanDebugLevel": "4294967295",
        "NVreg_RegistryDwords": '""',
        "NVreg_RmMsg": "",
    }


@pytest.mark.parametrize(
    ("vendor", "device_class", "kind"),
    [
        ("0x10de", "0x030200", "gpu"),
        ("0x10DE", "0x030000", "gpu"),
        ("0x10de", "0x040300", None),  # the sound function of a graphics card
        ("0x10de", "0x068000", "switch"),
        ("0x15b3", "0x020700", "infiniband"),
        ("0x15b3", "0x020000", None),
        ("0x8086", "0x030000", None),
        ("", "", None),
    ],
)
def test_devices_are_told_by_vendor_and_class(vendor, device_class, kind):
    assert pci.kind(vendor, device_class) == kind


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [(b"\x06\0\0\0\x01", True), (b"\x06\0\0\0\0", False), (None, None), (b"", None), (b"\x06\0\0\0", None)],
)
def test_secure_boot_is_the_fifth_byte(variable, wanted):
    assert secureboot.enabled(variable) is wanted


KEYS = """[key 1]
SHA1 Fingerprint: 76:A0:92:06:58:00:BF:37:69:01:C3:72:CD:55:A9:0E:1F:DE:D2:E0
Certificate:
    Data:
        Serial Number:
            b9:41:24:a0:18:2c:92:67
        Issuer: C=GB, O=Canonical Ltd., CN=Canonical Ltd. Master Certificate Authority

[key 2]
SHA1 Fingerprint: 2b:b0:10:e2:4d:94:c6:32:24:58:89:cd:d6:a6:e6:09:35:a0:27:1b
"""


def test_keys_are_known_by_their_fingerprints():
    assert secureboot.fingerprints(KEYS) == (
        "76a092065800bf376901c372cd55a90e1fded2e0",
        "2bb010e24d94c632245889cdd6a6e60935a0271b",
    )
    assert secureboot.fingerprints("MokListRT is empty\n") == ()


def test_a_certificate_in_der_and_in_pem_has_one_fingerprint():
    der = b"\x30\x82certificate"
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    assert secureboot.fingerprint(der) == secureboot.fingerprint(pem) == hashlib.sha1(der).hexdigest()
