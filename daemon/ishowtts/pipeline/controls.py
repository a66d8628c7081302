"""Commands of the contract, obeyed on the conductor's thread and answered with a `command` event."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from ishowtts.errors import CommandError
from ishowtts.inbox import Inbox
from ishowtts.pipeline.conductor import Conductor
from ishowtts.playback.player import Player
from ishowtts.speech import Command, Event, timestamp

log = logging.getLogger(__name__)


class Controls:
    """What a controller may ask for. Volume, mute and pause are kept over a restart.

    Args:
        on_change: told when volume or mute changed.
    """

    def __init__(self, inbox: Inbox, conductor: Conductor, player: Player, on_change: Callable[[], None]) -> None:
        self._inbox = inbox
        self._conductor = conductor
        self._player = player
        self._on_change = on_change
        self._words: dict[str, Callable[[Command], str]] = {
            "skip": self._skip,
            "stop": self._stop,
            "pause": lambda _: self._set_paused(True),
            "resume": lambda _: self._set_paused(False),
            "mute": lambda _: self._set_muted(True),
            "unmute": lambda _: self._set_muted(False),
            "replay": self._replay,
            "cancel": self._cancel,
        }

    def command(self, command: Command) -> None:
        """Obey at the conductor's next step; never blocks."""
        self._conductor.order(lambda: self._obey(command))

    def volume(self, volume: int) -> None:
        """Set the volume, 0 to 100; never blocks."""
        self._conductor.order(lambda: self._set_volume(volume))

    def refused(self, sentence: str, transaction: str | None) -> None:
        """Answer a command that could not be read."""
        self._conductor.order(lambda: self._answer("", None, False, sentence, transaction))

    def _obey(self, command: Command) -> None:
        try:
            detail = self._words[command.command](command)
        except CommandError as error:
            self._answer_to(command, False, str(error))
        else:
            self._answer_to(command, True, detail)

    def _skip(self, _: Command) -> str:
        line = self._conductor.cancel_current("skip")
        if line is None:
            raise CommandError("nothing is being spoken")
        return f"line {line.id} was skipped"

    def _stop(self, _: Command) -> str:
        current = self._conductor.cancel_current("stop")
        waiting = self._inbox.cancel_waiting("stop")
        return f"{waiting + (current is not None)} lines were cancelled"

    def _cancel(self, command: Command) -> str:
        if command.line_id is None:
            raise CommandError('cancel needs the id of a line, as in {"command": "cancel", "id": "…"}')
        speaking = self._conductor.on_the_air()
        cancelled = self._inbox.cancel_waiting("cancel", command.line_id)
        if speaking is not None and speaking.id == command.line_id:
            self._conductor.cancel_current("cancel")
            cancelled += 1
        if not cancelled:
            raise CommandError(f"no line with the id {command.line_id!r} is waiting or being spoken")
        return f"{cancelled} lines were cancelled"

    def _replay(self, _: Command) -> str:
        last = self._inbox.last_spoken()
        if last is None:
            raise CommandError("nothing has been spoken yet")
        again = replace(last, id=uuid.uuid4().hex, reply_to=None, ttl_s=None)
        self._inbox.accept([again])
        return f"line {last.id} is said again as {again.id}"

    def _set_paused(self, paused: bool) -> str:
        self._conductor.set_paused(paused)
        self._inbox.remember("paused", str(int(paused)))
        return "paused" if paused else "resumed"

    def _set_muted(self, muted: bool) -> str:
        self._player.set_muted(muted)
        self._inbox.remember("muted", str(int(muted)))
        self._on_change()
        return "muted" if muted else "unmuted"

    def _set_volume(self, volume: int) -> None:
        self._player.set_volume(volume)
        self._inbox.remember("volume", str(volume))
        self._on_change()

    def _answer_to(self, command: Command, ok: bool, detail: str) -> None:
        self._answer(command.command, command.line_id, ok, detail, command.transaction)

    def _answer(self, word: str, line_id: str | None, ok: bool, detail: str, transaction: str | None) -> None:
        log.info("command %s: %s", word or "?", detail)
        data = {"command": word, "ok": ok, "detail": detail, "transaction": transaction}
        self._inbox.record(Event(timestamp(time.time()), line_id or "", "command", data))
