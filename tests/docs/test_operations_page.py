"""What docs/operations.md says about the installation and its tests: options and files exist, and none is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
OF_THE_HARNESS = {"test_here.py", "test_machine.py"}


def test_each_test_in_a_container_is_listed() -> None:
    section = PAGE.split("\n### In booted containers\n", 1)[1].split("\n### ", 1)[0]
    files = {path.name for path in (ROOT / "tests/booted").glob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", section)) == files - OF_THE_HARNESS


@pytest.mark.parametrize("program", ["install.sh", "scripts/test-appliance"])
def test_the_options_in_its_commands_exist(program: str) -> None:
    known = set(re.findall(r"--[a-z0-9-]+", (ROOT / program).read_text(encoding="utf-8").split("\nTEXT\n", 1)[0]))
    commands = re.findall(rf"(?<!test-){re.escape(program)}((?: [^\s#`|]+)*)", PAGE)
    named = {option for words in commands for option in re.findall(r" (--[a-z0-9-]+)", words)}
    assert named
    assert named - known == {"--help"} & named
