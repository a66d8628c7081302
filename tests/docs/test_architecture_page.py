"""The architecture pages name modules, threads and packages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "daemon/ishowtts"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
INTERNALS = (ROOT / "docs/internals.md").read_text(encoding="utf-8")


def exists(module: str) -> bool:
    return (PACKAGE / module).is_dir() or (PACKAGE / f"{module}.py").is_file()


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("page", [PAGE, INTERNALS], ids=["architecture", "internals"])
def test_every_module_that_is_named_exists(page: str) -> None:
    packages = [path.name for path in PACKAGE.iterdir() if path.is_dir()]
    named = re.findall(rf"`((?:{'|'.join(packages)})/[a-z0-9_/]*)`", page)
    assert len(set(named)) > 10
    assert [module for module in named if not exists(module.rstrip("/"))] == []


def test_the_internals_name_modules_of_the_package_in_their_title() -> None:
    for title in re.findall(r"\n## [^\n]*\(`([a-z0-9_/]+)/`\)\n", INTERNALS):
        body = INTERNALS.split(f"(`{title}/`)\n", 1)[1].split("\n## ", 1)[0]
        for name in re.findall(r"\n- `([a-z0-9_]+)`(?: [a-z]+s |:)", body):
            assert exists(f"{title}/{name}") or name in ("auto", "state", "policies"), f"{title}/{name}"


def test_the_way_of_a_line_has_at_most_28_files() -> None:
    files = set(re.findall(r"`([a-z0-9_]+/[a-z0-9_/]+)`", section(PAGE, "The way of a line")))
    assert 20 < len(files) <= 28


def test_the_packages_are_those_of_the_layers_in_their_order() -> None:
    layers = (ROOT / "scripts/layers.py").read_text(encoding="utf-8")
    order = re.findall(r'"(\w+)"', layers.split("ORDER = (", 1)[1].split(")", 1)[0])
    rows = re.findall(r"\n\| ([^|]+) \|", section(PAGE, "Packages"))
    named = [name.rstrip("/") for row in rows for name in re.findall(r"`(\w+)/?`", row)]
    assert named == [name for name in order if name != "__main__"]


def test_the_threads_are_those_of_the_code() -> None:
    rows = re.findall(r"\n\| (`[^|]+`) \| `([^`]+)`", section(PAGE, "Threads"))
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert len(rows) >= 12
    for names, module in rows:
        assert exists(module), module
        for name in re.findall(r"`([^`]+)`", names):
            role = name.removeprefix("mqtt-").replace("ENGINE", "{kind}")
            assert f'"{name}"' in code or f'"{role}"' in code, name


def test_the_files_of_the_gateway_exist() -> None:
    gateway = ROOT / "daemon/ishowtts_gateway"
    rows = re.findall(r"\n\| (`[^|]+`) \|", section(PAGE, "The gateway"))
    named = {name for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    assert len(named) > 20
    modules = {path.stem for path in gateway.rglob("*.py")}
    paths = {name for name in named if "/" in name}
    assert named - paths <= modules
    assert [name for name in paths if not (gateway / name).is_dir() and not (gateway / f"{name}.py").is_file()] == []


def test_the_glossary_has_at_most_ten_words() -> None:
    assert len(re.findall(r"\n\| (?!word|---)", section(PAGE, "Glossary"))) <= 10
