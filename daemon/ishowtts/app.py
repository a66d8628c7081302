"""Composition root of `ishowtts run`: builds every part, starts them in order, and stops them in reverse."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ishowtts.archive.archives import Archives
from ishowtts.board import Board
from ishowtts.board.detect import detect_board
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.engines import build
from ishowtts.engines.build import EngineChoice, Engines, build_engines
from ishowtts.engines.espeak_check import EspeakCheck
from ishowtts.engines.speed_check import SpeedCheck
from ishowtts.engines.voices.voice_library import VoiceNames, language_lookup
from ishowtts.mqtt.discovery import HomeAssistantDiscovery
from ishowtts.mqtt.line_payload import LineLimits
from ishowtts.mqtt.link import MqttLink
from ishowtts.mqtt.link_handlers import MqttHandlers
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.renders.render_requester import RenderRequester
from ishowtts.mqtt.stored_identity import with_stored_identity
from ishowtts.playback.build_player import (
    ChosenSpeaker,
    build_mixer_threads,
    choose_speaker,
)
from ishowtts.speech import Intake, Outbox
from ishowtts.speech.build_speech import build_speech
from ishowtts.speech.commands import CommandHandler
from ishowtts.speech.default_voice import DefaultVoice
from ishowtts.speech.history_replies import HistoryReplies
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.speech.voice_uploads import VoiceUploads
from ishowtts.status import watchdog
from ishowtts.status.alert_facts import build_alerts
from ishowtts.status.appliance_state import ApplianceState
from ishowtts.status.config_reload import ConfigReload
from ishowtts.status.event_log import EventLog
from ishowtts.status.live_settings import LiveSettings
from ishowtts.status.main_loop import MainLoop
from ishowtts.status.payloads import FOUND_PAUSED, TelemetryPayload, info_payload
from ishowtts.status.sensor_sources import SensorSources
from ishowtts.status.state_report import StateReport
from ishowtts.status.status_publisher import StatusPublisher
from ishowtts.status.telemetry import Telemetry
from ishowtts.status.voice_watcher import VoiceWatcher
from ishowtts.stored_state import open_inbox, restored_player
from ishowtts.systemd import Notifier
from ishowtts.util import stop_signals
from ishowtts.util.callbacks import ChangeSignal
from ishowtts.util.disk_space import DiskSpace
from ishowtts.util.free_memory import return_large_blocks

log = logging.getLogger(__name__)

_STOP_S = 5.0
# How long a busy thread may keep the playback thread from the interpreter, at each of its calls into ALSA.
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True)
class Factories:
    """Makes the parts that cost time or money; a benchmark brings its own."""

    engines: Callable[[Config, EngineChoice, Callable[[], None]], Engines] = build_engines
    speaker: Callable[[str], ChosenSpeaker] = choose_speaker


def run(config: Config, factories: Factories = Factories(), config_path: Path = DEFAULT_PATH) -> int:
    """Run the daemon until SIGTERM or SIGINT; return the exit status.

    Args:
        config_path: The file of the configuration, which SIGHUP reads again.

    Raises:
        FatalError: it could not start; the sentence is for the operator.
    """
    return_large_blocks()
    notifier = Notifier()
    reload = ConfigReload(config, config_path, notifier)
    with stop_signals.stop_asked(reload.ask) as stop_requested, ExitStack() as stack:
        daemon = Daemon(config, stack, notifier, factories, reload)
        if not stop_requested.is_set():
            daemon.start()
            reload.start()
            stack.callback(reload.close, _STOP_S)
            daemon.watch(stop_requested)
        daemon.report_stopping()
    log.info("stopped")
    return 0


class Daemon:
    """Builds every part of the appliance and connects them. `stack` stops them in reverse order."""

    def __init__(
        self, config: Config, stack: ExitStack, notifier: Notifier, factories: Factories, reload: ConfigReload
    ) -> None:
        self._stack = stack
        self._config = config
        self._instance = uuid.uuid4().hex
        self._changed = ChangeSignal()  # a line, an engine, the device or a level
        self._events_stored = ChangeSignal()
        self._notifier = notifier
        board = config.board
        self._board: Board = detect_board(
            board.source,
            board.sysfs_root,
            jetson_stats=board.jetson_stats,
            busy=lambda: self._scheduler.status.speaking is not None,
        )
        self._identity = self._board.identity()
        self._root = config.root_topic(self._identity.serial)
        self._inbox = open_inbox(config, on_lines=self._changed, on_events=self._events_stored)
        stack.callback(self._inbox.close)
        paused = self._found_paused()
        self._player = restored_player(config, self._inbox, factories.speaker, on_change=self._changed)
        self._choice = build.choose_engine(config)
        self._engines = factories.engines(config, self._choice, self._changed)
        self._voices = self._engines.voice_library
        self._default_voice = DefaultVoice(self._engines, self._inbox.recall("voice"))
        self._archives = Archives(config)
        self._telemetry = Telemetry(self._board)
        language_of = language_lookup(config, self._voices)
        self._policy = SpeechPolicy.from_config(config, self._voices.names, language_of)
        speech = build_speech(
            config,
            inbox=self._inbox,
            engines=self._engines,
            player=self._player,
            policy=self._policy,
            default_voice=self._default_voice,
            archives=self._archives,
            language_of=language_of,
            paused=paused,
            on_change=self._changed,
            on_report=self._telemetry.record,
        )
        self._scheduler, self._renders = speech.scheduler, speech.renders
        self._commands = CommandHandler(
            self._inbox, self._scheduler, self._player, self._default_voice, reload.request, on_change=self._changed
        )
        self._voice_uploads = VoiceUploads(config, self._engines, self._inbox, on_change=self._publish_info)
        self._history = HistoryReplies(config.inbox_file, self._inbox, private=config.log.private)
        self._event_log = EventLog(self._telemetry)
        self._intake = Intake(self._inbox, self._policy.admit)
        self._link = self._make_link()
        self._discovery = HomeAssistantDiscovery(
            config, self._root, self._identity, voices=self._voices.names, inbox=self._inbox, link=self._link
        )
        self._outbox = Outbox(
            self._inbox, self._link.send_events, self._event_log.record, connected=lambda: self._link.connected
        )
        self._mixer_threads = build_mixer_threads(config.audio, self._player)
        disk = DiskSpace(config.state_dir, config.limits.min_free_mb)
        alerts = build_alerts(
            config,
            self._telemetry,
            limits=lambda: reload.config.alerts,
            engines=self._engines,
            player=self._player,
            link=self._link,
            inbox=self._inbox,
            disk=disk,
        )
        self._state = ApplianceState(
            config.audio.volume,
            self._inbox,
            self._outbox,
            disk,
            self._engines,
            self._link,
            self._scheduler,
            self._player,
            self._default_voice,
            self._mixer_threads,
            self._archives,
            self._policy,
            paused_at_start=paused,
            alerts=alerts,
            private=config.log.private,
            config_note=lambda: reload.note,
        )
        self._report = StateReport(self._root, self._state.compose, self._link, self._notifier)
        link = self._link
        telemetry = TelemetryPayload(self._telemetry, self._inbox, self._player, self._engines, link, self._renders)
        self._status = StatusPublisher(
            self._link.publish_retained,
            self._state.compose,
            SensorSources(telemetry.compose, self._board.sources, self._publish_info).compose,
            self._report.on_state,
            config.telemetry.interval_s,
            alerts=alerts.evaluate,
        )
        self._voice_watcher = VoiceWatcher(
            self._voices.versions,
            forget=self._forget_voice,
            prepare=self._default_voice.prepare,
            chosen=self._default_voice.override,
            idle=self._state.idle,
            not_cloned=self._engines.cloned_voice_problem,
            on_change=self._publish_info,
        )
        self._espeak_check = EspeakCheck(lambda: self._engines.espeak_problem, self._engines.check_espeak)
        self._speed_check = SpeedCheck(self._check_speed)
        woken = (self._scheduler, self._status, self._espeak_check, self._speed_check, *self._mixer_threads)
        wake = [loop.wake for loop in woken]
        self._changed.connect(*wake)
        self._events_stored.connect(self._outbox.wake, self._status.wake)
        watched = watchdog.threads(
            inbox=self._inbox,
            player=self._player,
            scheduler=self._scheduler,
            workers=self._engines.workers,
            asking_loops=[self._voice_watcher, self._speed_check],
            loops=[
                *(self._intake, self._outbox, self._status, self._espeak_check, *self._mixer_threads),
                *(self._discovery, self._history),
                *([self._renders] if self._renders.enabled else []),
            ],
            connections=self._link.connections,
            lives=[reload],
            segment_s=config.engine.deadlines.segment_s,
            remote=self._engines.remote,
        )
        self._main_loop = MainLoop(
            notifier,
            self._report,
            self._scheduler,
            self._engines,
            self._link,
            self._inbox,
            disk,
            [self._event_log.sum_up, self._commands.sum_up, self._inbox.sum_up],
            watched,
        )
        reload.apply = LiveSettings(
            self._policy,
            language_of,
            factories.speaker,
            self._inbox,
            self._intake,
            speech,
            self._player,
            self._engines,
            self._link,
            self._discovery,
            self._history,
            self._state,
            self._status,
            [disk, self._voice_uploads.disk, *self._archives.disks],
            self._use_config,
        ).apply

    def start(self) -> None:
        """Start the parts from the sound device back to the broker, so that a line finds everything ready."""
        self._notifier.status("starting")
        self._start(self._board)
        log.info("engine: %s (%s)", self._choice.kind, self._choice.why)
        if self._choice.problem:
            log.error("%s", self._choice.problem)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._start(self._player, *self._mixer_threads)
        self._engines.start()
        self._stack.callback(self._engines.close)
        self._start(self._espeak_check, self._speed_check, self._archives, self._scheduler, self._discovery)
        self._start(self._voice_uploads, self._history)
        self._link.start()
        self._stack.callback(self._link.stop, _STOP_S)
        self._stack.callback(self._event_log.sum_up, last=True)
        self._stack.callback(self._commands.sum_up, last=True)
        self._start(self._outbox, self._intake, self._status, self._voice_watcher, self._renders)
        self._publish_info()

    def watch(self, stop_requested: threading.Event) -> None:
        """Report READY, and feed the watchdog until the daemon is to stop."""
        self._main_loop.run(stop_requested)

    def report_stopping(self) -> None:
        """Tell systemd and the log. The stack stops the parts."""
        self._notifier.stopping()
        if self._scheduler.status.speaking is not None:
            log.info("the current line continues at the next start")

    def _start(self, *parts: _Part) -> None:
        for part in parts:
            part.start()
            self._stack.callback(part.close, _STOP_S)

    def _found_paused(self) -> bool:
        """Whether the appliance was paused before the start, which is logged."""
        paused = self._inbox.recall("paused") == "1"
        if paused:
            log.warning("the appliance is %s", FOUND_PAUSED)
        return paused

    def _make_link(self) -> MqttLink:
        handlers = MqttHandlers(
            on_arrival=self._intake.offer,
            on_session=self._intake.begin_session,
            on_command=self._commands.command,
            on_history=self._history.offer,
            on_command_fault=self._commands.refused,
            on_volume=self._commands.volume,
            on_voice=self._commands.voice,
            on_connection=lambda _connected, _reason: self._events_stored(),
            on_completed=self._inbox.forget_deliveries,
            on_voice_request=self._voice_uploads.on_request,
            boards=RenderRequester.for_engine(self._engines.remote, self._config, self._root, self._changed),
            on_render=self._renders.offer if self._renders.enabled else None,
            on_render_cancel=self._renders.cancel,
        )
        options = with_stored_identity(MqttOptions.from_config(self._config, self._root), self._inbox, self._instance)
        voices, chimes = VoiceNames(self._voices), self._policy.chime_names
        limits = LineLimits.from_config(self._config, lambda: voices, chimes, options.reply_prefix)
        return MqttLink(options, limits, handlers)

    def _check_speed(self) -> None:
        if self._engines.check_speed():
            self._publish_info()

    def _forget_voice(self, name: str) -> None:
        self._engines.forget_voice(name)
        self._default_voice.refresh()
        self._scheduler.voices_changed()

    def _use_config(self, config: Config) -> None:
        """A reload has applied this configuration."""
        self._config = config
        self._publish_info()
        self._changed()

    def _publish_info(self) -> None:
        info = info_payload(
            self._config,
            instance=self._instance,
            identity=self._identity,
            sources=self._board.sources(),
            engines=self._engines,
            voices=self._voices,
        )
        self._link.publish_retained("info", info)
        self._discovery.wake()


class _Part(Protocol):
    """A part with a thread of its own."""

    def start(self) -> None: ...

    def close(self, timeout_s: float, /) -> None: ...
