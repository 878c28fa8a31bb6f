# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of every module: errors and wishes of the action plugin become a result here. PRIVATE to the collection.

The only place in the collection that calls fail_json and exit_json.
"""

from __future__ import annotations

import typing as t

from .._errors import AccelError, BindingWantedError, NotRootError, PayloadWantedError
from .._ports import Ports
from .ports import module_ports

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Result = t.Dict[str, t.Any]


class Flow(t.Protocol):
    """Fills `result` as it goes, so that a failure shows what was known when it came."""

    def __call__(self, ports: Ports, result: Result) -> None: ...


def run_flow(module: AnsibleModule, flow: Flow) -> None:
    """Runs `flow` and ends the module. An error becomes msg="<module>: <text>" and error={kind, facts...}."""
    result: Result = {"changed": False}
    try:
        flow(module_ports(module), result)
    except BindingWantedError as error:
        # With a binding given (an empty one says that there is none) the wish would be heard by nobody.
        if module.params.get("nvml_binding") is not None:
            _fail(module, error, result)
        module.exit_json(changed=False, binding_wanted=True)
    except PayloadWantedError:
        module.exit_json(changed=False, payload_wanted=True)
    except AccelError as error:
        _fail(module, error, result)
    except OSError as error:
        # A file of the node that cannot be read or written: full, read-only, not ours.
        _fail(module, _of_file(error), result)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)


def _of_file(error: OSError) -> AccelError:
    path = error.filename or "a file of the node"
    if isinstance(error, PermissionError):
        return NotRootError(f"{path}: {error.strerror}; become root (become: true)", path=error.filename)
    text = f"{path}: {error.strerror or error}; mend the file or its file system and run again"
    return AccelError(text, path=error.filename)


def _fail(module: AnsibleModule, error: AccelError, result: Result) -> None:
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    name = module._name.rsplit(".", 1)[-1]
    module.fail_json(msg=f"{name}: {error.message}", error={**error.facts, "kind": error.kind}, **result)
