"""`ishowtts run`: start in order, keep watch, stop in reverse."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from ishowtts.archive.archives import Archives
from ishowtts.board import Board
from ishowtts.board.detect import detect_board
from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.engines.espeak_check import EspeakCheck
from ishowtts.errors import FatalError, InboxError
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.mqtt import instance_ids
from ishowtts.mqtt.link import MqttLink
from ishowtts.mqtt.mqtt_options import MqttHandlers, MqttOptions
from ishowtts.mqtt.payload import LineLimits
from ishowtts.playback.build_player import build_player, hardware_volume, post_processor
from ishowtts.playback.choose_speaker import ChosenSpeaker, choose_speaker
from ishowtts.playback.player import Player
from ishowtts.speech import FallbackSynthesizer, Intake, Outbox, Scheduler, SpeechResources
from ishowtts.speech.cached_speech import CachedSpeech
from ishowtts.speech.commands import CommandHandler
from ishowtts.speech.speech_policy import SpeechPolicy
from ishowtts.status import info_payload, watchdog
from ishowtts.status.event_log import EventLog
from ishowtts.status.state_payload import FOUND_PAUSED, StateFacts, compose
from ishowtts.status.status_publisher import StatusPublisher
from ishowtts.status.telemetry import Telemetry
from ishowtts.status.telemetry_payload import TelemetryPayload
from ishowtts.status.voice_watcher import VoiceWatcher
from ishowtts.systemd import Notifier
from ishowtts.util import stop_signals
from ishowtts.util.change_signal import ChangeSignal
from ishowtts.util.disk_space import DiskSpace

log = logging.getLogger(__name__)

_STOP_S = 5.0
_BROKER_GRACE_S = 5.0
_PRUNE_S = 3600.0
_LOUDEST = 100
# How long a busy thread may keep the player's waiting for the interpreter, at each of its calls into ALSA.
_SWITCH_S = 0.0005


@dataclass(frozen=True)
class Makers:
    """What makes the parts that cost time or money; a bench brings its own."""

    company: Callable[[Config, build.EngineChoice, Callable[[], None]], build.Engines] = build.build_engines
    speaker: Callable[[str], ChosenSpeaker] = choose_speaker


def run(config: Config, makers: Makers = Makers()) -> int:
    """Be the daemon until SIGTERM or SIGINT; the exit status.

    Raises:
        FatalError: it could not start; the sentence is for the operator.
    """
    with stop_signals.stop_asked() as asked_to_stop, ExitStack() as stack:
        daemon = Daemon(config, stack, makers)
        if not asked_to_stop.is_set():
            daemon.start()
            daemon.watch(asked_to_stop)
        daemon.stopping()
    log.info("stopped")
    return 0


class Daemon:
    """Every part of the appliance, and what ties them. What `stack` holds is stopped in reverse."""

    def __init__(self, config: Config, stack: ExitStack, makers: Makers = Makers()) -> None:
        self._stack = stack
        self._config = config
        self._instance = uuid.uuid4().hex
        self._changed = ChangeSignal()  # a line, an engine, the device or a level
        self._events_came = ChangeSignal()
        self._notifier = Notifier()
        self._board: Board = detect_board(config.board.source, config.board.sysfs_root)
        self._identity = self._board.identity()
        self._root = config.root_topic(self._identity.serial)
        self._inbox = self._open_inbox()
        self._disk = DiskSpace(config.state_dir, config.limits.min_free_mb)
        self._found_paused = self._inbox.recall("paused") == "1"
        if self._found_paused:
            log.warning("the appliance is %s", FOUND_PAUSED)
        self._player = self._make_player(makers.speaker)
        self._lead = build.choose_engine(config)
        self._company = makers.company(config, self._lead, self._changed)
        self._archives = Archives(config)
        self._voices = self._company.shelf
        self._telemetry = Telemetry(self._board)
        language_of = build.languages(config, self._lead.kind, self._voices)
        self._policy = SpeechPolicy.from_config(config, self._voices.names, language_of)
        switches = config.engine.f5.optimisations
        cached_speech = None
        if self._archives.cache is not None and self._company.cache_key is not None:
            cached_speech = CachedSpeech(self._archives.cache, self._company.cache_key)
        synthesizer = FallbackSynthesizer.from_engines(
            self._company, streaming=switches.streaming, batching=switches.batching, cached_speech=cached_speech
        )
        resources = SpeechResources(
            synthesizer,
            self._player,
            self._policy,
            post_processor(config.audio, self._player.rate_hz),
            self._archives.recorder,
        )
        self._scheduler = Scheduler(
            self._inbox,
            resources,
            available=self._company.available,
            paused=self._found_paused,
            pause_s=config.audio.pause_s,
            drop_when_lost=config.audio.when_lost == "drop",
            on_change=self._changed,
            on_report=self._telemetry.record,
        )
        self._controls = CommandHandler(self._inbox, self._scheduler, self._player, self._changed)
        self._intake = Intake(self._inbox, self._policy.admit)
        self._link = self._make_link()
        self._journal = EventLog(self._telemetry)
        self._outbox = Outbox(
            self._inbox, self._link.send_events, self._journal.tell, connected=lambda: self._link.connected
        )
        snapshots = TelemetryPayload(self._telemetry, self._inbox, self._player, self._company, self._link)
        self._herald = StatusPublisher(
            self._link.publish_retained,
            self._state,
            snapshots.compose,
            self._state_told,
            config.telemetry.interval_s,
        )
        self._librarian = VoiceWatcher(
            self._voices.versions,
            forget=self._forget_voice,
            prepare=self._company.prepare_voice,
            idle=self._idle,
            on_change=lambda: self._link.publish_retained("info", self._info()),
        )
        self._espeak_check = EspeakCheck(lambda: self._company.espeak_trouble, self._company.check_espeak)
        self._changed.connect(self._scheduler.wake, self._herald.wake, self._espeak_check.wake)
        self._events_came.connect(self._outbox.wake, self._herald.wake)
        self._mixing = hardware_volume(config.audio, self._player)
        if self._mixing is not None:
            self._changed.connect(self._mixing.wake)
        loops = (self._intake, self._outbox, self._herald, self._espeak_check, self._mixing)
        self._watched = watchdog.threads(
            inbox=self._inbox,
            player=self._player,
            conductor=self._scheduler,
            remote=self._company.remote,
            librarian=self._librarian,
            loops=[loop for loop in loops if loop is not None],
            segment_s=config.engine.deadlines.segment_s,
        )

    def start(self) -> None:
        """From the loudspeaker backwards to the broker: what arrives finds everything ready."""
        self._notifier.status("starting")
        log.info("engine: %s (%s)", self._lead.kind, self._lead.why)
        if self._lead.trouble:
            log.error("%s", self._lead.trouble)
        sys.setswitchinterval(_SWITCH_S)
        self._player.start()
        self._stack.callback(self._player.close, _STOP_S)
        if self._mixing is not None:
            self._mixing.start()
            self._stack.callback(self._mixing.close, _STOP_S)
        self._company.start()
        self._stack.callback(self._company.close)
        self._espeak_check.start()
        self._stack.callback(self._espeak_check.close, _STOP_S)
        self._archives.start()
        self._stack.callback(self._archives.close, _STOP_S)
        self._scheduler.start()
        self._stack.callback(self._scheduler.close, _STOP_S)
        self._link.start()
        self._stack.callback(self._link.stop, _STOP_S)
        self._stack.callback(self._journal.sum_up, last=True)
        self._stack.callback(self._controls.sum_up, last=True)
        self._outbox.start()
        self._stack.callback(self._outbox.close, _STOP_S)
        self._intake.start()
        self._stack.callback(self._intake.close, _STOP_S)
        self._herald.start()
        self._stack.callback(self._herald.close, _STOP_S)
        self._librarian.start()
        self._stack.callback(self._librarian.close, _STOP_S)
        self._link.publish_retained("info", self._info())

    def watch(self, asked_to_stop: threading.Event) -> None:
        """READY once the broker has us, or after a grace while it is not there; then feed the watchdog."""
        deadline = time.monotonic() + _BROKER_GRACE_S
        while not self._link.connected and time.monotonic() < deadline and not asked_to_stop.wait(0.05):
            pass
        self._notifier.ready(self._status_line())
        log.info("ready: lines on %s/say%s", self._root, self._away())
        interval_s = self._notifier.watchdog_interval_s() or 5.0
        prune_at = time.monotonic()
        while not asked_to_stop.wait(min(interval_s, 5.0)):
            self._link.revive_if_dead()
            self._notifier.status(self._status_line())
            self._journal.sum_up()
            self._controls.sum_up()
            self._inbox.sum_up()
            short = self._disk.shortage() is not None
            if time.monotonic() >= prune_at or short:
                # About a second of it in each round: the watchdog is fed in between.
                prune_at = time.monotonic() + (0.0 if self._prune(short) else _PRUNE_S)
            if fault := self._fault():
                log.critical("the watchdog is not fed: %s", fault)
            else:
                self._notifier.watchdog()

    def _prune(self, short: bool) -> bool:
        """Prune the history; whether there is more to prune."""
        try:
            return self._inbox.prune(short=short)
        except InboxError as error:
            log.error("the history was not pruned: %s", error)
            return False

    def stopping(self) -> None:
        """Say so; the stack does it."""
        self._notifier.stopping()
        log.info("stopping: a line on the air goes on at the next start")

    def _open_inbox(self) -> Inbox:
        path = self._config.state_dir / "inbox.sqlite"
        with suppress(OSError):  # the inbox says what is wrong with the folder, and goes on in memory
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)  # spoken text is private
        try:
            inbox = Inbox(
                path, InboxLimits.from_config(self._config), on_lines=self._changed, on_events=self._events_came
            )
        except InboxError as error:
            raise FatalError(str(error)) from error
        self._stack.callback(inbox.close)
        if inbox.trouble:
            log.error("%s", inbox.trouble)
        return inbox

    def _make_player(self, choose: Callable[[str], ChosenSpeaker]) -> Player:
        player = build_player(self._config.audio, choose, on_change=self._changed)
        player.set_volume(self._kept_volume())
        player.set_muted(self._inbox.recall("muted") == "1")
        return player

    def _kept_volume(self) -> int:
        kept = self._inbox.recall("volume") or ""
        if re.fullmatch("[0-9]{1,3}", kept) and int(kept) <= _LOUDEST:
            return int(kept)
        if kept:
            log.warning("the volume that was kept cannot be read (%r): audio.volume holds", kept[:40])
        return self._config.audio.volume

    def _make_link(self) -> MqttLink:
        handlers = MqttHandlers(
            on_arrival=self._intake.offer,
            on_session=self._intake.begin_session,
            on_command=self._controls.command,
            on_command_fault=self._controls.refused,
            on_volume=self._controls.volume,
            on_connection=lambda _connected, _reason: self._events_came(),
            on_settled=self._inbox.forget_deliveries,
        )
        options = replace(
            MqttOptions.from_config(self._config, self._root),
            instance=self._instance,
            predecessors=instance_ids.known(self._inbox, self._instance),
            client_secret=instance_ids.client_secret(self._inbox),
        )
        names = self._voices.names, self._policy.chime_names
        return MqttLink(options, LineLimits.from_config(self._config, *names, options.reply_prefix), handlers)

    def _forget_voice(self, name: str) -> None:
        self._company.forget_voice(name)
        self._scheduler.voices_changed()

    def _state(self) -> dict[str, Any]:
        status = self._scheduler.status
        self._found_paused = self._found_paused and status.paused
        troubles = (
            self._inbox.trouble,
            self._outbox.trouble,
            self._disk.shortage(),
            self._lead.trouble,
            self._link.deaf,
            *self._company.troubles,
            status.retry_reason,
            self._player.status().problem,
            self._mixing.trouble if self._mixing else None,
            *self._archives.troubles,
            *self._policy.troubles,
        )
        return compose(
            StateFacts(
                sheet=status,
                engine=self._company.status(),
                engine_name=self._lead.kind,
                queue_depth=self._inbox.depth(),
                muted=self._player.muted,
                volume=self._player.volume,
                troubles=tuple(dict.fromkeys(trouble for trouble in troubles if trouble)),
                found_paused=self._found_paused,
                quiet_until=self._policy.quiet_until(),
            )
        )

    def _state_told(self, state: dict[str, Any], is_news: bool) -> None:
        self._notifier.status(self._status_line())
        if is_news:
            log.info("state: %s%s", state["state"], f" ({state['detail']})" if state["detail"] else "")

    def _status_line(self) -> str:
        state = self._state()
        why = f" ({state['detail']})" if state["detail"] else ""
        return f"{state['state']}{why}, lines waiting: {state['queue_depth']}{self._away()}"

    def _away(self) -> str:
        return "" if self._link.connected else f"; {self._link.neighbour or 'the broker is away'}"

    def _idle(self) -> bool:
        status = self._scheduler.status
        return status.speaking is None and (status.paused or self._inbox.depth() == 0)

    def _info(self) -> dict[str, Any]:
        return info_payload.compose(
            self._config,
            instance=self._instance,
            identity=self._identity,
            lead=self._lead,
            voices=self._voices.names(),
        )

    def _fault(self) -> str | None:
        """What keeps the appliance from doing its job and only a restart mends; `None` while all is well."""
        return watchdog.fault(self._watched)
