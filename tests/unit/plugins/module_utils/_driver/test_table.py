# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision table: distribution × generation × branch, with the packages or the reason of a refusal.

The tables are written by hand from the driver reference, not from the implementation's data.
"""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._data.driver_branches import BRANCHES
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import plan_names, plan_request
from ansible_collections.accel.gpu.plugins.module_utils._errors import WishError
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes

DISTRIBUTIONS = [
    ("debian", "12"),
    ("debian", "13"),
    ("ubuntu", "22.04"),
    ("ubuntu", "24.04"),
    ("ubuntu", "26.04"),
    *itertools.product(("rhel", "rocky", "almalinux", "ol", "centos"), ("8.10", "9.4", "10.1")),
    ("sles", "15.6"),
]

# o, p: the flavour for `auto`. names: the names of packages are not known. last: too new for the GPUs, first: too old.
GRID = """
                 535    550    565    570    575    580    590    595    610    615    620
maxwell          names  names  names  p      p      p      last   last   last   last   last
pascal           names  names  names  p      p      p      last   last   last   last   last
volta            names  names  names  p      p      p      last   last   last   last   last
turing           names  names  names  o      o      o      o      o      o      o      o
ampere           names  names  names  o      o      o      o      o      o      o      o
ada              names  names  names  o      o      o      o      o      o      o      o
hopper           names  names  names  o      o      o      o      o      o      o      o
grace-hopper     names  names  names  o      o      o      o      o      o      o      o
blackwell        names  names  names  o      o      o      o      o      o      o      o
10de:3182        names  names  names  first  first  o      o      o      o      o      o
10de:2bb5        names  names  names  first  o      o      o      o      o      o      o
"""

# layout, branches, flavour: packages of profile compute with DKMS, and with persistenced
PACKAGES = """
debian 570-620 o  nvidia-driver-cuda nvidia-kernel-open-dkms nvidia-persistenced
debian 570-580 p  nvidia-driver-cuda nvidia-kernel-dkms nvidia-persistenced
ubuntu 570-580 o  libnvidia-compute-{} nvidia-dkms-{}-open nvidia-utils-{} nvidia-compute-utils-{}
ubuntu 570-580 p  libnvidia-compute-{} nvidia-dkms-{} nvidia-utils-{} nvidia-compute-utils-{}
ubuntu 590-620 o  libnvidia-compute nvidia-dkms-open nvidia-utils nvidia-persistenced
rhel   570-620 o  nvidia-driver-cuda kmod-nvidia-open-dkms nvidia-persistenced
rhel   570-580 p  nvidia-driver-cuda kmod-nvidia-latest-dkms nvidia-persistenced
sles   570-570 o  nvidia-open-driver-G06-kmp-default nvidia-compute-utils-G06 nvidia-persistenced
sles   570-570 p  nvidia-driver-G06-kmp-default nvidia-compute-utils-G06 nvidia-persistenced
sles   575-580 o  nvidia-open-driver-G06 nvidia-compute-utils-G06 nvidia-persistenced
sles   575-580 p  nvidia-driver-G06 nvidia-compute-utils-G06 nvidia-persistenced
sles   590-620 o  nvidia-open-driver-G07 nvidia-compute-utils-G07 nvidia-persistenced
"""

REFUSALS = {
    "names": "branch {branch} has other package names in NVIDIA's repository than are known here",
    "last": "branch {branch} does not support GPU 0000:17:00.0",
    "first": "branch {branch} does not support GPU 0000:17:00.0",
}
DETAILS = {
    "last": ": 580 is the last branch for ",
    "first": ": it needs driver ",
    "names": "; give one of 570, 575, 580",
}


def grid() -> t.Dict[t.Tuple[str, str], str]:
    lines = GRID.strip("\n").splitlines()
    columns = lines[0].split()
    return {(row.split()[0], column): cell for row in lines[1:] for column, cell in zip(columns, row.split()[1:])}


def expected(layout: str, branch: str, flavour: str) -> t.Set[str]:
    for line in PACKAGES.strip().splitlines():
        row, span, mark, *names = line.split()
        first, last = span.split("-")
        if row == layout and mark == flavour and int(first) <= int(branch) <= int(last):
            return {name.format(branch) for name in names}
    raise AssertionError(f"the table has no row for {layout} {branch} {flavour}")


@pytest.mark.parametrize(("name", "version"), DISTRIBUTIONS)
def test_every_cell_of_nvidias_repository(name: str, version: str) -> None:
    cells = grid()
    # Each branch that is known has its column.
    assert (len(cells), {branch for _generation, branch in cells}) == (121, set(BRANCHES))
    layout = name if name in ("debian", "ubuntu", "sles") else "rhel"
    wrong = []
    for (generation, branch), cell in cells.items():
        node = nodes.node(name, version, generation)
        found: t.Any
        wanted: t.Any
        try:
            wish = nodes.wish(branch=branch)
            names = plan_names.names(wish, node)
            streams = (f"{branch}-open", f"{branch}-dkms") if layout == "rhel" and not version.startswith("10") else ()
            made = plan_request.request(wish, node, nodes.offers(node, names, f"{branch}.95.05", streams=streams))
            assert made is not None
            found = (set(dict(made.install)), made.stream, dict(made.first))
            flavours = {"o": "open", "p": "dkms"}
            wanted = (
                expected(layout, branch, cell) if cell in flavours else cell,
                f"nvidia-driver:{branch}-{flavours.get(cell)}" if streams else None,
                {f"nvidia-driver-pinning-{branch}": f"{branch}-1"} if layout in ("debian", "ubuntu") else {},
            )
        except WishError as error:
            found = error.message
            wanted = found if cell in REFUSALS and _fits(found, cell, branch) else f"{cell}: {branch}"
        if found != wanted:
            wrong.append((generation, branch, found, wanted))
    assert wrong == []


def _fits(message: str, cell: str, branch: str) -> bool:
    return message.startswith(f"gpu_driver_branch: {REFUSALS[cell].format(branch=branch)}") and DETAILS[cell] in message


COMMON_OF_DEBIAN = [
    "nvidia-smi",
    "libcuda1",
    "libnvidia-ml1",
    "libnvidia-cfg1",
    "libnvidia-ptxjitcompiler1",
    "libnvidia-pkcs11-openssl3",
    "nvidia-alternative",
    "firmware-nvidia-gsp",
    "nvidia-persistenced",
]


def rows(text: str) -> t.List[t.Tuple[str, str]]:
    """(line, what stands indented below it)."""
    found: t.List[t.Tuple[str, str]] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            head, below = found.pop()
            found.append((head, f"{below} {line.strip()}".strip()))
        else:
            found.append((line, ""))
    return found


def check_names(wish: t.Any, node: t.Any, wanted: str) -> None:
    if wanted.startswith("!"):
        with pytest.raises(WishError) as caught:
            plan_names.names(wish, node)
        assert caught.value.message.startswith(wanted[1:].strip())
        return
    words = wanted.split()
    assert set(plan_names.names(wish, node)) == {*words, *(COMMON_OF_DEBIAN if "*" in words else ())} - {"*"}


# --- other kinds of modules and profiles of NVIDIA's repositories ---

OTHERS = """
debian 13 580 dkms auto full
  nvidia-open nvidia-driver-pinning-580
