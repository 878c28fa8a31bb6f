# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds of DKMS: the one on trial before a drain, and the time of the real one."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.change import apply_build
from ansible_collections.accel.gpu.plugins.module_utils._errors import BlockedError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports

TREE = "/var/lib/accel-gpu/driver/build"
CONF = b'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="590.48.01"\n'
# (kind, changes, where the manager keeps the file)
CASES: t.Dict[str, t.Tuple[str, t.Tuple[Change, ...], str]] = {
    "apt": (
        "apt",
        (Change("nvidia-dkms-open", "580-1", "1:590.48.01-1"), Change("libcuda1", "580-1", "590.48.01-1")),
        "/var/cache/apt/archives/nvidia-dkms-open_1%3a590.48.01-1_amd64.deb",
    ),
    "sources in a package of their own": (
        "apt",
        (Change("nvidia-kernel-source-590-open", None, "590.48.01-1"), Change("nvidia-dkms-590-open", None, "1")),
        "/var/cache/apt/archives/nvidia-kernel-source-590-open_590.48.01-1_amd64.deb",
    ),
    "dnf": (
        "dnf",
        (Change("kmod-nvidia-open-dkms", "3:580-1.el9", "3:590.48.01-1.el9"),),
        "/var/cache/dnf/accel-1/packages/kmod-nvidia-open-dkms-590.48.01-1.el9.noarch.rpm",
    ),
}


class Node:
    """Unpacks what a package has, and answers dkms."""

    def __init__(self, root: t.Any, *built: int) -> None:
        self.files = Files(str(root))
        self.said: t.List[t.List[str]] = []
        self._built = list(built)
        self.files.write("/usr/sbin/dkms", b"")

    def run(self, argv: t.Sequence[str], timeout: t.Any = None, stdin: t.Any = None) -> t.Tuple[int, str, str]:
        self.said.append([word.replace(self.files.root, "") for word in argv])
        if argv[0] in ("dpkg-deb", "sh"):
            self.files.write(f"{TREE}/usr/src/nvidia-590.48.01/dkms.conf", CONF)
        if "build" in argv and self._built:
            log = self.files.path(f"{TREE}/dkms/nvidia/590.48.01/build/make.log")
            self.files.write(log.replace(self.files.root, ""), b"nv.c:1: error: too few arguments\n")
            return self._built.pop(0), "", f"Error! Consult {log.replace(self.files.root, '')} for more information."
        return 0, "", ""

    @property
    def ports(self) -> Ports:
        return Ports(self.run, self.files, lambda: pytest.fail("NVML was asked"), root=self.files.root)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_downloaded_is_built_for_each_kernel_and_thrown_away(tmp_path, case):
    kind, changes, path = CASES[case]
    node = Node(tmp_path)
    node.files.write(path, b"")
    assert apply_build.prove(node.ports, kind, changes, ["6.1.0", "6.12.0"]) is not None
    unpacking, *calls = node.said
    assert (unpacking[0], path in unpacking, TREE in unpacking) == ("dpkg-deb" if kind == "apt" else "sh", True, True)
    words = ["-m", "nvidia", "-v", "590.48.01"]
    where = ["--sourcetree", f"{TREE}/usr/src", "--dkmstree", f"{TREE}/dkms"]
    assert calls == [
        ["dkms", "add", *words, *where],
        ["nice", "-n", "19", "dkms", "build", *words, "-k", "6.1.0", *where],
        ["nice", "-n", "19", "dkms", "build", *words, "-k", "6.12.0", *where],
    ]
    assert not node.files.exists(TREE)


def test_a_version_that_does_not_compile_is_told_with_its_log(tmp_path):
    kind, changes, path = CASES["apt"]
    node = Node(tmp_path, 10)
    node.files.write(path, b"")
    with pytest.raises(BlockedError) as caught:
        apply_build.prove(node.ports, kind, changes, ["6.1.0"])
    assert caught.value.message == (
        "dkms ended with 10 for nvidia 590.48.01 and kernel 6.1.0: Error! Consult "
        f"{TREE}/dkms/nvidia/590.48.01/build/make.log for more information.; give a version that compiles for this "
        "kernel, or boot another one; the build's log begins to fail with: nv.c:1: error: too few arguments"
    )
    assert not node.files.exists(TREE)


@pytest.mark.parametrize("lacks", ["dkms", "kernels", "file", "sources"])
def test_nothing_is_built_where_that_proves_nothing(tmp_path, lacks):
    kind, changes, path = CASES["apt"]
    node = Node(tmp_path)
    if lacks == "dkms":
        node.files.remove("/usr/sbin/dkms")
    if lacks != "file":
        node.files.write(path, b"")
    kernels = [] if lacks == "kernels" else ["6.1.0"]
    assert apply_build.prove(node.ports, kind, changes[1:] if lacks == "sources" else changes, kernels) is None
    assert node.said == []


def test_the_time_of_a_build_is_read_from_what_dkms_leaves(tmp_path):
    files = Files(str(tmp_path))

    def version(name: str, begun: float, *logs: t.Tuple[str, float]) -> None:
        folder = f"/var/lib/dkms/nvidia/{name}"
        for log, ended in logs:
            files.write(f"{folder}/{log}", b"")
            os.utime(files.path(f"{folder}/{log}"), (ended, ended))
        os.symlink(f"/usr/src/nvidia-{name}", files.path(f"{folder}/source"))
        os.utime(files.path(f"{folder}/source"), (begun, begun), follow_symlinks=False)

    version("580", 500.0, ("6.1.0/x86_64/log/make.log", 700.0))
    version("590", 1002.0, ("6.1.0/x86_64/log/make.log", 1050.0), ("6.12.0/x86_64/log/make.log", 1092.5))
    ports = Ports(
        lambda *_args, **_more: pytest.fail("a command"), files, lambda: pytest.fail("NVML"), root=str(tmp_path)
    )
    assert apply_build.seconds_since(ports, 1000.0) == 90.5
    assert apply_build.seconds_since(ports, 2000.0) == 0.0
