# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rooms of the house and who may know whom, as tables, and the judge that walks a file's syntax tree.

docs/architecture.md tells the same for readers; a new room adds its rows here and there.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
import typing as t

HEADER = (
    "# Copyright (c) 2026 accel.gpu maintainers\n"
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
)

# --- module_utils: which room may import which ---

# Files beside the rooms that every core may use. They know nothing but each other, words and data.
COMMON = frozenset(
    (
        "_boot",
        "_diff",
        "_errors",
        "_expected",
        "_files",
        "_lock",
        "_ports",
        "_problems",
        "_run",
        "_select",
        "_shape",
        "_wishes",
    )
)
GROUND = COMMON | {"_data"}
# A room may always import itself.
MAY_KNOW: t.Dict[str, t.FrozenSet[str]] = {
    "_data": frozenset(),
    "_nvml": frozenset(("_errors", "_data")),
    # Value objects and the session's type appear in signatures.
    **{name: GROUND | {"_nvml"} for name in COMMON},
    "_owners": GROUND | {"_nvml"},
    # Who keeps GPUs open without being work; stop, start, reset.
    "_holders": GROUND | {"_nvml"},
    "_settings": GROUND | {"_nvml", "_owners"},
    "_mig": GROUND | {"_nvml", "_owners", "_holders", "_settings"},
    # Package managers.
    "_packages": GROUND,
    # A reset takes away what MIG changes and settings make.
    "_reset": GROUND | {"_nvml", "_owners", "_holders", "_settings", "_mig"},
    # Taking a node out of a scheduler's service; Slurm's jobs are read as the owners read them.
    "_drain": GROUND | {"_nvml", "_owners"},
    # What gpu_info tells.
    "_info": GROUND | {"_nvml", "_owners", "_mig"},
    # A reload takes away what settings and MIG make.
    "_driver": GROUND | {"_nvml", "_owners", "_packages", "_holders", "_settings", "_mig"},
    # The agent's table of residents names every core; no core knows the agent.
    "_agent": GROUND | {"_nvml", "_owners", "_mig", "_settings"},
    # Many hosts' wishes against each other, on the control node.
    "_fleet": GROUND | {"_nvml", "_mig", "_settings", "_driver"},
    # What is owed to a host after its tasks, on the control node.
    "_owed": frozenset(),
    # Many hosts, batch by batch, on the control node.
    "_rolling": GROUND | {"_nvml"},
    # The flows get a core handed in; they know none.
    "_module": GROUND | {"_nvml"},
}

# Rooms within a room, by the same rule. What lies beside them they may all know, and it knows them: values and entries.
INNER_MAY_KNOW: t.Dict[str, t.Dict[str, t.FrozenSet[str]]] = {
    "_driver": {
        "texts": frozenset(),
        "decide": frozenset(),
        # A repository is asked for what the decision would want of it.
        "look": frozenset(("texts", "decide")),
        "change": frozenset(("texts", "decide", "look")),
    },
}

# --- who may touch the world ---

# Modules of the standard library whose use is I/O, a process, or the clock.
# fmt: off
WORLD = frozenset(
    (
        "asyncio", "ctypes", "fcntl", "ftplib", "glob", "grp", "http", "io", "logging", "mmap",
        "multiprocessing", "os", "pathlib", "platform", "pty", "pwd", "random", "resource", "select",
        "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "syslog", "tempfile", "threading",
        "time", "urllib", "uuid",
    )
)
# fmt: on
# Functions that touch it without an import.
WORLD_CALLS = frozenset(("open", "print", "input", "exec", "eval"))
# Files that may: whole rooms, then files by name (apply…, probe…), then these with their reasons.
PORT_ROOMS = frozenset(("_nvml", "_module"))
WORLD_NAMES = re.compile(r"(apply|probe)(_\w+)?\.py$")
WORLD_FILES: t.Dict[str, str] = {
    "_run.py": "the port for commands",
    "_files.py": "the port for files",
    "_lock.py": "the port for the node's lock",
    "_agent/cli.py": "the agent's command line is its own _module",
}
# Files of a port room that are pure all the same: value objects and texts.
PURE_FILES = frozenset(("_nvml/objects.py", "_nvml/address.py"))
# Never with a port in hand: what these decide must be the same in check mode, in the run and on the agent.
PURE_NAMES = re.compile(r"(parse|plan|judge)(_\w+)?\.py$")
# Rooms within a room of which every file is so.
PURE_ROOMS = frozenset(("_driver/decide", "_driver/texts"))
PORTS = frozenset(("_ports", "_run", "_files", "_lock"))

