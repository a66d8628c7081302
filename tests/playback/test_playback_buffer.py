"""The blocks that the buffer cuts for the device, sample by sample."""

from __future__ import annotations

import numpy as np

from ishowtts.playback.playback_buffer import PlaybackBuffer, PlaybackClip

BLOCK = 240


def unity(_volume: int | None) -> float:
    return 1.0


def tone(blocks: float, height: int = 10_000) -> PlaybackClip:
    return PlaybackClip(np.full(int(BLOCK * blocks), height, np.float32))


def buffer_of(*clips: PlaybackClip) -> PlaybackBuffer:
    buffer = PlaybackBuffer(BLOCK)
    for clip in clips:
        buffer.add(clip)
    return buffer


def test_two_clips_join_without_a_gap_or_a_change() -> None:
    buffer = buffer_of(tone(1.5, 100), tone(1.5, 200))
    blocks = [buffer.next_block(unity, False, 0.0) for _ in range(3)]
    heard = np.concatenate([block for block in blocks if block is not None])
    assert heard.tolist() == [100] * 360 + [200] * 360
    assert buffer.next_block(unity, False, 0.0) is None


def test_every_block_is_full_with_zeros_after_the_end() -> None:
    block = buffer_of(tone(0.5)).next_block(unity, False, 0.0)
    assert block is not None
    assert block.tolist() == [10_000] * 120 + [0] * 120


