# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the whole of `ansible-test sanity` on the tracked files. Arguments are handed on (`--test validate-modules`).

ansible-test accepts neither a checkout elsewhere nor a link, so it gets a copy of the tracked files as a repository of
its own. Its download of a pip bootstrap needs a server of its own that may be out of reach; a stand-in uses ensurepip.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import interpreters
import tracked

# Runs under several versions of ansible-core keep out of each other's way.
BUILD = Path(os.environ.get("SANITY_BUILD", tracked.ROOT / ".build" / "sanity"))
COPY = BUILD / "ansible_collections" / "accel" / "gpu"
HOME = BUILD / "home"
BIN = BUILD / "bin"

STAND_IN = '''"""Stand-in for the pip bootstrap script: pip comes from ensurepip, packages from the configured index."""

import subprocess
import sys

arguments = [word for word in sys.argv[1:] if not word.startswith("--no-")]
# ensurepip in a child: this process has a half-imported pip of its own.
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet"] + arguments))
'''


def make_repository() -> None:
    """ansible-test looks only at what git lists; nothing needs to be committed."""
    if not (COPY / ".git").is_dir():
        tracked.git("init", "--quiet", folder=COPY)
    tracked.git("add", "--all", "--force", "--", ".", ":!tests/output", folder=COPY)


def make_home() -> None:
    """ansible-test hands on HOME and PATH alone, so the settings of pip in force here go into a file."""
    (HOME / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    settings: dict[str, str] = {}
    for line in listing.splitlines():
        where, _equals, value = line.partition("=")
        name = where.split(".", 1)[1].lstrip(".")
        settings[name] = ast.literal_eval(value)
    target = HOME / ".config" / "pip" / "pip.conf"
    target.touch(mode=0o600)
    settings["quiet"] = "1"
    lines = [f"{name} = {value.replace(chr(10), ' ')}" for name, value in sorted(settings.items())]
    target.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    make_bootstrap()


def make_bootstrap() -> None:
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    spec = importlib.util.find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("sanity: ansible-test is missing from this environment; run make env")
    source = Path(spec.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    for version in set(re.findall(r"\bpip='([0-9.]+)'", source.read_text(encoding="utf-8"))):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(STAND_IN, encoding="utf-8")


def make_path() -> str:
    """A PATH without shims that do not start: one dead interpreter ends ansible-test, an absent one is skipped."""
    shutil.rmtree(BIN, ignore_errors=True)
    BIN.mkdir(parents=True)
    found = interpreters.find_all()
    for version, path in found.items():
        (BIN / f"python{version}").symlink_to(path)
    for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        link_tools(Path(folder))
    print("sanity: interpreters that start: " + ", ".join(found), flush=True)
    return os.pathsep.join([str(BIN), str(Path(sys.executable).parent)])


def link_tools(folder: Path) -> None:
    """Everything but interpreters: the system's own may lack ensurepip, which is as fatal as not starting."""
    for tool in folder.iterdir() if folder.is_dir() else ():
        link = BIN / tool.name
        if not re.match(r"(python|pip)[0-9.]*$", tool.name) and not link.is_symlink():
            link.symlink_to(tool)


def main() -> int:
    tracked.copy_to(COPY)
    make_repository()
    make_home()
    environment = {**os.environ, "HOME": str(HOME), "PATH": make_path(), "ANSIBLE_COLLECTIONS_PATH": str(BUILD)}
    environment.pop("ANSIBLE_CONFIG", None)
    ansible_test = str(Path(sys.executable).parent / "ansible-test")
    command = [ansible_test, "sanity", "--color", "no", "--requirements", *sys.argv[1:]]
    done = subprocess.run(command, cwd=COPY, env=environment, check=False)
    print("sanity: " + ("passed" if done.returncode == 0 else f"failed ({done.returncode})"), flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
