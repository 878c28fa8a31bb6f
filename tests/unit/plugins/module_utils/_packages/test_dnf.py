# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The texts were taken from dnf 4.14 on small packages made for it, where nothing else is said.

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import judge_dnf, parse_dnf
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Request

LONG = "nvidia-driver-cuda-libs-and-a-very-long-name-indeed"
HEAD = """Dependencies resolved.
=======================================================================================
 Package                                               Arch    Version       Repo
                                                                                   Size
=======================================================================================
"""
INSTALL = f"""{HEAD}Installing:
 nvidia-driver                                         x86_64  3:580.1-1.el9 lab  6.1 k
Installing dependencies:
 {LONG}   x86_64  3:580.1-1.el9 lab  6.1 k
Installing weak dependencies:
 nvidia-settings                                       x86_64  3:580.2-1.el9 lab  5.9 k
Enabling module streams:
 nvidia-driver                                                 580-open

Transaction Summary
=======================================================================================
Install  3 Packages

Total size: 18 k
Installed size: 0
"""
REMOVE = f"""{HEAD}Removing:
 {LONG}   x86_64  3:570.1-1.el9 @lab    0
Removing dependent packages:
 nvidia-driver                                         x86_64  3:570.1-1.el9 @lab    0

Transaction Summary
Remove  2 Packages
"""
# constructed: a name that leaves no room for the rest of the row, a package that takes another's place, a foreign one
WRAPPED = f"""{HEAD}Upgrading:
 {LONG}-really
                            x86_64  3:580.2-1.el9 lab  6.1 k
Installing:
 repl                       x86_64  2-1           lab  5.9 k
     replacing  old.x86_64 1-1
 nvidia-driver-libs         i686    3:580.2-1.el9 lab  1.2 M
Downgrading:
 dkms                       noarch  3.0-1         lab  80 k

"""
CHANGES = [
    (
        "install",
        INSTALL,
        (
            Change("nvidia-driver", None, "3:580.1-1.el9"),
            Change(LONG, None, "3:580.1-1.el9"),
            Change("nvidia-settings", None, "3:580.2-1.el9"),
        ),
    ),
    ("remove", REMOVE, (Change(LONG, "3:570.1-1.el9", None), Change("nvidia-driver", "3:570.1-1.el9", None))),
    (
        "wrapped",
        WRAPPED,
        (
            Change(f"{LONG}-really", "3:580.1-1.el9", "3:580.2-1.el9"),
            Change("old", "1-1", None),
            Change("repl", None, "2-1"),
            Change("nvidia-driver-libs.i686", None, "3:580.2-1.el9"),
            Change("dkms", "3.1-1", "3.0-1"),
        ),
    ),
    (
        "nothing",
        "Package old-1-1.x86_64 is already installed.\nDependencies resolved.\nNothing to do.\nComplete!\n",
        (),
    ),
]


