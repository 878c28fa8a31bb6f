# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tag of an image follows from what goes into it and from nothing else."""

from __future__ import annotations

import dataclasses
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from labctl import files, recipe
from labctl.common import LabError


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"library")
    return tmp_path


def test_same_recipe_same_tag(library: Path) -> None:
    first, second = recipe.load(gpusim_out=library), recipe.load(gpusim_out=library)
    assert first.tag == second.tag
    assert first.base_tag == second.base_tag


def test_tag_ignores_time_and_umask(library: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    (overlay / "usr").mkdir(parents=True)
    (overlay / "usr/one").write_text("one")
    plain = dataclasses.replace(recipe.load(gpusim_out=library), entries=tuple(files.tree(overlay, "")))
    os.utime(overlay / "usr/one", (1, 1))
    (overlay / "usr/one").chmod(0o640)
    assert dataclasses.replace(plain, entries=tuple(files.tree(overlay, ""))).tag == plain.tag
    (overlay / "usr/one").chmod(0o755)
    assert dataclasses.replace(plain, entries=tuple(files.tree(overlay, ""))).tag != plain.tag


def test_library_changes_the_image_but_not_the_base(library: Path) -> None:
    before = recipe.load(gpusim_out=library)
    (library / "libnvidia-ml.so.1").write_bytes(b"another library")
    after = recipe.load(gpusim_out=library)
    assert after.tag != before.tag
    assert after.base_tag == before.base_tag


@pytest.mark.parametrize("change", [{"packages": ("zsh",)}, {"suite": "sid"}, {"exclude": ()}, {"components": ("x",)}])
def test_distribution_changes_base_and_image(library: Path, change: dict[str, object]) -> None:
    before = recipe.load(gpusim_out=library)
    after = dataclasses.replace(before, **change)  # type: ignore[arg-type]  # one field at a time, by name
    assert after.base_tag != before.base_tag
    assert after.tag != before.tag


def test_setup_script_changes_the_image(library: Path) -> None:
    before = recipe.load(gpusim_out=library)
    assert dataclasses.replace(before, setup=before.setup + b"#").tag != before.tag


@pytest.mark.parametrize(("host", "suite"), [("bookworm", "bookworm"), ("trixie", "trixie"), ("noble", "bookworm")])
def test_suite_follows_the_machine_where_it_can(library: Path, host: str, suite: str) -> None:
    assert recipe.load(gpusim_out=library, host_suite=host).suite == suite


def test_archive_is_reproducible_and_keeps_links(library: Path) -> None:
    entries = [files.Entry("b", 0o755, b"b"), files.Entry("a", 0o777, b"b", link=True)]
    first = files.archive(entries)
    assert first == files.archive(reversed(entries))
    with tarfile.open(fileobj=BytesIO(first)) as bundle:
        assert [(one.name, one.mode, one.linkname) for one in bundle] == [("a", 0o777, "b"), ("b", 0o755, "")]


def test_missing_library_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"libnvidia-ml\.so\.1 is not built; run: make -C tests/lab/gpusim"):
        recipe.load(gpusim_out=tmp_path)


def test_unknown_image_names_those_that_exist(library: Path) -> None:
    with pytest.raises(LabError, match=r"there is no image 'sles'; recipes\.yml has node"):
        recipe.load("sles", gpusim_out=library)


def test_front_ends_lie_where_their_launchers_look(library: Path) -> None:
    paths = {entry.path for entry in recipe.load(gpusim_out=library).entries}
    assert {"usr/lib/gpusim/bin/gpusim", "usr/lib/gpusim/gpusim_cli/main.py", "usr/lib/gpusim/pynvml.py"} <= paths
    assert "usr/lib/gpusim/bin/nvidia-smi" in paths
