"""The examples in docs/sound.md are run or parsed, exactly as they are printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from ishowtts import config
from ishowtts.cli.main import parser
from ishowtts.config.audio_section import AudioSection
from ishowtts.mqtt.fields import LINE_FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/sound.md").read_text(encoding="utf-8")
INTO_A_FILE = """
import numpy as np
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
speaker = AlsaSpeaker("to_a_file")
speaker.open(24_000)
speaker.write(np.arange(240, dtype=np.int16))
speaker.drain()
speaker.close()
"""


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.M | re.S)
    assert found, f"no {language} in docs/sound.md"
    return found


def rows(heading: str) -> list[list[str]]:
    """Returns the cells of the table whose first column has this heading."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*?\n\n", PAGE, flags=re.M | re.S)
    assert table is not None, heading
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[0].splitlines()[2:] if line]


def test_the_table_has_every_key_with_its_default() -> None:
    defaults = AudioSection().model_dump(mode="json")
    documented = {key.strip("`"): yaml.safe_load(default.strip("`")) for key, default, _ in rows("key")}
    assert documented == defaults


@pytest.mark.parametrize("block", blocks("yaml"))
def test_its_configurations_are_valid(block: str) -> None:
    assert config.parse(block, "sound.md").audio != AudioSection()


def test_its_alsa_configuration_plays_sound(tmp_path: Path) -> None:
    [asound] = [block for block in blocks("text") if "pcm.shared" in block]
    heard = tmp_path / "heard.wav"
    assert asound.count("/var/lib/ishowtts/state/heard.wav") == 1
    path = tmp_path / "asoundrc"
    path.write_text(
        "</usr/share/alsa/alsa.conf>\n" + asound.replace("/var/lib/ishowtts/state/heard.wav", str(heard)),
        encoding="utf-8",
    )
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", INTO_A_FILE], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    samples: NDArray[Any] = np.frombuffer(heard.read_bytes()[44:], np.int16)
    assert samples[:240].tolist() == list(range(240))


@pytest.mark.parametrize("drop_in", blocks("ini"))
def test_systemd_accepts_its_drop_ins(tmp_path: Path, drop_in: str) -> None:
    program = shutil.which("true")
    unit = (ROOT / "systemd/ishowtts.service").read_text()
    (tmp_path / "ishowtts.service").write_text(unit.replace("/opt/ishowtts/current/bin/ishowtts", str(program)))
    (tmp_path / "ishowtts-clocks.service").write_text(f"[Service]\nType=oneshot\nExecStart={program}\n")
    extra = tmp_path / "ishowtts.service.d"
    extra.mkdir()
    (extra / "override.conf").write_text(drop_in)

    def faults() -> list[str]:
        command = ["systemd-analyze", "verify", "--man=no", tmp_path / "ishowtts.service"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [line for line in done.stderr.splitlines() if "ishowtts" in line]

    assert faults() == []
    (extra / "override.conf").write_text(drop_in.replace("=", "=nonsense ", 1))
    assert faults() != [], "the drop-in was read"


def test_its_commands_and_fields_exist() -> None:
    commands = re.findall(r"^(?:sudo )?ishowtts (.*)$", "".join(blocks("sh")), flags=re.M)
    assert len(commands) > 4
    for command in commands:
        parser().parse_args(shlex.split(command, comments=True))
    [line] = re.findall(r"-m '(\{.*\})'", PAGE)
    assert set(json.loads(line)) <= set(LINE_FIELDS)


def test_its_links_lead_to_existing_files() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]
