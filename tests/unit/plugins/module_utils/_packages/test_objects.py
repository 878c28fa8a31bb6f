# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.accel.gpu.plugins.module_utils._packages import objects
from ansible_collections.accel.gpu.plugins.module_utils._packages.objects import Change, Transaction


def test_deb822_of_a_suite_and_of_a_flat_repository():
    key = "/usr/share/keyrings/nvidia.asc"
    assert objects.deb822("nvidia", "https://a.example/deb", "stable", ["main", "contrib"], key) == (
        b"X-Repolib-Name: nvidia\nTypes: deb\nURIs: https://a.example/deb\nSuites: stable\nComponents: main contrib\n"
        b"Signed-By: /usr/share/keyrings/nvidia.asc\n"
    )
    assert objects.deb822("nvidia", "https://a.example/debian12/x86_64", "/", [], key) == (
        b"X-Repolib-Name: nvidia\nTypes: deb\nURIs: https://a.example/debian12/x86_64\nSuites: /\n"
        b"Signed-By: /usr/share/keyrings/nvidia.asc\n"
    )


def test_yum_repo():
    key = "/etc/pki/rpm-gpg/nvidia"
    assert objects.yum_repo("cuda", "https://a.example/rhel9", key) == (
        b"[cuda]\nname=cuda\nbaseurl=https://a.example/rhel9\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=0\n"
        b"gpgkey=file:///etc/pki/rpm-gpg/nvidia\n"
    )
    signed = objects.yum_repo(
        "cuda", "https://a.example/rhel9", key, "NVIDIA", repo_gpgcheck=True, module_hotfixes=True
    )
    assert signed == (
        b"[cuda]\nname=NVIDIA\nbaseurl=https://a.example/rhel9\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
        b"gpgkey=file:///etc/pki/rpm-gpg/nvidia\nmodule_hotfixes=1\n"
    )


def test_zypp_repo():
    assert objects.zypp_repo("cuda", "https://a.example/sles15", "/etc/pki/nvidia") == (
        b"[cuda]\nname=cuda\nenabled=1\nautorefresh=0\nbaseurl=https://a.example/sles15\ntype=rpm-md\ngpgcheck=1\n"
        b"gpgkey=file:///etc/pki/nvidia\n"
    )


def test_a_transaction_tells_what_goes_and_what_will_be_there():
    transaction = Transaction((Change("a", "1", None), Change("b", None, "2"), Change("c", "1", "2")))
    assert transaction.removed == ("a",)
    assert transaction.wanted == {"a": None, "b": "2", "c": "2"}
