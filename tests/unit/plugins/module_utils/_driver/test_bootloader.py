# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kernel boots next. The grub.cfg is what grub-mkconfig 2.06 of Debian 12 wrote for two kernels, shortened; the
entries are in the form of RHEL's kernel-install."""

from __future__ import annotations

import pytest

from ansible_collections.accel.gpu.plugins.module_utils._driver.texts import bootloader

HEAD = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="DEFAULT"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
"""
MENU = """
function gfxmode {
\tset gfxpayload="${1}"
}
menuentry 'GNU/Linux' --class gnu-linux $menuentry_id_option 'gnulinux-simple-1111' {
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\tlinux\t/boot/vmlinuz-6.1.0-56-amd64 root=/dev/vda1 ro
\tinitrd\t/boot/initrd.img-6.1.0-56-amd64
}
submenu 'Advanced options for GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1111' {
\tmenuentry 'GNU/Linux, with Linux 6.1.0-56-amd64' $menuentry_id_option 'gnulinux-6.1.0-56-amd64-advanced-1111' {
\t\tlinux\t/boot/vmlinuz-6.1.0-56-amd64 root=/dev/vda1 ro
\t}
\tmenuentry 'GNU/Linux, with Linux 6.1.0-56-amd64 (recovery mode)' --class gnu {
\t\tlinux\t/boot/vmlinuz-6.1.0-56-amd64 root=/dev/vda1 ro single
\t}
\tmenuentry 'GNU/Linux, with Linux 6.1.0-9-amd64' $menuentry_id_option 'gnulinux-6.1.0-9-amd64-advanced-1111' {
\t\tlinux\t/boot/vmlinuz-6.1.0-9-amd64 root=/dev/vda1 ro
\t}
}
"""
NEWER, OLDER = "/boot/vmlinuz-6.1.0-56-amd64", "/boot/vmlinuz-6.1.0-9-amd64"
TITLE = "Advanced options for GNU/Linux>GNU/Linux, with Linux 6.1.0-9-amd64"


@pytest.mark.parametrize(
    ("default", "variables", "image"),
    [
        ("0", {}, NEWER),
        ("1", {}, NEWER),  # a menu stands for its first entry
        ("1>2", {}, OLDER),
        (TITLE, {}, OLDER),
        ("gnulinux-advanced-1111>gnulinux-6.1.0-9-amd64-advanced-1111", {}, OLDER),
        ("${saved_entry}", {"saved_entry": TITLE}, OLDER),
        ("${saved_entry}", {"saved_entry": ""}, NEWER),
        ("${saved_entry}", {}, NEWER),
        ("0", {"next_entry": "1>2"}, OLDER),
        ("7", {}, None),
        ("1>7", {}, None),
        ("0>1", {}, None),
    ],
)
def test_grub_follows_its_default(default, variables, image):
    config = HEAD.replace("DEFAULT", default) + MENU
    assert bootloader.grub_default(config, variables) == image


def test_a_config_without_menu_tells_nothing():
    assert bootloader.grub_default("", {}) is None
    assert bootloader.grub_default("set default=0\nsubmenu 'empty' {\n}\n", {}) is None


RHEL = {
    f"4711-{release}.conf": f"title Rocky Linux ({release}) 9.4\nversion {release}\nlinux /vmlinuz-{release}\n"
    for release in ("5.14.0-427.9.1.el9_4.x86_64", "5.14.0-427.13.1.el9_4.x86_64")
}
RHEL["4711-0-rescue.conf"] = "title Rocky Linux (0-rescue-4711)\nlinux /vmlinuz-0-rescue-4711\n# linux /no\n"


@pytest.mark.parametrize(
    ("saved", "image"),
    [
        ("4711-5.14.0-427.9.1.el9_4.x86_64", "/vmlinuz-5.14.0-427.9.1.el9_4.x86_64"),
        ("Rocky Linux (5.14.0-427.9.1.el9_4.x86_64) 9.4", "/vmlinuz-5.14.0-427.9.1.el9_4.x86_64"),
        ("1", "/vmlinuz-5.14.0-427.9.1.el9_4.x86_64"),
        ("0", "/vmlinuz-5.14.0-427.13.1.el9_4.x86_64"),
        ("", "/vmlinuz-5.14.0-427.13.1.el9_4.x86_64"),
        ("of a kernel that is gone", "/vmlinuz-5.14.0-427.13.1.el9_4.x86_64"),
        ("9", None),
    ],
)
def test_boot_loader_entries_by_name_title_place_or_version(saved, image):
    assert bootloader.entries_default(RHEL, saved) == image


def test_no_entries_boot_nothing():
    assert bootloader.entries_default({}, "") is None


def test_versions_are_ordered_by_their_numbers():
    releases = ["6.1.0-9-amd64", "6.1.0-32-amd64", "5.10.0-100-amd64", "6.1.0-32-cloud-amd64", "6.10.0-1-amd64"]
    assert sorted(releases, key=bootloader.version_key) == [
        "5.10.0-100-amd64",
        "6.1.0-9-amd64",
        "6.1.0-32-amd64",
        "6.1.0-32-cloud-amd64",
        "6.10.0-1-amd64",
    ]


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("/boot/vmlinuz-6.4.0-150600.23-default", "6.4.0-150600.23-default"),
        ("/vmlinuz-5.14.0-427.el9.x86_64", "5.14.0-427.el9.x86_64"),
        ("/boot/Image-6.4.0-150600.23-default", "6.4.0-150600.23-default"),
        ("/vmlinuz-0-rescue-4711", None),
        ("/boot/vmlinuz", None),
        ("/boot/memtest86+x64.bin", None),
    ],
)
def test_releases_stand_in_the_names_of_images(path, release):
    assert bootloader.release_of(path) == release


def test_the_environment_is_read_without_its_padding():
    text = "# GRUB Environment Block\nsaved_entry=a=b\nboot_success=1\n" + "#" * 40
    assert bootloader.environment(text) == {"saved_entry": "a=b", "boot_success": "1"}
