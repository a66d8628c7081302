"""What is cut for the device, sample by sample."""

from __future__ import annotations

import numpy as np

from ishowtts.playback.reel import Clip, Reel

BLOCK = 240


def tone(blocks: float, height: int = 10_000) -> Clip:
    return Clip(np.full(int(BLOCK * blocks), height, np.float32))


def reel_of(*clips: Clip) -> Reel:
    reel = Reel(BLOCK)
    for clip in clips:
        reel.add(clip)
    return reel


def test_two_clips_join_without_a_gap_and_untouched() -> None:
    reel = reel_of(tone(1.5, 100), tone(1.5, 200))
    blocks = [reel.next_block(1.0, False, 0.0) for _ in range(3)]
    heard = np.concatenate([block for block in blocks if block is not None])
    assert heard.tolist() == [100] * 360 + [200] * 360
    assert reel.next_block(1.0, False, 0.0) is None


def test_every_block_is_full_with_zeros_behind_the_end() -> None:
    block = reel_of(tone(0.5)).next_block(1.0, False, 0.0)
    assert block is not None
    assert block.tolist() == [10_000] * 120 + [0] * 120


def test_a_stop_fades_over_one_block_and_spares_what_comes_after() -> None:
    stopped, waiting, later = tone(9), tone(9), tone(2, 500)
    reel = reel_of(stopped, waiting)
    reel.next_block(1.0, False, 0.0)
    reel.stop()
    reel.add(later)
    fade = reel.next_block(1.0, False, 0.0)
    assert fade is not None
    assert (fade[0], fade[-1]) == (10_000, 0)
    assert int(np.abs(np.diff(fade.astype(int))).max()) <= 10_000 // (BLOCK - 1) + 1
    assert stopped.playing.wait(0) == waiting.playing.wait(0) == "stopped"
    after = reel.next_block(1.0, False, 0.0)
    assert after is not None
    assert after.tolist() == [500] * BLOCK
    assert later.playing.wait(0) == "playing"


def test_a_stop_ends_what_is_written_and_not_heard_yet() -> None:
    clip = tone(1)
    reel = reel_of(clip)
    reel.next_block(1.0, False, 0.0)
    reel.stop()
    assert reel.next_block(1.0, False, 0.0) is None
    assert clip.playing.wait(0) == "stopped"
    assert reel.end_heard(0.0, 1.0)
    assert not reel.end_heard(0.0, 1.0)


def test_nothing_is_cut_in_a_pause_after_a_clip_has_ended() -> None:
    reel = reel_of(tone(1))
    reel.next_block(1.0, False, 0.0)
    held = tone(1)
    reel.add(held)
    assert reel.next_block(1.0, True, 0.0) is None
    assert held.playing.started_at is None
    assert reel.next_block(1.0, False, 0.0) is not None


def test_a_pause_fades_and_its_end_fades_in_without_losing_a_sample() -> None:
    clip = tone(3)
    reel = reel_of(clip)
    reel.next_block(1.0, False, 0.0)
    fade = reel.next_block(1.0, True, 0.0)
    assert reel.next_block(1.0, True, 0.0) is None
    back = reel.next_block(1.0, False, 0.0)
    assert fade is not None
    assert back is not None
    assert (fade[0], fade[-1], back[0], back[-1]) == (10_000, 0, 0, 10_000)
    assert clip.taken


def test_a_clip_is_finished_when_its_last_sample_has_been_heard() -> None:
    clip = tone(1)
    reel = reel_of(clip)
    reel.next_block(1.0, False, 5.0)
    assert not reel.end_heard(5.0, 5.03)
    assert clip.playing.wait(0) == "playing"
    assert reel.end_heard(5.03, 9.0)
    assert clip.playing.wait(0) == "finished"
    assert clip.playing.started_at == 5.0