@pytest.mark.parametrize(("out", "changes"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_table_of_changes(out, changes):
    installed = {f"{LONG}-really": "3:580.1-1.el9", "dkms": "3.1-1"}
    assert parse_dnf.changes(out, installed) == changes


def test_downgrades_are_found_by_version():
    assert parse_dnf.downgrades(parse_dnf.changes(WRAPPED, {"dkms": "3.1-1"})) == ("dkms",)


@pytest.mark.parametrize(
    ("out", "size"),
    [(INSTALL, 18432), ("Total download size: 1.5 M\n", 1572864), ("Total size: 488  \n", 488), ("", 0)],
)
def test_size(out, size):
    assert parse_dnf.download_bytes(out) == size


def test_versions_newest_first():
    out = (
        "nvidia-driver\t3:570.1-1.el9\tx86_64\nnvidia-driver\t3:580.2-1.el9\tx86_64\n"
        "nvidia-driver\t3:580.1-1.el9\tx86_64\nold\t0:1-1\tx86_64\nold\t0:1-1\ti686\n"
    )
    assert parse_dnf.versions(out) == {
        "nvidia-driver": ("3:580.2-1.el9", "3:580.1-1.el9", "3:570.1-1.el9"),
        "old": ("1-1",),
        "old.i686": ("1-1",),
    }


def test_script_names_what_is_there():
    request = Request(
        (("nvidia-driver", "3:580.1-1.el9"), ("dkms", None)), remove=("old", "gone"), module="nvidia-driver:580-open"
    )
    assert parse_dnf.script(request, {"old"}) == (
        "module enable nvidia-driver:580-open\nremove old\ninstall nvidia-driver-3:580.1-1.el9 dkms\nrun\n"
    )
    assert parse_dnf.script(Request(remove=("gone",)), {"old"}) == "run\n"
    assert parse_dnf.script(Request(module="nvidia-driver"), {}) == "module reset nvidia-driver\nrun\n"


STREAMS = """NVIDIA driver
Name          Stream       Profiles Summary
nvidia-driver latest-dkms  default  stand-ins of the lab, stream latest-dkms
nvidia-driver 580-open [e] default  stand-ins of the lab, stream 580-open

another repository
Name          Stream       Profiles Summary
nvidia-driver 580-open [e] default  stand-ins of the lab, stream 580-open

Hint: [d]efault, [e]nabled, [x]disabled, [i]nstalled
"""


def test_streams_that_are_offered():
    assert parse_dnf.streams(STREAMS, "nvidia-driver") == ("latest-dkms", "580-open")
    assert parse_dnf.streams("", "nvidia-driver") == ()


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        ("[nvidia-driver]\nname=nvidia-driver\nstream=580-open\nprofiles=\nstate=enabled\n", "580-open"),
        ("[nvidia-driver]\nname=nvidia-driver\nstream=\nprofiles=\nstate=disabled\n", None),
        ("[nvidia-driver]\nname=nvidia-driver\nstream=\nprofiles=\nstate=enabled\n", None),
        ("", None),
    ],
)
def test_the_stream_that_is_enabled(text, stream):
    assert parse_dnf.enabled(text) == stream


@pytest.mark.parametrize(
    ("code", "out", "err", "simulated", "refused"),
    [
        (0, INSTALL, "", False, False),
        (1, INSTALL, "Operation aborted.\n", True, False),
        (0, INSTALL, "Error: Operation aborted.\n", True, False),
        (1, "", "Operation aborted.\n", False, True),
        # dnf shell ends with 0 whatever it says
        (0, "No match for argument: none-x\n", "Error: Unable to find a match: none-x\n", True, True),
        (0, "\n Problem: conflicting requests\n  - nothing provides x needed by y\n", "", True, True),
        (0, "warning: %post(badpost-0:1-1.x86_64) scriptlet failed, exit status 3\n", "", False, True),
        (200, "", "metadata already locked by 2876\n", True, True),
        (1, "", "Error: No matching Modules to list\n", True, False),
        # a repository of others that was passed over
        (0, INSTALL, "Error: Failed to download metadata for repo 'x': All mirrors were tried\n", False, False),
        (1, "", "Error: Failed to download metadata for repo 'x': All mirrors were tried\n", False, True),
    ],
)
def test_what_dnf_did_not_do(code, out, err, simulated, refused):
    assert judge_dnf.refuses(code, out, err, simulated) is refused


