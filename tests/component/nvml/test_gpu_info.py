# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gpu_info through Ansible, on an interpreter that has no pynvml: one call, or two that bring it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig

import pytest

BIN = pathlib.Path(sys.executable).parent
ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """An interpreter as a node has it: the standard library, no pynvml."""
    folder = tmp_path_factory.mktemp("node") / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    python = folder / "bin/python"
    done = subprocess.run([str(python), "-c", "import pynvml"], check=False, capture_output=True)
    assert done.returncode == 1
    return python


@pytest.fixture
def ansible(node, bare_python, tmp_path):
    """ansible(sim, "-a", "...") → (result of the module, how often the module ran on the node, all output)."""

    def run(sim, *argv, python=bare_python, module="accel.gpu.gpu_info", **environment):
        environment = {
            **sim.env,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_ASYNC_DIR": str(tmp_path / "async"),
            "PATH": f"{BIN}:{sim.env['PATH']}",
            "NO_COLOR": "1",
            **environment,
        }
        command = [str(BIN / "ansible"), "node", "-i", "node,", "-c", "local", "-m", module, *argv]
        command += ["-e", f"ansible_python_interpreter={python}", "-vvv"]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
        )
        text = done.stdout + done.stderr
        assert "binding_wanted" not in text
        found = re.findall(r"^node \| (\w+)!? => (\{.*?^\})", done.stdout, re.MULTILINE | re.DOTALL)
        assert found, text
        word, result = found[-1]
        return {"failed": word == "FAILED", **json.loads(result)}, text.count("Using module file"), text

    return run


def test_the_lean_call_is_followed_by_one_that_brings_pynvml(node, ansible):
    sim = node("a100-80gb,h100-80gb-sxm5")
    result, calls, _text = ansible(sim)
    assert [gpu["name"] for gpu in result["gpus"]] == ["NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"]
    assert result["driver"]["state"] == "loaded"
    assert result["changed"] is False
    assert calls == 2


def test_a_node_with_pynvml_needs_one_call(node, ansible):
    sim = node("a100-80gb")
    result, calls, _text = ansible(sim, python=sys.executable)
    assert result["driver"]["state"] == "loaded"
    assert calls == 1


