# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

# What was there in between, so that the comparison cannot pass because it looks at nothing. Branches were changed,
# with other names of packages each time.
PUT = (
    "apt hold libcuda1",
    "deb hi  nvidia-driver-pinning-570.195.03",
    "deb hi  nvidia-kernel-open-dkms",
    "file /etc/apt/keyrings/accel-gpu-driver.asc ",
    "file /etc/apt/preferences.d/nvidia-driver-pinning ",
    "file /etc/apt/sources.list.d/accel-gpu-driver.sources ",
    "file /etc/modprobe.d/accel-gpu.conf ",
    "module nvidia",
    "there /usr/src/nvidia-570.195.03/",
    "there /var/lib/accel-gpu/driver/record.json",
    "file /etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service ",
)
# site.yml brought the node agent and the wishes that it keeps, and those stay.
AGENTS = ("/etc/accel-gpu/", "/usr/lib/accel-gpu/", "accel-gpu.service")


@pytest.fixture
def seen(node):
    host = node("serving").host

    def lines(when):
        found = host.file(f"/var/tmp/{when}").content_string.splitlines()
        return {line for line in found if not any(place in line for place in AGENTS)}

    return lines


@pytest.mark.parametrize("start", PUT)
def test_the_role_had_put_it_there(seen, start):
    new = seen("installed") - seen("before")
    assert any(line.startswith(start) for line in new), sorted(new)


def test_nothing_of_the_driver_remains_and_nothing_else_went(seen):
    before, after = seen("before"), seen("after")
    assert (sorted(after - before), sorted(before - after)) == ([], [])
