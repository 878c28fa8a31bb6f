# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The texts were taken from zypper 1.14.42 (libzypp 17.25) on small packages made for it, where nothing else is said.

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import judge_zypper, parse_zypper
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Request


def stream(*parts: str) -> str:
    start = ("<?xml version='1.0'?>", "<stream>", '<message type="info">Loading repository data...</message>')
    return "\n".join((*start, *parts, "</stream>", ""))


def solvable(name, edition, old=""):
    was = f' edition-old="{old}" arch-old="x86_64"' if old else ""
    attributes = f'type="package" name="{name}" edition="{edition}" arch="x86_64"{was} summary="x"'
    return f"<solvable {attributes}>\n<description>x</description></solvable>"


def section(kind, *rows):
    return "\n".join((f"<to-{kind}>", *rows, f"</to-{kind}>"))


SUMMARY = '<install-summary download-size="12451" space-usage-diff="0" packages-to-change="2">'
CHANGES = [
    (
        "install_and_remove",
        (section("install", solvable("old", "1-1")), section("remove", solvable("nvidia-driver", "3:580.1-1.el9"))),
        (Change("old", None, "1-1"), Change("nvidia-driver", "3:580.1-1.el9", None)),
    ),
    (
        "upgrade",
        (section("upgrade", solvable("nvidia-driver", "3:580.2-1", "3:580.1-1"), solvable("libs", "0:2-1", "0:1-1")),),
        (Change("nvidia-driver", "3:580.1-1", "3:580.2-1"), Change("libs", "1-1", "2-1")),
    ),
    (
        "downgrade",
        (section("downgrade", solvable("nvidia-driver", "3:570.1-1", "3:580.1-1")),),
        (Change("nvidia-driver", "3:580.1-1", "3:570.1-1"),),
    ),
    # constructed after zypper's output schema
    ("other_vendor", (section("change-vendor", solvable("a", "2-1", "1-1")),), (Change("a", "1-1", "2-1"),)),
    ("nothing", ('<message type="info">Nothing to do.</message>',), ()),
]


