# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds of kernel modules by DKMS: proven before the drain, and timed. PRIVATE to the collection.

A build that was made before cannot be handed to the package: its script removes what DKMS has of that version and
builds anew (common.postinst of dkms 3.0.10). So the downloaded sources are built once in a folder of ours, by the
options --dkmstree and --sourcetree of dkms(8), and thrown away: a version that does not compile for these kernels is
told while the node still serves.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import time
import typing as t

from ..._errors import BlockedError
from ..._run import NOT_FOUND
from ..record import FOLDER
from .apply_build_log import explained
from .apply_keep import CACHES, file_stem

if t.TYPE_CHECKING:
    from ..._packages.objects import Change
    from ..._ports import Ports

TREE = f"{FOLDER}/build"
_DKMS = "/var/lib/dkms"
_SECONDS = 3600.0  # a slow node with much work; real builds took minutes
# Sources lie in the package that DKMS builds from, or on Ubuntu in one that it depends on.
_SOURCES = re.compile(r"nvidia.*(?:dkms|kernel-source)|kernel.*nvidia.*source")
_FIELD = re.compile(r"^\s*PACKAGE_(NAME|VERSION)=[\"']?([^\"'\s]+)", re.MULTILINE)


class Module(t.NamedTuple):
    name: str
    version: str


def prove(ports: Ports, kind: str, changes: t.Sequence[Change], kernels: t.Sequence[str]) -> t.Optional[float]:
    """The seconds that it took; None where nothing could be built here and now. Raises BlockedError."""
    packages = [one for one in changes if one.after is not None and _SOURCES.search(one.name)]
    if not packages or not kernels or not any(ports.files.exists(f"{one}/dkms") for one in ("/usr/sbin", "/usr/bin")):
        return None
    start = time.monotonic()
    tree = ports.files.path(TREE)
    shutil.rmtree(tree, ignore_errors=True)
    try:
        os.makedirs(os.path.join(tree, "dkms"), mode=0o755)
        for package in packages:
            _unpack(ports, kind, package)
        modules = _modules(ports)
        for module in modules:
            _build(ports, module, kernels)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return round(time.monotonic() - start, 1) if modules else None


def _unpack(ports: Ports, kind: str, package: Change) -> None:
    """A file that is not where the manager keeps files, or that cannot be unpacked, proves nothing."""
    stem = file_stem(kind, package.name, str(package.after))
    for cache in CACHES[kind]:
        for path in glob.glob(os.path.join(ports.files.path(cache), f"{glob.escape(stem)}[._]*")):
            if kind == "apt":
                ports.run(["dpkg-deb", "-x", path, ports.files.path(TREE)], timeout=_SECONDS)
            else:
                script = 'cd "$1" && rpm2cpio "$2" | cpio -idm --quiet'
                ports.run(["sh", "-c", script, "sh", ports.files.path(TREE), path], timeout=_SECONDS)


def _modules(ports: Ports) -> t.List[Module]:
    found = []
    for name in ports.files.names(f"{TREE}/usr/src"):
        fields = dict(_FIELD.findall(ports.files.read_text(f"{TREE}/usr/src/{name}/dkms.conf") or ""))
        if name == f"{fields.get('NAME')}-{fields.get('VERSION')}":
            found.append(Module(fields["NAME"], fields["VERSION"]))
    return found


def _build(ports: Ports, module: Module, kernels: t.Sequence[str]) -> None:
    tree = ports.files.path(TREE)
    where = ["--sourcetree", f"{tree}/usr/src", "--dkmstree", f"{tree}/dkms"]
    words = ["-m", module.name, "-v", module.version]
    # The node still serves: whoever works on it goes first.
    calls = [["dkms", "add", *words, *where]]
    calls += [["nice", "-n", "19", "dkms", "build", *words, "-k", kernel, *where] for kernel in kernels]
    for argv in calls:
        code, out, err = ports.run(argv, timeout=_SECONDS)
        if code not in (0, NOT_FOUND):
            said = " ".join((err + " " + out).split()) or "no output"
            raise explained(
                BlockedError(
                    f"dkms ended with {code} for {module.name} {module.version} and kernel {', '.join(kernels)}: "
                    f"{said}; give a version that compiles for this kernel, or boot another one",
                    kernels=list(kernels),
                    exit_code=code,
                ),
                ports.files,
            )


def seconds_since(ports: Ports, since: float) -> float:
    """How long DKMS built for the packages of a change that began at `since`: from the moment in which a version came
    into its tree to the last word in a log of its builds."""
    total = 0.0
    for source in glob.glob(ports.files.path(f"{_DKMS}/*/*/source")):
        folder = os.path.dirname(source)
        logs = [*glob.glob(f"{folder}/build/make.log"), *glob.glob(f"{folder}/*/*/log/make.log")]
        try:
            begun = os.lstat(source).st_mtime
            if begun >= since:
                total += max(0.0, max((os.stat(log).st_mtime for log in logs), default=begun) - begun)
        except OSError:
            continue  # it went meanwhile
    return round(total, 1)
