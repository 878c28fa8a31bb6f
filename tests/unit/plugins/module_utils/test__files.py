# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


def test_a_file_is_written_below_the_root_with_its_mode(files, tmp_path):
    assert files.write("/etc/accel-gpu/x", b"one", mode=0o600) is None
    assert (tmp_path / "etc/accel-gpu/x").read_bytes() == b"one"
    assert stat.S_IMODE(os.stat(tmp_path / "etc/accel-gpu/x").st_mode) == 0o600
    assert files.names("/etc/accel-gpu") == ["x"]


def test_the_new_file_has_the_asked_owner(files, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, uid, gid: asked.append((uid, gid)))
    files.write("/x", b"", owner=(12, 34))
    assert asked == [(12, 34)]


def test_what_was_there_is_kept_on_demand_and_not_beside_it(files):
    files.write("/etc/systemd/system/x.service", b"one")
    kept = files.write("/etc/systemd/system/x.service", b"two", backup=True)
    assert kept.startswith("/var/lib/accel-gpu/backup/etc/systemd/system/x.service.2")
    assert (files.read(kept), files.read("/etc/systemd/system/x.service")) == (b"one", b"two")
    assert files.names("/etc/systemd/system") == ["x.service"]
    assert files.backups("/etc/systemd/system/x.service") == [kept]


def test_the_last_three_copies_are_kept_and_other_files_have_their_own(files):
    files.write("/etc/x", b"0")
    files.write("/etc/x.conf", b"another")
    files.write("/etc/x.conf", b"another one", backup=True)
    for number in range(1, 6):
        files.write("/etc/x", str(number).encode(), backup=True)
    assert [files.read(path) for path in files.backups("/etc/x")] == [b"2", b"3", b"4"]
    assert [files.read(path) for path in files.backups("/etc/x.conf")] == [b"another"]


def test_empty_folders_go_and_others_stay(files):
    files.write("/a/b/c/x", b"")
    files.prune("/a/b/c", top="/a")
    assert files.names("/a/b/c") == ["x"]
    files.remove("/a/b/c/x")
    files.prune("/a/b/c", top="/a/b")
    assert files.exists("/a") and not files.exists("/a/b")
    files.prune("/a/b/c", top="/a/b")  # and once more
    files.prune("/a")
    assert not files.exists("/a")


def test_a_failure_leaves_the_old_file_and_nothing_else(files, monkeypatch):
    files.write("/d/x", b"one")

    def refuse(_source, _target):
        raise OSError("no rename today")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no rename today"):
        files.write("/d/x", b"two")
    assert (files.read("/d/x"), files.names("/d")) == (b"one", ["x"])


def test_a_reader_never_sees_half_a_file(files, tmp_path):
    files.write("/x", b"one")
    with open(tmp_path / "x", "rb") as reader:
        files.write("/x", b"two")
        assert reader.read() == b"one"


def test_what_is_not_there_is_none(files):
    files.write("/x", b"{}")
    assert files.read("/none") is None and files.read("/x/below") is None
    assert files.read_text("/none") is None and files.read_json("/none") is None
    assert files.names("/none") == [] and not files.exists("/none")


def test_json_comes_back_and_equal_documents_are_equal_files(files):
    files.write_json("/a", {"b": 1, "a": ["ü"]})
    files.write_json("/b", {"a": ["ü"], "b": 1})
    assert files.read_json("/a") == {"a": ["ü"], "b": 1}
    assert files.read("/a") == files.read("/b")


def test_broken_json_names_the_file_and_the_remedy(files):
    files.write("/x", b"{")
    with pytest.raises(AccelError, match="/x is not JSON: .*; restore it from a backup or remove it"):
        files.read_json("/x")


def test_removal_says_whether_there_was_something(files):
    files.write("/x", b"")
    assert files.remove("/x") is True
    assert files.remove("/x") is False
