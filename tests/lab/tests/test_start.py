# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes an inventory asks for, and how a node is started."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from labctl import engine, inventory, mirror, nodes
from labctl.common import LabError
from labctl.inventory import NodeSpec, node_spec

INVENTORY = """
all:
  children:
    gpu_nodes:
      vars: {lab_driver: 570.133.20}
      hosts:
        h100: {lab_boards: ["h100-80gb-sxm5*2", a30-24gb], lab_holders: [dcgm], lab_units: [docker, x.path]}
        bare: {lab_state: plain, lab_driver: 1}
    others: {hosts: {control: {}}}
"""

# id, host variables, message
BAD = [
    ("boards_word", {"lab_boards": "a30-24gb"}, "n: lab_boards is 'a30-24gb'; it must be a list of words"),
    ("boards_number", {"lab_boards": [30]}, "n: lab_boards is [30]; it must be a list of words"),
    (
        "board_injection",
        {"lab_boards": ["a30-24gb seed=1"]},
        "n: lab_boards: 'a30-24gb seed=1' is no board; write a board's key, or key*4 for four of them",
    ),
    ("too_many", {"lab_boards": ["a30-24gb*17"]}, "n: lab_boards lists 17 boards; a node has 16 at most"),
    (
        "state",
        {"lab_state": "broken"},
        "n: lab_state is 'broken'; it must be one of present, no_driver, no_module, no_gpu, plain",
    ),
    (
        "no_boards",
        {"lab_state": "no_driver"},
        "n: lab_state 'no_driver' needs lab_boards; a node without boards is 'no_gpu' or 'plain'",
    ),
    ("boards_too", {"lab_state": "plain", "lab_boards": ["t4"]}, "n: lab_state 'plain' has no lab_boards"),
    (
        "virtualization",
        {"lab_boards": ["t4"], "lab_virtualization": "xen"},
        "n: lab_virtualization is 'xen'; it must be one of none, passthrough, vgpu",
    ),
    (
        "guest_reset",
        {"lab_boards": ["t4"], "lab_guest_reset": "yes"},
        "n: lab_guest_reset is 'yes'; it must be true or false",
    ),
    (
        "holder",
        {"lab_boards": ["t4"], "lab_holders": ["x"]},
        "n: lab_holders: 'x' is none of dcgm, fabricmanager, persistenced",
    ),
]


def test_reads_hosts_with_lab_variables(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY)
    bare, h100 = inventory.read(path)
    assert bare == NodeSpec("bare", (), driver="1", state="plain")
    assert h100.boards == ("h100-80gb-sxm5", "h100-80gb-sxm5", "a30-24gb")
    assert h100.driver == "570.133.20"
    assert h100.units == ("docker.service", "nvidia-dcgm.service", "x.path")


