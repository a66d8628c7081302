"""The ALSA speaker, on ALSA devices that need no card."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from ishowtts.errors import SpeakerError
from ishowtts.playback.alsa import libasound, sound_cards
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from support.alsa import Alsa

RATE_HZ = 24_000


def stubborn(alsa: Alsa, rate_hz: int) -> str:
    """Defines a device that accepts only this rate and two channels, like a card's `hw:` device."""
    return (
        alsa.into_file("sound")
        + f"pcm.rate {{ type plug slave {{ pcm sound rate {rate_hz} channels 2 format S16_LE }} }}\n"
        "pcm.stubborn { type multi slaves.a { pcm rate channels 2 }\n"
        "bindings.0 { slave a channel 0 } bindings.1 { slave a channel 1 } }"
    )


@pytest.mark.parametrize("rate_hz", [48_000, 44_100])
def test_a_device_that_refuses_the_rate_and_mono_plays_the_same_sound(alsa: Alsa, rate_hz: int) -> None:
    alsa.define(stubborn(alsa, rate_hz))
    time_s = np.arange(RATE_HZ) / RATE_HZ
    sine = np.rint(20_000 * np.sin(2 * np.pi * 997 * time_s)).astype(np.int16)
    speaker = AlsaSpeaker("stubborn")
    speaker.open(RATE_HZ)
    for block in sine.reshape(-1, 240):
        speaker.write(block)
        assert speaker.delay_s() <= 0.045
    assert speaker.delay_s() >= 80 / RATE_HZ, "the samples in the converter are not heard yet"
    speaker.drain()
    assert speaker.delay_s() == 0
    speaker.close()
    left, right = alsa.played("sound").T
    assert np.array_equal(left, right)
    expected = 20_000 * np.sin(2 * np.pi * 997 * np.arange(len(left)) / rate_hz)
    assert abs(len(left) - rate_hz) <= rate_hz // 100, "nothing is lost, and at most one period is padded"
    middle = slice(rate_hz // 20, -rate_hz // 20)
    assert np.abs(left - expected)[middle].max() < 2, "no click between two blocks"


def test_a_device_that_accepts_the_rate_gets_the_samples_unchanged(alsa: Alsa) -> None:
    alsa.define(alsa.into_file("sound"))
    noise = np.random.default_rng(0).integers(-32768, 32767, 4800).astype(np.int16)
    speaker = AlsaSpeaker("sound")
    speaker.open(RATE_HZ)
    for block in noise.reshape(-1, 240):
        speaker.write(block)
    speaker.drain()
    speaker.close()
    assert np.array_equal(alsa.played("sound")[:4800, 0], noise)


def test_a_device_that_appears_later_is_found(alsa: Alsa, capfd: pytest.CaptureFixture[str]) -> None:
    speaker = AlsaSpeaker("sound")
    with pytest.raises(SpeakerError, match="sound is not there; see `ishowtts devices`"):
        speaker.open(RATE_HZ)
    alsa.define(alsa.into_file("sound"))
    speaker.open(RATE_HZ)
    speaker.close()
    alsa.define("")
    with pytest.raises(SpeakerError, match="is not there"):
        speaker.open(RATE_HZ)
    assert capfd.readouterr().err == "", "the library prints nothing itself"


@pytest.mark.parametrize(
    ("why", "fix"), [(errno.EACCES, "join the group audio"), (errno.EPERM, "run: sudo systemctl restart ishowtts")]
)
def test_a_card_that_may_not_be_used_says_who_can_change_that(
    monkeypatch: pytest.MonkeyPatch, why: int, fix: str
) -> None:
    """ALSA reports it like an absent card."""
    monkeypatch.setattr(sound_cards, "access_error", lambda _pcm: why)
    with pytest.raises(SpeakerError, match=fix):
        AlsaSpeaker("plughw:CARD=NotHere").open(RATE_HZ)


def test_a_closed_speaker_says_so_and_can_be_closed_twice(alsa: Alsa) -> None:
    alsa.define(alsa.into_file("sound"))
    speaker = AlsaSpeaker("sound")
    speaker.open(RATE_HZ)
    speaker.close()
    speaker.close()
    assert speaker.delay_s() == 0
    assert speaker.away() is None
    for use in (lambda: speaker.write(np.zeros(240, np.int16)), speaker.drain, speaker.drop):
        with pytest.raises(SpeakerError, match="is not open"):
            use()


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libasound, "_LIBRARY", "libasound.so.0")
    with pytest.raises(SpeakerError, match=r"libasound\.so\.0 is not installed; apt-get install alsa-utils"):
        libasound.library()
