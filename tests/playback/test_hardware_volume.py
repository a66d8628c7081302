"""Volume and mute through a card's mixer, and in software while the mixer cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ishowtts.config.audio_section import AudioSection
from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback import hardware_volume
from ishowtts.playback.hardware_volume import HardwareVolume
from ishowtts.playback.player import Player, SoundStatus
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.volume_gain import gain_of
from support.waiting import eventually

HEIGHT = 10_000


class Card(SilentSpeaker):
    """A card with a mixer. `peaks` are those of the written samples at the volume of the mixer."""

    name = "card"

    def __init__(self) -> None:
        super().__init__()
        self.volume = 100
        self.muted = False
        self.broken = self.pulled = False
        self.peaks: list[int] = []

    def open(self, rate_hz: int) -> None:
        if self.pulled:
            raise SpeakerError("the card is not there")
        super().open(rate_hz)

    def write(self, block: Samples) -> None:
        if self.pulled:
            raise SpeakerError("the card was pulled out")
        self.peaks.append(0 if self.muted else round(int(np.abs(block).max()) * gain_of(self.volume)))
        super().write(block)

    def apply(self, volume: int, *, muted: bool) -> None:
        if self.broken:
            raise SpeakerError("the mixer card cannot be used; mend audio.mixer")
        self.volume, self.muted = volume, muted


class MixerSetup:
    def __init__(self, audio: AudioSection) -> None:
        self.card = Card()
        self.player = Player(self.card, on_change=self._wake)
        self.asked: list[tuple[str, str]] = []
        self.mixing = HardwareVolume(audio, self.player, self._mixer)

    def set_volume(self, volume: int, muted: bool = False) -> None:
        self.player.set_volume(volume)
        self.player.set_muted(muted)
        self._wake()

    def loudest(self, volume: int | None = None) -> int:
        """Plays a clip and returns its peak."""
        self.card.peaks.clear()
        assert self.player.play(np.full(2400, HEIGHT, np.int16), 24_000, volume=volume).wait(10) == "finished"
        return max(self.card.peaks)

    def _wake(self) -> None:
        self.mixing.wake()

    def _mixer(self, device: str, control: str) -> Card:
        self.asked.append((device, control))
        return self.card


@pytest.fixture
def setup() -> Iterator[MixerSetup]:
    setup = MixerSetup(AudioSection(mixer="PCM"))
    setup.player.start()
    setup.mixing.start()
    yield setup
    setup.mixing.close(5)
    setup.player.close(5)


def test_the_card_applies_the_volume_and_software_only_that_of_a_line(setup: MixerSetup) -> None:
    setup.set_volume(60)
    eventually(lambda: setup.card.volume == 60)
    assert setup.asked[-1] == ("card", "PCM")
    assert setup.loudest() == pytest.approx(HEIGHT * gain_of(60), abs=2)
    assert setup.loudest(volume=40) == pytest.approx(HEIGHT * gain_of(40), abs=2)
    assert setup.loudest(volume=90) == pytest.approx(HEIGHT * gain_of(60), abs=2), "no louder than the card"
    setup.set_volume(60, muted=True)
    eventually(lambda: setup.card.muted)
    assert setup.loudest() == 0


def test_software_applies_the_volume_while_the_mixer_cannot_be_set(setup: MixerSetup) -> None:
    setup.card.broken = True
    setup.set_volume(50)
    eventually(lambda: setup.mixing.problem)
    assert setup.loudest() == pytest.approx(HEIGHT * gain_of(50), abs=2)
    setup.card.broken = False
    setup.set_volume(40)
    eventually(lambda: setup.card.volume == 40)
    eventually(lambda: setup.mixing.problem is None)
    assert setup.loudest() == pytest.approx(HEIGHT * gain_of(40), abs=2)


def test_software_turns_down_a_card_that_returns_at_full_level_until_its_mixer_is_set(setup: MixerSetup) -> None:
    setup.set_volume(30)
    eventually(lambda: setup.card.volume == 30)
    setup.card.pulled = True
    setup.player.play(np.full(2400, HEIGHT, np.int16), 24_000)
    eventually(lambda: setup.player.status().lost)
    eventually(lambda: not setup.player._hardware_volume)
    setup.card.volume, setup.card.broken, setup.card.pulled = 100, True, False
    eventually(lambda: setup.player.status().lost is None)
    assert setup.loudest() == pytest.approx(HEIGHT * gain_of(30), abs=2)
    setup.card.broken = False
    setup.mixing.wake()
    eventually(lambda: setup.card.volume == 30)


def test_software_applies_the_volume_of_a_device_without_a_mixer() -> None:
    setup = MixerSetup(AudioSection(mixer="PCM", devices={"card": {"mixer": None}}))
    setup.player.start()
    setup.mixing.start()
    setup.set_volume(30)
    assert setup.loudest() == pytest.approx(HEIGHT * gain_of(30), abs=2)
    setup.mixing.close(5)
    setup.player.close(5)
    assert setup.asked == []


class FakePlayer:
    """A player without a device: a test chooses the device that is in use."""

    def __init__(self) -> None:
        self.volume = 30
        self.muted = False
        self.device = "first"
        self.hardware_volume = False

    def status(self) -> SoundStatus:
        return SoundStatus(self.device, 0, 0, None, 0.0)

    def set_hardware_volume(self, active: bool) -> None:
        self.hardware_volume = active


def test_software_applies_the_volume_until_the_mixer_of_another_card_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware_volume, "_RETRY_S", 0.01)
    player = FakePlayer()
    seen: list[tuple[str, bool]] = []

    class NotingMixer:
        def apply(self, volume: int, *, muted: bool) -> None:
            seen.append((player.device, player.hardware_volume))

    thread = HardwareVolume(AudioSection(mixer="PCM"), player, lambda _device, _control: NotingMixer())
    thread.start()
    eventually(lambda: player.hardware_volume)
    player.device = "second"
    eventually(lambda: len(seen) == 2)
    eventually(lambda: player.hardware_volume)
    thread.close(5)
    assert seen == [("first", False), ("second", False)], "else the second card plays at full level for a moment"