# --- imports ---

# AnsiballZ and the agent's archive ship what is imported statically, nothing that is looked up.
DISCOVERY = frozenset(("importlib", "pkgutil", "imp", "runpy", "zipimport"))
# Control-node plugins may locate pynvml (never import it) and may use what ansible-core itself brings.
CONTROL_FOLDERS = frozenset(("action", "callback", "doc_fragments", "filter", "lookup", "plugin_utils", "test"))
CONTROL_PACKAGES = frozenset(("ansible", "ansible_collections", "yaml"))

MAX_LINES = 350
MAX_MODULE_CODE = 50
MAX_FUNCTION = 60


def violations(name: str, source: str) -> t.List[str]:
    """What is wrong with the file `name` (relative to plugins/, as "module_utils/_mig/plan.py"), each with its line."""
    if name.endswith("__init__.py"):
        return [f"{name}:1: __init__.py stays empty"] if source else []
    tree = ast.parse(source)
    judge = _Judge(name, tree)
    judge.shape(source)
    judge.visit(tree)
    return [f"{name}:{line}: {text}" for line, text in judge.found]


def tree_violations(plugins: pathlib.Path) -> t.List[str]:
    found: t.List[str] = []
    for path in sorted(plugins.rglob("*.py")):
        found.extend(violations(str(path.relative_to(plugins)), path.read_text(encoding="utf-8")))
    return found


def is_standard(package: str) -> bool:
    return package in sys.stdlib_module_names or package == "__future__"


