# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running kernel and the one that boots next, with what each has of NVIDIA. Reads only. PRIVATE."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import mmap
import os
import re
import typing as t

from ..._data.driver_node import GRUB_CONFIGS, GRUB_ENVIRONMENTS, INITRAMFS, LOADER_ENTRIES, MODULE_FOLDERS
from ..._files import Files
from ..._ports import Ports
from ..model import Kernel, ModuleFile
from ..texts import bootloader, modinfo
from . import probe_initramfs
from .probe_files import data, is_folder, line, resolve, text

MODULES = "/lib/modules"
_NVIDIA_LINE = re.compile(r"^(\S*/nvidia[^/:\s]*\.ko(?:\.\w+)?):", re.MULTILINE)
_MODINFO_SECONDS = 20.0


class Kernels(t.NamedTuple):
    """`next` is None where the running one boots again; `said_by` tells whose word that is."""

    running: Kernel
    next: t.Optional[Kernel]
    said_by: str


def probe(ports: Ports, record: t.Any) -> Kernels:
    """`record` is what an earlier run wrote down of the initramfs files."""
    release = running_release(ports.files)
    coming, said_by = next_release(ports.files)
    return Kernels(
        running=kernel(ports, release, record),
        next=kernel(ports, coming, record) if coming not in (None, release) else None,
        said_by=said_by,
    )


def running_release(files: Files) -> str:
    # In a tree of another machine the kernel that runs here says nothing.
    if files.root != "/":
        return line(files, "/proc/sys/kernel/osrelease") or ""
    return os.uname().release


def architecture(files: Files) -> str:
    # /proc/sys/kernel/arch is there since Linux 6.1.
    return line(files, "/proc/sys/kernel/arch") or os.uname().machine


def next_release(files: Files) -> t.Tuple[t.Optional[str], str]:
    """The release that boots next and what says so: the boot loader's files, or else the highest version in /boot."""
    image, said_by = _loader_default(files)
    release = _release(files, image) if image else None
    if release and files.exists(f"{MODULES}/{release}"):
        return release, said_by
    found = {bootloader.release_of(name) for name in files.names("/boot") if name.startswith(("vmlinuz-", "Image-"))}
    installed = [one for one in found if one and files.exists(f"{MODULES}/{one}")]
    if not installed:
        return None, ""
    return max(installed, key=bootloader.version_key), "highest version in /boot"


def _loader_default(files: Files) -> t.Tuple[t.Optional[str], str]:
    variables: t.Dict[str, str] = {}
    for path in GRUB_ENVIRONMENTS:
        variables.update(bootloader.environment(text(files, path)))
    config = next((path for path in GRUB_CONFIGS if text(files, path)), "")
    entries = {name: text(files, f"{LOADER_ENTRIES}/{name}") for name in files.names(LOADER_ENTRIES)}
    if entries and (not config or "blscfg" in text(files, config)):
        chosen = variables.get("next_entry") or variables.get("saved_entry", "")
        return bootloader.entries_default(entries, chosen), LOADER_ENTRIES
    return bootloader.grub_default(text(files, config), variables) if config else None, config


def _release(files: Files, image: str) -> t.Optional[str]:
    """The boot loader may name a link such as /vmlinuz, and paths as its own partition has them."""
    known = bootloader.release_of(image)
    if known:
        return known
    for path in (image, f"/boot{image}"):
        target = resolve(files, path)
        if target is not None and bootloader.release_of(target):
            return bootloader.release_of(target)
    return None


def kernel(ports: Ports, release: t.Optional[str], record: t.Any) -> Kernel:
    release = release or ""
    folder = f"{MODULES}/{release}"
    image = image_of(ports.files, release)
    return Kernel(
        release=release,
        headers=is_folder(ports.files, f"{folder}/build"),
        modules=tuple(_modules(ports, folder)),
        initramfs=None if image is None else probe_initramfs.probe(ports, image, record),
    )


def image_of(files: Files, release: str) -> t.Optional[str]:
    return next((path.format(release) for path in INITRAMFS if files.exists(path.format(release))), None)


def _modules(ports: Ports, folder: str) -> t.Iterator[ModuleFile]:
    for path in module_paths(ports.files, folder):
        found = module_file(ports, path)
        if found is not None:
            yield found


def module_paths(files: Files, folder: str) -> t.List[str]:
    """Files of module nvidia, the one that modules.dep names (modprobe loads that) first. The folders beside it are
    looked into as well: a module for which depmod did not run is on the disk all the same."""
    indexed = [f"{folder}/{path}" for path in _NVIDIA_LINE.findall(text(files, f"{folder}/modules.dep"))]
    walked = []
    for name in MODULE_FOLDERS:
        for at, _folders, names in os.walk(files.path(f"{folder}/{name}"), followlinks=False):
            inside = os.path.relpath(at, files.path(folder))
            walked += [f"{folder}/{inside}/{one}" for one in names]
    found = [path for path in dict.fromkeys(indexed + sorted(walked)) if modinfo.canonical(path) == "nvidia"]
    return [path for path in found if resolve(files, path) is not None]


def module_file(ports: Ports, path: str) -> t.Optional[ModuleFile]:
    """Reads the file itself; only what it cannot unpack is left to the program modinfo."""
    path_inside = resolve(ports.files, path) or path
    real = ports.files.path(path_inside)
    try:
        if path.endswith((".xz", ".gz")):
            unpack = lzma.decompress if path.endswith(".xz") else gzip.decompress
            return modinfo.module_file(path, unpack(data(ports.files, path_inside) or b""))
        if path.endswith(".ko"):
            with _mapped(real) as view:
                found = modinfo.module_file(path, view)
            if found is not None:
                return found
    except (OSError, ValueError, EOFError, lzma.LZMAError):
        return None
    code, out, _err = ports.run(["modinfo", real], timeout=_MODINFO_SECONDS)
    return modinfo.from_program(path, out) if code == 0 else None


@contextlib.contextmanager
def _mapped(path: str) -> t.Iterator[memoryview]:
    """A module has up to a hundred megabytes, of which a few hundred bytes are wanted."""
    with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()
