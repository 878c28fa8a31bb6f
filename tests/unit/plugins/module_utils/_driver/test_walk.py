# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single steps of a change: which commands are run, and the words where one fails."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.change import (
    apply_build_log,
    apply_enrolment,
    apply_keep,
    apply_modules,
    apply_walk,
)
from ansible_collections.accel.gpu.plugins.module_utils._driver.decide import requests
from ansible_collections.accel.gpu.plugins.module_utils._driver.look import probe_sessions
from ansible_collections.accel.gpu.plugins.module_utils._driver.refused import Refused
from ansible_collections.accel.gpu.plugins.module_utils._driver.steps import (
    ChangePackages,
    LoadModules,
    ReloadModules,
    SetUnit,
)
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError, TransactionError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files
from ansible_collections.accel.gpu.plugins.module_utils._holders import probe
from ansible_collections.accel.gpu.plugins.module_utils._packages.apply_apt_pins import pins
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Package, Request
from ansible_collections.accel.gpu.plugins.module_utils._ports import Ports


class Node:
    """Records commands; `broken` maps a command to what it answers."""

    def __init__(self, root: t.Any, broken: t.Optional[t.Dict[str, t.Tuple[int, str, str]]] = None) -> None:
        self.files = Files(str(root))
        self.said: t.List[str] = []
        self.fed: t.List[t.Optional[str]] = []
        self._broken = broken or {}

    def run(self, argv: t.Sequence[str], timeout: t.Any = None, stdin: t.Any = None) -> t.Tuple[int, str, str]:
        self.said.append(" ".join(argv))
        self.fed.append(stdin)
        if argv[:2] == ["systemctl", "is-system-running"]:
            return 0, "running", ""
        return self._broken.get(self.said[-1], (0, "", ""))

    @property
    def ports(self) -> Ports:
        return Ports(self.run, self.files, lambda: pytest.fail("NVML was asked"), root=self.files.path("/"))

    def modules(self, *names: str) -> None:
        for name in names:
            self.files.write(f"/sys/module/{name}/initstate", b"live\n")


DCGM, PERSISTENCED = "nvidia-dcgm.service", "nvidia-persistenced.service"
RELOAD = ReloadModules(("nvidia_uvm", "nvidia"), ("nvidia", "nvidia_uvm"), ("nvidia-dcgm.service",))
QUESTIONS = ["systemctl is-system-running", "systemctl is-active accel-gpu.service"]


def test_a_reload_goes_outwards_in_and_starts_what_it_stopped(tmp_path):
    node = Node(tmp_path)
    node.modules("nvidia_uvm", "nvidia")
    assert apply_modules.reload(node.ports, RELOAD) == (None, {})
    assert node.said == [
        "systemctl stop nvidia-dcgm.service",
        "rmmod nvidia_uvm",
        "rmmod nvidia",
        "modprobe nvidia",
        "modprobe nvidia_uvm",
        *QUESTIONS,
        "systemctl start nvidia-dcgm.service",
    ]


def test_if_one_module_cannot_go_none_goes(tmp_path):
    node = Node(tmp_path, {"rmmod nvidia": (1, "", "rmmod: ERROR: Module nvidia is in use")})
    node.modules("nvidia_uvm", "nvidia")
    (tmp_path / "proc/812/fd").mkdir(parents=True)
    (tmp_path / "proc/812/comm").write_text("exporter\n")
    (tmp_path / "proc/812/fd/3").symlink_to("/dev/nvidiactl")
    refused, late = apply_modules.reload(node.ports, RELOAD)
    assert refused == Refused(
        "kernel module nvidia cannot be unloaded (rmmod: ERROR: Module nvidia is in use); exporter (PID 812) has "
        "devices open",
        module="nvidia",
        pids=(812,),
    )
    assert late == {}
    assert node.said[1:4] == ["rmmod nvidia_uvm", "rmmod nvidia", "modprobe nvidia_uvm"]
    assert node.said[-1] == "systemctl start nvidia-dcgm.service"


