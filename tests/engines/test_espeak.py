"""espeak-ng speaks any text, as words and in the right language."""

from __future__ import annotations

import os
import re
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.engines import espeak as espeak_module
from ishowtts.engines.espeak import EspeakEngine, parse_wav, plain
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import Segment
from ishowtts.util import program

Say = Callable[..., Segment]


def never() -> bool:
    return False


def test_a_text_that_looks_like_an_option_is_spoken_and_reads_no_file(say: Say, tmp_path: Path) -> None:
    secret = tmp_path / "s"
    secret.write_text("one two three four five six seven eight nine ten " * 20)
    spoken = EspeakEngine().synthesize(say(f"-f{secret}"), never)
    assert 0.3 < spoken.audio_s < 30


def test_phoneme_markup_is_read_as_text(say: Say) -> None:
    engine = EspeakEngine()
    as_text = engine.synthesize(say("h@loU"), never)
    in_brackets = engine.synthesize(say("[[h@loU]]"), never)
    assert in_brackets.audio_s >= 0.9 * as_text.audio_s


@given(st.text(alphabet="[]\x01 \n\x85a") | st.text())
def test_phoneme_markup_and_control_characters_are_removed_from_any_text(text: str) -> None:
    assert "[[" not in plain(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in plain(text))


def test_the_length_in_the_header_is_ignored() -> None:
    header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 0x7FFFF024, b"WAVEfmt ", 16, 1, 1, 22050, 44100, 2, 16,
                         b"data", 0x7FFFF000)  # fmt: skip
    samples, rate_hz = parse_wav(header + b"\x01\x00\x02\x00\x03")
    assert samples.tolist() == [1, 2]
    assert rate_hz == 22050


@pytest.mark.parametrize("wav", [b"", b"RIFF", bytes(60), b"RIFF\0\0\0\0WAVEfmt " + bytes(60)])
def test_output_that_is_not_a_wav_is_a_synthesis_error(wav: bytes) -> None:
    with pytest.raises(SynthesisError):
        parse_wav(wav)


def test_an_empty_text_is_a_synthesis_error(say: Say) -> None:
    with pytest.raises(SynthesisError, match="no sound"):
        EspeakEngine().synthesize(say(""), never)


def test_lone_surrogates_are_spoken(say: Say) -> None:
    assert EspeakEngine().synthesize(say("hello \udcff world"), never).audio_s > 0.3


def test_an_unknown_voice_is_replaced_at_load() -> None:
    engine = EspeakEngine("klingon9")
    engine.load(lambda _: None)
    assert engine.voice == "en-us"
    assert re.search(r"'klingon9' .*does not exist.*`espeak-ng --voices`", engine.voice_problem or "")


@pytest.mark.parametrize("name", ["", "-f/etc/passwd", "../x", "a" * 33])
def test_an_invalid_name_of_a_voice_is_refused(name: str) -> None:
    with pytest.raises(VoiceError):
        EspeakEngine(name)


def test_a_missing_program_raises_with_the_fix(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"not installed.*apt install --reinstall espeak-ng"):
        EspeakEngine().synthesize(say("hello"), never)


@pytest.fixture
def frozen_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexec sleep 3600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("frozen_program")
def test_a_cancel_kills_the_program(say: Say) -> None:
    before = set(psutil.Process().children())
    cancel = threading.Event()
    since = time.monotonic()

    def cancelled() -> bool:
        if time.monotonic() - since > 0.2:
            cancel.set()
        return cancel.is_set()

    with pytest.raises(Cancelled):
        EspeakEngine().synthesize(say("hello"), cancelled)
    assert set(psutil.Process().children()) <= before


@pytest.mark.usefixtures("frozen_program")
def test_a_program_that_hangs_is_killed_at_its_deadline(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(psutil.Process().children())
    monkeypatch.setattr(espeak_module, "_DEADLINE_S", 0.2)
    with pytest.raises(EngineUnavailable, match=r"within 0\.2 s"):
        EspeakEngine().synthesize(say("hello"), never)
    assert set(psutil.Process().children()) <= before


def test_the_text_reaches_the_program_even_if_the_first_poll_times_out(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the first poll can end before anything was written; the program then waited for its text."""
    monkeypatch.setattr(program, "_CANCEL_POLL_S", 1e-9)
    monkeypatch.setattr(espeak_module, "_DEADLINE_S", 5.0)
    polls = []

    def cancelled() -> bool:
        polls.append(program._CANCEL_POLL_S)
        if len(polls) == 2:  # before the program is started, and after the first poll
            monkeypatch.setattr(program, "_CANCEL_POLL_S", 0.02)
        return False

    assert EspeakEngine().synthesize(say("one two three"), cancelled).audio_s > 0.5
    assert polls[:2] == [1e-9, 1e-9]


def test_speed_is_limited_to_the_range_of_the_program(say: Say) -> None:
    engine = EspeakEngine()
    slow, fast = (engine.synthesize(say("one two three four five", speed=s), never) for s in (0.5, 2.0))
    assert slow.audio_s > 2 * fast.audio_s
    assert np.array_equal(engine.synthesize(say("one two three four five", speed=9), never).samples, fast.samples)


@pytest.mark.parametrize(
    ("configured", "language", "voice"),
    [
        ("en-us", None, "en-us"), ("en-us", "en", "en-us"), ("en-us", "en-GB", "en-gb"), ("en-us", "de", "de"),
        ("en-us", "zh", "cmn"), ("en-us", "zh-TW", "cmn"), ("en-us", "ja", "ja"), ("en-us", "pt-BR", "pt-br"),
        ("en-gb", "en", "en-gb"), ("pt-br+f3", "pt", "pt-br+f3"), ("yue", "zh", "yue"), ("en-us", "zz", "en-us"),
        ("en-us", "../../etc", "en-us"), ("en-us", "nn", "no"), ("en-us", "in", "id"), ("en-us", "wuu", "cmn"),
    ],
)  # fmt: skip
def test_a_segment_is_spoken_in_its_language_if_espeak_has_it(
    configured: str, language: str | None, voice: str, say: Say
) -> None:
    spoken = EspeakEngine(configured).synthesize(say("Taxi 2", language=language), never)
    assert (spoken.voice, spoken.audio_s > 0.3) == (voice, True)


def test_it_knows_the_languages_that_the_program_has() -> None:
    engine = EspeakEngine()
    assert engine.languages() is None, "nobody has asked the program yet"
    engine.load(lambda _: None)
    languages = engine.languages() or frozenset()
    assert {"en", "zh", "ru", "de", "no", "ar", "th"} <= languages
    assert not {"zz", "en-us", "cmn"} & languages
