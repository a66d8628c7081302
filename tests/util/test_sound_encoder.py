"""Sounds that are encoded piece by piece, and read again by libsndfile and by the standard library."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile

from ishowtts.model import Samples, SoundFormat
from ishowtts.util.sound_encoder import build_encoder, encodable_rate_hz, slices

RATE_HZ = 24_000
FORMATS = list(SoundFormat)
LOSSLESS = [SoundFormat.PCM, SoundFormat.WAV, SoundFormat.FLAC]


def tone(seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    return (8000 * np.sin(np.arange(int(seconds * rate_hz)) * 2 * np.pi * 300 / rate_hz)).astype(np.int16)


def encoded(sound_format: SoundFormat, sound: Samples, rate_hz: int = RATE_HZ) -> list[bytes]:
    encoder = build_encoder(sound_format, rate_hz)
    return [*(encoder.encode(piece) for piece in slices(sound, rate_hz)), encoder.finish()]


def decoded(sound_format: SoundFormat, data: bytes, flac_length: int) -> tuple[Samples, int]:
    if sound_format is SoundFormat.PCM:
        return np.frombuffer(data, "<i2"), RATE_HZ
    if sound_format is SoundFormat.WAV:
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            return np.frombuffer(data[44:], "<i2"), file.getframerate()
    if sound_format is SoundFormat.FLAC:  # libsndfile, unlike other decoders, reads no FLAC of unknown length
        data = data[:22] + flac_length.to_bytes(4, "big") + data[26:]
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        return file.read(10 * RATE_HZ, dtype="int16"), file.samplerate


@pytest.mark.parametrize("sound_format", FORMATS, ids=[each.value for each in FORMATS])
def test_a_sound_is_the_same_after_it_was_sent_in_pieces(sound_format: SoundFormat) -> None:
    sound = tone(1.3)
    back, rate_hz = decoded(sound_format, b"".join(encoded(sound_format, sound)), len(sound))
    assert rate_hz == RATE_HZ
    if sound_format in LOSSLESS:
        assert np.array_equal(back, sound)
    else:
        assert abs(len(back) - len(sound)) < 0.1 * RATE_HZ, "an MP3 begins and ends with a frame of silence"
        middle = back[RATE_HZ // 2 : RATE_HZ].astype(float)
        assert np.argmax(np.abs(np.fft.rfft(middle))) == 150, "300 Hz, in half a second"
        assert np.std(middle) == pytest.approx(np.std(sound), rel=0.05)


@pytest.mark.parametrize("sound_format", FORMATS, ids=[each.value for each in FORMATS])
def test_the_beginning_can_be_heard_before_the_rest_is_made(sound_format: SoundFormat) -> None:
    """What was returned for half a second must hold most of that half second."""
    encoder = build_encoder(sound_format, RATE_HZ)
    begun = b"".join(encoder.encode(piece) for piece in slices(tone(0.5), RATE_HZ))
    heard, _ = decoded(sound_format, begun, 2 * 4096)
    assert len(heard) > 0.25 * RATE_HZ
    encoder.finish()


@pytest.mark.parametrize("sound_format", FORMATS, ids=[each.value for each in FORMATS])
def test_a_sound_without_samples_ends(sound_format: SoundFormat) -> None:
    encoder = build_encoder(sound_format, RATE_HZ)
    encoder.finish()


def test_headers_say_that_the_length_is_unknown() -> None:
    header = encoded(SoundFormat.WAV, tone(0.1))[0][:44]
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("sound_format", "rate_hz", "expected_hz"),
    [
        (SoundFormat.PCM, 22_050, 22_050),
        (SoundFormat.FLAC, 17_123, 17_123),
        (SoundFormat.OPUS, 22_050, 24_000),
        (SoundFormat.OPUS, 96_000, 48_000),
        (SoundFormat.MP3, 22_050, 22_050),
        (SoundFormat.MP3, 25_000, 32_000),
    ],
)
def test_a_format_has_its_own_rates(sound_format: SoundFormat, rate_hz: int, expected_hz: int) -> None:
    assert encodable_rate_hz(sound_format, rate_hz) == expected_hz
    assert encoded(sound_format, tone(0.1, expected_hz), expected_hz)
