"""What README says exists: commands with their options, scripts, pages, the recording, and the models to fetch."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import soundfile
import yaml

from ishowtts.cli.main import parser
from ishowtts.engines.voices.settings import check
from ishowtts.engines.weights_catalogue import CATALOGUE, OFFICIAL
from ishowtts.mqtt.fields import LINE_FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.M | re.S))
MOST_BYTES = 200_000


def test_its_commands_and_their_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^(?:sudo )?ishowtts (.*)$", SHELL, flags=re.M)
    commands += re.findall(r"`(?:sudo )?ishowtts ([a-z]+ --[^`…]*)`", PAGE)
    assert len(commands) > 10
    for command in commands:
        parser().parse_args(shlex.split(command.replace("--model NAME", "--model openf5"), comments=True))
    for name in set(re.findall(r"`(?:sudo )?ishowtts ([a-z]+)", PAGE)):
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([name, "--help"])
        assert ended.value.code == 0, name
    capsys.readouterr()


def test_its_scripts_are_programs_and_its_pages_exist() -> None:
    scripts = set(re.findall(r"\bscripts/[a-z-]+|\./install\.sh", PAGE))
    assert "scripts/demo" in scripts
    assert [script for script in scripts if not os.access(ROOT / script, os.X_OK)] == []
    links = {link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)}
    assert "docs/mqtt.md" in links
    assert [link for link in links if link and "://" not in link and not (ROOT / link).exists()] == []


def test_its_lines_have_fields_that_exist() -> None:
    lines = [json.loads(text) for text in re.findall(r"-m '(\{.*?\})'", PAGE)]
    assert lines
    for line in lines:
        assert set(line) <= set(LINE_FIELDS)


def test_the_recording_is_small_speech() -> None:
    (recording,) = re.findall(r"\(docs/([^)]*\.mp3)\)", PAGE)
    path = ROOT / "docs" / recording
    assert path.stat().st_size <= MOST_BYTES
    assert soundfile.info(path).duration > 5


def test_its_models_are_those_of_the_catalogue_with_their_licences() -> None:
    table = PAGE.split("## What you hear")[1].split("\n\n")[1]
    for model in CATALOGUE.values():
        wanted = "official weights" if model is OFFICIAL else f"--model {model.name}`"
        (commercial,) = [line.split("|")[4] for line in table.splitlines() if wanted in line]
        assert model.licence in commercial
        assert ("yes" in commercial) == model.commercial_use


def test_its_settings_of_a_voice_are_valid() -> None:
    (block,) = re.findall(r"^```yaml\n(speed:.*?)^```$", PAGE, flags=re.M | re.S)
    check(yaml.safe_load(block), "README.md")
