# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role gpu_driver with the genuine packages of Debian 12 and 13, from the mirror that this machine uses.

The nodes have no GPU, since a genuine persistenced and a genuine library would not take a simulated one, and all that
comes with a package is real: on Debian 12 DKMS compiles the open modules against Debian's headers. No kernel of Debian
runs here, so they lie where those of the running one would.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from labctl import image, nodes
from labctl.inventory import NodeSpec

SCENARIO = f"realtest-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
ROOT = Path(__file__).resolve().parents[3]
KERNEL = os.uname().release
BUILD_SECONDS = 3600  # five minutes on two idle cores
# release -> image, version of the open modules, preparation
RELEASES = {
    # The oldest headers of the archive: since 6.1.187 pci_resize_resource() wants an argument more than these modules
    # give it, and they do not compile.
    "bookworm": (
        "real12",
        "535.261.03",
        f"""
        name=$(apt-cache pkgnames linux-headers-6.1.0- | grep -E -- '-[0-9]+-amd64$' | sort -V | head -1)
        apt-get -q -y install --no-install-recommends $name >/dev/null
        ln -sfn /usr/src/$name /lib/modules/{KERNEL}/build
        ln -sfn /usr/src/${{name%-amd64}}-common /lib/modules/{KERNEL}/source
        """,
    ),
    # Every kernel of this archive wants that argument (read in its headers, not tried), so the lab's dkms stands in for
    # the compiler.
    "trixie": (
        "real13",
        "550.163.01",
        # Without lists, as slim images come.
        f"""
        rm -rf /var/lib/apt/lists/*
        dpkg-divert --quiet --local --rename --divert /usr/sbin/dkms.genuine --add /usr/sbin/dkms
        ln -s /usr/lib/accel-lab/dkms.py /usr/sbin/dkms
        mkdir -p /lib/modules/{KERNEL}/build/include /usr/src/nvidia-current-open-550.163.01
        echo open >/usr/src/nvidia-current-open-550.163.01/flavour
        """,
    ),
}
# the role as a play of a user has it, and what it said
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Bring the driver to its declared state
      ansible.builtin.include_role:
        name: accel.gpu.gpu_driver
    - name: Keep what it said
      ansible.builtin.copy:
        content: "{{ __gpu_driver_result | to_json }}"
        dest: "{{ answer }}"
        mode: "0644"
      delegate_to: localhost
      connection: local
      check_mode: false
      vars:
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@dataclasses.dataclass(frozen=True)
class RealNode:
    """`driver` is the version of the open modules that Debian has there."""

    host: str
    image: str
    driver: str
    folder: Path

    @property
    def name(self) -> str:
        return nodes.container_name(SCENARIO, self.host)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        argv = ["docker", "exec", self.name, "/bin/sh", "-c", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)

    def out(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def ansible(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "gpu_driver_source": "distribution",
            "gpu_driver_flavour": "open",
            "answer": str(self.folder / "answer.json"),
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": {self.host: variables}}}), encoding="utf-8")
        argv = [str(Path(sys.executable).with_name(program)), "-i", str(inventory), *words]
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        env.pop("ANSIBLE_CALLBACKS_ENABLED", None)
        return subprocess.run(
            argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )

    def role(self, *flags: str, fails: bool = False) -> t.Any:
        """What the role said; where it fails, all that Ansible said, in one line."""
        play = self.folder / "play.yml"
        play.write_text(PLAY, encoding="utf-8")
        done = self.ansible("ansible-playbook", str(play), *flags)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        if fails:
            return " ".join(done.stdout.split())
        return json.loads((self.folder / "answer.json").read_text(encoding="utf-8"))

    def info(self) -> t.Any:
        done = self.ansible("ansible", "all", "-m", "accel.gpu.driver_info", "-t", str(self.folder))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self.folder / self.host).read_text(encoding="utf-8"))


def start(host: str, name: str, driver: str, folder: Path) -> RealNode:
    spec = NodeSpec(host, (), state="plain", image=name)
    nodes.up(SCENARIO, [spec], image.ensure(name))
    return RealNode(host, name, driver, folder)


