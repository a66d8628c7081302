"""The device gets exactly the synthesised samples, through the player, the ALSA speaker and ALSA itself.

ALSA's `file` plugin writes what a program plays to a file. Each child process plays many lines, because the library
reads its configuration once per process. On top of `null` the plugin accepts them at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE_HZ = 24_000
LONGEST = {1: 400, 7: 4000, 240: 2 * RATE_HZ, 1000: 2 * RATE_HZ, 4096: 2 * RATE_HZ}
"""Longest segment in samples, by the size of a block. Tiny blocks need many steps of the player."""
LINES = 200

PLAYED = """
import json
import sys
from pathlib import Path

import numpy as np

from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.player import Player

block, folder = int(sys.argv[1]), Path(sys.argv[2])
player = Player(AlsaSpeaker("tofile"), block_s=(block + 0.5) / 24000)
player.set_volume(100)
player.start()
for line in json.loads((folder / "lines.json").read_text()):
    player.pause()
    clips = [
        player.play(np.load(folder / name), 24000, seam_s=(line["seam"] + 0.5) / 24000) for name in line["segments"]
    ]
    player.resume()
    for clip in clips:
        ending = clip.wait(60)
        assert ending == "finished", ending
player.close(10)
assert not player.alive()
"""


@dataclass(frozen=True)
class Line:
    """Segments, [samples] each, and the length of their cross-fades in samples."""

    segments: list[NDArray[np.int16]]
    seam: int

    def expected(self) -> NDArray[np.float64]:
        """Returns the whole line before rounding, mixed sample by sample."""
        sound = [float(sample) for sample in self.segments[0]]
        length_before = len(sound)
        for segment in self.segments[1:]:
            mixed = min(self.seam, length_before // 2, len(segment) // 2)
            start = len(sound) - mixed
            for i in range(mixed):
                weight = i / (mixed - 1) if mixed > 1 else 0.0
                sound[start + i] = sound[start + i] * (1 - weight) + float(segment[i]) * weight
            sound += [float(sample) for sample in segment[mixed:]]
            length_before = len(segment) - mixed
        return np.array(sound)


def random_line(chance: np.random.Generator, longest: int) -> Line:
    """Returns one to four segments of any length, half of them very short, over the whole range of int16."""
    segments = []
    for _ in range(chance.integers(1, 5)):
        count = chance.integers(1, 51 if chance.random() < 0.5 else longest + 1)
        samples = chance.integers(-32768, 32768, count).astype(np.int16)
        samples[0] = samples[0] or 1  # neither end is silent, so that no lost sample goes unnoticed
        samples[-1] = samples[-1] or 1
        segments.append(samples)
    seam = int(chance.choice([0, 0, 1, 2, 100, 3600]))
    return Line(segments, seam)


@pytest.mark.parametrize("block", LONGEST)
def test_the_device_gets_exactly_the_synthesised_samples(block: int, tmp_path: Path) -> None:
    chance = np.random.default_rng(block)
    lines = [random_line(chance, LONGEST[block]) for _ in range(LINES // len(LONGEST))]
    names = []
    for number, line in enumerate(lines):
        segments = [f"{number}-{i}.npy" for i in range(len(line.segments))]
        for name, samples in zip(segments, line.segments, strict=True):
            np.save(tmp_path / name, samples)
        names.append({"segments": segments, "seam": line.seam})
    (tmp_path / "lines.json").write_text(json.dumps(names))
    sound = tmp_path / "sound.raw"
    (tmp_path / "asoundrc").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'pcm.tofile {{ type plug slave.pcm {{ type file file "{sound}" format raw slave.pcm null }} }}\n'
    )
    subprocess.run(
        [sys.executable, "-c", PLAYED, str(block), str(tmp_path)],
        check=True,
        timeout=100,
        env={**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asoundrc")},
    )
    arrived = np.fromfile(sound, "<i2")
    at = 0
    for line in lines:
        expected = line.expected()
        got = arrived[at : at + len(expected)]
        # Outside the seams the samples are equal. Within them they are rounded, and a half may go either way.
        assert np.abs(got - expected).max() < 0.51, f"a line that begins at sample {at}"
        padding = -len(expected) % block
        at += len(expected)
        assert not arrived[at : at + padding].any(), "silence after a line fills its last block"
        at += padding
    assert not arrived[at:].any(), "nothing else was played"