debian 13 580 dkms proprietary full
  cuda-drivers nvidia-driver-pinning-580
ubuntu 24.04 595 dkms auto full
  nvidia-open nvidia-driver-pinning-595
ubuntu 24.04 595 dkms proprietary compute
  libnvidia-compute nvidia-dkms nvidia-utils nvidia-driver-pinning-595
ubuntu 24.04 580 precompiled auto compute
  ! gpu_driver_modules: precompiled modules of the open flavour do not exist for Ubuntu 24.04
rocky 9.4 580 dkms auto full
  nvidia-open
rocky 9.4 580 precompiled auto compute
  nvidia-driver-cuda
rocky 9.4 580 precompiled auto full
  cuda-drivers
rocky 9.4 580 precompiled open full
  ! gpu_driver_modules: precompiled modules of the open flavour do not exist for Rocky Linux 9.4
rocky 10.1 580 precompiled proprietary full
  ! gpu_driver_modules: precompiled modules of the proprietary flavour do not exist for Rocky Linux 10.1
sles 15.6 580 dkms auto full
  nvidia-open-driver-G06 nvidia-compute-utils-G06 nvidia-video-G06
sles 15.6 595 precompiled auto compute
  nvidia-open-driver-G07-signed-cuda-kmp-default nvidia-compute-utils-G07
