"""The player and its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.errors import SpeakerError
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.playback.player import Player, SoundStatus
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.wav_speaker import WavSpeaker
from support.waiting import eventually

RATE_HZ = 24_000
CARD_MUTED = Silence(SilentCause.CARD_MUTED, "the sound card is muted (PCM)")


def tone(duration_s: float) -> Any:
    return np.full(int(RATE_HZ * duration_s), 10_000, np.int16)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[..., Player]:
    def started(speaker: Any, **options: Any) -> Player:
        player = Player(speaker, **options)
        request.addfinalizer(lambda: player.close(5))
        player.start()
        return player

    return started


def test_a_clip_played_after_a_stop_is_heard(start: Callable[..., Player], ear: Any) -> None:
    changes = threading.Semaphore(0)
    player = start(ear, on_change=changes.release)
    stopped = player.play(tone(60), RATE_HZ)
    eventually(lambda: ear.blocks)
    player.stop()
    later = player.play(tone(0.05), RATE_HZ)
    assert stopped.wait(10) == "stopped"
    assert changes.acquire(timeout=10)
    assert later.wait(10) == "finished"
    assert changes.acquire(timeout=10)


def test_after_a_stop_at_most_50_ms_of_samples_are_heard(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    clip = player.play(tone(60), RATE_HZ)
    eventually(lambda: len(ear.blocks) > 10)
    written = len(ear.blocks)
    waiting_s = ear.delay_s()
    player.stop()
    assert clip.wait(10) == "stopped"
    eventually(lambda: ear.blocks[-1][-1] == 0)
    # One block may have been on its way, and one is the fade.
    assert len(ear.blocks) - written <= 2
    assert waiting_s <= 0.041


def test_a_paused_player_writes_nothing(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "finished"
    player.pause()
    written = len(ear.blocks)
    held = player.play(tone(0.05), RATE_HZ)
    assert held.wait(0.1) == "playing"
    assert len(ear.blocks) == written
    player.resume()
    assert held.wait(10) == "finished"


def test_a_muted_player_writes_zeros_in_real_time(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    player.set_muted(True)
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "finished"
    assert len(ear.heard) == 1200
    assert not ear.heard.any()


def test_two_clips_are_one_sound_bit_for_bit(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    noise = np.random.default_rng(0).integers(-32768, 32767, 5000).astype(np.int16)
    player.pause()
    clips = player.play(noise, RATE_HZ), player.play(noise[::-1], RATE_HZ)
    player.resume()
    assert [clip.wait(10) for clip in clips] == ["finished", "finished"]
    assert np.array_equal(ear.heard[:10_000], np.concatenate([noise, noise[::-1]]))
    assert not ear.heard[10_000:].any()


def test_a_device_that_was_never_there_is_not_a_loss(
    start: Callable[..., Player], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "folder"
    folder.write_text("in the way")
    player = start(WavSpeaker(folder))
    eventually(lambda: player.status().lost)
    assert player.status().device_losses == 0
    folder.unlink()
    eventually(lambda: player.status().lost is None)
    assert "is back" not in caplog.text
    assert player.play(tone(0.02), RATE_HZ).wait(10) == "finished"


def test_a_device_lost_in_the_middle_comes_back(start: Callable[..., Player]) -> None:
    class Loose(SilentSpeaker):
        pulled = False

        def write(self, block: Any) -> None:
            if self.pulled:
                self.pulled = False
                raise SpeakerError("it was pulled out")
            super().write(block)

    speaker = Loose()
    player = start(speaker)
    clip = player.play(tone(60), RATE_HZ)
    eventually(lambda: clip.started_at)
    speaker.pulled = True
    assert clip.wait(10) == "lost"
    assert player.status().lost == "it was pulled out"
    assert Silence(SilentCause.NO_DEVICE, "it was pulled out") in player.silences()
    eventually(lambda: player.status().lost is None)
    assert [silence.cause for silence in player.silences()] == [SilentCause.SILENT_DEVICE]
    assert player.status().device_losses == 1
    assert player.play(tone(0.02), RATE_HZ).wait(10) == "finished"


def test_close_returns_even_if_the_device_hangs() -> None:
    released = threading.Event()

    class Frozen(SilentSpeaker):
        def write(self, block: Any) -> None:
            released.wait(60)

    player = Player(Frozen())
    player.start()
    clip = player.play(tone(1), RATE_HZ)
    eventually(lambda: clip.started_at)
    began = time.monotonic()
    player.play(tone(1), RATE_HZ)
    player.close(0.2)
    assert time.monotonic() - began < 30
    assert player.alive()
    released.set()
    player.close(10)
    assert not player.alive()


def test_clips_given_to_a_closed_player_are_stopped(start: Callable[..., Player], ear: Any) -> None:
    never_started = Player(ear)
    waiting = never_started.play(tone(1), RATE_HZ)
    never_started.close(1)
    closed = start(ear)
    closed.close(10)
    assert waiting.wait(0) == closed.play(tone(1), RATE_HZ).wait(0) == "stopped"


def noise(duration_s: float, seed: int) -> Any:
    return np.random.default_rng(seed).integers(-20_000, 20_000, int(RATE_HZ * duration_s)).astype(np.int16)


def cross_fade_of_f5_tts(before: Any, after: Any, count: int) -> Any:
    """The cross-fade of F5-TTS (f5_tts/infer/utils_infer.py, infer_batch_process), rounded to int16."""
    seam = before[-count:] * np.linspace(1, 0, count) + after[:count] * np.linspace(0, 1, count)
    return np.rint(np.concatenate([before[:-count], seam, after[count:]]).astype(np.float32)).astype(np.int16)


def test_the_seam_in_the_file_is_the_cross_fade_of_f5_tts(start: Callable[..., Player], tmp_path: Path) -> None:
    player = start(WavSpeaker(tmp_path / "out.wav", paced=False))
    player.pause()
    before, after = noise(0.5, 1), noise(0.4, 2)
    player.play(before, RATE_HZ)
    last = player.play(after, RATE_HZ, seam_s=0.15)
    player.resume()
    assert last.wait(10) == "finished"
    assert last.overlap_s == 0.15
    heard, _ = soundfile.read(tmp_path / "out.wav", dtype="int16")
    expected = cross_fade_of_f5_tts(before, after, 3600)
    assert np.array_equal(heard[: len(expected)], expected)
    assert not heard[len(expected) :].any()


def test_a_seam_is_mixed_at_the_devices_rate(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear, rate_hz=48_000)
    player.pause()
    player.play(tone(0.5), RATE_HZ)
    last = player.play(tone(0.5) // 2, RATE_HZ, seam_s=0.15)
    player.resume()
    assert last.wait(10) == "finished"
    assert last.overlap_s == 0.15
    seam = ear.heard[int(0.35 * 48_000) : int(0.5 * 48_000)][480:-480].astype(int)
    assert (np.diff(seam) <= 0).all(), "linearly from one level to the other"
    assert (seam[0] - seam[-1]) == pytest.approx(5000 * 13 / 15, abs=20)


def test_the_device_is_asked_for_its_delay_only_at_the_ends_of_clips(start: Callable[..., Player], ear: Any) -> None:
    asked = []
    delay_s = ear.delay_s
    ear.delay_s = lambda: asked.append(delay_s()) or asked[-1]
    player = start(ear)
    player.pause()
    clips = [player.play(tone(1), RATE_HZ) for _ in range(2)]
    player.resume()
    assert [clip.wait(10) for clip in clips] == ["finished", "finished"]
    assert len(ear.blocks) == 200
    assert len(asked) < 50, "each call gives the interpreter's lock to a busy thread"
    begins = [clip.started_at for clip in clips]
    assert begins[1] - begins[0] > 0.95, "one after the other; later if the machine is busy"


def test_a_clip_after_quiet_starts_when_it_is_heard(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    for _ in range(2):
        came_at = time.monotonic()
        clip = player.play(tone(60), RATE_HZ)
        eventually(lambda clip=clip: clip.started_at)
        assert clip.started_at >= came_at
        player.stop()
        assert clip.wait(10) == "stopped"
        threading.Event().wait(0.1)


def test_a_late_second_clip_is_mixed_with_the_rest_of_the_first(start: Callable[..., Player], ear: Any) -> None:
    player = start(ear)
    before, after = noise(0.5, 1), noise(1.0, 2)
    player.play(before, RATE_HZ)
    eventually(lambda: len(ear.blocks) > 27)  # more than half was written, and the rest is shorter than the seam
    last = player.play(after, RATE_HZ, seam_s=0.4)
    assert last.wait(10) == "finished"
    mixed = round(last.overlap_s * RATE_HZ)
    assert mixed < 0.24 * RATE_HZ
    expected = cross_fade_of_f5_tts(before, after, mixed) if mixed else np.concatenate([before, after])
    assert np.array_equal(ear.heard[: len(expected)], expected)


@pytest.mark.parametrize(
    ("silence", "clip_volume", "cause"),
    [
        (lambda player: None, None, None),
        (lambda player: player.set_muted(True), None, SilentCause.MUTED),
        (lambda player: player.set_volume(0), 50, SilentCause.VOLUME_0),
        (lambda player: None, 0, SilentCause.VOLUME_0),
        (lambda player: player.set_card_silence(CARD_MUTED), 50, SilentCause.CARD_MUTED),
    ],
)
def test_a_clip_keeps_why_it_could_not_be_heard(
    ear: Any, silence: Callable[[Player], None], clip_volume: int | None, cause: SilentCause | None
) -> None:
    player = Player(ear)
    silence(player)
    player.start()
    clip = player.play(tone(0.05), RATE_HZ, volume=clip_volume)
    assert clip.wait(10) == "finished"
    player.close(5)
    assert [found.cause for found in clip.silences] == ([] if cause is None else [cause])
    assert clip.devices == (ear.name,)


def test_the_silent_device_makes_no_sound(start: Callable[..., Player]) -> None:
    player = start(SilentSpeaker())
    clip = player.play(tone(0.05), RATE_HZ)
    assert clip.wait(10) == "finished"
    assert [found.cause for found in clip.silences] == [SilentCause.SILENT_DEVICE]
    assert player.silences() == clip.silences


def test_a_muted_card_is_a_problem_unless_the_device_is_lost() -> None:
    muted = SoundStatus("card", 0, 0, None, 0.0, None, CARD_MUTED)
    assert muted.problem == CARD_MUTED.sentence
    assert replace(muted, lost="the card is away").problem == "the card is away"
    assert replace(muted, substitute_reason="on another").problem == f"on another; {CARD_MUTED.sentence}"
