"""A long line in a cloned voice, from its text to the file: the F5 engine on tiny random weights."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.archive import Recording
from ishowtts.engines.worker import registry
from ishowtts.inbox import DequeuedLine
from ishowtts.model import IsCancelled, Line, Report, Segment, Utterance
from ishowtts.playback.player import Player
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.playback.wav_speaker import WavSpeaker
from ishowtts.speech.fallback import FallbackSynthesizer
from ishowtts.speech.segment_planner import CostModel
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.speech.speech_task import SpeechTask
from support.engine_order import engine_order
from support.fake_policy import FakePolicy

SPEED = 4.0  # so that sound, which plays in real time, is short
SENTENCE = "This is a sentence that goes on for a while, so that the line has more than one segment. "


class Notes:
    """A recorder, and its recording, that keeps the sound of each segment."""

    def __init__(self) -> None:
        self.sounds: list[Utterance] = []

    def begin(self, start: Recording) -> Notes:
        return self

    def add(self, utterance: Utterance, overlap_s: float) -> None:
        self.sounds.append(utterance)

    def end(self, outcome: str) -> None: ...


def speak(
    synthesizer: FallbackSynthesizer, folder: Path, text: str, notes: Notes | None = None, *, paced: bool = True
) -> tuple[Report, int]:
    """Speak a line four times as fast as the voice; return its report and how many samples were heard."""
    wake_ups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake() -> None:
        wake_ups.put(None)

    with ExitStack() as stack:
        player = Player(WavSpeaker(folder / "sound.wav", paced=paced), on_change=wake)
        player.start()
        stack.callback(player.close, 10)
        synthesis = stack.enter_context(ThreadPoolExecutor(1))
        line = Line("line", text, seed=1, speed=SPEED)
        dequeued = DequeuedLine(seq=1, line=line, queue_s=0.0, position=0, spoken=None, attempts=1, times=1)
        unchanged = PostProcessor(rate_hz=player.rate_hz, loudness_lufs=None, peak_dbtp=None)
        resources = SpeechResources(synthesizer, player, FakePolicy(), unchanged, notes)
        task = SpeechTask(dequeued, resources, synthesis, wake)
        task.begin(dequeued)
        while not task.step():
            wake_ups.get(timeout=60)
        return task.report(), soundfile.info(folder / "sound.wav").frames


@pytest.mark.f5
@pytest.mark.slow
def test_the_cost_of_a_line_is_learnt_and_its_report_leaves_out_the_cross_fades(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = {"weights": str(tiny_checkpoint), "device": "cpu", "precision": "fp32", "nfe_step": 5}
    engine = registry.make("f5", options)
    with ExitStack() as stack:
        engine.load(lambda _: None)
        stack.callback(engine.close)
        synthesizer = FallbackSynthesizer(engine_order(engine))
        voice = engine.prepare(None)
        whole = (SENTENCE * (voice.max_segment_bytes // len(SENTENCE) + 1)).strip()
        assert synthesizer.settings.cost_model.estimate("f5", None, voice) is None
        report, heard = speak(synthesizer, tmp_path, whole)
        assert synthesizer.settings.cost_model.estimate("f5", None, voice) is not None
        assert voice.bytes_per_s is not None
        unfaded_s = len(whole) / (voice.bytes_per_s * SPEED)
        assert report.audio_s == pytest.approx(heard / 24_000, abs=0.03)
        assert unfaded_s - 0.4 < report.audio_s < unfaded_s


LONG_SENTENCES = [
    f"This is sentence number {name}, and it is so long that no other fits into its segment."
    for name in ("one", "two", "three", "four")
]


@pytest.mark.f5
@pytest.mark.slow
def test_a_long_line_sounds_the_same_however_many_segments_go_into_one_run(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    # As on a fast machine: a busy one may not let what is heard cover a second segment.
    monkeypatch.setattr(CostModel, "estimate", lambda *_: 0.01)
    engine = registry.make("f5", {"weights": str(tiny_checkpoint), "device": "cpu", "precision": "fp32", "nfe_step": 5})
    synthesize_batch = engine.synthesize_batch

    def counted(segments: list[Segment], cancelled: IsCancelled) -> list[Utterance]:
        runs.append(len(segments))
        return synthesize_batch(segments, cancelled)

    monkeypatch.setattr(engine, "synthesize_batch", counted)
    with ExitStack() as stack:
        engine.load(lambda _: None)
        stack.callback(engine.close)
        sounds = []
        for batch_s in (0.0, 18.0):  # 18 s hold two segments of 5.3 s of reference and 2.2 s of sound, not three
            engine._batch_s = batch_s
            folder = tmp_path / f"{batch_s:g}"
            folder.mkdir()
            notes = Notes()
            synthesizer = FallbackSynthesizer(engine_order(engine), streaming=False)
            # Only a run of several segments needs the time in which sound plays.
            report, heard = speak(synthesizer, folder, " ".join(LONG_SENTENCES), notes, paced=batch_s > 0)
            assert report.audio_s == pytest.approx(heard / 24_000, abs=0.03)
            assert report.synth_s == pytest.approx(sum(one.synth_s for one in notes.sounds))
            sounds.append([one.samples.astype(int) for one in notes.sounds])
        assert runs == [2], "the first is made alone, and the last is what is left"
        assert [len(one) for one in sounds[0]] == [len(one) for one in sounds[1]]
        assert all(np.abs(one - other).max() <= 1 for one, other in zip(*sounds, strict=True))
