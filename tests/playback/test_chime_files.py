"""The chime before a line: ours, and sound files that may be anything."""

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
    """The strongest tone, to the Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), rate_hz))
    return float(np.argmax(spectrum))


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
def test_ours_is_two_falling_notes_that_die_away_without_a_click(rate_hz: int) -> None:
    rung = bell_chime(rate_hz)
    assert len(rung) == round(0.7 * rate_hz)
    assert 20 * np.log10(np.abs(rung).max() / 32767) == pytest.approx(-6, abs=0.01)
    first, second = rung[: rate_hz // 5], rung[rate_hz // 5 :]
    assert pitch_hz(first, rate_hz) == pytest.approx(659, abs=5)
    assert pitch_hz(second, rate_hz) == pytest.approx(523, abs=5)
    assert rung[0] == rung[-1] == 0
    edge = rate_hz // 2000
    assert np.abs(rung[:edge]).max() < 1600, "half a millisecond is no jump"
    assert np.abs(rung[-edge:]).max() < 30
    loudness = [np.sqrt(np.mean(np.square(part, dtype=float))) for part in np.array_split(second[rate_hz // 100 :], 8)]
    assert loudness == sorted(loudness, reverse=True), "a bell only dies away"


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_file_is_heard_as_it_is_and_stereo_mixed_down(tmp_path: Path, kind: str) -> None:
    write(tmp_path, f"bell.{kind}", np.stack([tone(), 0 * tone()], axis=1))
    samples, rate_hz = ChimeFiles(tmp_path).find("bell")
    assert (samples.dtype, rate_hz, samples.shape) == (np.int16, RATE_HZ, tone().shape)
    assert np.abs(samples / 32768 - tone() / 2)[200:-200].max() < 0.02  # Vorbis loses a little


def test_a_file_in_s16_is_heard_to_the_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    soundfile.write(tmp_path / "bell.wav", noise, RATE_HZ)
    assert np.array_equal(ChimeFiles(tmp_path).find("bell")[0], noise)


def test_default_is_ours_until_a_file_takes_its_place(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path / "chimes")
    assert chimes.names() == ["default"]
    ours, rate_hz = chimes.find("default")
    assert np.array_equal(ours, bell_chime(rate_hz))
    chimes.folder.mkdir()
    write(chimes.folder, "default.flac")
    assert chimes.find("default")[1] == RATE_HZ


def test_the_folder_is_taken_up_live_and_read_once_a_change(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path)
    assert "there is no chime 'bell'" in refused(chimes, "bell")
    path = write(tmp_path, "bell.ogg")
    first, _ = chimes.find("bell")
    assert chimes.names() == ["bell", "default"]
    assert chimes.find("bell")[0] is first
    write(tmp_path, "bell.ogg", tone(0.1))
    assert len(chimes.find("bell")[0]) < len(first)
    write(tmp_path, "bell.wav", tone(0.2))
    assert len(chimes.find("bell")[0]) == len(tone(0.2)), "of two files WAV comes first"
    path.unlink()
    (tmp_path / "bell.wav").unlink()
    assert "the chimes are default" in refused(chimes, "bell")


def test_only_so_many_sounds_are_kept_in_memory(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path)
    for number in range(20):
        write(tmp_path, f"bell-{number}.wav")
    kept = [chimes.find(f"bell-{number}")[0] for number in range(20)]
    assert chimes.find("bell-19")[0] is kept[19]
    assert chimes.find("bell-0")[0] is not kept[0]


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
def test_a_file_that_cannot_be_used_is_one_sentence_until_it_is_mended(
    tmp_path: Path, spoil: Callable[[Path], object], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "chimes"
    folder.mkdir()
    path = folder / "bell.wav"
    spoil(path)
    chimes = ChimeFiles(folder)
    assert chimes.names() == ["bell", "default"]
    assert chimes.fault is None, "nobody asked for it"
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


def test_a_chime_that_is_wanted_and_not_there_is_a_fault(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path, wanted="bell")
    assert chimes.fault is not None
    assert chimes.fault.startswith("audio.chime: there is no chime 'bell'")
    refused(chimes, "gong")
    assert "gong" not in chimes.fault, "a line that came too late is no trouble of the appliance's"
    write(tmp_path, "bell.wav")
    assert chimes.fault is None


def test_a_folder_that_cannot_be_read_leaves_ours_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "chimes").write_text("a file")
    chimes = ChimeFiles(tmp_path / "chimes", wanted="bell")
    assert chimes.names() == ["default"]
    assert "the chimes cannot be read (Not a directory)" in refused(chimes, "default")
    assert chimes.fault is not None


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_whatever_is_in_a_file_it_is_a_sound_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("chimes")
    path = write(folder, f"bell.{kind}", tone(0.05))
    whole = path.read_bytes()

    @settings(max_examples=60, deadline=None)
    @given(at=st.integers(0, len(whole) - 1), spoilt=st.binary(max_size=12), ends=st.booleans())
    def check(at: int, spoilt: bytes, ends: bool) -> None:
        path.write_bytes(whole[:at] + spoilt + (b"" if ends else whole[at + len(spoilt) :]))
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


def test_ours_is_made_once_and_for_all_to_read(tmp_path: Path) -> None:
    chimes = ChimeFiles(tmp_path / "state/chimes")
    made = chimes.make()
    assert made == tmp_path / "state/chimes/default.wav"
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    samples, rate_hz = chimes.find("default")
    assert np.array_equal(samples, bell_chime(rate_hz))
    written = made.stat().st_mtime_ns
    assert chimes.make() is None
    assert made.stat().st_mtime_ns == written


def test_no_link_leads_what_is_made_elsewhere(tmp_path: Path) -> None:
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