@pytest.mark.parametrize(("parts", "changes"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_summary_of_changes(parts, changes):
    assert parse_zypper.changes(stream(SUMMARY, *parts)) == changes


def test_size():
    assert parse_zypper.download_bytes(stream(SUMMARY)) == 12451
    assert parse_zypper.download_bytes(stream()) == 0


def test_versions_of_repositories():
    def row(edition, repository="lab", kind="package"):
        return (
            f'<solvable status="not-installed" name="nvidia-driver" kind="{kind}" edition="{edition}" arch="x86_64" '
            f'repository="{repository}"/>'
        )

    out = stream(row("3:580.1-1"), row("3:580.2-1"), row("3:535-1", "(System Packages)"), row("9", kind="patch"))
    assert parse_zypper.versions(out) == {"nvidia-driver": ("3:580.2-1", "3:580.1-1")}


def test_words_name_what_is_there():
    request = Request((("nvidia-driver", "3:580.1-1"), ("dkms", None)), remove=("old", "gone"))
    assert parse_zypper.words(request, {"old"}) == ("nvidia-driver=3:580.1-1", "dkms", "!old")


@pytest.mark.parametrize(
    ("code", "out", "also", "refused"),
    [
        (0, stream(), (), False),
        (102, stream(), (), False),
        (4, stream(), (), True),
        # a repository of somebody else was passed over
        (106, stream(), (), True),
        (106, stream(), (106,), False),
        (106, "warning: %post(a-0:1-1.x86_64) scriptlet failed, exit status 3", (106,), True),
        (0, "warning: %post(a-0:1-1.x86_64) scriptlet failed, exit status 3", (), True),
    ],
)
def test_what_zypper_did_not_do(code, out, also, refused):
    assert judge_zypper.refuses(code, out, also) is refused


def problem(*lines):
    return stream('<prompt id="1">', "<description>" + "\n ".join(lines), "</description>", "</prompt>")


FAILURES = [
    # in the words of libzypp's source
    (
        "locked",
        7,
        stream(
            '<message type="error">System management is locked by the application with pid 123 '
            "(/usr/bin/zypper).</message>"
        ),
        "",
        "package_locked",
        "the package database is locked by PID 123 (zypper) (/run/zypp.pid); waited 2 s; wait for its end and run "
        "again",
    ),
    (
        "locked_without_words",
        7,
        stream(),
        "",
        "package_locked",
        "the package database is locked by another program (/run/zypp.pid); waited 2 s; wait for its end and run again",
    ),
    (
        "unmet",
        4,
        problem(
            "Problem: nothing provides nothing-has-it needed by needy-1-1.x86_64",
            "Solution 1: do not install needy-1-1.x86_64",
        ),
        "",
        "dependency",
        "the packages do not go together: nothing provides nothing-has-it needed by needy-1-1.x86_64; name the missing "
        "ones too, or wish another version",
    ),
    (
        "held",
        4,
        problem(
            "Problem: conflicting requests",
            "Solution 1: Following actions will be done:",
            " remove lock to allow installation of nvidia-driver-3:580.2-1.el9.x86_64[lab]",
            " remove lock to allow removal of nvidia-driver-3:580.1-1.el9.x86_64",
        ),
        "",
        "held",
        "nvidia-driver would change but is held by somebody else; ask them, or release the hold and run again",
    ),
    (
        "version",
        104,
        stream('<message type="error">No provider of &apos;nvidia-driver=9&apos; found.</message>'),
        "",
        "version_missing",
        "package nvidia-driver: version 9 is in no repository of this node; there are 3:580.2-1",
    ),
    (
        "package",
        104,
        stream('<message type="error">No provider of &apos;none&apos; found.</message>'),
        "",
        "version_missing",
        "package none is in no repository of this node; check its name and the repositories",
    ),
    (
        "script",
        8,
        stream(
            '<message type="error">Installation of bad-1-1.x86_64 failed:\nError: Subprocess failed. Error: '
            "RPM failed: module build failed\nerror: %prein(bad-0:1-1.x86_64) scriptlet failed, exit status 7\n"
            "error: bad-0:1-1.x86_64: install failed\n</message>",
            '<message type="error">Problem occurred during or after installation or removal of packages:\n'
            "Please see the above error message for a hint.\n</message>",
        ),
        "",
        "transaction",
        "the package transaction failed at bad: Error: Subprocess failed. Error: RPM failed: module build failed / "
        "error: %prein(bad-0:1-1.x86_64) scriptlet failed, exit status 7 / error: bad-0:1-1.x86_64: install failed; "
        "repair what it names and run again",
    ),
    (
        "script_after",
        107,
        stream(
            '<message type="info">Additional rpm output:\npost failed\n'
            "warning: %post(badpost-1-1.x86_64) scriptlet failed, exit status 3\n\n</message>"
        ),
        "",
        "transaction",
        "the package transaction failed at badpost: post failed / warning: %post(badpost-1-1.x86_64) scriptlet "
        "failed, "
        "exit status 3; repair what it names and run again",
    ),
    (
        "repository",
        4,
        stream(),
        "Repository 'lab' is invalid.\n[lab|file:/r] Valid metadata not found at specified URL\nHistory:\n"
        " - Signature verification failed for repomd.xml\n - Can't provide /repodata/repomd.xml\n",
        "repository",
        "repository lab (file:/r) has a signature that does not fit the key given (Signature verification failed for "
        "repomd.xml); give the key that signs it now, or repair the mirror",
    ),
    (
        "repository that is in the cache",
        4,
        stream(),
        "Problem retrieving files from 'lab'.\nDownload (curl) error for 'http://m/repodata/repomd.xml':\n"
        "Error code: Connection failed\nError message: Failed to connect to m port 80 after 0 ms\n"
        "Skipping repository 'lab' because of the above error.\n",
        "repository",
        "repository lab (http://m/repodata/repomd.xml) cannot be reached (Failed to connect to m port 80 after 0 ms); "
        "check the address, the network and the proxy of the node",
    ),
    (
        "repository that has lost its index",
        4,
        stream(),
        "Problem retrieving files from 'lab'.\nFile './repodata/repomd.xml' not found on medium 'http://m/'\n"
        "Skipping repository 'lab' because of the above error.\n",
        "repository",
        "repository lab (http://m/) does not exist at this address (File './repodata/repomd.xml' not found on medium "
        "'http://m/'); check the address and the suite",
    ),
]


@pytest.mark.parametrize(
    ("code", "out", "err", "kind", "message"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_failures(code, out, err, kind, message):
    asked = judge_zypper.Asked(Request((("nvidia-driver", "9"),)), {"nvidia-driver": ("3:580.2-1",)})
    error = judge_zypper.failure(code, out, err, 2.0, asked)
    assert (error.kind, error.message) == (kind, message)


def test_what_comes_beside_itself_is_an_installation():
    out = stream(section("install", solvable("kernel-default-devel", "2-1"), solvable("a", "1-1")))
    assert parse_zypper.changes(out, {"kernel-default-devel"}) == (
        Change("kernel-default-devel", None, "2-1", beside=True),
        Change("a", None, "1-1"),
    )
    assert parse_zypper.grows(SUMMARY.replace('diff="0"', 'diff="-17"')) == -17
    assert parse_zypper.grows(stream()) == 0
