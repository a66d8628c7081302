"""Applies a changed configuration to the parts of the running appliance: all of it, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ishowtts.config import Config
from ishowtts.engines.build import Engines
from ishowtts.errors import CommandError, InboxError, OperatorFileError
from ishowtts.inbox import Inbox
from ishowtts.mqtt.discovery import HomeAssistantDiscovery
from ishowtts.mqtt.link import MqttLink
from ishowtts.playback import Speaker
from ishowtts.playback.build_player import ChosenSpeaker, device_timing, substitute_speaker
from ishowtts.playback.player import Player
from ishowtts.playback.volume_gain import stored_volume
from ishowtts.speech import Intake
from ishowtts.speech.build_speech import SpeechParts
from ishowtts.speech.history_replies import HistoryReplies
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.status.appliance_state import ApplianceState
from ishowtts.status.status_publisher import StatusPublisher
from ishowtts.stored_state import inbox_limits
from ishowtts.util import logs
from ishowtts.util.disk_space import DiskSpace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedChange:
    """What was made for a new configuration before anything of it is applied.

    Attributes:
        policy: The policy of the next lines.
        stored_volume: The volume that was set over MQTT, which wins over `audio.volume`; `None`: there is none.
        substitute: The substitute device; `None`: there is none.
    """

    policy: SpeechPolicy
    stored_volume: int | None
    substitute: Speaker | None


@dataclass
class LiveSettings:
    """The parts of the appliance that take another configuration while it runs. The thread `reload` calls it.

    A line that was begun goes on as it began. A line that waits keeps its text and its end, because both were decided
    when it was accepted. It is spoken by the new configuration.

    Args:
        policy: The policy of the configuration in use.
        language_of: Returns the language of a voice; `None` from it means English.
        choose_speaker: Chooses a sound device by its name.
        disks: All that keep to `limits.min_free_mb`.
        on_applied: Called with the configuration that is in use from now on.
    """

    policy: SpeechPolicy
    language_of: Callable[[str | None], str | None]
    choose_speaker: Callable[[str], ChosenSpeaker]
    inbox: Inbox
    intake: Intake
    speech: SpeechParts
    player: Player
    engines: Engines
    link: MqttLink
    discovery: HomeAssistantDiscovery
    history: HistoryReplies
    state: ApplianceState
    status: StatusPublisher
    disks: Sequence[DiskSpace]
    on_applied: Callable[[Config], None]

    def apply(self, former: Config, config: Config) -> dict[str, str]:
        """Apply a configuration that differs from the former one only in keys that a reload applies.

        Returns:
            By key: what a user should know about its new value.

        Raises:
            CommandError: It cannot be applied. Nothing has changed.
        """
        prepared = self._prepare(former, config)
        self._commit(former, config, prepared)
        if config.audio.volume != former.audio.volume and prepared.stored_volume is not None:
            return {"audio.volume": f"the volume that was set over MQTT stays, {prepared.stored_volume}"}
        return {}

    def _prepare(self, former: Config, config: Config) -> PreparedChange:
        audio = config.audio
        if audio.when_lost == audio.device:
            raise CommandError("audio.when_lost names the device that is in use until the restart: restart it")
        try:
            policy = self.policy.changed(config, former, self.language_of)
            stored = stored_volume(self.inbox.recall("volume")) if audio.volume != former.audio.volume else None
            policy.prepare()  # else the next line would wait for what no line before has needed
        except (OperatorFileError, InboxError) as error:
            raise CommandError(str(error)) from error
        except Exception as error:  # no line may meet what fails already without one
            log.exception("the policies and texts of the configuration cannot be used")
            raise CommandError("its policies and texts cannot be used; the daemon's log says more") from error
        return PreparedChange(policy, stored, substitute_speaker(audio, self.choose_speaker))

    def _commit(self, former: Config, config: Config, prepared: PreparedChange) -> None:
        policy, private = prepared.policy, config.log.private
        if private:
            self._set_private(private)  # first: the log has no text of what follows
        policy.take_effect()
        self.policy = self.state.policy = policy
        self.intake.set_admission(policy.admit)
        self.inbox.set_limits(inbox_limits(config))
        self.speech.change(config, policy)
        self.link.change(config, policy.chime_names)
        self.discovery.change(config)
        self._set_sound(former, config, prepared)
        for disk in self.disks:
            disk.min_free_mb = config.limits.min_free_mb
        if config.telemetry != former.telemetry:
            self.status.set_interval(config.telemetry.interval_s)
        self.state.private = private
        self.history.set_private(private)
        logging.getLogger("ishowtts").setLevel(config.log.level.upper())
        self._set_private(private)
        self.on_applied(config)

    def _set_sound(self, former: Config, config: Config, prepared: PreparedChange) -> None:
        audio, before = config.audio, former.audio
        if audio.volume != before.volume and prepared.stored_volume is None:
            self.player.set_volume(audio.volume)
        self.state.volume_configured = audio.volume
        if (audio.wake_s, audio.idle_s, audio.release_s) != (before.wake_s, before.idle_s, before.release_s):
            self.player.set_timing(partial(device_timing, audio))
        if audio.when_lost != before.when_lost:
            self.player.set_substitute(prepared.substitute)

    def _set_private(self, private: bool) -> None:
        if logs.is_private() is not private:
            logs.set_private(private)
            for worker in self.engines.workers:
                worker.set_log_private(private)
