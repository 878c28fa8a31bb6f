# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node says it is: the name of its distribution, its package sources, and the kernels that it has."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import sim

REPOSITORIES = Path("/srv/accel-lab/repos")
URL = "http://127.0.0.1:8099"
KEYRING = "/usr/share/keyrings/accel-lab-archive.gpg"
OS_RELEASE, LSB_RELEASE = Path("/usr/lib/os-release"), Path("/etc/lsb-release")
# word of lab_os -> version, long name, code name
UBUNTU = {
    "ubuntu2204": ("22.04", "22.04.5 LTS (Jammy Jellyfish)", "jammy"),
    "ubuntu2404": ("24.04", "24.04.3 LTS (Noble Numbat)", "noble"),
    "ubuntu2604": ("26.04", "26.04 LTS (Resolute Raccoon)", "resolute"),
}
ROCKY = {"8": "8.10 (Green Obsidian)", "10": "10.0 (Red Quartz)"}
COMPONENTS = {"debian": "main contrib non-free non-free-firmware", "ubuntu": "main restricted"}
KERNEL_NEXT = "-lab-amd64"


def take_on(wish: t.Mapping[str, t.Any]) -> None:
    """Once in the life of a node."""
    mark = Path("/var/lib/accel-lab/distribution")
    if mark.exists():
        return
    sim.put(mark, f"{wish['os'] or 'its own'}\n")
    if wish["image"] in ("el", "suse"):
        if wish["os"]:
            rocky(wish["os"].replace("rocky", ""))
        return
    if wish["os"]:
        name(*UBUNTU[wish["os"]])
    if wish["sources"] == "lab":
        sources("ubuntu" if wish["os"] else "debian")
    if "next" in wish["kernels"]:
        install_kernel()


def name(version: str, long: str, code: str) -> None:
    rows = {
        "PRETTY_NAME": f"Ubuntu {long.partition(' (')[0]}",
        "NAME": "Ubuntu",
        "VERSION_ID": version,
        "VERSION": long,
        "VERSION_CODENAME": code,
        "ID": "ubuntu",
        "ID_LIKE": "debian",
        "UBUNTU_CODENAME": code,
    }
    sim.put(OS_RELEASE, "".join(f'{key}="{value}"\n' for key, value in rows.items()))
    lsb = {"ID": "Ubuntu", "RELEASE": version, "CODENAME": code, "DESCRIPTION": f'"{rows["PRETTY_NAME"]}"'}
    sim.put(LSB_RELEASE, "".join(f"DISTRIB_{key}={value}\n" for key, value in lsb.items()))


def rocky(major: str) -> None:
    """Another release of the family than the image's."""
    text = OS_RELEASE.read_text()
    text = re.sub(r'"9\.6 \(Blue Onyx\)"', f'"{ROCKY[major]}"', text)
    text = re.sub(r'(VERSION_ID=)"9\.6"', rf'\g<1>"{ROCKY[major].split()[0]}"', text)
    sim.put(OS_RELEASE, text.replace("platform:el9", f"platform:el{major}").replace("9.6 (Blue Onyx)", ROCKY[major]))
    sim.put(Path("/etc/dnf/vars/releasever"), f"{major}\n")


def sources(archive: str) -> None:
    """The lab's archive instead of the machine's mirror: nothing comes from outside any more."""
    for old in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        old.unlink(missing_ok=True)
    for old in Path("/var/lib/apt/lists").glob("*_*"):
        old.unlink()
    code = next(
        line.partition("=")[2].strip('"')
        for line in OS_RELEASE.read_text().split("\n")
        if line.startswith("VERSION_CODENAME=")
    )
    Path(KEYRING).write_bytes((REPOSITORIES / "keys/good.gpg").read_bytes())
    line = f"deb [signed-by={KEYRING}] {URL}/{archive} {code} {COMPONENTS[archive]}\n"
    sim.put(Path("/etc/apt/sources.list"), line)


def install_kernel() -> None:
    """The kernel that boots next, with its headers, as an update of yesterday brought it."""
    files = [str(path) for path in sorted((REPOSITORIES / "debian/pool/main").glob(f"linux-*{KERNEL_NEXT}_*.deb"))]
    subprocess.run(["dpkg", "--install", *files], check=True, stdout=subprocess.DEVNULL)