R = "http://127.0.0.1:8000"
FAILED = "Error: Failed to download metadata for repo 'x': "
MIRRORS = f"{FAILED}Cannot download repomd.xml: Cannot download repodata/repomd.xml: All mirrors were tried\n"
ERRORS = "Errors during downloading metadata for repository 'x':\n  - "
FAILURES = [
    (
        "locked",
        "",
        "metadata already locked by 2876\n  The application with PID 2876 is: python3\n    Memory : 7.7 M RSS\n",
        "package_locked",
        "the package database is locked by PID 2876 (python3) (dnf's lock); waited 2 s; wait for its end and run again",
    ),
    (
        "unreachable",
        "",
        f"{ERRORS}Curl error (7): Couldn't connect to server for http://127.0.0.1:9/r/repodata/repomd.xml [Failed]\n"
        f"{MIRRORS}",
        "repository",
        "repository x (http://127.0.0.1:9/r/repodata/repomd.xml) cannot be reached (Curl error (7): Couldn't connect "
        "to "
        "server for http://127.0.0.1:9/r/repodata/repomd.xml [Failed]); check the address, the network and the proxy "
        "of "
        "the node",
    ),
    (
        "not_there",
        "",
        f"{ERRORS}Status code: 404 for {R}/nope/repodata/repomd.xml (IP: 127.0.0.1)\n{MIRRORS}",
        "repository",
        f"repository x ({R}/nope/repodata/repomd.xml) does not exist at this address (Status code: 404 for "
        f"{R}/nope/repodata/repomd.xml (IP: 127.0.0.1)); check the address and the suite",
    ),
    (
        "other_key",
        "",
        f"{FAILED}repomd.xml GPG signature verification error: Bad GPG signature\n",
        "repository",
        "repository x has a signature that does not fit the key given (repomd.xml GPG signature verification error: "
        "Bad "
        "GPG signature); give the key that signs it now, or repair the mirror",
    ),
    (
        "unsigned",
        "",
        f"{ERRORS}Status code: 404 for {R}/r4/repodata/repomd.xml.asc (IP: 127.0.0.1)\n"
        f"{FAILED}GPG verification is enabled, but GPG signature is not available.\n",
        "repository",
        f"repository x ({R}/r4/repodata/repomd.xml.asc) is not signed (GPG verification is enabled, but GPG "
        f"signature is "
        "not available); use a repository that is signed; unsigned ones are not accepted",
    ),
    (
        "full",
        "Running transaction test\n",
        "Error: Transaction test error:\n  installing package big-0:1-1.x86_64 needs 30MB more space on the "
        "/usr/share/big "
        "filesystem\n",
        "disk_full",
        "the file system of /usr/share/big has not enough room: 31.5 MB more are needed; make room and run again",
    ),
    (
        "version",
        "",
        "Error: Unable to find a match: nvidia-driver-9\n",
        "version_missing",
        "package nvidia-driver: version 9 is in no repository of this node; there are 3:580.2-1.el9",
    ),
    (
        "package",
        "No match for argument: none\n",
        "Error: Unable to find a match: none\n",
        "version_missing",
        "package none is in no repository of this node; check its name and the repositories",
    ),
    (
        "stream",
        "",
        "Error: Problems in request:\nmissing groups or modules: nvidia-driver:nope\n",
        "version_missing",
        "dnf module stream nvidia-driver:nope is in no repository of this node; dnf module list shows what is",
    ),
    (
        "unmet",
        "\n Problem: conflicting requests\n  - nothing provides nothing-has-it needed by needy-1-1.x86_64\nNothing "
        "to do.\n",
        "",
        "dependency",
        "the packages do not go together: conflicting requests; nothing provides nothing-has-it needed by "
        "needy-1-1.x86_64; name the missing ones too, or wish another version",
    ),
    (
        "script_before",
        f"{INSTALL}Running transaction\n  Running scriptlet: bad-1-1.x86_64                  1/1 \nmodule build "
        f"failed\n"
        "error: %prein(bad-0:1-1.x86_64) scriptlet failed, exit status 7\n\nFailed:\n  bad-1-1.x86_64      \n",
        "Error in PREIN scriptlet in rpm package bad\nError: Transaction failed\n",
        "transaction",
        "the package transaction failed at bad: module build failed / error: %prein(bad-0:1-1.x86_64) scriptlet "
        "failed, "
        "exit status 7 / Error in PREIN scriptlet in rpm package bad; repair what it names and run again",
    ),
    (
        "script_after",
        "Running transaction\n  Running scriptlet: badpost-1-1.x86_64     1/1 \npost failed\n"
        "warning: %post(badpost-0:1-1.x86_64) scriptlet failed, exit status 3\n\nInstalled:\n  badpost-1-1.x86_64\n",
        "Error in POSTIN scriptlet in rpm package badpost\n",
        "transaction",
        "the package transaction failed at badpost: post failed / warning: %post(badpost-0:1-1.x86_64) scriptlet "
        "failed, "
        "exit status 3 / Error in POSTIN scriptlet in rpm package badpost; repair what it names and run again",
    ),
]


@pytest.mark.parametrize(
    ("out", "err", "kind", "message"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_failures(out, err, kind, message):
    asked = judge_dnf.Asked(Request((("nvidia-driver", "9"),)), {"nvidia-driver": ("3:580.2-1.el9",)})
    error = judge_dnf.failure(out, err, 2.0, asked)
    assert (error.kind, error.message) == (kind, message)
