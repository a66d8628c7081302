"""A long line in a cloned voice, from its text to the file: the F5 engine on tiny random weights."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import soundfile

from ishowtts.engines import catalogue
from ishowtts.inbox import Taken
from ishowtts.pipeline.cast import Cast
from ishowtts.pipeline.performance import Performance, Studio
from ishowtts.playback.finish import Finish
from ishowtts.playback.player import Player
from ishowtts.playback.wavfile import WavSpeaker
from ishowtts.speech import Line, Report
from support.house import House

SENTENCE = "This is a sentence that goes on for a while, so that the line has more than one segment. "


def perform(cast: Cast, folder: Path, text: str) -> tuple[Report, int]:
    """What the performance of a line reports, and how many samples were heard."""
    bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring() -> None:
        bell.put(None)

    with ExitStack() as stack:
        player = Player(WavSpeaker(folder / "sound.wav"), on_change=ring)
        player.start()
        stack.callback(player.close, 10)
        synthesis = stack.enter_context(ThreadPoolExecutor(1))
        line = Line("line", text, seed=1)
        taken = Taken(seq=1, line=line, queue_s=0.0, position=0, spoken=None, attempts=1, times=1)
        as_it_comes = Finish(rate_hz=player.rate_hz, loudness_lufs=None, peak_dbtp=None)
        performance = Performance(taken, Studio(cast, player, House(), as_it_comes, synthesis, ring))
        performance.begin(taken)
        while not performance.step():
            bell.get(timeout=60)
        return performance.report(), soundfile.info(folder / "sound.wav").frames


@pytest.mark.f5
@pytest.mark.slow
def test_what_a_line_costs_is_learnt_and_its_seams_are_taken_off(tiny_checkpoint: Path, tmp_path: Path) -> None:
    options = {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5}
    engine = catalogue.make("f5", options)
    with ExitStack() as stack:
        engine.load(lambda _: None)
        stack.callback(engine.close)
        cast = Cast(engine, None)
        card = engine.prepare(None)
        whole = (SENTENCE * (card.max_segment_bytes // len(SENTENCE) + 1)).strip()
        assert cast.costs.of("f5", None, card) is None
        report, heard = perform(cast, tmp_path, whole)
        assert cast.costs.of("f5", None, card) is not None
        assert card.bytes_per_s is not None
        butted_s = len(whole) / card.bytes_per_s
        assert report.audio_s == pytest.approx(heard / 24_000, abs=0.03)
        assert butted_s - 0.4 < report.audio_s < butted_s
