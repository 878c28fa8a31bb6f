# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print what ansible-core sends to a node for one call of each module.

A program of its own, because Ansible's loader must be there before anything of ansible_collections is imported.
"""

from __future__ import annotations

from pathlib import Path

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar

MODULES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py"))


def size(name: str) -> int:
    """Bytes of the packed module, its module_utils included."""
    context = module_loader.find_plugin_with_context(f"accel.gpu.{name}")
    built = modify_module(
        module_name=f"ansible_collections.accel.gpu.plugins.modules.{name}",
        module_path=context.plugin_resolved_path,
        module_args={},
        templar=Templar(loader=DataLoader(), variables={}),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",  # the default of a play
    )
    return len(built.b_module_data)


if __name__ == "__main__":
    init_plugin_loader()
    for module in MODULES:
        print(f"  {module:<22} {size(module) / 1024:7.1f} KiB")
