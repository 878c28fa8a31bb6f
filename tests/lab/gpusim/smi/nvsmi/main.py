# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start of the stand-in `nvidia-smi`: choose what the command line asks for, print, end with the right code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import typing as t

from nvsmi import errors, options, usage


def main(argv: t.Sequence[str]) -> int:
    """Run the command line. Everything is printed to standard output, as the real command does."""
    try:
        code = _said(list(argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.OK
    return code


def _said(argv: t.List[str]) -> int:
    try:
        return _run(argv)
    except errors.SmiError as error:
        print(error.text)
        return error.code


def _run(argv: t.List[str]) -> int:
    if argv in (["-h"], ["--help"]):
        print(usage.TEXT)
        return errors.OK
    # As in the real command the driver comes first: without one even a wrong option ends with code 9.
    from nvsmi import binding

    binding.open_nvml()
    try:
        return _dispatch(argv)
    except binding.nv.NVMLError as error:
        raise errors.SmiError(errors.exit_code(error.value), _nvml_text(binding, error)) from error


def _nvml_text(binding: t.Any, error: t.Any) -> str:
    return t.cast(str, binding.words(error))


def _dispatch(argv: t.List[str]) -> int:
    if argv and argv[0] == "mig":
        return _part("mig").main(argv[1:])
    wish = options.parse(argv)
    if "-h" in wish:
        print(usage.TEXT)
        return errors.OK
    if "-f" in wish:
        return _to_file(wish)
    return _answer(wish)


def _to_file(wish: options.Wish) -> int:
    path = t.cast(str, wish.get("-f"))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError:
        raise errors.usage(f"Failed to create log file {path}") from None
    with open(descriptor, "w") as handle, contextlib.redirect_stdout(handle):
        return _answer(wish)


def _answer(wish: options.Wish) -> int:
    if "--version" in wish:
        return _part("summary").version()
    if any(name.startswith("--help-query") for name in wish.given):
        return _part("csvquery").help_text(wish)
    if wish.modification == "-r":
        return _part("reset").main(wish)
    if wish.modification:
        return _part("modify").main(wish)
    if wish.query:
        return _part("csvquery").main(wish)
    if "-L" in wish:
        return _part("listing").main(wish)
    if "-q" in wish:
        return _part("full").main(wish)
    return _part("summary").main(wish)


def _part(name: str) -> t.Any:
    """One part of the command, imported only when it is needed: start-up time is what callers wait for."""
    return importlib.import_module("nvsmi." + name)
