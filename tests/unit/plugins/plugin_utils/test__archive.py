# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive of the node agent: the same bytes from the same sources, and all it needs."""

from __future__ import annotations

import ast
import io
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.accel.gpu.plugins.plugin_utils._archive import (
    ENTRY,
    MODULE_UTILS,
    PACKAGE,
    agent_archive,
    digest,
    needed_files,
)


def copy_of_the_sources(target: pathlib.Path, mtime: float, umask: int) -> pathlib.Path:
    """module_utils as another control node would have unpacked it."""
    before = os.umask(umask)
    try:
        for name in needed_files(MODULE_UTILS):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((MODULE_UTILS / name).read_bytes())
            os.utime(target / name, (mtime, mtime))
    finally:
        os.umask(before)
    return target


def test_times_and_modes_of_the_sources_do_not_matter(tmp_path):
    one = copy_of_the_sources(tmp_path / "one", 1_000_000_000, 0o022)
    other = copy_of_the_sources(tmp_path / "other", 1_700_000_000, 0o077)
    assert (one / ENTRY).stat().st_mode != (other / ENTRY).stat().st_mode
    assert agent_archive(one) == agent_archive(other)
    assert digest(agent_archive(one)) == digest(agent_archive(MODULE_UTILS))


def test_one_changed_letter_is_another_archive(tmp_path):
    root = copy_of_the_sources(tmp_path, 1_000_000_000, 0o022)
    before = digest(agent_archive(root))
    (root / ENTRY).write_bytes((root / ENTRY).read_bytes() + b"#")
    assert digest(agent_archive(root)) != before


def test_nothing_is_compressed_and_names_are_sorted():
    with zipfile.ZipFile(io.BytesIO(agent_archive())) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_no_ansible_and_no_module_flow_travel():
    assert not [name for name in needed_files(MODULE_UTILS) if name.startswith("_module/")]
    for name in needed_files(MODULE_UTILS):
        assert "import ansible" not in (MODULE_UTILS / name).read_text(encoding="utf-8")


def test_the_quick_look_at_imports_finds_what_the_syntax_tree_tells():
    found = set(needed_files(MODULE_UTILS))
    for name in sorted(found):
        missing = tree_imports(name) - found
        assert not missing, f"{name} imports {missing}"


def tree_imports(name: str) -> set[str]:
    """The files that one file imports relatively, from its syntax tree; type-checking imports count as well."""
    wanted = set()
    for node in ast.walk(ast.parse((MODULE_UTILS / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = pathlib.PurePosixPath(name).parents[node.level - 1]
            base = folder.joinpath(*(node.module or "").split("."))
            files = [base.with_suffix(".py")] if node.module else []
            files += [(base / alias.name).with_suffix(".py") for alias in node.names]
            wanted |= {str(file) for file in files if (MODULE_UTILS / file).is_file()}
    return wanted


@pytest.mark.parametrize("words", [["--help"], ["mig", "plan", "--help"], ["boot", "--help"]])
def test_it_runs_by_itself(tmp_path, words):
    path = tmp_path / "accel-gpu.pyz"
    path.write_bytes(agent_archive())
    done = subprocess.run([sys.executable, "-IB", path, *words], capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accel-gpu" in done.stdout


def test_the_package_on_the_node_is_complete(tmp_path):
    """Every file of it can be imported there: a name that the archive lacks would show only when it is needed."""
    with zipfile.ZipFile(io.BytesIO(agent_archive())) as archive:
        archive.extractall(tmp_path)
    shutil.rmtree(tmp_path / PACKAGE / "__pycache__", ignore_errors=True)
    modules = [
        str(path.relative_to(tmp_path))[: -len(".py")].replace("/", ".") for path in (tmp_path / PACKAGE).rglob("*.py")
    ]
    names = [name[: -len(".__init__")] if name.endswith(".__init__") else name for name in modules]
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + "\n".join(
        f"import {name}" for name in sorted(names)
    )
    done = subprocess.run([sys.executable, "-IB", "-c", code], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
