# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look into an initramfs without unpacking it to the disk. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import typing as t

from ..._ports import Ports
from ..model import Initramfs
from ..texts import initramfs, modinfo

_PYTHON: t.Dict[str, t.Callable[[t.Any], t.Any]] = {
    "gzip": lambda handle: gzip.GzipFile(fileobj=handle),
    "xz": lzma.LZMAFile,
    "lzma": lzma.LZMAFile,
    "bzip2": bz2.BZ2File,
}
# Python 3.9 has no module for these; distributions that use them bring the programs with their initramfs tools.
_PROGRAMS = ("zstd", "lz4")
_SECONDS = 60.0
_SCRIPT = 'tail -c +"$1" "$2" | "$3" -dcq > "$4"'


class _UnreadError(Exception):
    """Why it cannot be looked into."""


def probe(ports: Ports, path: str, record: t.Any) -> Initramfs:
    """What `record` knows of this very file is not looked up again: to unpack it costs a good part of a second."""
    real = ports.files.path(path)
    try:
        status = os.stat(real)
        stamp = f"{status.st_size}:{status.st_mtime_ns}"
        known = initramfs.recall(record, path, stamp)
        if known is not None:
            return known
        found = _scan(ports, real)
        versions = {_version(ports, name, content) for name, content in found.modules.items()}
    except (_UnreadError, OSError, EOFError, ValueError, lzma.LZMAError) as error:
        return Initramfs(path, unread=_why(error))
    return Initramfs(path, tuple(sorted(versions)), found.nouveau and not found.blacklisted, stamp=stamp)


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "only root may read it"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or "it ends too early"


def _scan(ports: Ports, real: str) -> initramfs.Found:
    found = initramfs.Found()
    with open(real, "rb") as handle:
        start = initramfs.scan(handle, found)
        if start:
            offset = handle.tell() - len(start)
            handle.seek(offset)
            with _opened(ports, handle, initramfs.compression(start) or start.hex(), offset) as stream:
                if initramfs.scan(stream, found):
                    raise _UnreadError("what is packed in it is no archive")
        elif not handle.tell():
            raise _UnreadError("it is empty")
    return found


def _opened(ports: Ports, handle: t.Any, name: str, offset: int) -> t.ContextManager[t.Any]:
    if name in _PYTHON:
        unpacking: t.ContextManager[t.Any] = _PYTHON[name](handle)
        return unpacking
    if name in _PROGRAMS:
        return _unpacked(ports, name, handle.name, offset)
    raise _UnreadError(f"its compression ({name}) is not known here")


def _unpacked(ports: Ports, program: str, path: str, offset: int = 0) -> t.IO[bytes]:
    """What a program unpacks, in memory that is no file of the node and goes with us."""
    descriptor = os.memfd_create("accel-gpu-initramfs")
    target = f"/proc/{os.getpid()}/fd/{descriptor}"
    argv = ["/bin/sh", "-c", _SCRIPT, "sh", str(offset + 1), path, program, target]
    code, _out, err = ports.run(argv, timeout=_SECONDS)
    if code == 0:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise _UnreadError(
        f"it is packed with {program}, which ended with {code} ({' '.join(err.split()) or 'no message'})"
    )


def _version(ports: Ports, name: str, content: bytes) -> str:
    if name.endswith(".xz"):
        content = lzma.decompress(content)
    elif name.endswith(".gz"):
        content = gzip.decompress(content)
    elif name.endswith(".zst"):
        with open(os.memfd_create("accel-gpu-module"), "w+b") as packed:
            packed.write(content)
            packed.flush()
            with _unpacked(ports, "zstd", f"/proc/{os.getpid()}/fd/{packed.fileno()}") as stream:
                content = stream.read()
    version = modinfo.fields(content).get("version")
    if version is None:
        raise _UnreadError(f"{name} in it tells no version")
    return version
