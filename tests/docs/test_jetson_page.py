"""docs/jetson.md: its commands, units, keys and figures are those of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ishowtts.board import clock_repair
from ishowtts.cli.main import parser
from ishowtts.config.schema import BoardSection
from ishowtts.engines.f5 import load_faults

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/jetson.md").read_text()


def unit(name: str) -> str:
    return (ROOT / "systemd" / name).read_text()


def test_its_commands_units_and_keys_exist() -> None:
    commands = re.findall(r"^(?:sudo )?ishowtts (.*)$", PAGE, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        parser(["clocks"]).parse_args(shlex.split(command, comments=True))
    named = set(re.findall(r"ishowtts-clocks[a-z-]*\.(?:service|path)", PAGE))
    assert {name for name in named if not (ROOT / "systemd" / name).exists()} == set()
    keys = set(re.findall(r"board\.([a-z_]+)", PAGE))
    assert keys
    assert keys <= set(BoardSection.model_fields)


def test_its_figures_are_those_of_the_code_and_the_units() -> None:
    assert "clocks apply --wait 1800 " in unit("ishowtts-clocks.service")
    assert PAGE.count("half an\n  hour") == 1
    assert (clock_repair._INTERVAL_S, clock_repair._MAX_REQUESTS) == (300.0, 6)
    assert "every 5 minutes, at most 6 times" in PAGE
    repair = unit("ishowtts-clocks-repair.service")
    assert "StartLimitIntervalSec=600\nStartLimitBurst=10\n" in repair
    assert "After 10 requests within 10 minutes" in PAGE


def test_its_links_lead_to_existing_files() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    assert links
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]


def test_its_sets_of_torch_and_its_options_are_those_of_the_installer() -> None:
    text = (ROOT / "scripts/install/torch.sh").read_text()
    found = re.search(r"TORCH_SETS=\((.*?)\)", text, re.DOTALL)
    assert found
    sets = [entry.split() for entry in re.findall(r'"(.*?)"', found.group(1))]
    rows = re.findall(r"^\| (2\.[0-9., ]+) \| (3\.[0-9., ]+) \|", PAGE, re.MULTILINE)
    listed = []
    for torches, tritons in rows:
        versions, triton = torches.split(", "), tritons.split(", ")
        listed += list(zip(versions, triton if len(triton) > 1 else triton * len(versions), strict=True))
    assert listed == [(torch, triton) for torch, triton in sets]
    lock = (ROOT / "daemon/requirements/linux.txt").read_text()
    assert "\ntorch==2.11.0 " in lock
    assert "torch 2.11.0 for CUDA 13" in PAGE
    assert f"a table of {len(load_faults.LIBRARIES)} libraries" in PAGE