def test_what_does_not_come_again_is_told_beside_the_refusal(tmp_path):
    node = Node(
        tmp_path,
        {
            "rmmod nvidia": (1, "", "in use"),
            "modinfo -F version nvidia_uvm": (0, "580.1\n", ""),
            "modinfo -F version nvidia_modeset": (0, "590.2\n", ""),
            "modprobe gdrdrv": (1, "", "Invalid argument"),
        },
    )
    node.modules("nvidia_uvm", "nvidia_modeset", "gdrdrv", "nvidia")
    node.files.write("/sys/module/nvidia/version", b"580.1\n")
    step = ReloadModules(("gdrdrv", "nvidia_modeset", "nvidia_uvm", "nvidia"), ("nvidia",))
    refused, late = apply_modules.reload(node.ports, step)
    assert refused == Refused("kernel module nvidia cannot be unloaded (in use)", module="nvidia")
    assert late == {
        "nvidia_modeset": "kernel module nvidia_modeset did not come again: on disk is 590.2, and nvidia 580.1 stays "
        "in memory",
        "gdrdrv": "kernel module gdrdrv did not come again: modprobe gdrdrv ended with 1: Invalid argument; the kernel "
        "log (journalctl -k) says more",
    }
    assert [line for line in node.said if line.startswith("modprobe")] == ["modprobe nvidia_uvm", "modprobe gdrdrv"]


@pytest.mark.parametrize(
    ("references", "holders", "goes"),
    [
        ("1", ("nvidia_uvm",), True),
        ("2", ("nvidia_uvm",), False),
        ("1", (), False),
        ("0", (), True),
        # Built in, or a kernel that cannot unload modules: rmmod will tell.
        (None, (), True),
        ("-1", (), True),
    ],
)
def test_modules_go_where_only_modules_use_them(tmp_path, monkeypatch, references, holders, goes):
    pauses = []
    monkeypatch.setattr(probe, "time", SimpleNamespace(sleep=pauses.append))
    node = Node(tmp_path)
    node.modules("nvidia_uvm", "nvidia")
    for holder in holders:
        node.files.write(f"/sys/module/nvidia/holders/{holder}", b"")
    if references is not None:
        node.files.write("/sys/module/nvidia/refcnt", f"{references}\n".encode())
    refused, _late = apply_modules.reload(node.ports, RELOAD)
    if goes:
        assert (refused, pauses) == (None, [])
        return
    assert refused == Refused(
        "kernel module nvidia cannot be unloaded (in use, and not by other modules alone)", module="nvidia"
    )
    assert not [line for line in node.said if line.startswith("rmmod")]
    assert node.said[-1] == "systemctl start nvidia-dcgm.service"
    assert sum(pauses) < 5


def test_a_holder_that_does_not_stop_leaves_all_modules_loaded(tmp_path):
    node = Node(tmp_path, {"systemctl stop nvidia-dcgm.service": (1, "", "timed out")})
    node.modules("nvidia_uvm", "nvidia")
    refused, _late = apply_modules.reload(node.ports, RELOAD)
    assert refused == Refused(
        "nvidia-dcgm.service holds the GPU and could not be stopped (timed out); stop it by hand",
        unit="nvidia-dcgm.service",
    )
    assert not [line for line in node.said if "mod" in line.split()[0]]


@pytest.mark.parametrize(("stays", "again"), [(False, []), (True, [PERSISTENCED, DCGM])])
def test_where_modules_go_for_good_units_stay_stopped(tmp_path, stays, again):
    node = Node(tmp_path, {"rmmod nvidia": (1, "", "in use")} if stays else {})
    node.modules("nvidia")
    step = ReloadModules(("nvidia",), (), (DCGM, PERSISTENCED))
    refused, _late = apply_modules.reload(node.ports, step)
    assert bool(refused) is stays
    assert [line.split()[-1] for line in node.said if line.startswith("systemctl start")] == again


