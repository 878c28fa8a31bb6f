# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an initramfs carries, read without unpacking it to the disk. The images are constructed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_initramfs
from ansible_collections.accel.gpu.plugins.module_utils._driver.model import Initramfs, Kernel
from ansible_collections.accel.gpu.plugins.module_utils._driver.texts import initramfs
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.trees import Tree, cpio, module

IMAGE = "/boot/initrd.img-6.1.0-56-amd64"
FOLDER = "usr/lib/modules/6.1.0-56-amd64"
NVIDIA = (f"{FOLDER}/updates/dkms/nvidia.ko", module("570.86.15"))
NOUVEAU = (f"{FOLDER}/kernel/drivers/gpu/drm/nouveau/nouveau.ko", module("1.3.1") * 50)
OURS = ("etc/modprobe.d/accel-gpu.conf", b"# accel.gpu\nblacklist nouveau\noptions nouveau modeset=0\n")
MICROCODE = cpio(("kernel/x86/microcode/GenuineIntel.bin", b"u" * 5000))
PLAIN = (("init", b"#!/bin/sh\n"), (f"{FOLDER}/kernel/drivers/video/fbdev/nvidia/nvidiafb.ko", b"n" * 999))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def look(tree, data, record=None):
    """Without the stamp, which is the file's own."""
    tree.put(IMAGE, data)
    return probe_initramfs.probe(tree.ports(), IMAGE, record)._replace(stamp="")


@pytest.mark.parametrize(
    ("files", "versions", "nouveau"),
    [
        (PLAIN, (), False),
        ((*PLAIN, NVIDIA), ("570.86.15",), False),
        ((*PLAIN, NOUVEAU), (), True),
        ((*PLAIN, OURS, NOUVEAU), (), False),
        ((NVIDIA, NOUVEAU, ("etc/modprobe.d/other.conf", b"blacklist nouveaux\n")), ("570.86.15",), True),
        ((NOUVEAU, ("usr/lib/modprobe.d/nvidia.conf", b"install nouveau /bin/false\n")), (), False),
        (((NVIDIA[0] + ".xz", lzma.compress(NVIDIA[1])),), ("570.86.15",), False),
        (((NVIDIA[0] + ".gz", gzip.compress(NVIDIA[1])),), ("570.86.15",), False),
        ((NVIDIA, (f"{FOLDER}/extra/nvidia-current.ko", module("535.1"))), ("535.1", "570.86.15"), False),
        # a hard link's content stands with the last of its names
        (((f"{FOLDER}/weak-updates/nvidia.ko", b""), NVIDIA), ("570.86.15",), False),
    ],
)
def test_modules_are_found_inside(tree, files, versions, nouveau):
    assert look(tree, cpio(*files)) == Initramfs(IMAGE, versions, nouveau)


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(lambda data: data, id="as it is"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(lzma.compress, id="xz"),
        pytest.param(lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE), id="lzma"),
        pytest.param(bz2.compress, id="bzip2"),
    ],
)
@pytest.mark.parametrize("before", [b"", MICROCODE, MICROCODE + cpio(*PLAIN)], ids=("alone", "microcode", "two"))
def test_archives_stand_one_after_the_other(tree, packed, before):
    assert look(tree, before + packed(cpio(NVIDIA, NOUVEAU))) == Initramfs(IMAGE, ("570.86.15",), True)
    assert tree.asked == []


class Zstd:
    """A program that unpacks, in the place of /bin/sh: it writes where it is told to."""

    def __init__(self, wanted, start):
        self.wanted = wanted
        self.start = start

    def __call__(self, argv, timeout=None, stdin=None):
        offset, path, program, target = argv[4:]
        with open(path, "rb") as handle:
            handle.seek(int(offset) - 1)
            assert handle.read(4) == self.start
        with open(target, "wb") as handle:
            handle.write(self.wanted[program])
        return 0, "", ""