@pytest.fixture(scope="module", autouse=True)
def _cleared() -> t.Iterator[None]:
    try:
        yield
    finally:
        nodes.down(SCENARIO)


def test_missing_components_of_the_archive_are_named(tmp_path: Path) -> None:
    """On a node that has main and contrib."""
    node = start("poor", "driver", "", tmp_path)
    said = node.role(fails=True)
    name = node.out('. /etc/os-release; echo "$PRETTY_NAME"')
    assert (
        f"gpu_driver_source: the driver of {name} is in contrib, non-free and non-free-firmware of its archive, and "
        "the package sources of this node lack non-free and non-free-firmware; add them behind main in "
        "/etc/apt/sources.list, and run again"
    ) in said
    assert node.out("dpkg-query -W -f '${Package}\\n' '*nvidia*' | wc -l") == "0"


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[RealNode]:
    """The role has done its work there, in check mode first."""
    name, driver, preparation = RELEASES[request.param]
    node = start(request.param, name, driver, tmp_path_factory.mktemp(request.param))
    node.out(f"set -e\n{preparation}")
    foreseen = node.role("--check")
    assert (foreseen["changed"], foreseen["driver"]["wanted"]) == (True, node.driver)
    done = node.role()
    assert (done["changed"], done["driver"]["installed"]) == (True, node.driver)
    assert done["actions"] == foreseen["actions"]
    yield node
    nodes.down(SCENARIO)


# That of Debian 12 builds the real modules, which takes minutes.
BOTH = pytest.mark.parametrize("built", ["trixie", pytest.param("bookworm", marks=pytest.mark.full)], indirect=True)


@BOTH
def test_the_role_installs_and_holds_what_debian_has(built: RealNode) -> None:
    rows = built.out("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' '*nvidia*' libcuda1").splitlines()
    there = dict(row.split()[1:] for row in rows if row.startswith("installed "))
    exact = ("nvidia-smi", "libnvidia-ml1", "libcuda1", "nvidia-open-kernel-dkms", "firmware-nvidia-gsp")
    for name in exact:
        assert there[name].startswith(f"{built.driver}-"), there
    assert "nvidia-persistenced" in there
    assert "nvidia-kernel-dkms" not in there
    assert set(exact) <= set(built.out("apt-mark showhold").split())
    again = built.role()
    assert (again["changed"], again["actions"]) == (False, [])


@pytest.mark.full
@pytest.mark.parametrize("built", ["bookworm"], indirect=True)
def test_dkms_built_the_open_modules(built: RealNode) -> None:
    assert f"{built.driver}, {KERNEL}, x86_64: installed" in built.out("dkms status nvidia-current-open")
    files = built.out(f"find /lib/modules/{KERNEL}/updates/dkms -name 'nvidia-current-open*.ko*'").split()
    assert len(files) == 5, files
    for path in files:
        assert built.out(f"modinfo -F version {path}") == built.driver
        # peermem is Mellanox's
        licence = "Dual BSD/GPL" if "peermem" in path else "Dual MIT/GPL"
        assert built.out(f"modinfo -F license {path}") == licence
    headers = built.out(f"basename $(readlink /lib/modules/{KERNEL}/build)").replace("linux-headers-", "")
    assert built.out(f"modinfo -F vermagic {files[0]}").startswith(f"{headers} ")


@BOTH
def test_the_genuine_tools_reach_no_gpu_and_driver_info_says_so(built: RealNode) -> None:
    smi = built.run("nvidia-smi")
    assert (smi.returncode, smi.stdout.partition(".")[0]) == (
        9,
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    )
    told = built.info()
    assert told["driver"]["state"] == "no_gpu"
    assert told["driver"]["message"] == (
        f"driver {built.driver} is installed, no GPU reachable: the PCI tree has no GPU of NVIDIA"
    )
    assert told["driver"]["library_version"] == built.driver
    (module,) = told["kernels"]["running"]["modules"]
    assert (module["version"], module["license"]) == (built.driver, "Dual MIT/GPL")