@pytest.mark.parametrize(("variables", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_variables_are_named(variables: dict[str, t.Any], message: str) -> None:
    with pytest.raises(LabError) as caught:
        node_spec("n", variables)
    assert str(caught.value) == message


def test_broken_inventory_repeats_ansibles_words(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text("all: {hosts: [")
    with pytest.raises(LabError, match=r"ansible-inventory cannot read .*inventory\.yml: "):
        inventory.read(path)
    with pytest.raises(LabError, match="does not exist"):
        inventory.read(tmp_path / "nowhere")


def test_equal_specs_are_one_node_and_a_change_makes_another() -> None:
    spec = NodeSpec("n", ("t4",))
    assert nodes.spec_hash(spec) == nodes.spec_hash(NodeSpec("n", ("t4",)))
    for other in (NodeSpec("n", ("l40s",)), NodeSpec("n", ("t4",), driver="1"), NodeSpec("n", ("t4",), seed="x")):
        assert nodes.spec_hash(other) != nodes.spec_hash(spec)


def test_nodes_are_never_privileged(monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (1, 2):
        monkeypatch.setattr(nodes, "cgroup_version", lambda version=version: version)
        monkeypatch.setattr(nodes, "SYSTEMD_HIERARCHY", Path("/"))
        arguments = nodes.create_arguments("s", NodeSpec("n", ("t4",)), "image")
        assert "--privileged" not in " ".join(arguments)
        assert arguments[arguments.index("--pull") + 1] == "never"
        assert [one for before, one in zip(arguments, arguments[1:]) if before == "--cap-add"] == [
            "SYS_ADMIN",
            "NET_ADMIN",
            "SYS_PTRACE",
        ]


def test_cgroup_flags_of_both_versions() -> None:
    assert nodes.cgroup_flags(2, False)[-1] == "/sys/fs/cgroup:/sys/fs/cgroup:rw"
    assert nodes.cgroup_flags(1, True)[-1] == "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd:rw"
    with pytest.raises(LabError, match="mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd"):
        nodes.cgroup_flags(1, False)


@pytest.mark.parametrize("word", ["", "a b", "../x", "-x", "a/b"])
def test_names_that_no_container_can_have(word: str) -> None:
    with pytest.raises(LabError, match="cannot be part of a container's name"):
        nodes.container_name("s", word)
    with pytest.raises(LabError, match="cannot be part of a container's name"):
        nodes.container_name(word, "h")


def test_mirror_of_the_machine_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("# deb http://old.example/debian bookworm main\n")
    (tmp_path / "sources.list.d/a.sources").write_text(
        "Types: deb\nURIs: http://vendor.example/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb deb-src\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\nTypes: deb\nURIs: http://mirror.example/sec/\nSuites: bookworm-security\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\n"
    )
    assert mirror.source_lines("bookworm", ("main", "contrib"), tmp_path) == [
        "deb http://mirror.example/debian/ bookworm main contrib",
        "deb http://mirror.example/debian/ bookworm-updates main contrib",
        "deb http://mirror.example/sec/ bookworm-security main contrib",
    ]
    # another suite: the same archives
    assert mirror.source_lines("trixie", ("main",), tmp_path) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/sec/ trixie-security main",
    ]


def test_one_line_sources_and_a_machine_without_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.list").write_text(
        "deb https://vendor.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.asc] https://m.example/debian bookworm main\n"
        "deb https://m.example/debian bookworm-updates main\n"
        "deb-src https://src.example/debian bookworm main\n"
    )
    assert mirror.source_lines("bookworm", ("main",), tmp_path) == [
        "deb https://m.example/debian bookworm main",
        "deb https://m.example/debian bookworm-updates main",
    ]
    with pytest.raises(LabError) as caught:
        mirror.source_lines("bookworm", ("main",), tmp_path / "none")
    assert str(caught.value) == (
        f"no Debian archive is among the package sources in {tmp_path}/none; set ACCEL_DEBIAN_ARCHIVE to the address "
        "of one, the lab's nodes are made from it"
    )
    monkeypatch.setenv("ACCEL_DEBIAN_ARCHIVE", "http://own.example/debian")
    assert mirror.source_lines("bookworm", ("main",), tmp_path / "none")[0] == (
        "deb http://own.example/debian bookworm main"
    )


def test_no_daemon_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # a docker that no daemon answers, and an address that nobody may start one for
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(LabError) as caught:
        engine.ensure_daemon()
    assert str(caught.value).startswith("docker: no daemon answers (")
    assert "\n" not in str(caught.value)


def test_silent_script_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/x.sh").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "tools/x.sh").chmod(0o755)
    monkeypatch.setattr(engine, "REPOSITORY", tmp_path)
    with pytest.raises(LabError, match=r"^tools/x\.sh failed with exit status 3$"):
        engine.host_script("x.sh")


def test_docker_s_own_words_reach_the_user() -> None:
    with pytest.raises(LabError, match=r"docker inspect no-such-thing.* failed: .*no-such-thing"):
        engine.docker("inspect", "no-such-thing")
