# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.plugins.module_utils._packages import openpgp
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.keys import (
    OTHER_FINGERPRINT as FINGERPRINT,
)
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.keys import OTHER_KEY

KEY = OTHER_KEY.encode()
BINARY = openpgp.dearmor(KEY)


def old_packet(tag, body):
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def new_packet(tag, body):
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def test_a_block_that_does_not_end_is_not_overlooked():
    """gpg reads it all the same."""
    with pytest.raises(WishError, match="has a block that does not end"):
        openpgp.fingerprints(KEY + KEY.partition(b"-----END")[0])


def test_armored_and_binary_are_one_key():
    assert openpgp.fingerprints(KEY) == (FINGERPRINT,)
    assert openpgp.fingerprints(BINARY) == (FINGERPRINT,)
    assert openpgp.dearmor(BINARY) == BINARY


def test_several_keys_in_one_file():
    assert openpgp.fingerprints(KEY + b"\n" + KEY) == (FINGERPRINT, FINGERPRINT)
    assert openpgp.fingerprints(BINARY + BINARY) == (FINGERPRINT, FINGERPRINT)


def test_headers_of_the_armor_and_its_checksum_may_differ():
    head, _blank, rest = KEY.partition(b"\n\n")
    with_headers = head + b"\nVersion: x\nComment: y\n\n" + rest.replace(b"\n", b"\r\n")
    assert openpgp.fingerprints(with_headers.replace(b"BLOCK-----\nVersion", b"BLOCK-----\r\nVersion")) == (
        FINGERPRINT,
    )
    without = b"\n".join(line for line in KEY.splitlines() if not line.startswith(b"=")) + b"\n"
    assert openpgp.fingerprints(without) == (FINGERPRINT,)


@pytest.mark.parametrize("packet", [old_packet, new_packet])
def test_subkeys_are_not_told(packet):
    assert len(openpgp.fingerprints(packet(6, b"\x04body") + packet(14, b"\x04sub"))) == 1


BAD = [
    ("text", b"hello", "the key is neither an armored nor a binary OpenPGP key; give what gpg --export writes"),
    ("empty", b"", "the key is neither an armored nor a binary OpenPGP key; give what gpg --export writes"),
    (
        "version_6",
        new_packet(6, b"\x06body"),
        "the key is an OpenPGP key of version 6; only version 4 is known here; give a key of version 4, or install "
        "the key "
        "and its repository yourself",
    ),
    (
        "private",
        new_packet(5, b"\x04body"),
        "the key is a private key; give the public one (gpg --armor --export)",
    ),
    (
        "private_armored",
        KEY.replace(b"PUBLIC", b"PRIVATE"),
        "the key is a private key block; give a public key block",
    ),
    (
        "no_key",
        new_packet(13, b"somebody"),
        "the key has no OpenPGP public key in it; give what gpg --export writes",
    ),
    ("cut", BINARY[:40], "the key is damaged at byte 0; copy it again, whole"),
    ("partial_length", bytes([0xC6, 224]) + BINARY, "the key is damaged at byte 0; copy it again, whole"),
    (
        "checksum",
        KEY.replace(b"\nmDM", b"\nmDN"),
        "the armored key is damaged (its checksum does not fit); copy it again, whole",
    ),
]


@pytest.mark.parametrize(("key", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_key_of_ours(key, message):
    with pytest.raises(WishError) as caught:
        openpgp.fingerprints(key)
    assert caught.value.message == message


def test_gpg_says_the_same(tmp_path):
    gpg = shutil.which("gpg")
    if gpg is None:
        # nothing to compare with; the fingerprint above was told by it
        return
    (tmp_path / "key.asc").write_bytes(KEY)
    argv = [gpg, "--homedir", str(tmp_path), "--batch", "--show-keys", "--with-colons", str(tmp_path / "key.asc")]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    told = next(line.split(":")[9] for line in out.splitlines() if line.startswith("fpr:"))
    assert openpgp.fingerprints(KEY) == (told,)
