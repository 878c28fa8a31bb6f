# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find libnvidia-ml and a pynvml for it, and open NVML. PRIVATE to the collection.

The only importer of pynvml. Runs in the session's child, so that nothing of it stays in the module's process.
pynvml is looked for in the interpreter's own path, then beside the node agent, then in the source that the control node
brought, which is executed in memory.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import types
import typing as t

from .._data.nvml_names import code_name
from .._errors import (
    AccelError,
    BindingWantedError,
    DriverMismatchError,
    DriverMissingError,
    NotRootError,
    NvmlError,
)
from .binding import unpack

LIBRARY = "libnvidia-ml.so.1"
AGENT_PATH = "/usr/lib/accel-gpu"
# Without them a pynvml is older than MIG placement (nvidia-ml-py 11.450) and is passed over.
NEEDED = (
    "nvmlInit",
    "nvmlDeviceGetHandleByPciBusId",
    "nvmlDeviceGetGpuInstancePossiblePlacements",
    "nvmlDeviceCreateGpuInstanceWithPlacement",
)
# NVML_INIT_FLAG_NO_GPUS: a driver without a GPU is an answer, not an error.
NO_GPUS = 1


def load(packed: t.Optional[str] = None, agent_path: str = AGENT_PATH) -> types.ModuleType:
    """pynvml as a module object, its library loaded but not yet initialised.

    Raises DriverMissingError (no library; facts: state="missing") or BindingWantedError (library, but no pynvml).
    """
    _load_library()
    found = _system() or _beside_agent(agent_path) or _brought(packed)
    if found is None:
        raise BindingWantedError(
            f"{LIBRARY} is on this node but no usable Python module pynvml; the action plugin of this module brings "
            "it where nvidia-ml-py is installed on the control node; else install nvidia-ml-py or the node agent here"
        )
    return found


def initialise(pynvml: t.Any, beat: t.Callable[[str], None]) -> None:
    """nvmlInit. Raises DriverMissingError (facts: state="not_loaded"), DriverMismatchError (facts: library, module),
    NotRootError or NvmlError. `beat` is told the name of the call before it is made."""
    beat("nvmlInitWithFlags")
    try:
        if hasattr(pynvml, "nvmlInitWithFlags"):
            pynvml.nvmlInitWithFlags(NO_GPUS)
        else:
            pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise init_error(int(error.value)) from None


def init_error(code: int) -> AccelError:
    """The collection's error for a failed nvmlInit."""
    name = code_name(code)
    if name in ("DRIVER_NOT_LOADED", "LIBRARY_NOT_FOUND"):
        return DriverMissingError(
            "the NVIDIA driver is installed but its kernel module is not loaded; load it (modprobe nvidia), see the "
            "kernel log if that fails, or run role gpu_driver",
            state="not_loaded",
        )
    if name == "LIB_RM_VERSION_MISMATCH":
        return _mismatch()
    if name == "NO_PERMISSION":
        return NotRootError("NVML refused this user; become root (become: true)")
    return NvmlError(
        f"nvmlInit failed: {name}; see the kernel log of the node", call="nvmlInit", gpu=None, code=code, code_name=name
    )


def _mismatch() -> DriverMismatchError:
    library, module = library_version(), module_version()
    return DriverMismatchError(
        f"{LIBRARY} is version {library or 'unknown'} but the loaded kernel module is version {module or 'unknown'}; "
        "drain the node, then reload the nvidia modules or reboot",
        library=library,
        module=module,
    )


def library_version() -> t.Optional[str]:
    """Version of the loaded libnvidia-ml, from the name of its file."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as stream:
            match = re.search(r"libnvidia-ml\.so\.(\d+\.\d+[.\d]*)", stream.read())
    except OSError:
        return None
    return match.group(1) if match else None


def module_version(root: str = "/") -> t.Optional[str]:
    """Version of the loaded kernel module nvidia, None where none is loaded."""
    try:
        with open(os.path.join(root, "sys/module/nvidia/version"), encoding="utf-8") as stream:
            return stream.read().strip() or None
    except OSError:
        return None


def _load_library() -> None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DriverMissingError(
            f"the NVIDIA library cannot be loaded ({error}); install the NVIDIA driver on this node (role gpu_driver)",
            state="missing",
        ) from None


def _usable(module: t.Any) -> bool:
    return all(hasattr(module, name) for name in NEEDED)


def _system() -> t.Optional[types.ModuleType]:
    try:
        import pynvml
    except Exception:
        # Not only ImportError: a pynvml that breaks while it loads is as good as none, we can bring a sound one.
        sys.modules.pop("pynvml", None)
        return None
    return _keep_if_usable(pynvml)


def _beside_agent(path: str) -> t.Optional[types.ModuleType]:
    if not os.path.isfile(os.path.join(path, "pynvml.py")):
        return None
    sys.path.insert(0, path)
    try:
        return _system()
    finally:
        sys.path.remove(path)


def _keep_if_usable(module: types.ModuleType) -> t.Optional[types.ModuleType]:
    if _usable(module):
        return module
    sys.modules.pop("pynvml", None)
    return None


def _brought(packed: t.Optional[str]) -> t.Optional[types.ModuleType]:
    if not packed:
        return None
    module = types.ModuleType("pynvml")
    # pynvml looks itself up in sys.modules while it runs.
    sys.modules["pynvml"] = module
    exec(compile(unpack(packed), "<nvml_binding>", "exec"), module.__dict__)
    return _keep_if_usable(module)
