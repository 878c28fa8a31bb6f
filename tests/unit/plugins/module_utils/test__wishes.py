# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stored wish of a resident: what is written, what counts as another one, what stays behind."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils import _wishes
from ansible_collections.accel.gpu.plugins.module_utils._diff import Tracker
from ansible_collections.accel.gpu.plugins.module_utils._files import Files

PATH = _wishes.path_of("mig")
WISH = {"version": 1, "options": {"geometry": [{"gpus": "all"}], "takeover": False}}


def test_a_document_leaves_out_what_is_empty_and_keeps_false_and_zero():
    options = {"geometry": [{"gpus": "all"}], "geometry_group": [], "mig_parted": {}, "takeover": False, "label": None}
    assert _wishes.document(options) == WISH
    assert _wishes.document({"headroom_percent": 0}) == {"version": 1, "options": {"headroom_percent": 0}}


def test_what_is_written_is_read_and_goes_with_its_folders(tmp_path):
    files = Files(str(tmp_path))
    assert _wishes.read(files, PATH) is None
    _wishes.write(files, PATH, WISH)
    assert (_wishes.read(files, PATH), files.mode(PATH)) == (WISH, 0o644)
    _wishes.remove(files, PATH)
    assert list(tmp_path.glob("etc/*")) == []


def test_what_others_have_there_stays(tmp_path):
    files = Files(str(tmp_path))
    for path in (PATH, _wishes.path_of("settings")):
        _wishes.write(files, path, WISH)
    _wishes.remove(files, PATH)
    assert files.names(_wishes.FOLDER) == ["settings.json"]


@pytest.mark.parametrize(
    ("text", "mode", "read"),
    [
        (b"{", 0o644, "{"),
        (b"[]", 0o644, []),
        (b"{}", 0o600, {"mode": "0600", "document": {}}),
    ],
)
def test_every_other_file_differs_from_a_wish(tmp_path, text, mode, read):
    files = Files(str(tmp_path))
    files.write(PATH, text, mode=mode)
    assert _wishes.read(files, PATH) == read


@pytest.mark.parametrize(
    ("written", "removed", "told"),
    [
        (False, False, []),
        (True, False, [("write_wish", PATH, "the wish that the node agent brings back at boot differs")]),
        (False, True, [("remove_wish", PATH, "nobody wishes it")]),
    ],
)
def test_what_happens_to_the_file_is_told(written, removed, told):
    tracker = Tracker()
    _wishes.tell(tracker, PATH, written, removed, "nobody wishes it")
    assert [(one["action"], one["object"], one["reason"]) for one in tracker.actions] == told
