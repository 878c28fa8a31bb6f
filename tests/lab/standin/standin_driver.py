#!/usr/bin/python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers as module gpu_driver does, on a node whose driver is part of the image: for tests of what is built around it.

/etc/accel-lab/standin says what goes wrong: `install` fails in the module, which brings the old driver back by itself;
`dead` lets a GPU fall off the bus with the new driver; `stuck` fails also when the old one is brought back; `broken`
leaves the new library and no module, and no way back; `refuse` and `hindered` refuse before the first step; `slow`
waits between library and module until /run/standin-middle is gone; `enrol` says that a person has to act first;
`parameters` fails in the fabric after a change of something else than packages, which stays; `owing` changes the
library and owes a reboot, and somebody works when that is prepared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

sys.path.insert(0, "/usr/lib/accel-lab")
FOLDER = Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
# Where the library is while no driver is installed.
ASIDE = Path("/var/lib/standin-aside")
LOADED = Path("/sys/module/nvidia/version")
PREVIOUS = Path("/var/lib/standin-previous")
WRONG = Path("/etc/accel-lab/standin")
MIDDLE = Path("/run/standin-middle")
# From which the stand-in of modprobe learns the version on disk.
BAKED = Path("/var/lib/gpusim/baked")
MODULES = ("nvidia_modeset", "nvidia_uvm", "nvidia")
# What the module says after its first step, and facts of its error.
FAILURES: dict[str, tuple[str, dict[str, t.Any]]] = {
    "install": ("the script of a package failed; what was there before is back", {"restored": True}),
    "parameters": ("the NVLink fabric is not completed", {"restored": False, "changed": True}),
}


def read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def library() -> t.Optional[str]:
    found = next(iter(FOLDER.glob("libnvidia-ml.so.*.*")), None)
    return found.name.partition(".so.")[2] if found else None


def install(version: t.Optional[str]) -> None:
    """Without a version the driver goes."""
    old = library()
    source = FOLDER / f"libnvidia-ml.so.{old}" if old else ASIDE
    source.rename(FOLDER / f"libnvidia-ml.so.{version}" if version else ASIDE)
    link = FOLDER / "libnvidia-ml.so.1"
    link.unlink(missing_ok=True)
    if version:
        link.symlink_to(f"libnvidia-ml.so.{version}")
        BAKED.write_text(f"{version}\n")
    subprocess.run(["ldconfig"], check=True)


def unload() -> None:
    for name in MODULES:
        if Path("/sys/module", name).exists():
            subprocess.run(["rmmod", name], check=True)


def load() -> None:
    for name in reversed(MODULES):
        subprocess.run(["modprobe", name], check=True)


def driver(wanted: t.Optional[str]) -> dict[str, t.Optional[str]]:
    return {"loaded": read(LOADED) or None, "installed": library(), "library": library(), "wanted": wanted}


def busy() -> list[str]:
    shown = json.loads(subprocess.run(["gpusim", "show", "--json"], check=True, capture_output=True).stdout)
    return [str(process["pid"]) for gpu in shown["gpus"] for process in gpu["processes"]]


def change(wanted: t.Optional[str], loads: bool, wrong: str) -> None:
    install(wanted)
    if wrong == "slow":
        MIDDLE.write_text(str(os.getpid()))
        deadline = time.monotonic() + 600
        while MIDDLE.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    unload()
    if loads and wrong != "broken":
        load()
    subprocess.run(["gpusim", "set", "0", "lost", "1" if wrong in ("dead", "stuck") else "0"], check=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "restored"]},
            "version": {},
            "download_only": {"type": "bool"},
            "change_loaded": {"type": "bool"},
            "keep_geometry": {"type": "bool"},
            "run": {},
            "restore_runs": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    options, wrong = module.params, read(WRONG)
    back = options["state"] == "restored"
    record = json.loads(read(PREVIOUS) or "{}")
    if back and options["restore_runs"] is not None and record.get("run") not in options["restore_runs"]:
        keep = {"action": "keep", "object": "driver packages", "reason": "nothing was restored: stand-in"}
        module.exit_json(changed=False, restored=False, driver=driver(None), actions=[keep])
    wanted = record.get("library") if back else options["version"]
    loads = not back or bool(record.get("loaded"))
    before = driver(wanted)
    others = ["parameters"] if wrong == "parameters" and not back else []
    changes = bool(others) or [before["library"], before["loaded"]] != [wanted, wanted if loads else None]
    answer = {
        "changed": changes and not options["download_only"],
        "driver": before,
        "actions": [{"action": "install_package", "object": "driver", "reason": "wished"}] if changes else [],
        "reload_required": [],
        "reboot_required": [],
        "drain_required": others,
        "boot_without_driver": [],
        "upgrade_pending": None,
        "enrolment_required": "enrol the key at the console" if wrong == "enrol" else None,
        **({"restored": True} if back else {}),
    }
    if options["download_only"] or module.check_mode or not changes:
        module.exit_json(**answer)
    if not options["change_loaded"]:
        module.exit_json(**{**answer, "changed": False})
    told, error = refusal(back, wrong, options["keep_geometry"])
    if not told and not back:
        if before["library"] != wanted:
            PREVIOUS.write_text(json.dumps({"run": options["run"], **before}))
        told, error = FAILURES.get(wrong, ("", {}))
        if wrong == "owing":
            install(wanted)
            owed = ["kernel module nvidia cannot be unloaded"]
            module.exit_json(**{**answer, "driver": driver(wanted), "reload_required": owed, "reboot_required": owed})
    if not told:
        change(wanted, loads, "" if back else wrong)
        if wrong == "broken":
            told, error = "modprobe failed; NOT restored", {"restored": False}
    if told:
        module.fail_json(msg=f"gpu_driver: {told}", changed=False, driver=before, error={"kind": "apply", **error})
    module.exit_json(**{**answer, "driver": driver(wanted), "seconds": {"reload": 1.5}})


def refusal(back: bool, wrong: str, reboots: bool) -> tuple[str, dict[str, t.Any]]:
    """What the module says before its first step (empty: nothing), and facts of its error."""
    if busy():
        return f"busy with {', '.join(busy())}", {"kind": "busy"}
    if wrong == "owing" and reboots:
        return "busy with somebody who came late", {"kind": "busy"}
    if back and wrong in ("stuck", "broken"):
        return "the old packages cannot be had", {}
    if not back and wrong in ("refuse", "hindered"):
        return f"stand-in: {wrong}", {"kind": "busy" if wrong == "hindered" else "blocked"}
    return "", {}


if __name__ == "__main__":
    main()
