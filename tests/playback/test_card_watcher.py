"""The card's own mixer is looked at from time to time."""

from __future__ import annotations

import pytest

from ishowtts.config.audio_section import AudioSection
from ishowtts.playback import card_watcher
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.playback.card_watcher import CardWatcher
from ishowtts.playback.player import SoundStatus

MUTED = Silence(SilentCause.CARD_MUTED, "the sound card is muted")


class FakePlayer:
    """A player whose device and mute a test sets; it keeps what it is told."""

    def __init__(self) -> None:
        self.volume, self.muted = 80, False
        self.device, self.lost = "card", ""
        self.told: list[Silence | None] = []

    def status(self) -> SoundStatus:
        return SoundStatus(self.device, 0, 0, self.lost or None, 0.0)

    def set_card_silence(self, silence: Silence | None) -> None:
        self.told.append(silence)


class Setup:
    """A watcher whose mixer a test sets."""

    def __init__(self, audio: AudioSection) -> None:
        self.player = FakePlayer()
        self.found: Silence | None = None
        self.read: list[tuple[str, str | None]] = []
        self.watcher = CardWatcher(audio, self.player, self._read)

    def _read(self, device: str, own_control: str | None) -> Silence | None:
        self.read.append((device, own_control))
        return self.found

    def look(self) -> Silence | None:
        self.watcher.run_once(last=False)
        return self.player.told[-1]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_watcher, "_SHORTEST_S", 0.0)


def test_a_muted_card_is_told_until_it_is_unmuted() -> None:
    setup = Setup(AudioSection())
    assert setup.look() is None
    setup.found = MUTED
    assert setup.look() == MUTED
    setup.found = None
    assert setup.look() is None
    assert set(setup.read) == {("card", None)}


def test_wake_ups_in_a_row_read_the_mixer_once_but_another_device_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(card_watcher, "_SHORTEST_S", 3600.0)
    setup = Setup(AudioSection())
    setup.watcher.run_once(last=False)
    assert 0 < setup.watcher.run_once(last=False) <= 3600
    assert len(setup.read) == 1
    setup.player.device = "other"
    setup.watcher.run_once(last=False)
    assert setup.read[-1] == ("other", None)


def test_nothing_is_said_of_a_device_that_was_lost() -> None:
    setup = Setup(AudioSection())
    setup.found = MUTED
    assert setup.look() == MUTED
    setup.player.lost = "the card is away"
    assert setup.look() is None
    assert len(setup.read) == 1


def test_a_control_that_the_appliance_sets_is_looked_at_only_while_it_is_to_be_heard() -> None:
    setup = Setup(AudioSection(mixer="PCM"))
    setup.found, setup.player.muted = MUTED, True
    assert setup.look() is None
    setup.player.muted, setup.player.volume = False, 0
    assert setup.look() is None
    assert setup.read == []
    setup.player.volume = 80
    setup.watcher.run_once(last=False)
    assert setup.player.told[-1] is None, "the thread that sets the volume may be about to end the mute"
    assert setup.look() == MUTED
    assert setup.read == [("card", "PCM")] * 2
