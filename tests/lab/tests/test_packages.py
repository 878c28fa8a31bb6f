# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of packages, the packages made from it, and the keys that sign them: no node is needed."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
from labctl import deb, inventory, openpgp, packages, payload, repos
from labctl.common import LabError
from labctl.packages import Catalogue, Kernels, Package

KERNELS = Kernels("6.1.0-40-amd64", "6.2.1-lab-amd64")
CATALOGUE = Catalogue()
SUITES = sorted(one.name for one in CATALOGUE.of_format("deb-"))
RELATION = re.compile(r"([a-z0-9][a-z0-9.+-]+)(?: \((>=|=) ([^)]+)\))?")


def of(repository: str) -> list[Package]:
    return [one for name in CATALOGUE.repositories[repository].sets for one in CATALOGUE.packages(name, KERNELS)]


def versions(repository: str, name: str) -> list[str]:
    return [one.full for one in of(repository) if one.name == name]


@pytest.mark.parametrize("repository", SUITES)
def test_every_dependency_can_be_fulfilled(repository: str) -> None:
    """But for the one that cannot in reality either: Debian 12's open modules want firmware of another version."""
    known = of(repository) + repos.preinstalled(CATALOGUE, KERNELS)
    names = {one.name: one for one in known} | {
        word.split()[0]: one for one in known for word in one.related("provides")
    }
    pairs = {(one.name, one.full) for one in known}
    missing = []
    for package in of(repository):
        for relation in package.related("depends"):
            if not any(_fulfilled(word.strip(), names, pairs) for word in relation.split("|")):
                missing.append(f"{package.name}: {relation}")
    wanted = ["nvidia-open-kernel-dkms: firmware-nvidia-gsp (= 535.261.03)"] if repository == "bookworm" else []
    assert missing == wanted


def _fulfilled(word: str, names: t.Mapping[str, Package], pairs: t.Collection[tuple[str, str]]) -> bool:
    match = RELATION.fullmatch(word)
    assert match is not None, word
    name, operator, version = match.groups()
    return name in names if operator is None else (name, version) in pairs


@pytest.mark.parametrize("repository", SUITES)
def test_no_version_of_a_package_comes_twice(repository: str) -> None:
    files = [deb.file_name(one) for one in of(repository)]
    assert sorted(set(files)) == sorted(files)


# repository, package, its versions there
VERSIONS = [
    ("debian12", "nvidia-fabricmanager", ["580.95.05-1", "580.126.16-1", "590.48.01-1", "595.71.05-1", "620.12.04-1"]),
    ("debian12", "nvidia-fabricmanager-570", ["570.195.03-1"]),
    ("debian12", "nvidia-driver-pinning-580", ["580.126.16-1"]),
    ("debian12", "nvidia-driver-pinning-580.95.05", ["580.95.05-1"]),
    ("debian12", "nvlsm", ["2025.06.6-1"]),
    ("debian13", "cuda-keyring", ["1.1-1"]),
    ("ubuntu2404", "nvidia-dkms-580-open", ["580.95.05-0ubuntu1", "580.126.16-0ubuntu1"]),
    ("ubuntu2404", "nvidia-dkms-590-open", []),
    ("ubuntu2404", "nvidia-dkms-open", ["590.48.01-0ubuntu1", "595.71.05-1ubuntu1", "620.12.04-1ubuntu1"]),
    # R620 has no proprietary modules
    ("ubuntu2404", "nvidia-dkms", ["590.48.01-0ubuntu1", "595.71.05-1ubuntu1"]),
    ("ubuntu2404", "nvidia-fabricmanager", [
        "580.95.05-1", "580.126.16-1", "590.48.01-1", "595.71.05-1ubuntu1", "620.12.04-1ubuntu1",
    ]),
    ("bookworm", "nvidia-driver", ["535.309.01-0+deb12u1"]),
    ("bookworm", "nvidia-persistenced", ["535.171.04-1~deb12u1"]),
    ("noble", "nvidia-driver-570-server-open", ["580.95.05-0ubuntu1", "580.126.16-0ubuntu1"]),
    ("noble", "linux-modules-nvidia-580-server-open-6.2.1-lab-amd64", ["580.126.16-0ubuntu1"]),
    ("noble", "linux-image-generic", ["99.1", "99.2"]),
]  # fmt: skip


@pytest.mark.parametrize(("repository", "name", "wanted"), VERSIONS, ids=[f"{one[0]}-{one[1]}" for one in VERSIONS])
def test_versions(repository: str, name: str, wanted: list[str]) -> None:
    assert versions(repository, name) == wanted


def test_kernels_of_any_machine_give_names_that_packages_may_have() -> None:
    odd = Kernels("5.14.0-427.el9.X86_64", "5.15.1-lab-amd64")
    image = CATALOGUE.packages("kernels-debian", odd)[0]
    assert (image.name, image.kernel) == ("linux-image-5.14.0-427.el9.x86-64", "5.14.0-427.el9.X86_64")


