# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

ALL = pytest.mark.parametrize("name", ["dnf", "zypper"])
# What each node had in between, so that the comparison cannot pass because it looks at nothing.
PUT = {
    "dnf": (
        "file /etc/yum.repos.d/accel-gpu-driver.repo ",
        "file /etc/pki/rpm-gpg/RPM-GPG-KEY-accel-gpu-driver ",
        "file /etc/modprobe.d/accel-gpu.conf ",
        "file /etc/dnf/plugins/versionlock.list ",
        "dnf module stream=580-open",
        "rpm kmod-nvidia-open-dkms-",
        "rpm nvidia-fabricmanager-",
        "rpm python3-dnf-plugin-versionlock-",
        "file /etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service ",
        "module nvidia",
        "there /var/lib/accel-gpu/driver/record.json",
    ),
    "zypper": (
        "file /etc/zypp/repos.d/accel-gpu-driver.repo ",
        "file /etc/pki/rpm-gpg/RPM-GPG-KEY-accel-gpu-driver ",
        "file /etc/modprobe.d/accel-gpu.conf ",
        "zypper lock nvidia-open-driver-G06 ",
        "rpm gpg-pubkey-",
        "rpm nvidia-open-driver-G06-",
        "rpm nvidia-fabricmanager-",
        "file /etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service ",
        "module nvidia",
        "there /var/lib/accel-gpu/driver/record.json",
    ),
}


def seen(node, name, when):
    return set(node(name).host.file(f"/var/tmp/{when}").content_string.splitlines())


@pytest.mark.parametrize(("name", "start"), [(name, start) for name, starts in PUT.items() for start in starts])
def test_the_role_had_put_it_there(node, name, start):
    new = seen(node, name, "installed") - seen(node, name, "before")
    assert any(line.startswith(start) for line in new), sorted(new)


@ALL
def test_nothing_of_it_remains_and_nothing_else_went(node, name):
    before, after = (seen(node, name, when) for when in ("before", "after"))
    assert (sorted(after - before), sorted(before - after)) == ([], [])