class _Judge(ast.NodeVisitor):
    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.folder, _slash, self.inside = name.partition("/")
        self.parts = pathlib.PurePosixPath(self.inside).parts
        self.room = self.parts[0].replace(".py", "")
        self.file = self.parts[-1]
        self.tree = tree
        self.found: t.List[t.Tuple[int, str]] = []
        self.cores: t.Set[str] = set()

    def say(self, node: t.Optional[ast.AST], text: str) -> None:
        self.found.append((getattr(node, "lineno", 1), text))

    # --- the file as a whole ---

    def shape(self, source: str) -> None:
        # Ansible wants a module's first line to be this one or none.
        if not source.replace("#!/usr/bin/python\n", "", self.folder == "modules").startswith(HEADER):
            self.say(None, "the three lines of the header are missing or differ")
        first = next((node for node in self.tree.body if not _is_text(node)), None)
        if not (isinstance(first, ast.ImportFrom) and first.module == "__future__"):
            self.say(first, "the first statement is not `from __future__ import annotations`")
        if self.folder == "module_utils":
            if "PRIVATE" not in (ast.get_docstring(self.tree) or ""):
                self.say(None, "the file's docstring does not say that it is PRIVATE")
            if self.room not in MAY_KNOW:
                self.say(None, f"the room {self.room} has no row in MAY_KNOW")
        if self.folder == "modules" and _code_lines(self.tree, source) > MAX_MODULE_CODE:
            self.say(None, f"a module has at most {MAX_MODULE_CODE} code lines; the work belongs into a core")
        lines = source.count("\n")
        if lines > MAX_LINES and self.folder != "modules" and self.room != "_data":
            self.say(None, f"{lines} lines; more than {MAX_LINES} hold more than one thing")

    # --- imports ---

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.absolute(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if any(alias.name == "*" for alias in node.names):
            self.say(node, "an import of * hides what is used")
        if node.level == 0:
            self.absolute(node, node.module or "")
        elif self.folder == "module_utils":
            self.inside_utils(node)
        else:
            self.from_plugin(node)

    def absolute(self, node: ast.AST, module: str) -> None:
        package = module.split(".")[0]
        if package == "pynvml":
            if self.name != "module_utils/_nvml/load.py":
                self.say(node, "only _nvml/load imports pynvml")
        elif package in DISCOVERY:
            if self.folder not in CONTROL_FOLDERS:
                self.say(node, f"{package} finds what AnsiballZ does not ship; tables are explicit tuples")
        elif is_standard(package):
            self.standard(node, package, module)
        else:
            self.foreign(node, package, module)

    def standard(self, node: ast.AST, package: str, module: str) -> None:
        if self.folder == "module_utils" and package in WORLD and module != "os.path" and not self.may_touch_world():
            self.say(node, f"{package} in a pure file; only apply and probe files and the ports do I/O")

    def foreign(self, node: ast.AST, package: str, module: str) -> None:
        if self.folder == "module_utils":
            if package in ("ansible", "ansible_collections"):
                if package == "ansible" and self.room == "_module":
                    return
                self.say(node, f"{module}: cores never know Ansible, and imports inside module_utils are relative")
            else:
                self.say(node, f"{module} is third-party; nodes have the standard library only")
        elif self.folder == "modules":
            if not module.startswith("ansible.module_utils"):
                self.say(node, f"{module}: a module imports ansible.module_utils and ..module_utils only")
        elif package not in CONTROL_PACKAGES:
            self.say(node, f"{module} is third-party")

    def inside_utils(self, node: ast.ImportFrom) -> None:
        base = self.parts[:-1]
        if node.level > len(base) + 1:
            self.say(node, "a relative import leaves module_utils")
            return
        start = base[: len(base) - (node.level - 1)]
        for target in _targets(start, node):
            self.know(node, target[0])
            self.know_inner(node, target)
            if self.is_pure() and (target[0] in PORTS or target[:2] == ("_nvml", "session")):
                self.say(node, f"{self.file} is pure and takes no port ({'.'.join(target)})")

    def know(self, node: ast.AST, room: str) -> None:
        allowed = MAY_KNOW.get(self.room, frozenset())
        if room != self.room and room not in allowed:
            self.say(node, f"{self.room} may not know {room}")

    def know_inner(self, node: ast.AST, target: t.Tuple[str, ...]) -> None:
        rooms = INNER_MAY_KNOW.get(self.room, {})
        here = self.parts[1] if len(self.parts) > 2 else None
        if target[0] != self.room or here is None:
            return
        if here not in rooms:
            self.say(node, f"the room {self.room}/{here} has no row in INNER_MAY_KNOW")
        elif target[1] in rooms and target[1] != here and target[1] not in rooms[here]:
            self.say(node, f"{self.room}/{here} may not know {self.room}/{target[1]}")

    def from_plugin(self, node: ast.ImportFrom) -> None:
        path = tuple((node.module or "").split("."))
        if node.level == 1 and self.folder == "plugin_utils":
            return
        if node.level != 2 or path[0] not in ("module_utils", "plugin_utils"):
            self.say(node, "plugins import ..module_utils (and control-node plugins ..plugin_utils) only")
        elif path[0] == "plugin_utils" and self.folder not in CONTROL_FOLDERS:
            self.say(node, "plugin_utils stays on the control node")
        elif self.folder == "modules":
            self.cores.update(target[1] for target in _targets((), node) if target[1] != "_module")
            if len(self.cores) > 1:
                self.say(node, f"a module knows _module and one core package, not {', '.join(sorted(self.cores))}")

    # --- what the code does ---

    def may_touch_world(self) -> bool:
        if self.inside in PURE_FILES:
            return False
        return self.room in PORT_ROOMS or bool(WORLD_NAMES.match(self.file)) or self.inside in WORLD_FILES

    def is_pure(self) -> bool:
        return bool(PURE_NAMES.match(self.file)) or "/".join(self.parts[:-1]) in PURE_ROOMS

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.bare_call(node, node.func.id)
        elif isinstance(node.func, ast.Attribute):
            self.method_call(node, node.func.attr)
        self.generic_visit(node)

    def bare_call(self, node: ast.Call, function: str) -> None:
        if function == "__import__":
            self.say(node, "__import__ is not static")
        if self.folder == "module_utils" and function in WORLD_CALLS and not self.may_touch_world():
            self.say(node, f"{function}() in a pure file; only apply and probe files and the ports do I/O")

    def method_call(self, node: ast.Call, method: str) -> None:
        if method in ("fail_json", "exit_json") and (self.folder, self.room) != ("module_utils", "_module"):
            self.say(node, f"only _module calls {method}")
        if method in ("now", "today", "utcnow") and self.is_pure():
            self.say(node, "a pure file does not look at the clock")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > MAX_FUNCTION:
            self.say(node, f"{node.name} has {length} lines; more than {MAX_FUNCTION} hold more than one thought")
        self.generic_visit(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _targets(start: t.Tuple[str, ...], node: ast.ImportFrom) -> t.List[t.Tuple[str, ...]]:
    """Paths that a relative import names; `from . import x` and `from ..module_utils import _mig` name files."""
    path = start + tuple((node.module or "").split(".") if node.module else ())
    return [(*path, alias.name) for alias in node.names]


def _code_lines(tree: ast.Module, source: str) -> int:
    """Lines that are neither blank, comment nor one of a module's documentation texts."""
    texts: t.Set[int] = set()
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(
        1 for number, line in lines if number not in texts and line.strip() and not line.lstrip().startswith("#")
    )
