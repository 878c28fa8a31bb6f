#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers as module gpu_driver does, on a node whose driver is part of the image: for tests of what is built around it.

/etc/accel-lab/standin says what goes wrong: `install` fails in the module, which brings the old driver back by itself;
`dead` lets a GPU fall off the bus with the new driver; `stuck` fails also when the old one is brought back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

sys.path.insert(0, "/usr/lib/accel-lab")
FOLDER = Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
LOADED = Path("/sys/module/nvidia/version")
PREVIOUS = Path("/var/lib/standin-previous")
WRONG = Path("/etc/accel-lab/standin")
# From which the stand-in of modprobe learns the version on disk.
BAKED = Path("/var/lib/gpusim/baked")
MODULES = ("nvidia_modeset", "nvidia_uvm", "nvidia")


def read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def library() -> str:
    return next(iter(FOLDER.glob("libnvidia-ml.so.*.*"))).name.partition(".so.")[2]


def install(version: str) -> None:
    old = FOLDER / f"libnvidia-ml.so.{library()}"
    old.rename(FOLDER / f"libnvidia-ml.so.{version}")
    link = FOLDER / "libnvidia-ml.so.1"
    link.unlink(missing_ok=True)
    link.symlink_to(f"libnvidia-ml.so.{version}")
    BAKED.write_text(f"{version}\n")
    subprocess.run(["ldconfig"], check=True)


def reload() -> None:
    for name in MODULES:
        subprocess.run(["rmmod", name], check=True)
    for name in reversed(MODULES):
        subprocess.run(["modprobe", name], check=True)


def driver(wanted: str) -> dict[str, str]:
    return {"loaded": read(LOADED), "installed": library(), "library": library(), "wanted": wanted}


def busy() -> list[str]:
    shown = json.loads(subprocess.run(["gpusim", "show", "--json"], check=True, capture_output=True).stdout)
    return [str(process["pid"]) for gpu in shown["gpus"] for process in gpu["processes"]]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "restored"]},
            "version": {},
            "download_only": {"type": "bool"},
            "change_loaded": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    options, wrong = module.params, read(WRONG)
    wanted = read(PREVIOUS) if options["state"] == "restored" else options["version"]
    before = driver(wanted)
    changes = before["library"] != wanted or before["loaded"] != wanted
    answer = {
        "changed": changes and not options["download_only"],
        "driver": before,
        "actions": [{"action": "install_package", "object": "driver", "reason": "wished"}] if changes else [],
        "reload_required": [],
        "reboot_required": [],
        "upgrade_pending": None,
    }
    if options["download_only"] or module.check_mode or not changes:
        module.exit_json(**answer)
    if not options["change_loaded"]:
        module.exit_json(**{**answer, "changed": False})
    if busy():
        told = f"gpu_driver: busy with {', '.join(busy())}"
        module.fail_json(msg=told, changed=False, driver=before, error={"kind": "busy"})
    if options["state"] == "present":
        PREVIOUS.write_text(before["loaded"])
        if wrong == "install":
            told = "gpu_driver: the script of a package failed; what was there before is back"
            module.fail_json(msg=told, changed=False, driver=before, error={"kind": "apply", "restored": True})
    elif wrong == "stuck":
        module.fail_json(msg="gpu_driver: the old packages cannot be had", driver=before, error={"kind": "apply"})
    install(wanted)
    reload()
    subprocess.run(["gpusim", "set", "0", "lost", "1" if wrong and options["state"] == "present" else "0"], check=True)
    module.exit_json(**{**answer, "driver": driver(wanted), "seconds": {"reload": 1.5}})


if __name__ == "__main__":
    main()
