# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The texts were taken from apt 2.6.2 and dpkg 1.21 (Debian 12) on small packages made for it, where nothing else is
# said.

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._packages import parse_apt
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Package
from ansible_collections.accel.gpu.plugins.module_utils._packages.parse_apt import RepositoryProblem

STATES = (
    "iF \tnv-bad\t1\tamd64\n"
    "ii \tnv-driver\t580.1-1\tamd64\n"
    "hi \tnv-lib\t1:580.1-1\tamd64\n"
    "in \tnv-big\t\tamd64\n"
    "rc \tnv-old\t1\tamd64\n"
    "iHR\tnv-broken\t2\tall\n"
    "iU \tnv-new\t3\tamd64\n"
    "it \tlibc-bin\t2.36\tamd64\n"
)


def test_only_what_is_in_order_counts_as_installed():
    assert parse_apt.installed(STATES) == (
        Package("nv-driver", "580.1-1", "amd64"),
        Package("nv-lib", "1:580.1-1", "amd64"),
    )


def test_what_was_not_finished_is_named():
    # pending triggers are done by whoever comes next
    assert parse_apt.undone(STATES) == (
        ("nv-bad", "half configured"),
        ("nv-broken", "broken, to be installed again"),
        ("nv-new", "unpacked, not configured"),
    )


def test_states_of_names():
    assert parse_apt.known(STATES)["nv-old"] == "c"
    assert parse_apt.known(STATES)["nv-big"] == "n"


def test_versions_keep_the_order_and_leave_sources_out():
    out = (
        " nv-driver |    580.2-1 | http://127.0.0.1:8000/r-good ./ Packages\n"
        " nv-driver |    580.1-1 | http://127.0.0.1:8000/r-good ./ Packages\n"
        " nv-driver |    580.1-1 | http://mirror.example/r ./ Packages\n"
        " nv-driver |    570.1-1 | http://127.0.0.1:8000/r-good ./ Sources\n"
        "    nv-lib |  1:580.1-1 | http://127.0.0.1:8000/r-good ./ Packages\n"
    )
    assert parse_apt.versions(out) == {"nv-driver": ("580.2-1", "580.1-1"), "nv-lib": ("1:580.1-1",)}


SIMULATED = [
    (
        "upgrade",
        "The following held packages will be changed:\n  nv-lib\n"
        "2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
        "Inst nv-driver [570.1-1] (580.1-1 lab:stable [amd64]) []\n"
        "Inst nv-lib [570.1-1] (580.1-1 lab:stable [amd64])\n"
        "Conf nv-driver (580.1-1 lab:stable [amd64])\n"
        "Conf nv-lib (580.1-1 lab:stable [amd64])\n",
        (Change("nv-driver", "570.1-1", "580.1-1"), Change("nv-lib", "570.1-1", "580.1-1")),
    ),
    (
        "install_and_remove",
        "Remv nv-driver [580.1-1]\nRemv nv-old [1]\nInst nv-new (1 lab:stable [amd64])\nConf nv-new (1 lab:stable "
        "[amd64])\n",
        (Change("nv-driver", "580.1-1", None), Change("nv-old", "1", None), Change("nv-new", None, "1")),
    ),
    (
        "purge",
        "Purg nv-old [1]\nInst nv-extra (1:1.0 lab:stable [amd64])\nConf nv-extra (1:1.0 lab:stable [amd64])\n",
        (Change("nv-old", "1", None), Change("nv-extra", None, "1:1.0")),
    ),
    # constructed: apt takes a package away for a moment
    (
        "removed_and_back",
        "Remv nv-lib [1] [nv-driver:amd64 ]\nInst nv-lib [1] (2 lab:stable [amd64]) []\n",
        (Change("nv-lib", "1", "2"),),
    ),
    # constructed
    ("foreign", "Inst libnv:i386 (2 lab:stable [i386])\n", (Change("libnv:i386", None, "2"),)),
    ("nothing", "nv-driver is already the newest version (570.1-1).\n", ()),
]


@pytest.mark.parametrize(("out", "changes"), [case[1:] for case in SIMULATED], ids=[case[0] for case in SIMULATED])
def test_simulated_changes(out, changes):
    assert parse_apt.changes(out) == changes


def test_download_is_the_sum_of_what_is_not_in_the_cache():
    out = (
        "Building dependency tree...\n"
        "'http://127.0.0.1:8000/r-good/./nv-lib_570.1-1_amd64.deb' nv-lib_570.1-1_amd64.deb 596 SHA256:19f6\n"
        "'http://127.0.0.1:8000/r-good/./nv-driver_570.1-1_amd64.deb' nv-driver_570.1-1_amd64.deb 620 SHA256:5063\n"
    )
    assert parse_apt.download_bytes(out) == 1216


def test_sizes_are_kibibytes():
    out = "Package: nv-lib\nVersion: 580.1-1\nInstalled-Size: 2\nDescription: x\n\nPackage: nv-meta\nVersion: 1\n\n"
    assert parse_apt.installed_sizes(out) == {"nv-lib": 2048, "nv-meta": 0}


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/bin/ls", "coreutils"),
        ("/sbin/lsmod", "kmod"),
        ("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "libnvidia-ml1"),
        ("/usr/share/none", None),
    ],
)
def test_owner(path, package):
    out = (
        "coreutils: /bin/ls\n"
        "local diversion from: /sbin/lsmod\n"
        "local diversion to: /sbin/lsmod.kmod\n"
        "kmod: /sbin/lsmod\n"
        "libnvidia-ml1:amd64: /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1\n"
    )
    assert parse_apt.owner(out, path) == package


