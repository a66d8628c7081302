"""The loss and the return of the device, and its timing, with the player that writes to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ishowtts.errors import SpeakerError
from ishowtts.playback import output_device
from ishowtts.playback import player as player_module
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.output_device import DeviceTiming, OutputDevice
from ishowtts.playback.player import Player
from ishowtts.playback.silent_speaker import SilentSpeaker
from support.alsa import Alsa
from support.waiting import eventually

RATE_HZ = 24_000


class Card(SilentSpeaker):
    """A silent speaker that can fail like an unplugged or busy card, and records the blocks it gets."""

    def __init__(self, name: str = "card") -> None:
        super().__init__()
        self.name = name
        self.fault: str | None = None
        self.seen_away: str | None = None
        self.held = False
        self.openings = 0
        self.blocks: list[Any] = []

    @property
    def heard(self) -> Any:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)

    def open(self, rate_hz: int) -> None:
        if self.fault:
            raise SpeakerError(self.fault)
        super().open(rate_hz)
        self.openings += 1
        self.held = True

    def write(self, block: Any) -> None:
        if self.fault:
            raise SpeakerError(self.fault)
        self.blocks.append(block.copy())
        super().write(block)

    def away(self) -> str | None:
        return self.seen_away

    def close(self) -> None:
        self.held = False


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[..., Player]:
    def started(speaker: Any, timing: DeviceTiming | None = None, **options: Any) -> Player:
        player = Player(speaker, timing_of=lambda _: timing or DeviceTiming(), **options)
        request.addfinalizer(lambda: player.close(5))
        player.start()
        return player

    return started


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The devices are checked ten times as often, so that no test waits for seconds."""
    monkeypatch.setattr(player_module, "_MAINTAIN_S", 0.1)
    monkeypatch.setattr(output_device, "_CHECK_PRIMARY_S", 0.3)


def tone(duration_s: float, height: int = 10_000) -> Any:
    return np.full(int(RATE_HZ * duration_s), height, np.int16)


def finish(player: Player, duration_s: float = 0.05, height: int = 10_000) -> None:
    assert player.play(tone(duration_s, height), RATE_HZ).wait(10) == "finished"


def silence_before_sound(heard: Any) -> int:
    return int(np.flatnonzero(heard)[0])


def test_the_lead_in_is_played_before_the_first_sound_and_not_before_the_next(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(wake_s=0.2, idle_s=600))
    clip = player.play(tone(0.05), RATE_HZ)
    eventually(lambda: card.blocks)
    assert clip.started_at is None, "the lead-in is not part of the clip"
    assert clip.wait(10) == "finished"
    assert silence_before_sound(card.heard) == 0.2 * RATE_HZ
    written = len(card.heard)
    finish(player)
    assert silence_before_sound(card.heard[written:]) == 0


def test_the_lead_in_is_played_again_after_quiet(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(wake_s=0.1, idle_s=0.2))
    finish(player)
    written = len(card.heard)
    threading.Event().wait(0.3)
    finish(player)
    assert silence_before_sound(card.heard[written:]) == 0.1 * RATE_HZ


def test_a_stop_during_the_lead_in_takes_effect_at_once(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(wake_s=10))
    clip = player.play(tone(1), RATE_HZ)
    eventually(lambda: len(card.blocks) > 3)
    player.stop()
    assert clip.wait(5) == "stopped"
    assert clip.started_at is None
    assert not card.heard.any()


def test_an_idle_device_is_released_and_opened_for_the_next_sound(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(wake_s=0.1, idle_s=600, release_s=0.1))
    finish(player)
    eventually(lambda: not card.held)
    assert player.status().lost is None, "a released device is not a loss"
    written = len(card.heard)
    finish(player)
    assert card.openings == 2
    assert silence_before_sound(card.heard[written:]) == 0.1 * RATE_HZ, (
        "a device that is opened again needs the lead-in"
    )
    assert player.status().device_losses == 0


def test_a_device_is_drained_once_when_it_is_quiet_and_before_it_is_released(start: Callable[..., Player]) -> None:
    """Without the drain, ALSA would count an underrun for each line."""
    calls: list[str] = []

    class NotingCard(Card):
        def drain(self) -> None:
            calls.append("drain")
            super().drain()

        def close(self) -> None:
            calls.append("close")
            super().close()

    player = start(NotingCard(), DeviceTiming(release_s=0.1))
    clips = [player.play(tone(0.05), RATE_HZ) for _ in range(3)]
    assert [clip.wait(10) for clip in clips] == ["finished"] * 3
    eventually(lambda: "close" in calls)
    assert calls == ["drain", "close"]


def test_a_device_that_is_busy_when_it_is_needed_again_is_lost_until_it_is_free(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(release_s=0.1))
    finish(player)
    eventually(lambda: not card.held)
    card.fault = "the card is busy"
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "lost"
    assert player.status().lost == "the card is busy"
    card.fault = None
    eventually(lambda: player.status().lost is None)
    finish(player)


def test_a_released_device_that_is_unplugged_is_lost_at_once(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(release_s=0.1))
    eventually(lambda: card.openings and not card.held)
    card.fault = card.seen_away = "the card is away"
    eventually(lambda: player.status().lost == "the card is away")
    card.fault = card.seen_away = None
    eventually(lambda: player.status().lost is None)
    assert player.status().device_losses == 1


