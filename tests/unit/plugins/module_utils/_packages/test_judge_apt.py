# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The texts were taken from apt 2.6.2 and dpkg 1.21 (Debian 12).

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import judge_apt

UNMET = (
    "The following packages have unmet dependencies:\n"
    " nv-driver : Depends: nv-lib (= 580.1-1) but 570.1-1 is to be installed\n"
)
CASES = [
    (
        "locked",
        "",
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 785 (python3)\n"
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n",
        "package_locked",
        "the package database is locked by PID 785 (python3) (/var/lib/dpkg/lock-frontend); waited 2 s; wait for its "
        "end "
        "and run again",
    ),
    (
        "interrupted",
        "",
        "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. \n",
        "package_state",
        "dpkg was interrupted on this node; run dpkg --configure -a there, then run again",
    ),
    (
        "full_cache",
        "Need to get 29.8 kB of archives.\nAfter this operation, 30.0 MB of additional disk space will be used.\n",
        "E: You don't have enough free space in /var/cache/apt/archives/.\n",
        "disk_full",
        "the file system of /var/cache/apt/archives/ has not enough room: 29.8 kB are needed; make room and run again",
    ),
    (
        "full_usr",
        "Unpacking nv-big (1) ...\ndpkg: error processing archive /var/cache/apt/archives/nv-big_1_amd64.deb "
        "(--unpack):\n"
        " cannot copy extracted data for './usr/share/nv-big/data' to '/usr/share/nv-big/data.dpkg-new': failed to "
        "write "
        "(No space left on device)\n",
        "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
        "disk_full",
        "the file system of /usr/share/nv-big/data has not enough room; make room and run again",
    ),
    (
        "version",
        "",
        "E: Version '9' for 'nv-driver' was not found\n",
        "version_missing",
        "package nv-driver: version 9 is in no repository of this node; there are 580.2-1, 580.1-1",
    ),
    (
        "package",
        "",
        "E: Unable to locate package none-such\n",
        "version_missing",
        "package none-such is in no repository of this node; check its name and the repositories",
    ),
    (
        "downgrade",
        "The following packages will be DOWNGRADED:\n  nv-driver nv-lib\n0 upgraded, 2 downgraded.\n",
        "E: Packages were downgraded and -y was used without --allow-downgrades.\n",
        "dependency",
        "the package transaction would downgrade nv-driver, nv-lib, which was not allowed; nothing was changed; wish "
        "the "
        "installed version or a newer one, or allow the downgrade",
    ),
    (
        "unmet",
        UNMET.replace("nv-lib", "nv-firmware"),
        "E: Unable to correct problems, you have held broken packages.\n",
        "dependency",
        "the packages do not go together: nv-driver : Depends: nv-firmware (= 580.1-1) but 570.1-1 is to be installed; "
        "name the missing ones too, or wish another version",
    ),
    (
        "unmet_for_a_hold",
        UNMET,
        "E: Unable to correct problems, you have held broken packages.\n",
        "held",
        "nv-lib would change but is held by somebody else; ask them, or release the hold and run again",
    ),
    (
        "unreachable",
        "",
        "E: Failed to fetch http://127.0.0.1:9/r/./nv-lib_1_amd64.deb  Could not connect to 127.0.0.1:9\n"
        "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n",
        "repository",
        "repository http://127.0.0.1:9/r/./nv-lib_1_amd64.deb cannot be reached (Could not connect to 127.0.0.1:9); "
        "check "
        "the address, the network and the proxy of the node",
    ),
    (
        "script",
        "Reading package lists...\nFetched 662 B in 0s (18.0 kB/s)\n"
        "(Reading database ... (Reading database ... 5%(Reading database ... 11333 files and directories)\n"
        "Unpacking nv-bad (1) ...\nSetting up nv-good:amd64 (1) ...\n"
        "Setting up nv-bad (1) ...\nbuilding module failed\nsee log\n"
        "dpkg: error processing package nv-bad (--configure):\n"
        " installed nv-bad package post-installation script subprocess returned error exit status 7\n"
        "Errors were encountered while processing:\n nv-bad\n",
        "debconf: delaying package configuration, since apt-utils is not installed\n"
        "update-alternatives: warning: skip creation of /usr/share/man/man1/lzcmp.1.gz because associated file "
        "/usr/share/man/man1/xzcmp.1.gz (of link group lzma) doesn't exist\n"
        "Created symlink /etc/systemd/system/multi-user.target.wants/nv.service -> /lib/systemd/system/nv.service.\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
        "transaction",
        "the package transaction failed at nv-bad: Setting up nv-bad (1) ... / building module failed / see log / "
        "dpkg: "
        "error processing package nv-bad (--configure): / installed nv-bad package post-installation script subprocess "
        "returned error exit status 7; repair what it names and run again",
    ),
    (
        "unknown",
        "",
        "E: Something new\n",
        "transaction",
        "the package transaction failed: E: Something new; repair what it names and run again",
    ),
]


@pytest.mark.parametrize(
    ("out", "err", "kind", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_failures(out, err, kind, message):
    asked = judge_apt.Asked({"nv-driver": ("580.2-1", "580.1-1")}, frozenset(("nv-lib",)))
    error = judge_apt.failure(out, err, 2.0, asked)
    assert (error.kind, error.message) == (kind, message)


def test_facts_for_machines():
    error = judge_apt.failure("", CASES[0][2], 2.0)
    assert error.facts == {"path": "/var/lib/dpkg/lock-frontend", "pid": 785, "program": "python3"}
    error = judge_apt.failure(CASES[2][1], CASES[2][2], 0.0)
    assert error.facts == {"path": "/var/cache/apt/archives/", "needed": 29800, "free": None}
