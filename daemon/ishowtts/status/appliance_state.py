"""Composes `state` from all parts of the appliance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ishowtts.archive.archives import Archives
from ishowtts.engines.build import Engines
from ishowtts.inbox import Inbox
from ishowtts.mqtt.link import MqttLink
from ishowtts.playback.player import Player
from ishowtts.speech import Outbox, Scheduler
from ishowtts.speech.default_voice import DefaultVoice
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.status.alerts import Alerts
from ishowtts.status.payloads import StateFacts, state_payload
from ishowtts.util.disk_space import DiskSpace


class _MixerThread(Protocol):
    @property
    def problem(self) -> str | None:
        """What is wrong with the card's mixer."""


@dataclass
class ApplianceState:
    """The state of the appliance now. Any thread may ask.

    Args:
        volume_configured: `audio.volume`.
        paused_at_start: It was paused already when the daemon started.
        private: `log.private`.
        config_note: Returns what an operator should know of the configuration file; `None`: nothing.
    """

    volume_configured: int
    inbox: Inbox
    outbox: Outbox
    disk: DiskSpace
    engines: Engines
    link: MqttLink
    scheduler: Scheduler
    player: Player
    default_voice: DefaultVoice
    mixer_threads: Sequence[_MixerThread]
    archives: Archives
    policy: SpeechPolicy
    paused_at_start: bool
    alerts: Alerts
    private: bool
    config_note: Callable[[], str | None]

    def compose(self) -> dict[str, Any]:
        """Compose the payload `state`, without `since`."""
        scheduler, sound = self.scheduler.status, self.player.status()
        self.paused_at_start = self.paused_at_start and scheduler.paused
        problems = (
            self.inbox.problem,
            self.outbox.problem,
            self.disk.shortage(),
            self.engines.choice.problem,
            self.link.deaf,
            *self.engines.problems,
            self.default_voice.problem,
            scheduler.retry_reason,
            sound.problem,
            *(thread.problem for thread in self.mixer_threads),
            *self.archives.problems,
            *self.policy.problems,
        )
        primary, *others = self.engines.order
        statuses = [each.status() for each in others]
        return state_payload(
            StateFacts(
                scheduler=scheduler,
                engine=primary.status(),
                engine_name=primary.name,
                other_engines=tuple(status for status in statuses if status is not None),
                ready_engines=tuple(each.name for each in self.engines.order if each.problem() is None),
                notes=(*self.engines.notes, *filter(None, [self.config_note()])),
                queue_depth=self.inbox.depth(),
                muted=self.player.muted,
                volume=self.player.volume,
                voice=self.default_voice.name,
                problems=tuple(dict.fromkeys(problem for problem in problems if problem)),
                paused_at_start=self.paused_at_start,
                quiet_until=self.policy.quiet_until(),
                volume_configured=self.volume_configured,
                device=sound.device,
                silences=self.player.silences(),
                expires_before=self.inbox.expires_while_held(),
                alerts=self.alerts.active,
                private=self.private,
            )
        )

    def idle(self) -> bool:
        """Whether no line is spoken or could be spoken now."""
        status = self.scheduler.status
        return status.speaking is None and (status.paused or self.inbox.depth() == 0)
