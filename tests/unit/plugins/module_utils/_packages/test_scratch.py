# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Repositories that the node does not have yet, asked in a temporary folder.

from __future__ import annotations

import os

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import InternalError, RepositoryError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._packages import probe
from ansible_collections.accel.gpu.plugins.module_utils._packages.apply_scratch import Scratch
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Request, Source
from ansible_collections.accel.gpu.tests.unit.plugins.module_utils._packages.answers import MANAGERS, UNREACHABLE, node


@pytest.mark.parametrize(
    ("kind", "program", "calls"),
    [
        ("apt", "apt-get", [("update",)]),
        ("dnf", "dnf", [("makecache", "--refresh")]),
        ("zypper", "zypper", [("refresh",)]),
    ],
)
def test_an_index_that_is_too_old_is_fetched_anew_beside_it(tmp_path, kind, program, calls):
    """In check mode: the node's own stays as it is."""
    ports, run = node(tmp_path, *MANAGERS[kind], check=True)
    with probe.manager(ports, anew=True):
        assert [(words[0], *words[-len(wanted) :]) for words, wanted in zip(run.calls, calls)] == [
            (program, *wanted) for wanted in calls
        ]
        # all repositories, from the temporary folder
        assert not any("--disablerepo=*" in words or "Dir::Etc::SourceList=/dev/null" in words for words in run.calls)
        assert any("accel-gpu-packages-" in word for word in run.calls[0])
    assert not (tmp_path / "var/lib/accel-gpu/package-index").exists()


@pytest.mark.parametrize(
    ("url", "refused"), [("http://a.example/debian12/x86_64", True), ("http://b.example/debian12/x86_64", False)]
)
def test_beside_others_only_the_new_repository_must_answer(tmp_path, url, refused):
    text = f"Types: deb\nURIs: {url}/\nSuites: /\n".encode()
    source = Source("nv", (("/etc/apt/sources.list.d/nv.sources", text),))
    unreachable = UNREACHABLE.replace("a.example/", "a.example/debian12/x86_64/")
    ports, _run = node(tmp_path, check=True, apt_get=[(0, "", unreachable)])
    if refused:
        with pytest.raises(RepositoryError):
            probe.manager(ports, [source], anew=True)
    else:
        probe.manager(ports, [source], anew=True).close()


def test_scratch_goes_with_the_manager_and_where_it_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    source = Source(
        "nv", (("/etc/apt/sources.list.d/nv.sources", b"Signed-By: /keys/nv.asc\n"), ("/keys/nv.asc", b"k"))
    )
    ports, run = node(tmp_path / "node")
    with probe.manager(ports, [source]) as one:
        (folder,) = (tmp_path / "tmp").iterdir()
        assert (folder / "sources.list.d/nv.sources").read_text() == f"Signed-By: {folder}/keys/nv.asc\n"
        asked = run.calls[0]
        assert (asked[:2], asked[asked.index("-c") + 1]) == (["apt-get", "-q"], f"{folder}/apt.conf")
        with pytest.raises(InternalError, match="run was called on repositories that exist in a temporary folder only"):
            one.run(Request((("a", None),)))
    assert list((tmp_path / "tmp").iterdir()) == []
    ports, _run = node(tmp_path / "node", apt_get=[(0, "", UNREACHABLE)])
    with pytest.raises(RepositoryError):
        probe.manager(ports, [source])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_scratch_forgets_what_is_known_of_a_repository_that_comes_anew(tmp_path):
    for path in ("c/driver-1a/repodata/repomd.xml", "c/driver.solv", "c/other-1a/repodata/repomd.xml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    one = Scratch(Files(str(tmp_path)))
    try:
        one.copy_tree("/c", "cache")
        one.forget("cache", "driver-*")
        one.forget("cache", "driver.solv")
        assert sorted(os.listdir(one.path("cache"))) == ["other-1a"]
        assert (tmp_path / "c/driver-1a/repodata/repomd.xml").exists()
    finally:
        one.close()