def test_for_the_rest_of_a_run_it_comes_with_the_first_call(node, bare_python, tmp_path):
    """With the first call to each node, the one that a task is delegated to included."""
    names = ["one", "two", "one", "two"]
    tasks = [
        {"name": "Ask", "accel.gpu.gpu_info": {}, **({"delegate_to": name} if name != "one" else {})} for name in names
    ]
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"name": "Ask", "hosts": "one", "gather_facts": False, "tasks": tasks}]))
    sim = node("a100-80gb")
    environment = {**sim.env, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{BIN}:{sim.env['PATH']}"}
    command = [str(BIN / "ansible-playbook"), "-i", "one,two,", "-c", "local", str(play), "-vvv"]
    command += ["-e", f"ansible_python_interpreter={bare_python}"]
    for _run in range(2):
        done = subprocess.run(
            command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        calls = [part.count("Using module file") for part in done.stdout.split("TASK [Ask]")[1:]]
        assert calls == [2, 2, 1, 1]


def test_in_check_mode_too(node, ansible):
    sim = node("a100-80gb")
    result, calls, _text = ansible(sim, "--check")
    assert len(result["gpus"]) == 1
    assert calls == 2


def test_an_asynchronous_task_brings_it_at_once(node, ansible):
    sim = node("a100-80gb")
    result, _calls, _text = ansible(sim, "-B", "60", "-P", "1")
    assert len(result["gpus"]) == 1


@pytest.fixture
def shadow(tmp_path):
    """A control node whose pynvml has no source, which is as good as none."""
    import py_compile

    folder = tmp_path / "shadow"
    folder.mkdir()
    (folder / "pynvml.py").write_text("")
    py_compile.compile(str(folder / "pynvml.py"), cfile=str(folder / "pynvml.pyc"), doraise=True)
    (folder / "pynvml.py").unlink()
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("argv", [(), ("-B", "60", "-P", "1")], ids=["at once", "asynchronous"])
def test_a_control_node_without_it_is_told_so(argv, node, ansible, bare_python, shadow, tmp_path):
    sim = node("a100-80gb")
    # The node's interpreter must not see the control node's path.
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {bare_python} "$@"\n')
    wrapper.chmod(0o755)
    result, _calls, _text = ansible(sim, *argv, python=wrapper, **shadow)
    assert result["failed"] is True
    assert result["msg"].startswith("gpu_info: ")
    assert "nvidia-ml-py" in result["msg"]
    assert "control node" in result["msg"]


def test_a_delegated_task_brings_it_to_its_node(node, bare_python, tmp_path):
    sim = node("a100-80gb")
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps(
            [
                {
                    "hosts": "far",
                    "gather_facts": False,
                    "tasks": [
                        {"accel.gpu.gpu_info": {"subsets": ["identity"]}, "delegate_to": "near", "register": "seen"},
                        {"ansible.builtin.assert": {"that": ["seen.gpus | length == 1"]}},
                    ],
                }
            ]
        )
    )
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        f"far ansible_host=192.0.2.1\nnear ansible_connection=local ansible_python_interpreter={bare_python}\n"
    )
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(inventory), str(playbook)],
        env={**sim.env, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{BIN}:{sim.env['PATH']}"},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dead_gpus_are_answers(node, ansible):
    sim = node("a100-80gb,h100-80gb-sxm5,a30-24gb")
    sim.control("set 0 lost 1")
    # Of several sessions each would hang anew.
    sim.control("fault nvmlDeviceGetName nth=1 times=1000 hang gpu=1")
    result, _calls, _text = ansible(sim, "-a", "nvml_deadline=0.5")
    assert [gpu["name"] for gpu in result["gpus"]] == ["NVIDIA A30"]
    assert [failure["kind"] for failure in result["failures"]] == ["gpu_lost", "gpu_hung"]
    assert not result["failed"]


def test_a_driver_that_hangs_is_an_answer(node, ansible):
    sim = node("a100-80gb")
    sim.control("fault nvmlInitWithFlags nth=1 times=1000 hang")
    result, _calls, _text = ansible(sim, "-a", "nvml_deadline=0.5")
    assert result["driver"]["state"] == "hung"
    assert result["driver"]["message"].startswith("nvmlInitWithFlags did not answer within 0.5 s; ")
    assert result["gpus"] == []


def test_a_driver_that_is_not_loaded_is_an_answer(node, ansible):
    sim = node("a100-80gb")
    sim.control("unload")
    result, calls, _text = ansible(sim, python=sys.executable)
    assert result["driver"]["state"] == "not_loaded"
    assert calls == 1


def test_without_library_nothing_is_brought(node, ansible):
    sim = node("a100-80gb")
    result, calls, _text = ansible(sim, LD_LIBRARY_PATH=sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    assert result["driver"]["state"] == "missing"
    assert calls == 1


def test_a_declared_gpu_that_is_missing_fails_and_shows_the_rest(node, ansible):
    sim = node("a100-80gb,h100-80gb-sxm5")
    sim.control("set 1 lost 1")
    options = {"subsets": ["identity"], "expected": {"count": 2}}
    result, _calls, _text = ansible(sim, "-a", json.dumps(options), python=sys.executable)
    assert result["failed"] is True
    assert result["error"] == {"kind": "gpu_missing"}
    assert "2 GPUs are declared, 1 answer" in result["msg"]
    assert "GPU_IS_LOST" in result["msg"]
    assert len(result["gpus"]) == 1


def test_who_is_not_root_sees_all_but_mig(node, ansible):
    sim = node("h100-80gb-sxm5")
    result, _calls, _text = ansible(sim, python=sys.executable, GPUSIM_EUID="1000")
    (gpu,) = result["gpus"]
    assert gpu["mig"] is None and result["mig_layout"] is None
    assert gpu["settings"]["compute_mode"] == "default"
    assert [failure["kind"] for failure in result["failures"]] == ["permission"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("all", ["NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3"]),
        ({"model": "*H100*"}, ["NVIDIA H100 80GB HBM3"]),
        ({"index": 0}, ["NVIDIA A100-SXM4-80GB"]),
        ({"model": "*B200*"}, []),
    ],
)
def test_gpus_are_chosen(selector, names, node, ansible):
    sim = node("a100-80gb,h100-80gb-sxm5")
    options = json.dumps({"gpus": selector, "subsets": ["identity"]})
    result, _calls, _text = ansible(sim, "-a", options, python=sys.executable)
    assert [gpu["name"] for gpu in result["gpus"]] == names


def test_the_source_is_not_shown(node, ansible):
    """nvml_binding is no_log: with -vvv the arguments of the module are in the output."""
    sim = node("a100-80gb")
    _result, _calls, text = ansible(sim)
    assert "eNr" not in text
    assert len(text) < 100_000
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in text or '"nvml_binding": null' in text or "nvml_binding" not in text


def test_the_process_of_a_user_is_told(node, ansible):
    sim = node("a100-80gb")
    pid = sim.occupy(0, mem=256)
    result, _calls, _text = ansible(sim, python=sys.executable)
    (process,) = result["gpus"][0]["processes"]
    assert process["pid"] == pid
    assert process["memory_mib"] == 256
    assert process["user"] and process["command"]
    assert os.path.exists(f"/proc/{pid}")