sles 15.6 580 precompiled proprietary compute
  ! gpu_driver_modules: precompiled modules of the proprietary flavour do not exist for SUSE
"""


@pytest.mark.parametrize(("row", "wanted"), rows(OTHERS))
def test_profiles_and_precompiled_modules(row: str, wanted: str) -> None:
    name, version, branch, modules, flavour, profile = row.split()
    wish = nodes.wish(branch=branch, modules=modules, flavour=flavour, profile=profile, persistenced=False)
    check_names(wish, nodes.node(name, version), wanted)


# --- companions ---

SWITCHES = nodes.gpus(nodes.H100_SWITCH)
COMPANIONS = [
    ("nvidia", "ubuntu 24.04", "570", {"switches": SWITCHES}, {"nvidia-fabricmanager-570": "570.95.05-1"}),
    ("nvidia", "ubuntu 24.04", "580", {"switches": SWITCHES}, {"nvidia-fabricmanager": "580.95.05-1"}),
    ("nvidia", "ubuntu 24.04", "595", {"switches": SWITCHES}, {"nvidia-fabricmanager": "595.95.05-1"}),
    ("distribution", "ubuntu 24.04", "580", {"switches": SWITCHES}, {"nvidia-fabricmanager-580": "580.95.05-1"}),
    ("nvidia", "debian 13", "580", {"switches": SWITCHES}, {"nvidia-fabricmanager": "580.95.05-1"}),
    ("nvidia", "rocky 9.4", "570", {"switches": SWITCHES}, {"nvidia-fabric-manager": "3:570.95.05-1.el9"}),
    ("nvidia", "rocky 9.4", "580", {"switches": SWITCHES}, {"nvidia-fabricmanager": "3:580.95.05-1.el9"}),
    (
        "nvidia", "ubuntu 24.04", "580", {"nvlink5": True},
        {"nvidia-fabricmanager": "580.95.05-1", "nvlsm": "2025.03.1-1"},
    ),
    ("nvidia", "ubuntu 24.04", "580", {"gpus": nodes.gpus("10de:2941")}, {"nvidia-imex": "580.95.05-1"}),
    (
        "distribution", "ubuntu 24.04", "595", {"gpus": nodes.gpus("10de:31c2")},
        {"nvidia-imex-595": "595.95.05-1"},
    ),
    ("nvidia", "ubuntu 24.04", "580", {}, {}),
]  # fmt: skip
COMMON = ("nvidia-driver-cuda", "kmod-", "libnvidia-", "nvidia-dkms", "nvidia-utils", "nvidia-compute", "nvidia-kernel")


@pytest.mark.parametrize(("source", "where", "branch", "facts", "wanted"), COMPANIONS)
def test_companions_have_exactly_the_drivers_version(
    source: str, where: str, branch: str, facts: t.Dict[str, t.Any], wanted: t.Dict[str, str]
) -> None:
    node = nodes.node(*where.split(), **facts)
    wish = nodes.wish(source=source, branch=branch, persistenced=False)
    names = plan_names.names(wish, node)
    # A newer fabric manager is in the repository, alone.
    offers = nodes.offers(node, names, f"{branch}.95.05")
    newer = {
        name: (nodes.packaged(node.distribution.family, name, f"{branch}.99.01"), *found)
        for name, found in offers.versions.items()
        if "fabric" in name
    }
    offers = offers._replace(versions={**offers.versions, **newer})
    made = plan_request.request(wish, node, offers)
    assert made is not None
    found = {name: version for name, version in made.install if not name.startswith((*COMMON, "nvidia-headless"))}
    assert found == wanted
