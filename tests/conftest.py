# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One way of importing for all tests: Ansible's collection finder, installed before anything imports a collection.

It refuses to work once ansible_collections was imported as an ordinary package, so the order of tests would decide.
The interpreters of nodes have no Ansible and import the ordinary way.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("ansible") is not None:
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
