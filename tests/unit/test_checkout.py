# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible loads under the name accel.gpu is this checkout, not a copy that is installed somewhere."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = {
    "modules": "module_loader",
    "action": "action_loader",
    "filter": "filter_loader",
    "lookup": "lookup_loader",
    "callback": "callback_loader",
    "doc_fragments": "fragment_loader",
    "module_utils": "",
}
# In a process of its own: the collection finder of Ansible is installed once and for all, and reads ansible.cfg first.
PROBE = """
import importlib, json, sys
from ansible.plugins import loader
loader.init_plugin_loader()
found = {}
for attribute, name in json.loads(sys.argv[1]):
    if attribute:
        context = getattr(loader, attribute).find_plugin_with_context("accel.gpu." + name)
        found[name] = context.plugin_resolved_path
    else:
        module = importlib.import_module("ansible_collections.accel.gpu.plugins.module_utils." + name)
        found[name] = module.__file__
print(json.dumps(found))
"""


def plugins():
    """(loader, name, path) of everything in plugins/ that Ansible can load by a name."""
    for folder, attribute in FOLDERS.items():
        for path in sorted((ROOT / "plugins" / folder).rglob("*.py")):
            if path.name != "__init__.py":
                name = ".".join(path.relative_to(ROOT / "plugins" / folder).with_suffix("").parts)
                yield attribute, name, path


def loaded(folder, environment):
    wanted = [(attribute, name) for attribute, name, _path in plugins()]
    command = [sys.executable, "-c", PROBE, json.dumps(wanted)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


@pytest.fixture
def impostor(tmp_path):
    """A home with a copy of the collection installed, as `ansible-galaxy` and molecule's prerun would leave one."""
    copy = tmp_path / ".ansible" / "collections" / "ansible_collections" / "accel" / "gpu"
    for _attribute, _name, path in plugins():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("raise ImportError('the installed copy was loaded')\n", encoding="utf-8")
    (copy / "galaxy.yml").write_text("namespace: accel\nname: gpu\nversion: 0.0.1\n", encoding="utf-8")
    return tmp_path


def test_every_plugin_is_the_checkouts(impostor):
    environment = {**os.environ, "HOME": str(impostor)}
    environment.pop("ANSIBLE_COLLECTIONS_PATH", None)
    environment.pop("ANSIBLE_CONFIG", None)
    found = loaded(ROOT, environment)
    assert len(found) > 40
    for _attribute, name, path in plugins():
        # Several loaders know the same name (an action plugin and its module).
        assert pathlib.Path(found[name]).resolve().is_relative_to(ROOT / "plugins"), name
        assert pathlib.Path(found[name]).resolve().stem == path.stem


def test_the_probe_would_see_a_copy(impostor):
    """From a place where ansible.cfg is not in force, the installed copy wins and is seen."""
    environment = {**os.environ, "HOME": str(impostor)}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(impostor / ".ansible" / "collections")
    environment.pop("ANSIBLE_CONFIG", None)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        loaded(impostor, environment)
    assert "the installed copy was loaded" in caught.value.stderr