def test_mistakes_in_the_catalogue_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("sets: {s: {versions: ['1.0'], packages: {p: {role: meta, dependz: []}}}}")
    with pytest.raises(LabError, match=r"^set s, package p: unknown field 'dependz'$"):
        Catalogue(tmp_path).packages("s", KERNELS)
    path.write_text("sets: {s: {versions: ['1.0'], packages: {p: {role: mega}}}}")
    with pytest.raises(LabError, match=r"^set s, package p: role is 'mega'; it must be one of fabricmanager, "):
        Catalogue(tmp_path).packages("s", KERNELS)
    path.write_text("repositories: {r: {format: deb-flat, path: r, sets: [s], signed: {}}}")
    with pytest.raises(LabError, match="^repository r: there is no set 's' in "):
        Catalogue(tmp_path)


def test_package_is_read_by_dpkg_and_reproducible(tmp_path: Path) -> None:
    package = next(one for one in of("debian12") if one.name == "nvidia-fabricmanager")
    data = deb.build(package, payload.Target())
    assert data == deb.build(package, payload.Target())
    path = tmp_path / "one.deb"
    path.write_bytes(data)
    told = subprocess.check_output(["dpkg-deb", "--field", str(path), "Package", "Version", "Architecture"], text=True)
    assert told == "Package: nvidia-fabricmanager\nVersion: 580.95.05-1\nArchitecture: amd64\n"
    listed = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", str(path)])
    with tarfile.open(fileobj=io.BytesIO(listed)) as bundle:
        assert "./lib/systemd/system/nvidia-fabricmanager.service" in bundle.getnames()


def test_packages_with_a_unit_reload_systemd() -> None:
    """The one thing that matters to containers on the node, so it must be true of these and of no others."""
    reloads = {
        one.role
        for one in of("debian12")
        if "daemon-reload" in "".join(deb.scripts(one, payload.payload(one, payload.Target())).values())
    }
    assert reloads == {"persistenced", "fabricmanager", "imex"}


def test_fingerprints_are_the_same_everywhere() -> None:
    assert {name: key.fingerprint for name, key in repos.KEYS.items()} == {
        "good": "5CBC8C480E25A83D6FCD3AEFCC9156D6527F1A80",
        "sha1": "15215D34E3C896876652601455306D0E5651E393",
        "expired": "5F439E77E495CCFA10EB5169C79A12C20B5230C8",
    }


def test_clear_signed_text_keeps_dashes_and_drops_trailing_blanks() -> None:
    text = repos.KEYS["good"].clear("Origin: x  \n- one\n")
    assert text.startswith("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: x\n- - one\n-----BEGIN")


def test_a_number_is_no_prime_by_chance() -> None:
    n, e, d, p, q = openpgp.Key("good").numbers
    assert (p * q, n.bit_length(), e * d % ((p - 1) * (q - 1))) == (n, 2048, 1)


def test_order_of_versions_is_not_that_of_words() -> None:
    assert packages.order("580.126.16") > packages.order("580.95.05")


# id, host variables, message
BAD = [
    (
        "image",
        {"lab_image": "sles"},
        "n: lab_image is 'sles'; it must be one of node, driver, driver13, el, suse, real12, real13",
    ),
    (
        "kernels",
        {"lab_image": "driver", "lab_kernels": ["old"]},
        "n: lab_kernels is ['old']; it must list words out of running, next",
    ),
    (
        "switches",
        {"lab_nvswitches": ["H100"]},
        "n: lab_nvswitches: 'H100' is no PCI device such as 22a3, or 22a3*4 for four of them",
    ),
    (
        "os_of_another_family",
        {"lab_image": "driver", "lab_os": "rocky8"},
        "n: lab_os 'rocky8' does not go with lab_image 'driver'",
    ),
    (
        "os_real",
        {"lab_image": "real12", "lab_sources": "lab"},
        "n: lab_sources needs a lab_image with packages: driver, driver13, el, suse",
    ),
    ("os", {"lab_os": "ubuntu2404"}, "n: lab_os needs a lab_image with packages: driver, driver13, el, suse"),
    (
        "secure_boot",
        {"lab_secure_boot": False},
        "n: lab_secure_boot needs a lab_image with packages: driver, driver13, el, suse",
    ),
    (
        "secure_boot_word",
        {"lab_image": "driver", "lab_secure_boot": "on"},
        "n: lab_secure_boot is 'on'; it must be true or false",
    ),
]


@pytest.mark.parametrize(("variables", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_variables_are_named(variables: dict[str, t.Any], message: str) -> None:
    with pytest.raises(LabError) as caught:
        inventory.node_spec("n", {"lab_boards": ["t4"], **variables})
    assert str(caught.value) == message


def test_an_ubuntu_has_no_packages_of_debian() -> None:
    spec = inventory.node_spec("n", {"lab_boards": ["t4"], "lab_image": "driver", "lab_os": "ubuntu2404"})
    assert (spec.sources, spec.kernels, spec.secure_boot) == ("lab", ("running",), None)
    spec = inventory.node_spec("n", {"lab_boards": ["t4"], "lab_nvswitches": ["22a3*4"]})
    assert spec.nvswitches == ("22a3",) * 4