def test_the_substitute_is_used_until_the_primary_is_back(start: Callable[..., Player]) -> None:
    rings = threading.Semaphore(0)
    card, substitute = Card(), Card("substitute")
    player = start(card, substitute=substitute, on_change=rings.release)
    clip = player.play(tone(60), RATE_HZ)
    eventually(lambda: card.blocks)
    card.fault = "the card was pulled"
    assert clip.wait(10) == "lost"
    eventually(lambda: substitute.held)
    finish(player, height=7)
    assert 7 in substitute.heard
    status = player.status()
    assert (status.device, status.lost, status.device_losses) == ("substitute", None, 1)
    assert status.substitute_reason == "the card was pulled; substitute is used until it is back"
    card.fault = None
    eventually(lambda: player.status().device == "card")
    assert (player.status().substitute_reason, substitute.held) == (None, False)
    assert rings.acquire(timeout=0), "on_change was called"
    finish(player, height=9)
    assert 9 in card.heard
    assert 9 not in substitute.heard


def test_the_primary_does_not_replace_the_substitute_during_a_sound(start: Callable[..., Player]) -> None:
    card, substitute = Card(), Card("substitute")
    card.fault = "the card is away"
    player = start(card, substitute=substitute)
    eventually(lambda: substitute.held)
    clip = player.play(tone(1, 7), RATE_HZ)  # longer than several checks of the primary
    eventually(lambda: 7 in substitute.heard)
    card.fault = None
    assert clip.wait(10) == "finished"
    assert np.count_nonzero(substitute.heard == 7) == RATE_HZ
    eventually(lambda: player.status().device == "card")


def test_if_both_are_away_nothing_is_heard_and_both_are_named(start: Callable[..., Player]) -> None:
    card, substitute = Card(), Card("substitute")
    card.fault, substitute.fault = "the card is away", "the substitute is away"
    player = start(card, substitute=substitute)
    eventually(lambda: player.status().lost == "the card is away; the substitute is away")
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "lost"
    substitute.fault = None
    eventually(lambda: player.status().substitute_reason)
    assert player.status().lost is None
    finish(player)


class Mute(Card):
    """Can be opened and takes no sound, like a card whose firmware hangs."""

    def write(self, block: Any) -> None:
        raise SpeakerError("the card takes no sound")


def test_a_device_that_takes_no_sound_is_retried_less_and_less_often_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    output = OutputDevice(Mute())
    retries_s = []
    for _ in range(9):
        output.open(RATE_HZ)
        with pytest.raises(SpeakerError, match="takes no sound"):
            output.write(tone(0.01))
        retries_s.append(output.mark_failed("the card takes no sound"))
        output.release()
    assert retries_s == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert output.losses == 9
    assert caplog.messages == ["the card takes no sound"]


def test_a_device_that_worked_is_retried_soon_and_an_absent_one_every_second() -> None:
    card = Card()
    output = OutputDevice(card)
    for _ in range(3):
        output.open(RATE_HZ)
        for _ in range(20):
            output.write(tone(0.01))
        card.fault = "pulled"
        retries_s = [output.mark_failed("pulled")]
        output.release()
        for _ in range(4):
            with pytest.raises(SpeakerError):
                output.open(RATE_HZ)
            retries_s.append(output.mark_failed("pulled"))
        assert retries_s == [0.25, 0.5, 1, 1, 1]
        card.fault = None


def test_the_substitute_replaces_a_device_that_takes_no_sound(start: Callable[..., Player]) -> None:
    card, substitute = Mute(), Card("substitute")
    player = start(card, substitute=substitute)
    eventually(lambda: player.status().lost is None)
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "lost"
    eventually(lambda: substitute.held)
    finish(player, height=7)
    assert 7 in substitute.heard
    assert player.status().substitute_reason == "the card takes no sound; substitute is used until it is back"


def test_a_device_that_is_absent_at_the_start_is_used_once_it_appears(
    start: Callable[..., Player], alsa: Alsa, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    player = start(AlsaSpeaker("late"))
    eventually(lambda: player.status().lost)
    assert "late is not there" in (player.status().lost or "")
    assert player.play(tone(0.05), RATE_HZ).wait(10) == "lost"
    alsa.define(alsa.into_file("late"))
    eventually(lambda: player.status().lost is None)
    assert player.status().device_losses == 0
    assert "the sound device late is there" in caplog.text
    finish(player)
    player.close(5)
    assert (alsa.played("late")[:1200] == 10_000).all()


def test_another_substitute_takes_over_while_the_device_is_away(start: Callable[..., Player]) -> None:
    card, first, second = Card("card"), Card("first"), Card("second")
    card.fault = "the card is gone"
    player = start(card, substitute=first)
    eventually(lambda: player.status().device == "first", "the first substitute")
    player.set_substitute(second)
    sound = np.full(RATE_HZ // 10, 1000, np.int16)
    eventually(lambda: player.play(sound, RATE_HZ).wait(5) == "finished" and second.blocks, "sound on the other one")
    assert (first.held, player.status().device) == (False, "second")
    player.set_substitute(None)
    eventually(lambda: player.play(sound, RATE_HZ).wait(5) == "lost", "no device at all")
    card.fault = None
    eventually(lambda: player.play(sound, RATE_HZ).wait(5) == "finished" and card.blocks, "sound on the card")


def test_another_timing_holds_without_a_new_opening(start: Callable[..., Player]) -> None:
    card = Card()
    player = start(card, DeviceTiming(release_s=None))
    assert player.play(np.full(100, 1000, np.int16), RATE_HZ).wait(5) == "finished"
    assert card.held
    player.set_timing(lambda _: DeviceTiming(release_s=0.01))
    eventually(lambda: not card.held, "the release of the device")
