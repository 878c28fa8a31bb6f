# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of a boot."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._boot import boot_id
from ansible_collections.accel.gpu.plugins.module_utils._errors import AccelError
from ansible_collections.accel.gpu.plugins.module_utils._files import Files


def test_it_is_read_without_its_line_end(tmp_path):
    files = Files(str(tmp_path))
    files.write("/proc/sys/kernel/random/boot_id", b"boot-2\n")
    assert boot_id(files) == "boot-2"


def test_without_proc_there_is_none(tmp_path):
    with pytest.raises(AccelError) as caught:
        boot_id(Files(str(tmp_path)))
    assert caught.value.message == "/proc/sys/kernel/random/boot_id cannot be read; is /proc mounted?"
