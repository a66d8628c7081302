"""What docs/operations.md says about backups: its commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ishowtts.cli.main import parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMMANDS = parser(["backup", "restore"])
SECTION = PAGE.split("\n## Back up and restore\n", 1)[1].split("\n## ", 1)[0]


def test_its_commands_exist() -> None:
    commands = re.findall(r"(?:sudo|kitchen|bin/)\s*ishowtts ((?:backup|restore)[^#>\n`]*)", SECTION)
    assert len(commands) > 6
    for command in commands:
        COMMANDS.parse_args(shlex.split(command))


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_each_option_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        COMMANDS.parse_args([command, "--help"])
    for option in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--json", "--config"}:
        assert option in SECTION, option
