# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision table of what distributions have of their own, written by hand from the driver reference."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver import nodes
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._driver.test_table import (
    DISTRIBUTIONS,
    REFUSALS,
    check_names,
    grid,
    rows,
)

# distribution, GPU, branch (-: not given), modules, flavour, profile, then packages (* the common ones of Debian), or !
# and the beginning of the refusal
OWN = """
debian 12 hopper - dkms auto compute
  nvidia-kernel-dkms nvidia-kernel-support *
debian 12 hopper 535 dkms open compute
  nvidia-open-kernel-dkms nvidia-open-kernel-support *
debian 13 volta - dkms auto full
  nvidia-driver nvidia-kernel-dkms nvidia-kernel-support *
debian 13 grace-hopper - dkms auto compute
  nvidia-open-kernel-dkms nvidia-open-kernel-support *
debian 13 blackwell - dkms auto compute
  ! gpu_driver_branch: branch 550 does not support GPU
debian 12 hopper 550 dkms auto compute
  ! gpu_driver_branch: Debian GNU/Linux 12 has branch 535 of its own
debian 12 hopper - precompiled auto compute
  ! gpu_driver_modules: precompiled modules of the open
ubuntu 24.04 hopper 580 dkms auto compute
  nvidia-headless-580-server-open nvidia-utils-580-server nvidia-compute-utils-580-server
ubuntu 24.04 hopper 580 dkms proprietary full
  nvidia-driver-580-server nvidia-dkms-580-server nvidia-compute-utils-580-server
ubuntu 24.04 hopper 580 precompiled auto compute
  nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server nvidia-compute-utils-580-server
  linux-modules-nvidia-580-server-open-6.8.0-90-generic
ubuntu 22.04 volta - dkms auto compute
  nvidia-headless-580-server nvidia-utils-580-server nvidia-compute-utils-580-server
ubuntu 24.04 blackwell - dkms auto compute
  nvidia-headless-595-server-open nvidia-utils-595-server nvidia-compute-utils-595-server
ubuntu 26.04 hopper 535 dkms auto compute
  ! gpu_driver_branch: Ubuntu 26.04 has branch 595 or 580 of its own
rocky 9.4 hopper 580 dkms auto compute
  ! gpu_driver_source: Rocky Linux 9.4 has no NVIDIA driver of its own
sles 15.6 hopper 580 dkms auto compute
  ! gpu_driver_source: SUSE Linux Enterprise Server 15.6 has no NVIDIA driver of its own
"""


# What a distribution has of its own, by branch; as in GRID. Of all other branches it has none.
OWN_GRID = """
              debian12  debian13  ubuntu22.04        ubuntu24.04        ubuntu26.04
              535       550       535    580   595   535    580   595   580   595
maxwell       p         p         p      p     last  p      p     last  p     last
pascal        p         p         p      p     last  p      p     last  p     last
volta         p         p         p      p     last  p      p     last  p     last
turing        p         p         p      o     o     p      o     o     o     o
ampere        p         p         p      o     o     p      o     o     o     o
ada           p         p         p      o     o     p      o     o     o     o
hopper        p         p         p      o     o     p      o     o     o     o
grace-hopper  first     o         first  o     o     first  o     o     o     o
blackwell     first     first     first  o     o     first  o     o     o     o
10de:3182     first     first     first  o     o     first  o     o     o     o
10de:2bb5     first     first     first  o     o     first  o     o     o     o
"""
OWN_PACKAGES = {
    ("debian", "p"): "nvidia-kernel-dkms nvidia-kernel-support *",
    ("debian", "o"): "nvidia-open-kernel-dkms nvidia-open-kernel-support *",
    ("ubuntu", "p"): "nvidia-headless-{0}-server nvidia-utils-{0}-server nvidia-compute-utils-{0}-server",
    ("ubuntu", "o"): "nvidia-headless-{0}-server-open nvidia-utils-{0}-server nvidia-compute-utils-{0}-server",
}


def own_grid() -> t.Dict[t.Tuple[str, str, str], str]:
    """(distribution with its version, generation, branch) -> cell."""
    head, branches, *lines = OWN_GRID.strip("\n").splitlines()
    places = [(head.index(name), name) for name in head.split()]
    found = {}
    for branch in re.finditer(r"\d+", branches):
        name = [name for place, name in places if place <= branch.start()][-1]
        for line in lines:
            found[name, line.split()[0], branch.group()] = line[branch.start() :].split()[0]
    return found


@pytest.mark.parametrize(("name", "version"), DISTRIBUTIONS)
def test_every_cell_of_the_distributions_own(name: str, version: str) -> None:
    cells = own_grid()
    has = {branch for distribution, _generation, branch in cells if distribution == f"{name}{version}"}
    for generation, branch in grid():
        node = nodes.node(name, version, generation)
        cell = cells.get((f"{name}{version}", generation, branch), "none")
        if cell in REFUSALS:
            wanted = f"! gpu_driver_branch: {REFUSALS[cell].format(branch=branch)}"
        elif cell == "none" and has:
            wanted = f"! gpu_driver_branch: {node.distribution.name} has branch "
        elif cell == "none":
            wanted = f"! gpu_driver_source: {node.distribution.name} has no NVIDIA driver of its own"
        else:
            wanted = OWN_PACKAGES[name, cell].format(branch)
        check_names(nodes.wish(source="distribution", branch=branch), node, wanted)


@pytest.mark.parametrize(("row", "wanted"), rows(OWN))
def test_the_distributions_own_packages(row: str, wanted: str) -> None:
    name, version, gpu, branch, modules, flavour, profile = row.split()
    given = None if branch == "-" else branch
    wish = nodes.wish(source="distribution", branch=given, modules=modules, flavour=flavour, profile=profile)
    check_names(wish, nodes.node(name, version, gpu), wanted)
