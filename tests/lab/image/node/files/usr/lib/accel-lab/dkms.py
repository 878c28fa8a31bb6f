#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for dkms 3: add, build, install, remove, status, autoinstall, and what packages run at their installation.

A build needs the kernel's headers and a little time, and gives module files without code. /etc/accel-lab/dkms.json
sets the time in seconds, lets builds fail, or leaves the modules unsigned.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import ko
import trust

SOURCES, TREE, MODULES = Path("/usr/src"), Path("/var/lib/dkms"), Path("/lib/modules")
SETTINGS = Path("/etc/accel-lab/dkms.json")
DEFAULTS = {"seconds": 0.3, "fail": False, "sign": True}
SIGNER = "DKMS module signing key"
PUBLIC, SECRET = TREE / "mok.pub", TREE / "mok.key"


class DkmsError(Exception):
    """What dkms prints, and its exit status."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.status = status


class Module(t.NamedTuple):
    """A source tree: nvidia/580.95.05."""

    name: str
    version: str

    @property
    def tree(self) -> Path:
        return TREE / self.name / self.version

    @property
    def source(self) -> Path:
        return SOURCES / f"{self.name}-{self.version}"

    def built(self, kernel: str) -> Path:
        return self.tree / kernel / os.uname().machine / "module"

    def installed(self, kernel: str) -> bool:
        """Whether the files in the kernel's own tree are of this version."""
        path = place(kernel) / f"{self.name}.ko"
        return path.exists() and ko.read(path)["version"] == self.version


def main(argv: t.Sequence[str]) -> int:
    global SOURCES, TREE
    parser = argparse.ArgumentParser(prog="dkms", add_help=False, allow_abbrev=False)
    parser.add_argument("verb")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("-m", dest="module", default="")
    parser.add_argument("-v", dest="version", default="")
    parser.add_argument("-k", "--kernelver", dest="kernel", default="")
    parser.add_argument("-a", "--arch")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("-q", action="store_true")
    parser.add_argument("--sourcetree", type=Path, default=SOURCES)
    parser.add_argument("--dkmstree", type=Path, default=TREE)
    options = parser.parse_args(argv)
    SOURCES, TREE = options.sourcetree, options.dkmstree
    name, _slash, version = options.word.partition("/")
    module = Module(options.module or name, options.version or version)
    kernel = options.kernel or os.uname().release
    try:
        if options.verb == "status":
            status(module, options.kernel)
        elif options.verb == "autoinstall":
            for one in added():
                install(one, kernel)
        elif options.verb == "remove":
            remove(module, None if options.all else kernel)
        elif options.verb in VERBS:
            VERBS[options.verb](module, kernel)
        else:
            raise DkmsError(2, f"Error! Unknown action specified: {options.verb}")
    except DkmsError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    return 0


def place(kernel: str) -> Path:
    return MODULES / kernel / "updates/dkms"


def added() -> t.List[Module]:
    return [Module(path.parent.name, path.name) for path in sorted(TREE.glob("*/*")) if (path / "source").is_symlink()]


def add(module: Module, _kernel: str = "") -> None:
    if not (module.source / "dkms.conf").exists():
        raise DkmsError(
            2, f"Error! Could not find module source directory.\nDirectory: {module.source} does not exist."
        )
    module.tree.mkdir(parents=True, exist_ok=True)
    if not (module.tree / "source").is_symlink():
        (module.tree / "source").symlink_to(module.source)