R = "http://127.0.0.1:8000"
SQV = (
    "Sub-process /usr/bin/sqv returned an error code (1), error message is: Signing key on 28AB6E is not bound: "
    "           No binding signature at time 2026-01-26T13:07:09Z   because: Policy rejected non-revocation signature "
    "(PositiveCertification) requiring second pre-image resistance   because: SHA1 is not considered secure since "
    "2026-02-01T00:00:00Z"
)
BROKEN = [
    (
        "other_key",
        f"W: GPG error: {R}/r ./ InRelease: The following signatures couldn't be verified because the public key is "
        f"not "
        f"available: NO_PUBKEY 2D14F1AB796ABB62\nE: The repository '{R}/r ./ InRelease' is not signed.\n",
        [
            (
                f"{R}/r ./",
                "no_key",
                "The following signatures couldn't be verified because the public key is not available: "
                "NO_PUBKEY 2D14F1AB796ABB62",
            )
        ],
    ),
    (
        "expired",
        f"W: GPG error: {R}/r ./ InRelease: The following signatures were invalid: EXPKEYSIG DD032D88E1196153 lab "
        f"expired\n"
        f"E: The repository '{R}/r ./ InRelease' is not signed.\n",
        [(f"{R}/r ./", "expired", "The following signatures were invalid: EXPKEYSIG DD032D88E1196153 lab expired")],
    ),
    (
        "sha1_gpgv",
        f"W: GPG error: {R}/r ./ InRelease: The following signatures were invalid: "
        f"B1E28A41FAFBA8F8089E43C92D14F1AB796ABB62\n"
        f"E: The repository '{R}/r ./ InRelease' is not signed.\n",
        [(f"{R}/r ./", "sha1", "The following signatures were invalid: B1E28A41FAFBA8F8089E43C92D14F1AB796ABB62")],
    ),
    # in the words of threads about Debian 13
    (
        "sha1_sqv",
        f"W: OpenPGP signature verification failed: {R}/r stable InRelease: {SQV}\n"
        f"E: The repository '{R}/r stable InRelease' is not signed.\n",
        [(f"{R}/r stable", "sha1", SQV)],
    ),
    (
        "unsigned",
        f"E: The repository '{R}/r ./ Release' is not signed.\n",
        [(f"{R}/r ./", "unsigned", "it has no signature")],
    ),
    (
        "missing",
        f"E: The repository '{R}/nowhere ./ Release' does not have a Release file.\n",
        [(f"{R}/nowhere ./", "missing", "it has no Release file")],
    ),
    (
        "refused",
        "W: Failed to fetch http://127.0.0.1:9/r/./InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect "
        "(111: Connection refused)\n"
        "W: Some index files failed to download. They have been ignored, or old ones used instead.\n",
        [
            (
                "http://127.0.0.1:9/r/./InRelease",
                "unreachable",
                "Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)",
            )
        ],
    ),
    (
        "damaged",
        f"E: Failed to fetch {R}/r/./Packages  File has unexpected size (2595 != 2594). Mirror sync in progress? "
        "[IP: 127.0.0.1 8000]\n   Hashes of expected file:\n    - Filesize:2594 [weak]\n"
        "E: Some index files failed to download. They have been ignored, or old ones used instead.\n",
        [
            (
                f"{R}/r/./Packages",
                "damaged",
                "File has unexpected size (2595 != 2594). Mirror sync in progress?",
            )
        ],
    ),
    (
        "conflict",
        f"E: Conflicting values set for option Signed-By regarding source {R}/r/ ./: /x/good.asc != /x/other.asc\n"
        "E: The list of sources could not be read.\n",
        [(f"{R}/r/ ./", "conflict", "Conflicting values set for option Signed-By: /x/good.asc != /x/other.asc")],
    ),
    (
        "two",
        f"E: The repository '{R}/a ./ Release' is not signed.\nE: The repository '{R}/a b Release' is not signed.\n",
        [(f"{R}/a ./", "unsigned", "it has no signature"), (f"{R}/a b", "unsigned", "it has no signature")],
    ),
    ("none", "N: Ignoring file 'x' in directory '/etc/apt/sources.list.d/'\n", []),
]


@pytest.mark.parametrize(("err", "problems"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_repositories_that_cannot_be_used(err, problems):
    assert parse_apt.repository_problems(err) == tuple(RepositoryProblem(*one) for one in problems)


def test_components_and_the_files_that_name_them():
    out = (
        "main\t/etc/apt/sources.list:1\ncontrib\t/etc/apt/sources.list:1\nmain\t/etc/apt/sources.list:3\n"
        "\t/etc/apt/sources.list.d/flat.sources:2\nmain\t/etc/apt/sources.list.d/debian.sources:1\n"
    )
    assert parse_apt.components(out) == (
        ("main", "/etc/apt/sources.list"),
        ("contrib", "/etc/apt/sources.list"),
        ("main", "/etc/apt/sources.list.d/debian.sources"),
    )
