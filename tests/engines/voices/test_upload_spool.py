"""The parts of an upload become one recording, or are refused within limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.engines.voices.upload_spool import (
    MAX_UPLOADS,
    PART_TIMEOUT_S,
    UPLOAD_TIMEOUT_S,
    CompleteUpload,
    UploadSpool,
)
from ishowtts.errors import VoiceError
from ishowtts.limits import VOICE_PART_BYTES, VOICE_RECORDING_BYTES
from ishowtts.model import VoiceAbout, VoicePart
from support.clock import Clock

ABOUT = VoiceAbout("Some words.")
PIECES = (b"first ", b"second ", b"third")
KEY = ("anna", "u")


def part(number: int, data: bytes | None = None, parts: int = 3, upload: str = "u", name: str = "anna") -> VoicePart:
    data = PIECES[number] if data is None else data
    return VoicePart(name, upload, number, parts, data, ABOUT if number == 0 else None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> UploadSpool:
    return UploadSpool(tmp_path / ".uploads", clock)


def content(upload: CompleteUpload | None) -> bytes:
    assert upload is not None
    return (upload.folder / "recording").read_bytes()


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [0, 1, 1, 0, 2]], ids=["in order", "out of order", "twice"])
def test_parts_become_one_recording(spool: UploadSpool, order: list[int]) -> None:
    *before, last = (spool.add(part(number)) for number in order)
    assert before == [None] * len(before)
    assert content(last) == b"first second third"
    assert last is not None
    assert (last.key, last.about) == (KEY, ABOUT)
    assert [entry.name for entry in last.folder.iterdir()] == ["recording"]
    spool.discard(KEY)
    assert (len(spool), last.folder.exists()) == (0, False)


def test_a_recording_of_one_part_is_complete_at_once(spool: UploadSpool) -> None:
    assert content(spool.add(part(0, parts=1))) == b"first "


def test_an_upload_begins_with_part_0(spool: UploadSpool) -> None:
    with pytest.raises(VoiceError, match="part 0 of this upload is not here; send the recording again from part 0"):
        spool.add(part(1))
    assert len(spool) == 0


def test_parts_that_do_not_belong_together_are_refused(spool: UploadSpool) -> None:
    spool.add(part(0))
    with pytest.raises(VoiceError, match="parts is 2 here, and was 3 in part 0"):
        spool.add(part(1, parts=2))
    spool.add(part(1))
    with pytest.raises(VoiceError, match="part 1 came twice, with different content"):
        spool.add(part(1, b"other"))
    with pytest.raises(VoiceError, match="part 0 came twice, with different content"):
        spool.add(VoicePart("anna", "u", 0, 3, PIECES[0], VoiceAbout("Other words.")))


def test_a_recording_that_is_larger_than_allowed_is_refused_before_it_is_complete(spool: UploadSpool) -> None:
    fitting = VOICE_RECORDING_BYTES // VOICE_PART_BYTES
    for number in range(fitting):
        spool.add(part(number, bytes(VOICE_PART_BYTES), parts=1000))
    with pytest.raises(VoiceError, match="the recording has more than 12 MB"):
        spool.add(part(fitting, bytes(VOICE_PART_BYTES), parts=1000))
    spool.discard(KEY)


def test_only_some_uploads_can_be_in_progress(spool: UploadSpool, tmp_path: Path) -> None:
    for number in range(1000):
        if number < MAX_UPLOADS:
            spool.add(part(0, upload=str(number)))
        else:
            with pytest.raises(VoiceError, match="2 other uploads are not complete yet"):
                spool.add(part(0, upload=str(number)))
    assert len(list((tmp_path / ".uploads").iterdir())) == MAX_UPLOADS
    spool.discard(("anna", "0"))
    spool.add(part(0, upload="last"))


def test_an_upload_ends_if_its_parts_do_not_come(spool: UploadSpool, clock: Clock) -> None:
    spool.add(part(0))
    clock.now_s += PART_TIMEOUT_S
    spool.add(part(1))
    clock.now_s += PART_TIMEOUT_S
    assert spool.expired() == {}
    spool.extend(5.0)
    clock.now_s += 5.0
    assert spool.expired() == {}
    clock.now_s += 0.1
    told = "2 of 3 parts came, and then none for 60 s; send the recording again"
    assert spool.expired() == {KEY: told}


def test_a_repeated_part_does_not_keep_an_upload(spool: UploadSpool, clock: Clock) -> None:
    spool.add(part(0))
    for _ in range(3):
        clock.now_s += PART_TIMEOUT_S / 2
        spool.add(part(0))
    assert list(spool.expired()) == [KEY]


def test_an_upload_whose_parts_come_too_slowly_ends(spool: UploadSpool, clock: Clock) -> None:
    spool.add(part(0, parts=1000))
    count = int(UPLOAD_TIMEOUT_S / PART_TIMEOUT_S)
    for number in range(1, count + 1):
        clock.now_s += PART_TIMEOUT_S
        spool.add(part(number, b"slow", parts=1000))
        assert spool.expired() == {}
    clock.now_s += 1.0
    assert spool.expired() == {KEY: f"{count + 1} of 1000 parts came in 900 s; send the recording again, faster"}


def test_a_full_disk_is_told(small_disk: Path) -> None:
    spool = UploadSpool(small_disk / ".uploads")
    for number in range(16):
        spool.add(part(number, bytes(VOICE_PART_BYTES * 2), parts=100))
    with pytest.raises(VoiceError, match=r"\.uploads cannot be written \(No space left on device\); make room there"):
        spool.add(part(16, bytes(VOICE_PART_BYTES * 2), parts=100))
    spool.discard(KEY)
    assert list((small_disk / ".uploads").iterdir()) == []


def test_what_an_earlier_run_has_left_is_deleted_but_never_what_a_link_leads_to(
    spool: UploadSpool, tmp_path: Path
) -> None:
    spool.add(part(0))
    UploadSpool(tmp_path / ".uploads").clear()
    assert not (tmp_path / ".uploads").exists()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    (tmp_path / ".uploads").symlink_to(tmp_path / "precious")
    UploadSpool(tmp_path / ".uploads").clear()
    assert (tmp_path / "precious/file").exists()
    assert not (tmp_path / ".uploads").is_symlink()