def test_a_stop_fades_over_half_a_block_and_does_not_affect_later_clips() -> None:
    stopped, waiting, later = tone(9), tone(9), tone(2, 500)
    buffer = buffer_of(stopped, waiting)
    buffer.next_block(unity, False, 0.0)
    buffer.stop()
    buffer.add(later)
    fade = buffer.next_block(unity, False, 0.0)
    assert fade is not None
    assert (fade[0], fade[BLOCK // 2 - 1]) == (10_000, 0)
    assert not fade[BLOCK // 2 :].any(), "the fade is followed by silence"
    assert int(np.abs(np.diff(fade.astype(int))).max()) <= 10_000 // (BLOCK // 2 - 1) + 1
    assert stopped.playing.wait(0) == waiting.playing.wait(0) == "stopped"
    after = buffer.next_block(unity, False, 0.0)
    assert after is not None
    assert after.tolist() == [500] * BLOCK
    assert later.playing.wait(0) == "playing"


def test_a_stop_ends_clips_that_are_written_and_not_heard_yet() -> None:
    clip = tone(1)
    buffer = buffer_of(clip)
    buffer.next_block(unity, False, 0.0)
    buffer.stop()
    assert buffer.next_block(unity, False, 0.0) is None
    assert clip.playing.wait(0) == "stopped"
    assert buffer.end_heard(0.0, 1.0)
    assert not buffer.end_heard(0.0, 1.0)


def test_nothing_is_cut_in_a_pause_after_a_clip_has_ended() -> None:
    buffer = buffer_of(tone(1))
    buffer.next_block(unity, False, 0.0)
    held = tone(1)
    buffer.add(held)
    assert buffer.next_block(unity, True, 0.0) is None
    assert held.playing.started_at is None
    assert buffer.next_block(unity, False, 0.0) is not None


def test_a_pause_fades_and_its_end_fades_in_without_losing_a_sample() -> None:
    clip = tone(3)
    buffer = buffer_of(clip)
    buffer.next_block(unity, False, 0.0)
    fade = buffer.next_block(unity, True, 0.0)
    assert buffer.next_block(unity, True, 0.0) is None
    back = buffer.next_block(unity, False, 0.0)
    assert fade is not None
    assert back is not None
    assert (fade[0], fade[-1], back[0], back[-1]) == (10_000, 0, 0, 10_000)
    assert clip.taken


def test_a_clip_is_finished_when_its_last_sample_has_been_heard() -> None:
    clip = tone(1)
    buffer = buffer_of(clip)
    buffer.next_block(unity, False, 5.0)
    assert not buffer.end_heard(5.0, 5.03)
    assert clip.playing.wait(0) == "playing"
    assert buffer.end_heard(5.03, 9.0)
    assert clip.playing.wait(0) == "finished"
    assert clip.playing.started_at == 5.0


def seam_of_upstream(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """The cross-fade of F5-TTS (f5_tts/infer/utils_infer.py, infer_batch_process), rounded to int16."""
    prev_overlap, next_overlap = before[-count:], after[:count]
    fade_out = np.linspace(1, 0, count)
    fade_in = np.linspace(0, 1, count)
    cross_faded_overlap = prev_overlap * fade_out + next_overlap * fade_in
    whole = np.concatenate([before[:-count], cross_faded_overlap, after[count:]])
    return np.rint(whole.astype(np.float32)).astype(np.int16)


def speech(blocks: float, seed: int) -> np.ndarray:
    """Returns noise: a fade at the wrong place changes its samples."""
    return np.random.default_rng(seed).integers(-20_000, 20_000, int(BLOCK * blocks)).astype(np.float32)


def wave(blocks: float, phase: float) -> np.ndarray:
    """Returns a smooth tone: any jump in it comes from the buffer."""
    return (9_000 * np.sin(phase + 0.02 * np.arange(int(BLOCK * blocks)))).astype(np.float32)


def heard_from(buffer: PlaybackBuffer) -> np.ndarray:
    blocks = []
    while (block := buffer.next_block(unity, False, 0.0)) is not None:
        blocks.append(block)
    return np.concatenate(blocks)


def jump(sound: np.ndarray) -> int:
    return int(np.abs(np.diff(sound.astype(int))).max())


def test_a_seam_is_the_cross_fade_of_f5_tts_at_any_position_of_the_first_clip() -> None:
    before, after = speech(10, 1), speech(8, 2)
    expected = seam_of_upstream(before, after, 3 * BLOCK + 7)
    for written in range(7):
        buffer = buffer_of(PlaybackClip(before.copy()))
        blocks = [buffer.next_block(unity, False, 0.0) for _ in range(written)]
        assert buffer.add(PlaybackClip(after.copy()), 3 * BLOCK + 7) == 3 * BLOCK + 7
        heard = np.concatenate([*(block for block in blocks if block is not None), heard_from(buffer)])
        assert np.array_equal(heard[: len(expected)], expected)
        assert not heard[len(expected) :].any()


def test_three_clips_keep_two_seams() -> None:
    parts = [speech(6, seed) for seed in range(3)]
    buffer = buffer_of(PlaybackClip(parts[0].copy()))
    assert [buffer.add(PlaybackClip(part.copy()), BLOCK) for part in parts[1:]] == [BLOCK, BLOCK]
    first_two = seam_of_upstream(parts[0], parts[1], BLOCK).astype(np.float32)
    expected = seam_of_upstream(first_two, parts[2], BLOCK)
    assert np.array_equal(heard_from(buffer)[: len(expected)], expected)


def test_a_late_clip_is_mixed_with_the_rest_and_a_later_one_not_at_all() -> None:
    before, after = wave(5, 0), wave(5, 1.0)
    buffer = buffer_of(PlaybackClip(before.copy()))
    blocks = [buffer.next_block(unity, False, 0.0) for _ in range(4)]
    assert buffer.add(PlaybackClip(after.copy()), 3 * BLOCK) == BLOCK
    heard = np.concatenate([*(block for block in blocks if block is not None), heard_from(buffer)])
    assert np.array_equal(heard, seam_of_upstream(before, after, BLOCK))
    assert buffer.add(PlaybackClip(after.copy()), 3 * BLOCK) == 0, "the clip before has gone to the device"
    assert np.array_equal(heard_from(buffer), np.rint(after).astype(np.int16))


def test_a_seam_takes_at_most_half_of_either_clip() -> None:
    buffer = buffer_of(tone(10))
    assert buffer.add(tone(2), 9 * BLOCK) == BLOCK
    assert buffer.add(tone(10), 9 * BLOCK) == BLOCK // 2


def test_a_seam_has_no_larger_jumps_than_its_clips() -> None:
    before, after = wave(5, 0), wave(5, 2.5)
    butted = buffer_of(PlaybackClip(before.copy()), PlaybackClip(after.copy()))
    seamed = buffer_of(PlaybackClip(before.copy()))
    seamed.add(PlaybackClip(after.copy()), 2 * BLOCK)
    material = max(jump(before), jump(after))
    assert jump(heard_from(butted)) > 5 * material
    # The fade adds the amplitude of both clips, spread over its length.
    assert jump(heard_from(seamed)) <= material + 2 * 9_000 / (2 * BLOCK) + 1


def test_the_end_of_a_clip_fades_before_one_that_does_not_match_it() -> None:
    fade = BLOCK // 4
    buffer = buffer_of(tone(3, 9_000))
    assert buffer.add(tone(1, 0), fade_out=fade) == 0
    heard = heard_from(buffer)
    assert jump(heard) <= 9_000 * np.pi / 2 / fade + 1, "the steepest step of a raised cosine"
    assert (heard[: 3 * BLOCK - fade] == 9_000).all(), "nothing else changes"
    assert heard[3 * BLOCK - fade // 2 - 1] == 4_500


def test_what_has_gone_to_the_device_does_not_fade() -> None:
    buffer = buffer_of(tone(1.5, 9_000), tone(0))
    blocks = [buffer.next_block(unity, False, 0.0) for _ in range(2)]
    buffer.add(tone(1, 500), fade_out=60)
    heard = np.concatenate([*(block for block in blocks if block is not None), heard_from(buffer)])
    assert heard.tolist() == [9_000] * 360 + [0] * 120 + [500] * 240


def test_a_clip_that_is_cross_faded_does_not_fade_besides() -> None:
    before, after = speech(4, 1), speech(4, 2)
    buffer = buffer_of(PlaybackClip(before.copy()))
    assert buffer.add(PlaybackClip(after.copy()), BLOCK, fade_out=60) == BLOCK
    assert np.array_equal(heard_from(buffer)[: 7 * BLOCK], seam_of_upstream(before, after, BLOCK))


def test_a_stop_in_the_middle_of_a_seam_fades_and_ends_both() -> None:
    first, second = PlaybackClip(wave(4, 0)), PlaybackClip(wave(4, 2.5))
    material = jump(first.samples)
    buffer = buffer_of(first)
    buffer.add(second, 2 * BLOCK)
    blocks = [buffer.next_block(unity, False, 0.0) for _ in range(3)]  # the third is the first half of the seam
    buffer.stop()
    blocks.append(buffer.next_block(unity, False, 0.0))
    heard = np.concatenate([block for block in blocks if block is not None])
    assert len(heard) == 4 * BLOCK
    assert heard[-1] == 0
    assert jump(heard) <= material + 2 * 9_000 / (2 * BLOCK) + 9_000 / (BLOCK // 2 - 1) + 1
    assert first.playing.wait(0) == second.playing.wait(0) == "stopped"
    assert buffer.next_block(unity, False, 0.0) is None


def test_a_pause_in_the_middle_of_a_seam_loses_no_sample() -> None:
    before, after = wave(4, 0), wave(4, 2.5)
    buffer = buffer_of(PlaybackClip(before.copy()))
    buffer.add(PlaybackClip(after.copy()), 2 * BLOCK)
    blocks = [buffer.next_block(unity, False, 0.0) for _ in range(2)]
    blocks.append(buffer.next_block(unity, True, 0.0))
    assert buffer.next_block(unity, True, 0.0) is None
    rest = heard_from(buffer)
    expected = seam_of_upstream(before, after, 2 * BLOCK)
    heard = np.concatenate([*(block for block in blocks if block is not None), rest])
    untouched = np.r_[0 : 2 * BLOCK, 4 * BLOCK : len(expected)]  # between them one block fades out and one in
    assert len(heard) == len(expected)
    assert np.array_equal(heard[untouched], expected[untouched])
    assert heard[3 * BLOCK - 1] == heard[3 * BLOCK] == 0


def test_a_clip_with_its_own_volume_has_its_own_gain() -> None:
    buffer = PlaybackBuffer(BLOCK)
    buffer.add(PlaybackClip(np.full(BLOCK, 1000, np.float32), volume=30))
    levels: list[int | None] = []

    def level_of(volume: int | None) -> float:
        levels.append(volume)
        return 0.5

    block = buffer.next_block(level_of, False, 0.0)
    assert (levels, block.tolist()) == ([30], [500] * BLOCK)
