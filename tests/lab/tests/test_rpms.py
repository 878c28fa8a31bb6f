# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rpm repositories made from the catalogue: no node is needed."""

from __future__ import annotations

import gzip
import re
import struct
from xml.etree import ElementTree

import pytest
import yaml
from labctl import repos, rpm, rpmmd
from labctl.openpgp import Key
from labctl.packages import Catalogue, Kernels, Package
from labctl.payload import Payload, Target

KERNELS = Kernels("6.1.0-40-amd64", "6.2.1-lab-amd64")
CATALOGUE = Catalogue()
NAMES = sorted(one.name for one in CATALOGUE.of_format("rpm"))
TARGET = Target(libraries="usr/lib64")


def of(repository: str) -> list[rpm.Rpm]:
    row = CATALOGUE.repositories[repository]
    found = []
    for name in row.sets:
        epoch = CATALOGUE.sets[name].get("epoch", 0)
        # as repos.py does: what has the driver's epoch is in its module
        module = row.module if epoch else ""
        found += [rpm.rpm(package, epoch, module, TARGET) for package in CATALOGUE.packages(name, KERNELS)]
    return found


@pytest.mark.parametrize("repository", NAMES)
def test_every_dependency_can_be_fulfilled(repository: str) -> None:
    known = of(repository) + of("family-rpm")
    provided = {(row.name, row.version) for one in known for row in one.relations["provides"]}
    names = {name for name, _version in provided}
    for one in known:
        for row in (*one.relations["requires"], *one.relations["recommends"]):
            assert row.name in names, f"{one.nevra} wants {row}"
            if row.sense == "=":
                assert (row.name, row.version) in provided, f"{one.nevra} wants {row}"


def test_streams_are_branch_and_flavour() -> None:
    streams = {one.nevra: set(one.streams) for one in of("rhel9")}
    assert streams["nvidia-open-3:580.126.16-1.el9.x86_64"] == {"nvidia-driver:580-open", "nvidia-driver:open-dkms"}
    assert streams["kmod-nvidia-latest-dkms-3:580.95.05-1.el9.noarch"] == {
        "nvidia-driver:580-dkms",
        "nvidia-driver:latest-dkms",
    }
    assert len(streams["libnvidia-ml-3:580.126.16-1.el9.x86_64"]) == 4
    assert streams["nvlsm-0:2025.06.6-1.x86_64"] == set()
    assert not any(one.streams for one in of("rhel10"))


def test_modules_list_packages_by_their_full_names() -> None:
    documents = list(yaml.safe_load_all(rpmmd.modules(of("rhel8"))))
    found = {one["data"]["stream"]: one["data"]["artifacts"]["rpms"] for one in documents}
    assert "590-open" in found
    assert "nvidia-driver-3:580.95.05-1.el8.x86_64" in found["580-open"]
    assert not any("580.95.05" in name for name in found["590-open"])


def test_equal_catalogues_give_equal_files_and_headers_lie_where_the_index_says() -> None:
    one = next(one for one in of("sles15") if one.package.name == "nvidia-compute-G06")
    data, (start, end) = rpm.build(one, Key("good"))
    assert (data, (start, end)) == rpm.build(one, Key("good"))
    assert data[start : start + 4] == b"\x8e\xad\xe8\x01"
    entries, size = struct.unpack(">II", data[start + 8 : start + 16])
    assert end - start == 16 + 16 * entries + size
    assert gzip.decompress(data[end:]).startswith(b"070701")


def test_index_names_each_file_with_its_digest() -> None:
    files = rpmmd.built([rpm.rpm(Package("a", "1", "1-2", "filler"), 3, "", TARGET)], None)
    found = {entry.path: entry.content for entry in rpmmd.repository("r", files, Key("good"))}
    assert {"r/a-1-2.x86_64.rpm", "r/repodata/repomd.xml", "r/repodata/repomd.xml.asc"} <= set(found)
    primary = ElementTree.fromstring(gzip.decompress(found["r/repodata/primary.xml.gz"]).decode())
    version = primary.find(".//{http://linux.duke.edu/metadata/common}version")
    assert version is not None
    assert version.attrib == {"epoch": "3", "ver": "1", "rel": "2"}
    unsigned = {entry.path for entry in rpmmd.repository("r", files, None)}
    assert "r/repodata/repomd.xml.asc" not in unsigned


def test_scripts_say_what_is_told_to_fail_and_run_the_stop_at_removal_alone() -> None:
    content = Payload(configure="echo configured\n", stop="echo stopped\n", removed="echo removed\n")
    one = rpm.Rpm(Package("a", "1", "1-1", "filler"), 0, (), dict.fromkeys(rpm.RELATIONS, ()), content)
    found = rpm.scripts(one)
    assert re.search(r"grep -qsx 'a' /etc/accel-lab/fail", found["post"])
    assert found["preun"] == 'if [ "$1" = 0 ]; then\n:\necho stopped\nfi\n'
    assert found["postun"] == "echo removed\n"


def test_kernels_have_versions_that_rpm_can_write() -> None:
    rows = repos._kernel_devel("stand-ins-rpm", KERNELS)
    assert [(one.name, one.full, one.kernel) for one in rows[:2]] == [
        ("kernel-core", "6.1.0-40_amd64", "6.1.0-40-amd64"),
        ("kernel-devel", "6.1.0-40_amd64", "6.1.0-40-amd64"),
    ]
