# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to NVML: an unmodified pynvml.py, found beside this package, and the simulator's control function.

`nv` is pynvml; call `open_nvml` first. Readers catch `nv.NVMLError` and judge by `.value`, the NVML return code.
"""

from __future__ import annotations

import ctypes
import os
import sys
import typing as t

from nvsmi import errors

MIB = 1024 * 1024
# What NVML puts in place of an instance id outside MIG.
NO_INSTANCE = 0xFFFFFFFF
FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _import_pynvml() -> t.Any:
    sys.path.append("/usr/lib/gpusim")
    try:
        import pynvml
    except ImportError:
        raise errors.SmiError(errors.OTHER, f"nvidia-smi: pynvml.py is missing; place it in {FOLDER}") from None
    return pynvml


try:
    nv: t.Any = _import_pynvml()
except errors.SmiError as _missing:
    print(_missing.text)
    sys.exit(_missing.code)


def open_nvml() -> None:
    """Start the NVML session, or raise SmiError with the real command's words for why not."""
    try:
        nv.nvmlInit()
    except nv.NVMLError as error:
        raise _init_error(error) from error


def _init_error(error: t.Any) -> errors.SmiError:
    if error.value == nv.NVML_ERROR_LIBRARY_NOT_FOUND:
        return errors.SmiError(errors.NO_LIBRARY, errors.NO_LIBRARY_TEXT)
    if error.value == nv.NVML_ERROR_DRIVER_NOT_LOADED:
        return errors.SmiError(errors.NO_DRIVER, errors.NO_DRIVER_TEXT)
    if error.value == nv.NVML_ERROR_GPU_NOT_FOUND:
        return errors.SmiError(errors.NOT_FOUND, errors.NO_DEVICES_TEXT)
    said = f"Failed to initialize NVML: {words(error)}"
    version = value(nv.nvmlSystemGetNVMLVersion) if error.value == nv.NVML_ERROR_LIB_RM_VERSION_MISMATCH else None
    if version is not None:
        said += f"\nNVML library version: {version}"
    return errors.SmiError(errors.exit_code(error.value), said)


def words(error: t.Any) -> str:
    """The library's own words for an NVML error."""
    try:
        return t.cast(str, nv.nvmlErrorString(error.value))
    except (nv.NVMLError, AttributeError, TypeError):
        return str(error)


def text(raw: t.Any) -> str:
    """A string of NVML: pynvml decodes most of them, members of structures and a few others are bytes."""
    return raw.decode() if isinstance(raw, bytes) else t.cast(str, raw)


def control(command: str) -> t.Tuple[int, str]:
    """Run a command of the simulator's control interface: (0, JSON) or (another code, the sentence why not)."""
    out = ctypes.create_string_buffer(65536)
    code = nv.nvmlLib.gpusim_control(command.encode(), out, ctypes.c_size_t(len(out)))
    return code, out.value.decode(errors="replace")


def value(call: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    """What a reading returns, or None where this GPU or driver does not offer it. A lost GPU raises."""
    try:
        return call(*args)
    except nv.NVMLError as error:
        if error.value == nv.NVML_ERROR_GPU_IS_LOST:
            raise
        return None


def sampled(field: int, handle: t.Any) -> t.Any:
    """One NVML field value (NVML_FI_…), or None."""
    found = value(nv.nvmlDeviceGetFieldValues, handle, [field])
    if not found or found[0].nvmlReturn != nv.NVML_SUCCESS:
        return None
    member = {
        nv.NVML_VALUE_TYPE_DOUBLE: "dVal",
        nv.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        nv.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        nv.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        nv.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        nv.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    }.get(found[0].valueType)
    return None if member is None else getattr(found[0].value, member)
