"""Checks the layers of the packages: who may import whom in daemon/. Exit 1 with a line for each breach."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = "ishowtts"
BENCH = "ishowtts_bench"
GATEWAY = "ishowtts_gateway"
ORDER = (
    "errors",
    "model",
    "limits",
    "f5_switches",
    "util",
    "config",
    "board",
    "systemd",
    "inbox",
    "text",
    "policies",
    "engines",
    "playback",
    "archive",
    "mqtt",
    "speech",
    "stored_state",
    "backup",
    "status",
    "app",
    "cli",
    "__main__",
)
"""A package imports only from itself and from those before it."""
TORCH = {"torch", "torchaudio", "torchdiffeq", "vocos", "f5_tts"}
_NATURAL_VOICE = (("ishowtts.engines.hibari.", "ishowtts_bench."), "the modules of engines/hibari and ishowtts_bench")
GATEWAY_NEEDS = {"", "errors", "model", "limits", "util", "config", "systemd", "mqtt"}
"""What the gateway may import of the appliance. It knows appliances only by what they publish."""
_OF_GATEWAY = (("ishowtts_gateway.",), "ishowtts_gateway")
_OF_WYOMING = (("ishowtts_gateway.wyoming_server.",), "the gateway's wyoming_server")
JETSON_STATS = "ishowtts.board.jetson_stats_child"
ONLY = {
    "hibari": _NATURAL_VOICE,
    "onnxruntime": _NATURAL_VOICE,
    "paho": (("ishowtts.mqtt.", "ishowtts_gateway.appliances.broker_link."), "mqtt and the gateway's broker_link"),
    "prometheus_client": _OF_GATEWAY,
    "sentence_stream": _OF_WYOMING,
    "starlette": _OF_GATEWAY,
    "uvicorn": _OF_GATEWAY,
    "wyoming": _OF_WYOMING,
    "jtop": ((f"{JETSON_STATS}.",), f"{JETSON_STATS}, a program of its own,"),
}
"""Who may import a package: the beginnings of their names, and who they are in words."""


@dataclass(frozen=True)
class Import:
    """One import: `at_load` is False inside functions and under TYPE_CHECKING."""

    module: str
    target: str
    where: str
    at_load: bool


def main() -> int:
    """0 where every rule holds."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "daemon"
    files = {
        module_name(path, folder): path
        for package in (PACKAGE, GATEWAY, BENCH)
        for path in sorted((folder / package).rglob("*.py"))
    }
    if not files:
        print(f"layers: there is no package {PACKAGE} in {folder}", file=sys.stderr)
        return 2
    imports = [found for module, path in files.items() for found in imports_of(module, path, set(files))]
    breaches = [
        *(f"{found.where}: {why}" for found in imports if (why := breach(found))),
        *unplaced(files),
        *cycles(imports, set(files)),
        *folder_cycles(imports),
        *repeated_names(files),
    ]
    print("\n".join(breaches) if breaches else f"layers: {len(files)} modules, {len(imports)} imports, all in order")
    return 1 if breaches else 0


def module_name(path: Path, folder: Path) -> str:
    """`ishowtts.engines` for daemon/ishowtts/engines/__init__.py."""
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(module: str, path: Path, modules: set[str]) -> Iterator[Import]:
    """Every import of a file, wherever it stands."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, at_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, package, modules):
                yield Import(module, target, f"{path}:{node.lineno}", at_load)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_load and not lazy)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def targets(node: ast.Import | ast.ImportFrom, package: str, modules: set[str]) -> list[str]:
    """The full names of what one statement imports; a name that is no module stands for its module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
        base = f"{above}.{base}".rstrip(".")
    return [name if (name := f"{base}.{alias.name}") in modules else base for alias in node.names]


def breach(found: Import) -> str | None:
    """The rule that an import breaks, in words."""
    top = found.target.split(".")[0]
    if top in TORCH and (
        not f"{found.module}.".startswith(("ishowtts.engines.f5.", "ishowtts_bench."))
        or (found.module == "ishowtts.engines.f5" and found.at_load)
    ):
        return f"{found.module} imports {top}; only the modules of engines/f5 and ishowtts_bench may"
    if top in ONLY and not f"{found.module}.".startswith(ONLY[top][0]):
        return f"{found.module} imports {top}; only {ONLY[top][1]} may"
    if found.target == JETSON_STATS:
        return f"{found.module} imports {JETSON_STATS}, which is a program of its own"
    own = found.module.split(".")[0]
    if top in (BENCH, GATEWAY) and own != top and not on_demand(found):
        return f"{found.module} imports {top}; only a function of the command line may"
    if top != PACKAGE or own == BENCH:
        return None
    return unneeded_by_gateway(found) if own == GATEWAY else out_of_order(room(found.module), room(found.target))


def unneeded_by_gateway(found: Import) -> str | None:
    """The sentence for an import of a part of the appliance that the gateway must do without."""
    needed = room(found.target) in GATEWAY_NEEDS
    return None if needed else f"{found.module} imports {found.target}, which the gateway does without"


def on_demand(found: Import) -> bool:
    """Whether a command imports it when it runs, so that the appliance does without it."""
    return found.module.startswith("ishowtts.cli.") and not found.at_load


def out_of_order(own: str, other: str) -> str | None:
    """The sentence for an import of a later package; the root package itself has no place in the order."""
    if own in ORDER and other in ORDER and ORDER.index(own) < ORDER.index(other):
        return f"{own} imports {other}, which comes after it"
    return None


def room(module: str) -> str:
    """`engines` for ishowtts.engines.f5.model; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def unplaced(files: dict[str, Path]) -> list[str]:
    """Modules that ORDER does not name."""
    own = {room(module) for module in files if module.split(".")[0] == PACKAGE}
    unknown = sorted(own - {""} - set(ORDER))
    return [f"{name}: has no layer; give it one in scripts/layers.py and in docs/architecture.md" for name in unknown]


def repeated_names(files: dict[str, Path]) -> list[str]:
    """Module and class names that stand more than once: a search for one would find the other."""
    places: dict[str, list[str]] = {}
    for path in files.values():
        if not path.stem.startswith("__"):
            places.setdefault(f"the module name {path.stem}", []).append(str(path))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(f"the class name {node.name}", []).append(f"{path}:{node.lineno}")
    return [f"{name} stands more than once: {', '.join(where)}" for name, where in places.items() if len(where) > 1]


def cycles(imports: list[Import], modules: set[str]) -> list[str]:
    """A ring of modules that need one another in order to load."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        if found.at_load and found.target in modules and found.target != found.module:
            graph.setdefault(found.module, set()).add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"cycle: {' <- '.join(error.args[1])}"]
    return []


def folder_cycles(imports: list[Import]) -> list[str]:
    """A ring of folders of the gateway, also if an import in a function closes it."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        own, other = gateway_folder(found.module), gateway_folder(found.target)
        if own and other and own != other:
            graph.setdefault(own, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"cycle of the gateway's folders: {' <- '.join(error.args[1])}"]
    return []


def gateway_folder(module: str) -> str:
    """`http` for ishowtts_gateway.http.page_files; empty for what stands in no folder of the gateway."""
    parts = module.split(".")
    return parts[1] if parts[0] == GATEWAY and len(parts) > 2 else ""


if __name__ == "__main__":
    sys.exit(main())
