"""A named pipe as a speaker: paced, bounded, and lost and found with its reader. Snapcast reads it in its own test."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from ishowtts.errors import SpeakerError
from ishowtts.playback import Speaker, pipe_speaker
from ishowtts.playback.pipe_speaker import PipeSpeaker
from ishowtts.playback.player import Player
from ishowtts.util import named_pipe
from support.waiting import eventually

RATE_HZ = 24_000
BYTES_PER_S = 192_000
NOISE = np.random.default_rng(0).integers(2000, 20_000, 12_000).astype(np.int16)


class Reader:
    """Reads a pipe in a thread, as the program behind it would: `chunk_s` of sound each `chunk_s` seconds.

    Args:
        path: The pipe.
        chunk_s: What it takes at a time; `None`: everything at once, as `cat` does.
    """

    def __init__(self, path: Path, chunk_s: float | None = None) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._chunk_s = chunk_s
        self._ended = threading.Event()
        self.received = bytearray()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> NDArray[np.int16]:
        whole = len(self.received) // 4 * 4
        return np.frombuffer(bytes(self.received[:whole]), "<i2").reshape(-1, 2)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        size = 1_000_000 if self._chunk_s is None else int(self._chunk_s * BYTES_PER_S)
        while not self._ended.wait(self._chunk_s or 0.001):
            with suppress(BlockingIOError):
                self.received += os.read(self._descriptor, size)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def reader(fifo: Path) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def start(chunk_s: float | None = None) -> Reader:
        made.append(Reader(fifo, chunk_s))
        return made[-1]

    yield start
    for each in made:
        if not each._ended.is_set():
            each.close()


@pytest.fixture
def speaker(fifo: Path) -> Iterator[PipeSpeaker]:
    speaker = PipeSpeaker(fifo)
    yield speaker
    speaker.close()


def play(speaker: Speaker, sound: NDArray[np.int16]) -> float:
    """Writes all of it and gives the seconds that took."""
    began = time.monotonic()
    for start in range(0, len(sound), 240):
        speaker.write(sound[start : start + 240])
        assert 0 <= speaker.delay_s() <= 0.13
    speaker.flush()
    speaker.drain()
    return time.monotonic() - began


@pytest.mark.parametrize("chunk_s", [None, 0.02])
def test_the_reader_gets_every_sample_at_48_khz_in_stereo_and_in_real_time(
    speaker: PipeSpeaker, reader: Callable[..., Reader], chunk_s: float | None
) -> None:
    assert isinstance(speaker, Speaker)
    other_end = reader(chunk_s)
    speaker.open(RATE_HZ)
    assert speaker.delay_s() == 0
    assert play(speaker, NOISE) >= 0.5
    assert speaker.delay_s() == 0
    eventually(lambda: len(other_end.frames) >= 24_000)
    frames = other_end.frames
    assert len(frames) == 24_000
    assert (frames[:, 0] == frames[:, 1]).all()
    expected = soxr.resample(NOISE.astype(np.float32), RATE_HZ, 48_000, quality="HQ")
    assert np.abs(frames[:, 0] - np.clip(expected, -32_768, 32_767)).max() <= 1.5
    assert speaker.underruns == 0
    assert speaker.away() is None


def test_the_pipe_never_holds_more_than_a_tenth_of_a_second(speaker: PipeSpeaker, fifo: Path) -> None:
    slow = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    speaker.open(RATE_HZ)
    writer = threading.Thread(target=play, args=(speaker, NOISE[:4800]), name="writer")
    writer.start()
    most_s = 0.0
    while writer.is_alive():
        time.sleep(0.01)
        most_s = max(most_s, named_pipe.queued_bytes(slow) / BYTES_PER_S)
        with suppress(BlockingIOError):
            os.read(slow, 960)  # half as fast as the sound
    assert 0.05 < most_s <= 0.1
    os.close(slow)


def test_the_first_write_after_quiet_is_a_whole_chunk_of_snapserver(speaker: PipeSpeaker, fifo: Path) -> None:
    other_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    speaker.open(RATE_HZ)
    for _ in range(2):
        while True:
            speaker.write(NOISE[:240])
            assert speaker.delay_s() > 0
            try:
                assert len(os.read(other_end, 100_000)) >= 0.02 * BYTES_PER_S
                break
            except BlockingIOError:
                pass
        speaker.flush()
        speaker.drop()
    # A sound that is shorter than that is not held back.
    speaker.write(NOISE[:240])
    speaker.flush()
    assert len(os.read(other_end, 100_000)) == 0.01 * BYTES_PER_S
    os.close(other_end)


def test_drop_takes_the_sound_out_of_the_pipe(speaker: PipeSpeaker, fifo: Path) -> None:
    other_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    speaker.open(RATE_HZ)
    for _ in range(5):
        speaker.write(NOISE[:240])
    assert speaker.delay_s() > 0.04
    speaker.drop()
    assert speaker.delay_s() == 0
    with pytest.raises(BlockingIOError):
        os.read(other_end, 1)
    os.close(other_end)


def test_a_pipe_that_nobody_reads_is_refused_in_a_sentence(speaker: PipeSpeaker, fifo: Path) -> None:
    with pytest.raises(SpeakerError, match=f"^nobody reads the pipe {fifo}; start snapserver, or another program"):
        speaker.open(RATE_HZ)
    with pytest.raises(SpeakerError, match="is not open"):
        speaker.write(NOISE[:240])
    assert speaker.away() is None
    assert speaker.delay_s() == 0


def test_a_reader_that_opens_the_pipe_again_and_again_is_found(speaker: PipeSpeaker, fifo: Path) -> None:
    """As snapserver does while there is no writer."""
    ended = threading.Event()
    held: list[int] = []

    def knock() -> None:
        while not ended.wait(0.1):
            descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            try:
                if os.read(descriptor, 1) == b"":
                    os.close(descriptor)
            except BlockingIOError:
                held.append(descriptor)
                return

    thread = threading.Thread(target=knock, name="knock")
    thread.start()
    speaker.open(RATE_HZ)
    ended.set()
    thread.join()
    assert speaker.away() is None
    os.close(held[0])


def test_a_reader_that_goes_is_noticed_while_idle_and_while_writing(
    speaker: PipeSpeaker, reader: Callable[..., Reader]
) -> None:
    first = reader()
    speaker.open(RATE_HZ)
    first.close()
    for ask in (speaker.away, lambda: speaker.write(NOISE[:960]), speaker.delay_s, speaker.drain):
        try:
            said = ask()
        except SpeakerError as error:
            said = str(error)
        assert "nobody reads the pipe" in str(said)


def test_a_reader_that_takes_nothing_is_a_lost_device(
    speaker: PipeSpeaker, fifo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_speaker, "_STALL_S", 0.05)
    frozen = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    speaker.open(RATE_HZ)
    with pytest.raises(SpeakerError, match="takes no sound; restart it"):
        play(speaker, NOISE)
    # A pipe of another program may have less room than the limit.
    speaker.open(RATE_HZ)
    os.read(frozen, 1_000_000)
    fcntl.fcntl(frozen, fcntl.F_SETPIPE_SZ, 4096)
    with pytest.raises(SpeakerError, match="takes no sound; restart it"):
        play(speaker, NOISE)
    os.close(frozen)


def test_a_pipe_that_the_sound_does_not_reach_in_time_counts_an_underrun(
    speaker: PipeSpeaker, reader: Callable[..., Reader]
) -> None:
    reader()
    speaker.open(RATE_HZ)
    for _ in range(3):
        speaker.write(NOISE[:960])
    assert speaker.underruns == 0
    time.sleep(0.2)
    speaker.write(NOISE[:960])
    assert speaker.underruns == 1
    speaker.flush()
    time.sleep(0.1)
    speaker.write(NOISE[:960])
    assert speaker.underruns == 1, "quiet is no underrun"


def test_only_a_named_pipe_is_opened(tmp_path: Path, fifo: Path) -> None:
    regular, link = tmp_path / "regular", tmp_path / "link"
    regular.write_bytes(b"precious")
    link.symlink_to(fifo)
    for path, why in (
        (tmp_path / "none", "does not exist; start the program that makes it, or run mkfifo"),
        (regular, "is not a named pipe; name another path"),
        (tmp_path, "is not a named pipe; name another path"),
        (link, "is a link, which is not followed; name the pipe itself"),
        (regular / "below", r"cannot be reached \(Not a directory\); let this user"),
    ):
        with pytest.raises(SpeakerError, match=why):
            PipeSpeaker(path).open(RATE_HZ)
    assert regular.read_bytes() == b"precious"


def test_a_line_waits_for_its_reader_and_a_skip_is_heard_within_150_ms(
    fifo: Path, reader: Callable[..., Reader]
) -> None:
    player = Player(PipeSpeaker(fifo))
    player.start()
    try:
        eventually(lambda: player.status().lost)
        assert player.play(NOISE[:240], RATE_HZ).wait(10) == "lost"
        other_end = reader(0.02)
        eventually(lambda: player.status().lost is None)
        clip = player.play(np.tile(NOISE, 20), RATE_HZ)
        eventually(lambda: len(other_end.frames) > 9600)
        player.stop()
        stopped_at = len(other_end.frames)
        assert clip.wait(10) == "stopped"
        eventually(lambda: not named_pipe.queued_bytes(other_end._descriptor))
        heard = np.flatnonzero(other_end.frames[:, 0])[-1] - stopped_at
        assert heard / 48_000 < 0.15
        other_end.close()
        eventually(lambda: player.status().lost)
        assert player.status().device_losses == 1
    finally:
        player.close(10)