def build(module: Module, kernel: str) -> None:
    add(module)
    if not (MODULES / kernel / "build").exists():
        raise DkmsError(
            1,
            f"Error! Your kernel headers for kernel {kernel} cannot be found at /lib/modules/{kernel}/build or "
            f"/lib/modules/{kernel}/source.",
            f"Please install the linux-headers-{kernel} package or use the --kernelsourcedir option to tell DKMS where "
            "it's located.",
        )
    wanted = settings()
    time.sleep(wanted["seconds"])
    log = module.tree / "build/make.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"DKMS make.log for {module.name}-{module.version} for kernel {kernel}\n")
    if wanted["fail"]:
        raise DkmsError(
            10,
            f"Error! Bad return status for module build on kernel: {kernel} ({os.uname().machine})",
            f"Consult {log} for more information.",
        )
    signer = key() if wanted["sign"] else None
    flavour = (module.source / "flavour").read_text().strip()
    folder = module.built(kernel)
    folder.mkdir(parents=True, exist_ok=True)
    for name, suffix in zip(ko.file_names(module.name), ko.SUFFIXES):
        (folder / name).write_bytes(ko.module(suffix, module.version, kernel, flavour, signer))


def install(module: Module, kernel: str) -> None:
    if not module.built(kernel).is_dir():
        build(module, kernel)
    place(kernel).mkdir(parents=True, exist_ok=True)
    for path in module.built(kernel).iterdir():
        shutil.copy(path, place(kernel) / path.name)
    subprocess.run(["depmod", kernel], check=False)


def remove(module: Module, kernel: t.Optional[str]) -> None:
    """From one kernel, or from all and from the tree."""
    if not module.tree.is_dir():
        raise DkmsError(3, f"Error! DKMS tree does not contain: {module.name}-{module.version}")
    for path in sorted(module.tree.iterdir()):
        if not path.is_dir() or path.is_symlink() or path.name == "build" or kernel not in (None, path.name):
            continue
        if module.installed(path.name):
            for file in module.built(path.name).iterdir():
                (place(path.name) / file.name).unlink(missing_ok=True)
            subprocess.run(["depmod", path.name], check=False)
        shutil.rmtree(path)
    if kernel is None:
        shutil.rmtree(module.tree)


def configure(module: Module, _kernel: str) -> None:
    """What a package does when it is installed: for the running kernel and the newest one, where their headers are."""
    print(f"Loading new {module.name}-{module.version} DKMS files...")
    add(module)
    running = os.uname().release
    found = sorted((path.name for path in MODULES.iterdir()), key=order)
    kernels = [one for one in dict.fromkeys((running, *found[-1:])) if one in found]
    print(f"Building for {' and '.join(kernels)}")
    for kernel in kernels:
        if not (MODULES / kernel / "build").exists():
            print(f"Module build for kernel {kernel} was skipped since the")
            print("kernel headers for this kernel do not seem to be installed.")
            continue
        print(f"Building initial module for {kernel}", flush=True)
        install(module, kernel)
        print("Done.")


def status(wanted: Module, kernel: str) -> None:
    for module in added():
        if wanted.name not in ("", module.name) or wanted.version not in ("", module.version):
            continue
        kernels = sorted(path.parent.parent.name for path in module.tree.glob("*/*/module"))
        for one in kernels:
            if kernel in ("", one):
                state = "installed" if module.installed(one) else "built"
                print(f"{module.name}/{module.version}, {one}, {os.uname().machine}: {state}")
        if not kernels:
            print(f"{module.name}/{module.version}: added")


def settings() -> t.Dict[str, t.Any]:
    return {**DEFAULTS, **(json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {})}


def key() -> ko.Signer:
    """The machine's own key, made at the first build."""
    if not PUBLIC.exists():
        SECRET.parent.mkdir(parents=True, exist_ok=True)
        SECRET.write_text(f"{secrets.token_hex(32)}\n")
        SECRET.chmod(0o600)
        PUBLIC.write_text(f"CN={SIGNER}\nserial={secrets.token_hex(16)}\n")
    return ko.Signer(SIGNER, bytes.fromhex(trust.number(PUBLIC.read_bytes())))


def order(kernel: str) -> t.Tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", kernel))


VERBS: t.Dict[str, t.Callable[[Module, str], None]] = {
    "add": add,
    "build": build,
    "install": install,
    "configure": configure,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
