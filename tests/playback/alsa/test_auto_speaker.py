"""`audio.device: auto` looks for a card each time it is opened."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.errors import SpeakerError
from ishowtts.playback.alsa.auto_speaker import AutoSpeaker
from support.alsa import Alsa

RATE_HZ = 24_000
USB, CODEC, HDMI = (f"plughw:CARD={card},DEV=0" for card in ("UAC2", "Codec", "HDA"))


@pytest.fixture
def auto(alsa: Alsa) -> AutoSpeaker:
    alsa.open_cards()
    return AutoSpeaker(alsa.asound)


def reopened(auto: AutoSpeaker) -> str:
    auto.close()
    auto.open(RATE_HZ)
    return auto.name


def lose(auto: AutoSpeaker, alsa: Alsa) -> None:
    """Fails like a card that is unplugged while it plays."""
    alsa.define("")
    auto.close()
    with pytest.raises(SpeakerError):
        auto.write(np.zeros(240, np.int16))
    alsa.open_cards()


def test_without_an_audible_card_the_device_is_away_until_one_is_plugged_in(
    auto: AutoSpeaker, alsa: Alsa, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alsa.plug_in(0, "HDA", screen=False)
    alsa.plug_in(1, "APE")
    with pytest.raises(SpeakerError, match="no sound card with something attached; plug one in"):
        auto.open(RATE_HZ)
    assert auto.away()
    alsa.plug_in(3, "UAC2", usb=True)
    assert auto.away() is None
    assert reopened(auto) == USB
    assert f"sound: {USB} (audio.device is auto: UAC2 Audio)" in caplog.text
    auto.write(np.full(240, 7, np.int16))
    auto.drain()
    auto.close()
    assert (alsa.played("UAC2")[:240] == 7).all()


def test_open_switches_to_a_better_card_and_not_to_an_equal_one(auto: AutoSpeaker, alsa: Alsa) -> None:
    alsa.plug_in(1, "Codec")
    assert reopened(auto) == CODEC
    alsa.plug_in(0, "Another")
    assert reopened(auto) == CODEC
    alsa.plug_in(2, "Array", usb=True, capture=True)
    assert reopened(auto) == CODEC, "an array of microphones does not take the place of a loudspeaker"
    alsa.plug_in(3, "UAC2", usb=True)
    assert reopened(auto) == USB


def test_after_a_loss_the_same_card_is_used_again_under_any_number(auto: AutoSpeaker, alsa: Alsa) -> None:
    alsa.plug_in(1, "Codec")
    assert reopened(auto) == CODEC
    lose(auto, alsa)
    alsa.pull(1)
    alsa.plug_in(0, "UAC2", usb=True)
    alsa.plug_in(2, "Codec")
    assert reopened(auto) == CODEC, "renumbered, and before a better one: the line goes on where it was heard"


def test_after_a_loss_no_worse_card_replaces_it(auto: AutoSpeaker, alsa: Alsa) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(3, "UAC2", usb=True)
    assert reopened(auto) == USB
    lose(auto, alsa)
    alsa.pull(3)
    with pytest.raises(SpeakerError, match="CARD=UAC2,DEV=0 is away"):
        reopened(auto)
    assert auto.away() == f"the sound device {USB} is away"
    alsa.plug_in(4, "Other", usb=True)
    assert reopened(auto) == "plughw:CARD=Other,DEV=0"


def test_a_card_that_is_unplugged_while_quiet_is_a_loss_too(auto: AutoSpeaker, alsa: Alsa) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(3, "UAC2", usb=True)
    assert reopened(auto) == USB
    auto.close()
    assert auto.away() is None
    alsa.pull(3)
    assert auto.away() == f"the sound device {USB} is away"
    alsa.plug_in(5, "UAC2", usb=True)
    assert auto.away() is None
    assert reopened(auto) == USB