def test_modules_that_do_not_come_again_are_an_error_with_the_words_of_modprobe(tmp_path):
    node = Node(tmp_path, {"modprobe nvidia": (1, "", "modprobe: ERROR: could not insert 'nvidia': No such device")})
    with pytest.raises(AccelError) as caught:
        apply_modules.load(node.ports, LoadModules(("nvidia", "nvidia_uvm")))
    assert caught.value.message == (
        "modprobe nvidia ended with 1: modprobe: ERROR: could not insert 'nvidia': No such device; the kernel log "
        "(journalctl -k) says more"
    )


def test_nouveau_in_the_way_is_told(tmp_path):
    node = Node(tmp_path, {"rmmod nouveau": (1, "", "in use")})
    node.modules("nouveau")
    with pytest.raises(AccelError) as caught:
        apply_modules.load(node.ports, LoadModules(("nvidia",), ("nouveau",)))
    assert caught.value.message == (
        "kernel module nouveau is in the way and cannot be unloaded (in use); reboot the node"
    )


def test_enrolment_gives_mokutil_a_password_twice_and_keeps_it_for_root_alone(tmp_path):
    node = Node(tmp_path)
    node.files.write("/var/lib/dkms/mok.pub", b"DER")
    sentence = apply_enrolment.prepare(node.ports, "/var/lib/dkms/mok.pub")
    password = (node.files.read_text(apply_enrolment.PASSWORD) or "").strip()
    assert node.said == ["mokutil --import /var/lib/dkms/mok.pub"]
    assert node.fed == [f"{password}\n{password}\n"]
    assert len(password) == 8
    assert node.files.mode(apply_enrolment.PASSWORD) == 0o600
    assert password not in sentence
    assert sentence == (
        "reboot, choose Enroll MOK at the console and type the password in "
        "/var/lib/accel-gpu/driver/enrolment-password of this node; after that the kernel accepts the driver's modules"
    )


def test_without_mokutil_the_key_is_enrolled_by_hand_and_no_password_is_left(tmp_path):
    node = Node(tmp_path, {"mokutil --import /c": (127, "", "mokutil: No such file or directory")})
    with pytest.raises(AccelError) as caught:
        apply_enrolment.prepare(node.ports, "/c")
    assert caught.value.message == ("mokutil --import /c ended with 127: mokutil is not installed; enrol /c by hand")
    assert not node.files.exists(apply_enrolment.PASSWORD)


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("/usr/sbin/update-initramfs", "update-initramfs -u -k 6.1.0"),
        ("/usr/bin/dracut", "dracut --force --kver 6.1.0"),
    ],
)
def test_the_initramfs_is_rebuilt_with_the_tool_that_is_there(tmp_path, tool, command):
    node = Node(tmp_path, {command: (1, "", "No space left on device")})
    node.files.write(tool, b"")
    with pytest.raises(AccelError) as caught:
        apply_walk.rebuild(node.ports, "6.1.0")
    assert node.said == [command]
    assert caught.value.message == f"{command} ended with 1: No space left on device"


def test_a_unit_is_enabled_without_a_reload_of_systemd(tmp_path):
    node = Node(tmp_path)
    apply_walk.set_unit(node.ports, SetUnit("nvidia-persistenced.service", True, False))
    assert node.said == [
        "systemctl --no-reload enable nvidia-persistenced.service",
        "systemctl stop nvidia-persistenced.service",
    ]


def test_a_pinning_package_goes_before_the_packages_that_it_pins():
    step = ChangePackages((("a", "2-1"),), ("b",), True, None, (("nvidia-driver-pinning-2", "2-1"),))
    first, second = requests.requests_of(step, {"a"})
    assert first == Request((("nvidia-driver-pinning-2", "2-1"),), downgrade=True, own_holds=("a",))
    assert second == Request((("a", "2-1"),), ("b",), True, own_holds=("a",))
    whole = requests.whole_request(step)
    assert whole.install == (("nvidia-driver-pinning-2", "2-1"), ("a", "2-1"))


