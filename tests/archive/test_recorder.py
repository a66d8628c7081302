"""Each spoken line is on disk: one FLAC as it was heard, and a description beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.archive import ArchiveWriter, Recorder, Recording
from ishowtts.archive.bounded_folder import BoundedFolder
from ishowtts.model import Line, Priority, Samples, Utterance
from ishowtts.playback.playback_buffer import PlaybackBuffer, PlaybackClip
from support.disk import fill

Settle = Callable[[], None]
LINE = Line("../../etc/passwd", "Hello.", "anna", Priority.HIGH, author="bob", sent_text="Hello!!!!!!!!!!!!")
STARTED_AT = 1_790_000_000.25
NAME = re.compile(r"20260921T141320\.250Z-\d{4}")


def noise(seconds: float, seed: int = 0, rate_hz: int = 24_000) -> Utterance:
    samples = np.random.default_rng(seed).integers(-20_000, 20_000, int(seconds * rate_hz)).astype(np.int16)
    return Utterance(samples, rate_hz, 0.5, "f5", "anna", 7)


@pytest.fixture
def recorder(tmp_path: Path, writer: ArchiveWriter) -> Recorder:
    return Recorder(tmp_path, 2_000_000, writer, lambda: True)


def begin(recorder: Recorder, line: Line = LINE, position: int = 0) -> Any:
    return recorder.begin(Recording(line, "Hello as it is read.", position, STARTED_AT))


def recordings(place: Path) -> list[tuple[dict[str, Any], Samples]]:
    """Descriptions and sounds, by name."""
    found = []
    for path in sorted(place.glob("*.flac")):
        assert NAME.fullmatch(path.stem)
        assert path.stat().st_mode & 0o777 == 0o640
        samples, rate_hz = soundfile.read(path, dtype="int16")
        description = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert description["audio_s"] == round(len(samples) / rate_hz, 3)
        found.append((description, samples))
    return found


def test_a_line_is_recorded_as_it_was_heard(recorder: Recorder, settle: Settle, tmp_path: Path) -> None:
    take = begin(recorder)
    take.add(noise(1.0))
    take.end("finished")
    settle()
    [(description, samples)] = recordings(tmp_path)
    assert np.array_equal(samples, noise(1.0).samples)
    assert description == {
        "id": "../../etc/passwd",
        "sent": "Hello!!!!!!!!!!!!",
        "text": "Hello.",
        "read": "Hello as it is read.",
        "position": 0,
        "voice": "anna",
        "engine": "f5",
        "nfe_step": 7,
        "author": "bob",
        "priority": "high",
        "outcome": "finished",
        "ts": "2026-09-21T14:13:20.250Z",
        "heard_at": "2026-09-21T14:13:20.250Z",
        "audio_s": 1.0,
        "cached": False,
    }


def test_cross_fades_are_those_of_the_player(recorder: Recorder, settle: Settle, tmp_path: Path) -> None:
    parts = [noise(seconds, seed) for seed, seconds in enumerate([1.0, 0.2, 0.05, 1.0, 0.5])]
    reel, take, clips = PlaybackBuffer(240), begin(recorder), []
    for at, part in enumerate(parts):
        clips.append(PlaybackClip(part.samples.astype(np.float32)))
        # Before the last one the player was empty: it follows without an overlap.
        overlap = reel.add(clips[-1], 3600) if 0 < at < 4 else 0
        if overlap == 0 and at:
            clips[-1].samples = part.samples.astype(np.float32)
        take.add(part, overlap / 24_000)
    take.end("finished")
    settle()
    [(_, samples)] = recordings(tmp_path)
    assert np.array_equal(samples, np.rint(np.concatenate([clip.samples for clip in clips])).astype(np.int16))


def test_an_interrupted_line_has_one_recording_up_to_there_and_another_after_that(
    recorder: Recorder, settle: Settle, tmp_path: Path
) -> None:
    first = begin(recorder)
    first.add(noise(1.0, 1))
    first.end("interrupted")
    second = begin(recorder, position=9)
    second.add(replace(noise(0.5, 2), cached=True))
    second.end("finished")
    settle()
    description = [description for description, _ in recordings(tmp_path)]
    assert [(one["outcome"], one["position"], one["cached"]) for one in description] == [
        ("interrupted", 0, False),
        ("finished", 9, True),
    ]


def test_a_line_without_sound_leaves_nothing_and_a_second_end_does_nothing(
    recorder: Recorder, settle: Settle, tmp_path: Path
) -> None:
    begin(recorder).end("failed")
    take = begin(recorder)
    take.add(noise(0.1))
    take.end("finished")
    take.end("cancelled")
    take.add(noise(0.1))
    settle()
    assert [description["outcome"] for description, _ in recordings(tmp_path)] == ["finished"]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_fallback_is_resampled_to_the_rate_of_the_line(recorder: Recorder, settle: Settle, tmp_path: Path) -> None:
    take = begin(recorder)
    take.add(noise(1.0))
    take.add(replace(noise(1.0, rate_hz=22_050), engine="espeak", voice="en-us", nfe_step=None))
    take.end("finished")
    settle()
    [(description, samples)] = recordings(tmp_path)
    assert abs(len(samples) - 48_000) < 10
    assert (description["engine"], description["voice"], description["nfe_step"]) == ("espeak", "en-us", None)


def test_the_oldest_recordings_are_evicted_first_with_their_descriptions(
    recorder: Recorder, settle: Settle, tmp_path: Path
) -> None:
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "song.flac").write_bytes(b"x" * 3_000_000)
    for number in range(8):
        take = begin(recorder, replace(LINE, id=str(number)))
        take.add(noise(10.0, number))
        take.end("finished")
        settle()
    (tmp_path / "song.flac").unlink()
    kept = [description["id"] for description, _ in recordings(tmp_path)]
    assert kept
    assert kept == [str(number) for number in range(8)][-len(kept) :]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2_000_000
    assert len(list(tmp_path.iterdir())) == 2 * len(kept) + 1


def test_a_line_that_is_longer_than_the_bound_is_not_recorded_and_the_next_one_is(
    recorder: Recorder, settle: Settle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    take = begin(recorder)
    for number in range(10):
        take.add(noise(10.0, number))
    take.end("finished")
    settle()
    assert list(tmp_path.iterdir()) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    take = begin(recorder)
    take.add(noise(1.0))
    take.end("finished")
    settle()
    assert len(recordings(tmp_path)) == 1


def test_a_full_disk_costs_the_recording_and_is_reported_in_one_sentence(
    small_disk: Path, writer: ArchiveWriter, settle: Settle, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    recorder = Recorder(small_disk, 100_000_000, writer, lambda: True)
    for _ in range(3):
        take = begin(recorder)
        for number in range(4):
            take.add(noise(10.0, number))
        take.end("finished")
        settle()
    assert recorder.folder.problem is not None
    assert "record_dir" in recorder.folder.problem
    assert list(small_disk.iterdir()) == []
    fill(small_disk)
    take = begin(recorder)
    take.add(noise(1.0))
    take.end("finished")
    settle()
    assert len(caplog.records) <= 2
    assert capfd.readouterr().err == "", "only the log reports it"


def test_a_short_disk_stops_recording_and_evicts_no_recording(
    tmp_path: Path, writer: ArchiveWriter, settle: Settle
) -> None:
    free = [True]
    recorder = Recorder(tmp_path, 2_000_000, writer, lambda: free[0])
    for wanted in (True, False):
        free[0] = wanted
        take = begin(recorder)
        take.add(noise(1.0))
        take.end("finished")
        settle()
    assert len(recordings(tmp_path)) == 1
    assert recorder.folder.problem is not None
    assert "limits.min_free_mb" in recorder.folder.problem


def test_a_slow_disk_costs_the_whole_recording_because_a_gap_would_be_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = ArchiveWriter(lambda: None, lambda: None, most_bytes=100_000)  # not started, as if the disk hangs
    take = begin(Recorder(tmp_path, 2_000_000, writer, lambda: True))
    for number in range(4):
        take.add(noise(1.0, number))
    take.end("finished")
    writer.start()
    writer.close(5)
    assert list(tmp_path.iterdir()) == []
    assert len(caplog.records) == 1


def test_no_name_is_used_twice(tmp_path: Path, writer: ArchiveWriter, settle: Settle) -> None:
    for _ in range(3):  # three starts at the same time of the clock
        take = begin(Recorder(tmp_path, 2_000_000, writer, lambda: True))
        take.add(noise(0.1))
        take.end("finished")
        settle()
    assert len(recordings(tmp_path)) == 3


def test_the_draft_of_a_killed_daemon_is_removed(recorder: Recorder, settle: Settle, tmp_path: Path) -> None:
    take = begin(recorder)
    take.add(noise(1.0))
    take.add(noise(1.0, 1))
    settle()
    [draft] = tmp_path.iterdir()
    assert draft.suffix == ".part"
    again: BoundedFolder = Recorder(tmp_path, 2_000_000, ArchiveWriter(list, list), lambda: True).folder
    again.open()
    assert list(tmp_path.iterdir()) == []
    take.end("finished")
    settle()
