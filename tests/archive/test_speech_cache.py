"""Cached speech is as it was synthesised, or absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ishowtts.archive import ArchiveWriter, CachedSegmentation, SpeechCache
from ishowtts.archive.speech_cache import key_of, pack
from ishowtts.model import Utterance

Settle = Callable[[], None]
KEY = key_of({"text": "hello"})
SOUND = Utterance(np.random.default_rng(0).integers(-32768, 32767, 500).astype(np.int16), 24_000, 1.5, "f5", "anna", 7)


@pytest.fixture
def cache(tmp_path: Path, writer: ArchiveWriter) -> SpeechCache:
    return SpeechCache(tmp_path, 1_000_000, writer, lambda: True)


def same(one: Utterance | None, other: Utterance) -> bool:
    return one is not None and np.array_equal(one.samples, other.samples) and one.samples.dtype == np.int16


def test_a_sound_is_read_back_with_its_header(cache: SpeechCache, settle: Settle) -> None:
    assert cache.find_speech(KEY) is None
    cache.store_speech(KEY, SOUND)
    settle()
    found = cache.find_speech(KEY)
    assert same(found, SOUND)
    assert found is not None
    expected = replace(found, samples=SOUND.samples)
    assert expected == replace(SOUND, synth_s=0.0, cached=True)


def test_a_segmentation_is_read_back(cache: SpeechCache, settle: Settle) -> None:
    segmentation = CachedSegmentation(("Hello there.", "你好。", "\N{SPEAKER}"), 0.15)
    cache.store_segmentation(KEY, segmentation)
    settle()
    assert cache.find_segmentation(KEY) == segmentation
    assert cache.find_speech(KEY) is None


def test_every_changed_byte_of_an_entry_is_noticed(
    cache: SpeechCache, settle: Settle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store_speech(KEY, SOUND)
    settle()
    path = tmp_path / f"{KEY}.speech"
    whole = path.read_bytes()
    body = len(whole) - SOUND.samples.nbytes
    regions = [*range(body + 4), *range(body, len(whole), 97), len(whole) - 1]
    damaged = [whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :] for at in regions]
    damaged += [whole[:length] for length in (0, 1, 40, body, len(whole) - 1)] + [whole + b"\0"]
    for entry in damaged:
        path.write_bytes(entry)
        caplog.clear()
        assert cache.find_speech(KEY) is None
        settle()
        assert not path.exists()
        assert len(caplog.records) == 1
    cache.store_speech(KEY, SOUND)
    settle()
    assert same(cache.find_speech(KEY), SOUND)


HEADER = {"key": KEY, "rate_hz": 24_000, "engine": "f5", "voice": "a", "nfe_step": None, "samples": 2}


@pytest.mark.parametrize(
    "foreign",
    [
        pack({**HEADER, "key": key_of({"text": "good bye"})}, b"\0\0\0\0"),
        pack({**HEADER, "samples": 3}, b"\0\0\0\0"),
        pack({**HEADER, "rate_hz": 10**9}, b"\0\0\0\0"),
        pack({**HEADER, "rate_hz": True}, b"\0\0\0\0"),
        pack({**HEADER, "engine": None}, b"\0\0\0\0"),
        pack({**HEADER, "nfe_step": "7"}, b"\0\0\0\0"),
        pack({**HEADER, "nfe_step": 10**3000}, b"\0\0\0\0"),
        pack({}, b"\0\0\0\0"),
        pack(HEADER, b"\0\0\0"),
        pack({**HEADER, "voice": "a" * 5000}, b"\0\0\0\0"),
        b"RIFF\0\0\0\0WAVEfmt " * 20,
        b"\n" * 500,
    ],
)
def test_a_complete_entry_with_a_wrong_header_is_removed(
    cache: SpeechCache, settle: Settle, tmp_path: Path, foreign: bytes
) -> None:
    (tmp_path / f"{KEY}.speech").write_bytes(foreign)
    assert cache.find_speech(KEY) is None
    settle()
    assert not (tmp_path / f"{KEY}.speech").exists()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'[""]', b"[1]", b"[" * 100_000, b'"a"'])
def test_an_invalid_segmentation_is_removed(cache: SpeechCache, settle: Settle, tmp_path: Path, body: bytes) -> None:
    (tmp_path / f"{KEY}.cut").write_bytes(pack({"key": KEY, "seam_s": 0.1}, body))
    assert cache.find_segmentation(KEY) is None
    settle()
    assert not (tmp_path / f"{KEY}.cut").exists()


def test_entries_that_are_used_are_evicted_last(tmp_path: Path, writer: ArchiveWriter, settle: Settle) -> None:
    cache = SpeechCache(tmp_path, 12_288, writer, lambda: True)  # three entries
    keys = [key_of({"text": str(number)}) for number in range(6)]
    for key in keys:
        cache.store_speech(key, SOUND)
        settle()
        assert cache.find_speech(keys[0]) is not None
        settle()
    assert cache.has(keys[0])
    assert not cache.has(keys[1])


def test_a_slow_disk_costs_the_entry_and_no_time(tmp_path: Path) -> None:
    writer = ArchiveWriter(lambda: None, lambda: None, most_bytes=2000)  # not started, as if the disk hangs
    cache = SpeechCache(tmp_path, 1_000_000, writer, lambda: True)
    for number in range(3):
        cache.store_speech(key_of({"text": str(number)}), SOUND)
    writer.start()
    writer.close(5)
    assert [cache.has(key_of({"text": str(number)})) for number in range(3)] == [True, False, False]
    assert (tmp_path / f"{key_of({'text': '0'})}.speech").stat().st_mode & 0o777 == 0o600


def test_different_fields_have_different_keys() -> None:
    all_fields = [{"a": 1, "b": 2}, {"a": 1, "b": "2"}, {"a": 12}, {"a": 1}, {"a": None}, {"a": 1.5}, {"a": "é"}]
    assert len({key_of(fields) for fields in all_fields}) == len(all_fields)
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