@pytest.mark.parametrize(
    ("kind", "package", "name"),
    [
        ("apt", Package("libcuda1", "1:580.1-1", "amd64"), "libcuda1_1%3a580.1-1_amd64.deb"),
        ("dnf", Package("nvidia-driver", "3:580.1-1.el9", "x86_64"), "nvidia-driver-580.1-1.el9.x86_64.rpm"),
        ("zypper", Package("nvidia-open", "580.1-1", "x86_64"), "nvidia-open-580.1-1.x86_64.rpm"),
    ],
)
def test_files_of_packages_are_called_as_their_manager_calls_them(kind, package, name):
    assert apply_keep.file_name(kind, package) == name


def test_versions_are_preferred_whichever_package_has_them():
    assert pins(["580.1-1", "6.1-2"]) == (
        "Package: /./\nPin: version 580.1-1\nPin-Priority: 1100\n\n"
        "Package: /./\nPin: version 6.1-2\nPin-Priority: 1100\n\n"
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        # pam_systemd(8) of systemd 258 has all of these
        *((kind, True) for kind in ("user", "user-early", "user-light", "user-early-light", "user-incomplete")),
        *((kind, False) for kind in ("greeter", "lock-screen", "background", "background-light")),
        *((kind, False) for kind in ("manager", "manager-early", "none")),
        # what a later version may call its people
        ("user-something", True),
    ],
)
def test_sessions_of_people_count_whatever_their_class(tmp_path, kind, told):
    files = Files(str(tmp_path))
    files.write("/run/systemd/sessions/8", f"USER=root\nCLASS={kind}\nSTATE=active\n".encode())
    assert probe_sessions.foreign(files) == (("root is logged in (session 8)",) if told else ())


def test_other_people_are_logged_in(tmp_path):
    files = Files(str(tmp_path))
    files.write("/proc/self/cgroup", b"0::/user.slice/user-0.slice/session-7.scope\n")
    for name, text in {
        "7": "USER=root\nCLASS=user-early\nSTATE=active\n",
        "8": "USER=alice\nCLASS=user\nSTATE=active\n",
        "9": "USER=bob\nCLASS=user\nSTATE=closing\n",
        "8.ref": "",
    }.items():
        files.write(f"/run/systemd/sessions/{name}", text.encode())
    assert probe_sessions.foreign(files) == ("alice is logged in (session 8)",)


# Real ones: Debian 12 with headers of which a part was missing.
DKMS = (
    "Loading new nvidia-current-open-535.261.03 DKMS files... / Error! Bad return status for module build on kernel: "
    "6.18.44 (x86_64) / Consult /var/lib/dkms/nvidia-current-open/535.261.03/build/make.log for more information."
)
LOG = """make[1]: Entering directory '/usr/src/linux-headers-6.1.0-56-amd64'
 CONFTEST: dma_buf_export
common/inc/nv_stdarg.h:33:14: fatal error: stdarg.h: No such file or directory
   33 |     #include <stdarg.h>
compilation terminated.
make[2]: *** [scripts/Makefile.build:255: nvidia/nv.o] Error 1
make[2]: *** Waiting for unfinished jobs....
conftest/functions.h:75:2: error: #error dma_buf_export() conftest failed!
"""


@pytest.mark.parametrize(
    ("message", "log", "more"),
    [
        (
            DKMS,
            LOG,
            "; the build's log begins to fail with: common/inc/nv_stdarg.h:33:14: fatal error: stdarg.h: No such file "
            "or directory / make[2]: *** [scripts/Makefile.build:255: nvidia/nv.o] Error 1 / make[2]: *** Waiting for "
            "unfinished jobs....",
        ),
        (DKMS, "CC [M] nvidia/nv.o\n", ""),
        (DKMS, None, ""),
        ("the script of a package failed", LOG, ""),
    ],
)
def test_a_failed_build_is_told_with_its_log_which_goes_with_the_way_back(tmp_path, message, log, more):
    files = Files(str(tmp_path))
    if log is not None:
        files.write("/var/lib/dkms/nvidia-current-open/535.261.03/build/make.log", log.encode())
    told = apply_build_log.explained(TransactionError(message, packages=["nvidia-open-kernel-dkms"]), files)
    assert (told.kind, told.message) == ("transaction", f"{message}{more}")
    assert told.facts == {"packages": ["nvidia-open-kernel-dkms"]}
