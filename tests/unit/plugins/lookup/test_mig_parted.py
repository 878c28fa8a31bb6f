# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup, through Ansible's own plugin loader."""

from __future__ import annotations

import contextlib
import pathlib

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import init_plugin_loader, lookup_loader

GOOD = """\
version: v1
mig-configs:
  all-1g.10gb:
    - devices: all
      mig-enabled: true
      mig-devices: &seven
        "1g.10gb": 7
  again:
    - device-filter: ["0x20B210DE"]
      devices: [0]
      mig-enabled: true
      mig-devices:
        <<: *seven
        1g.10gb: 6
"""


@pytest.fixture(scope="module")
def loader():
    # Where another test of this process did it before, it is refused.
    with contextlib.suppress(AssertionError):
        init_plugin_loader()
    return DataLoader()


def look_up(loader, path):
    return lookup_loader.get("accel.gpu.mig_parted", loader=loader).run([str(path)], {})


def refused(loader, path):
    with pytest.raises(AnsibleError) as caught:
        look_up(loader, path)
    return str(caught.value)


def test_the_document_comes_as_it_is(loader, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(GOOD, encoding="utf-8")
    (document,) = look_up(loader, file)
    assert document["version"] == "v1"
    assert document["mig-configs"]["all-1g.10gb"][0]["mig-devices"] == {"1g.10gb": 7}
    assert document["mig-configs"]["again"][0]["mig-devices"] == {"1g.10gb": 6}


def test_the_loaded_plugin_is_the_one_of_the_checkout(loader):
    found = lookup_loader.find_plugin("accel.gpu.mig_parted")
    root = pathlib.Path(__file__).resolve().parents[4]
    assert pathlib.Path(found).resolve() == root / "plugins" / "lookup" / "mig_parted.py"


def test_an_encrypted_file_is_read(loader, tmp_path):
    secret = VaultSecret(b"a secret of this test only")
    file = tmp_path / "config.yaml"
    file.write_bytes(VaultLib().encrypt(GOOD, secret))
    own = DataLoader()
    own.set_vault_secrets([("default", secret)])
    assert look_up(own, file)[0]["version"] == "v1"
    own.cleanup_all_tmp_files()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD.replace("  again:", "  all-1g.10gb:"),
            'line 8: key "all-1g.10gb" stands twice, first in line 3; remove one of them',
        ),
        (
            GOOD.replace('        "1g.10gb": 7', '        "1g.10gb": 7\n        1g.10gb: 6'),
            'line 8: key "1g.10gb" stands twice, first in line 7; remove one of them',
        ),
        ("{version: v1, version: v1}", 'line 1: key "version" stands twice, first in line 1; remove one of them'),
        (GOOD.replace("version: v1", "version: v2"), 'mig_parted.version: "v2" is unknown; this release reads v1'),
        (GOOD.replace("version: v1", "version: 1"), "mig_parted.version: 1 is unknown; this release reads v1"),
        ("[]", "mig_parted: [] is a list; give a mapping with version and mig-configs"),
        ("", "mig_parted: is empty; give a mapping with version and mig-configs"),
        (
            GOOD.replace("devices: [0]", "devices: [GPU-1]"),
            'mig_parted.mig-configs["again"][0].devices[0]: "GPU-1" is a string; give an integer, 0 or more',
        ),
        (
            GOOD.replace('["0x20B210DE"]', "[0x20B210DE]"),
            'mig_parted.mig-configs["again"][0].device-filter: 548540638 is an integer; give a string or a list of '
            'strings such as "0x20B010DE"',
        ),
        ("? [a]\n: 1", "line 1: a key is a list or a mapping; keys are strings"),
        ("a: !!python/object:os.system x", "is no YAML: could not determine a constructor for the tag"),
        ("a: [", "is no YAML: while parsing a flow"),
        ("version: v1\n---\nversion: v1", "is no YAML: expected a single document in the stream"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_place(loader, tmp_path, text, message):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    assert f"accel.gpu.mig_parted: {file}: {message}" in refused(loader, file)


def test_a_missing_file_is_named(loader, tmp_path):
    assert "was not found; give a path below files, or a full one" in refused(loader, tmp_path / "none.yaml")


def test_bytes_that_are_no_text(loader, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "is no text in UTF-8" in refused(loader, file)
