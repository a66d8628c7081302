"""The chime before a line: the built-in one, and sound files with any content."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ishowtts.errors import OperatorFileError
from ishowtts.playback import chime_files
from ishowtts.playback.chime_files import ChimeFiles
from ishowtts.playback.tones import bell_chime

RATE_HZ = 44_100


def tone(length_s: float = 0.3, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    return np.asarray(0.25 * np.sin(2 * np.pi * 440 * np.arange(int(length_s * rate_hz)) / rate_hz))


def write(folder: Path, file: str, samples: NDArray[np.float64] | None = None, rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(folder / file, tone() if samples is None else samples, rate_hz)
    return folder / file


def refused(chimes: ChimeFiles, name: str) -> str:
    with pytest.raises(OperatorFileError) as error:
        chimes.find(name)
    return str(error.value)


def pitch_hz(samples: NDArray[np.int16], rate_hz: int) -> float:
    """Returns the frequency of the strongest tone, to 1 Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), rate_hz))
    return float(np.argmax(spectrum))


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
def test_the_built_in_chime_is_two_falling_notes_that_decay_without_a_click(rate_hz: int) -> None:
    chime = bell_chime(rate_hz)
    assert len(chime) == round(0.7 * rate_hz)
    assert 20 * np.log10(np.abs(chime).max() / 32767) == pytest.approx(-6, abs=0.01)
    first, second = chime[: rate_hz // 5], chime[rate_hz // 5 :]
    assert pitch_hz(first, rate_hz) == pytest.approx(659, abs=5)
    assert pitch_hz(second, rate_hz) == pytest.approx(523, abs=5)
    assert chime[0] == chime[-1] == 0
    edge = rate_hz // 2000
    assert np.abs(chime[:edge]).max() < 1600, "no jump within half a millisecond"
    assert np.abs(chime[-edge:]).max() < 30
    loudness = [np.sqrt(np.mean(np.square(part, dtype=float))) for part in np.array_split(second[rate_hz // 100 :], 8)]
    assert loudness == sorted(loudness, reverse=True), "the level only falls"


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_file_is_read_as_it_is_and_stereo_is_mixed_to_mono(tmp_path: Path, kind: str) -> None:
    write(tmp_path, f"bell.{kind}", np.stack([tone(), 0 * tone()], axis=1))
    samples, rate_hz = ChimeFiles(tmp_path).find("bell")
    assert (samples.dtype, rate_hz, samples.shape) == (np.int16, RATE_HZ, tone().shape)
    assert np.abs(samples / 32768 - tone() / 2)[200:-200].max() < 0.02  # Vorbis loses a little


def test_an_int16_file_is_read_bit_by_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    soundfile.write(tmp_path / "bell.wav", noise, RATE_HZ)
    assert np.array_equal(ChimeFiles(tmp_path).find("bell")[0], noise)


def test_default_is_the_built_in_chime_until_a_file_replaces_it(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path / "chimes")
    assert chimes.names() == ["default"]
    built_in, rate_hz = chimes.find("default")
    assert np.array_equal(built_in, bell_chime(rate_hz))
    chimes.folder.mkdir()
    write(chimes.folder, "default.flac")
    assert chimes.find("default")[1] == RATE_HZ


def test_a_change_of_the_folder_takes_effect_at_once_and_is_read_once(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path)
    assert "there is no chime 'bell'" in refused(chimes, "bell")
    path = write(tmp_path, "bell.ogg")
    first, _ = chimes.find("bell")
    assert chimes.names() == ["bell", "default"]
    assert chimes.find("bell")[0] is first
    write(tmp_path, "bell.ogg", tone(0.1))
    assert len(chimes.find("bell")[0]) < len(first)
    write(tmp_path, "bell.wav", tone(0.2))
    assert len(chimes.find("bell")[0]) == len(tone(0.2)), "of two files the WAV is preferred"
    path.unlink()
    (tmp_path / "bell.wav").unlink()
    assert "the chimes are default" in refused(chimes, "bell")


def test_only_a_few_sounds_stay_in_memory(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path)
    for number in range(20):
        write(tmp_path, f"bell-{number}.wav")
    sounds = [chimes.find(f"bell-{number}")[0] for number in range(20)]
    assert chimes.find("bell-19")[0] is sounds[19]
    assert chimes.find("bell-0")[0] is not sounds[0]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../bell", "chimes/bell", "bell.wav", "/bell", "BELL", "a" * 65, "b\0"]
)
def test_a_name_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "chimes"
    folder.mkdir()
    for place in (tmp_path, folder):
        write(place, "bell.wav")
    write(folder, "BELL.wav")
    write(folder, f"{'a' * 65}.wav")
    chimes = ChimeFiles(folder)
    assert chimes.names() == ["bell", "default"]
    assert "there is no chime" in refused(chimes, name)


def no_numbers(path: Path) -> None:
    soundfile.write(path, np.full(999, np.nan), RATE_HZ, subtype="FLOAT")


def another_format(path: Path) -> None:
    soundfile.write(path, tone(), RATE_HZ, format="AIFF")


def a_link(path: Path) -> None:
    outside = write(path.parent.parent, "outside.wav")
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_text("no sound"), "is not a sound"),
        (lambda path: path.write_bytes(b""), "is not a sound"),
        (lambda path: path.write_bytes(b"RIFF" + bytes(11_000_000)), "it is larger than 10 MB"),
        (lambda path: soundfile.write(path, tone(10.1, 8_000), 8_000), "is longer than 10 s"),
        (lambda path: soundfile.write(path, tone()[:0], RATE_HZ), "holds no sound"),
        (no_numbers, "holds no sound"),
        (another_format, "holds AIFF; save it as WAV, FLAC or OGG"),
        (lambda path: soundfile.write(path, np.zeros((99, 6)), RATE_HZ), "has 6 channels"),
        (lambda path: soundfile.write(path, tone(0.1, 4_000), 4_000), "at 4000 Hz"),
        (lambda path: path.mkdir(), "it is not a regular file"),
        (os.mkfifo, "it is not a regular file"),
        (a_link, "is a link"),
        (lambda path: path.symlink_to(path), "is a link"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_reported_in_one_sentence_until_it_is_fixed(
    tmp_path: Path, spoil: Callable[[Path], object], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "chimes"
    folder.mkdir()
    path = folder / "bell.wav"
    spoil(path)
    chimes = ChimeFiles(folder)
    assert chimes.names() == ["bell", "default"]
    assert chimes.fault is None, "nobody has asked for it yet"
    with caplog.at_level(logging.WARNING):
        sentence = refused(chimes, "bell")
        assert refused(chimes, "bell") == sentence
    assert says in sentence
    assert sentence.startswith(f"{path}: ")
    assert len(sentence.splitlines()) == len(caplog.records) == 1
    assert chimes.fault == sentence

    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    assert chimes.fault is None
    write(folder, "bell.wav")
    chimes.find("bell")
    assert chimes.fault is None


def test_a_configured_chime_that_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path, wanted="bell")
    assert chimes.fault is not None
    assert chimes.fault.startswith("audio.chime: there is no chime 'bell'")
    refused(chimes, "gong")
    assert "gong" not in chimes.fault, "a line with an unknown chime is not a fault of the appliance"
    write(tmp_path, "bell.wav")
    assert chimes.fault is None


def test_an_unreadable_folder_is_reported_and_leaves_the_default_name(tmp_path: Path) -> None:
    (tmp_path / "chimes").write_text("a file")
    chimes = ChimeFiles(tmp_path / "chimes", wanted="bell")
    assert chimes.names() == ["default"]
    assert "the chimes cannot be read (Not a directory)" in refused(chimes, "default")
    assert chimes.fault is not None


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_any_content_of_a_file_gives_a_sound_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("chimes")
    path = write(folder, f"bell.{kind}", tone(0.05))
    intact = path.read_bytes()

    @settings(max_examples=60, deadline=None)
    @given(at=st.integers(0, len(intact) - 1), damage=st.binary(max_size=12), ends=st.booleans())
    def check(at: int, damage: bytes, ends: bool) -> None:
        path.write_bytes(intact[:at] + damage + (b"" if ends else intact[at + len(damage) :]))
        chimes = ChimeFiles(folder)
        try:
            samples, rate_hz = chimes.find("bell")
        except OperatorFileError:
            assert chimes.fault is not None
            assert len(chimes.fault.splitlines()) == 1
        else:
            assert samples.dtype == np.int16
            assert 0 < len(samples) <= chime_files.MAX_S * rate_hz

    check()


def test_make_writes_the_default_once_and_readable_for_everybody(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path / "state/chimes")
    made = chimes.make()
    assert made == tmp_path / "state/chimes/default.wav"
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    samples, rate_hz = chimes.find("default")
    assert np.array_equal(samples, bell_chime(rate_hz))
    written = made.stat().st_mtime_ns
    assert chimes.make() is None
    assert made.stat().st_mtime_ns == written


def test_make_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "chimes").symlink_to(outside)
    with pytest.raises(OperatorFileError, match="cannot be written"):
        ChimeFiles(tmp_path / "chimes").make()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "default.wav").symlink_to(outside / "new.wav")
    assert ChimeFiles(inside).make() is None
    assert not list(outside.iterdir())