@pytest.mark.parametrize(("program", "start"), [("zstd", b"\x28\xb5\x2f\xfd"), ("lz4", b"\x02\x21\x4c\x18")])
def test_what_python_cannot_unpack_a_program_does_in_memory(tree, program, start):
    tree.run = Zstd({program: cpio(NVIDIA)}, start)
    before = set(os.listdir(tree.root))
    assert look(tree, MICROCODE + start + b"packed") == Initramfs(IMAGE, ("570.86.15",))
    assert set(os.listdir(tree.root)) - before == {"boot"}


def test_a_packed_module_in_an_archive_that_is_not(tree):
    """Ubuntu puts packed modules into an archive as it is."""
    tree.run = Zstd({"zstd": NVIDIA[1]}, b"\x28\xb5\x2f\xfd")
    data = cpio((NVIDIA[0] + ".zst", b"\x28\xb5\x2f\xfdpacked"))
    assert look(tree, data) == Initramfs(IMAGE, ("570.86.15",))


@pytest.mark.parametrize(
    ("data", "answer", "why"),
    [
        (
            b"\x28\xb5\x2f\xfd...",
            (127, "", "sh: 1: zstd: not found\n"),
            "it is packed with zstd, which ended with 127 (sh: 1: zstd: not found)",
        ),
        (b"\x28\xb5\x2f\xfd...", (1, "", ""), "it is packed with zstd, which ended with 1 (no message)"),
        (b"\x89LZO\0...", None, "its compression (lzo) is not known here"),
        (b"hello world", None, "its compression (68656c6c6f20) is not known here"),
        (cpio(NVIDIA)[:-600], None, "it ends in the middle of an archive"),
        (cpio(NVIDIA)[:400] + b"x" * 4000, None, "a header is missing"),
        (b"", None, "it is empty"),
        (gzip.compress(b"hello world"), None, "what is packed in it is no archive"),
        (gzip.compress(cpio(NVIDIA))[:-60], None, "Compressed file ended before the end-of-stream marker was reached"),
        (cpio((NVIDIA[0], b"no module")), None, f"{NVIDIA[0]} in it tells no version"),
    ],
)
def test_what_cannot_be_looked_into_says_why(tree, data, answer, why):
    tree.answers["/bin/sh"] = answer
    assert look(tree, data) == Initramfs(IMAGE, unread=why)


def test_only_root_may_look(tree, monkeypatch):
    def refuse(*_arguments, **_more):
        raise PermissionError(13, "Permission denied")

    tree.put(IMAGE, cpio(NVIDIA))
    monkeypatch.setattr(probe_initramfs, "open", refuse, raising=False)
    assert probe_initramfs.probe(tree.ports(), IMAGE, None) == Initramfs(IMAGE, unread="only root may read it")


def test_a_file_that_is_known_is_not_looked_into_again(tree):
    tree.put(IMAGE, cpio(NVIDIA, NOUVEAU))
    first = probe_initramfs.probe(tree.ports(), IMAGE, None)
    record = initramfs.remember([None, Kernel("6.1", True), Kernel("6.1", True, initramfs=first)])
    assert record == {IMAGE: {"stamp": first.stamp, "versions": ["570.86.15"], "nouveau": True}}
    status = os.stat(tree.files.path(IMAGE))
    tree.put(IMAGE, b"x" * status.st_size)
    os.utime(tree.files.path(IMAGE), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert probe_initramfs.probe(tree.ports(), IMAGE, record) == first
    tree.put(IMAGE, cpio(NOUVEAU))
    assert look(tree, cpio(NOUVEAU), record) == Initramfs(IMAGE, nouveau=True)


@pytest.mark.parametrize(
    "record",
    [None, [], {}, {IMAGE: 1}, {IMAGE: {"stamp": "s"}}, {IMAGE: {"stamp": "s", "versions": "5", "nouveau": True}}],
)
def test_a_record_that_is_none_says_nothing(record):
    assert initramfs.recall(record, IMAGE, "s") is None


def test_what_could_not_be_read_is_not_remembered():
    assert initramfs.remember([Kernel("6.1", True, initramfs=Initramfs(IMAGE, unread="no zstd", stamp="s"))]) == {}
