"""Commands of the contract, obeyed on the conductor's thread and answered with a `command` event."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ishowtts.errors import CommandError
from ishowtts.inbox import Inbox
from ishowtts.model import Command, Line
from ishowtts.playback.player import Player
from ishowtts.speech.command_answers import CommandAnswers
from ishowtts.speech.scheduler import Scheduler

T = TypeVar("T")


class CommandHandler:
    """What a controller may ask for. Volume, mute and pause are kept over a restart.

    Args:
        on_change: told when volume or mute may have changed.
    """

    def __init__(self, inbox: Inbox, conductor: Scheduler, player: Player, on_change: Callable[[], None]) -> None:
        self._inbox = inbox
        self._conductor = conductor
        self._player = player
        self._on_change = on_change
        self._answers = CommandAnswers(inbox)
        self._words: dict[str, Callable[[Command], str | Future[str]]] = {
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
        """Obey at the conductor's next step, or refuse at once if too many of its word are unfinished; never blocks."""
        if not self._conductor.order(lambda: self._obey(command), kind=command.command, same=command):
            self._answer_to(command, False, _too_many(command.command))

    def volume(self, volume: int) -> None:
        """Set the volume, 0 to 100; never blocks."""
        if not self._conductor.order(lambda: self._set_volume(volume), kind="volume", same=volume):
            self._answers.tell("volume", None, False, _too_many("volume"), None)

    def refused(self, sentence: str, transaction: str | None) -> None:
        """Answer a command that could not be read. The conductor has nothing to do with it; never blocks."""
        self._answers.tell("", None, False, sentence, transaction)

    def sum_up(self, *, last: bool = False) -> None:
        """Tell of the answers that a flood left untold; see `Answers.sum_up`."""
        self._answers.sum_up(last=last)

    def _obey(self, command: Command) -> Future[str] | None:
        """Carry out a command and answer it; the future tells when the inbox has done its part."""
        try:
            done = self._words[command.command](command)
        except CommandError as error:
            self._answer_to(command, False, str(error))
            return None
        if isinstance(done, str):
            self._answer_to(command, True, done)
            return None
        done.add_done_callback(lambda told: self._answer_with(command, told))
        return done

    def _skip(self, _: Command) -> str:
        line = self._conductor.cancel_current("skip")
        if line is None:
            raise CommandError("nothing is being spoken")
        return f"line {line.id} was skipped"

    def _stop(self, _: Command) -> Future[str]:
        current = self._conductor.cancel_current("stop")
        waiting = self._inbox.cancel_waiting("stop")
        return _then(waiting, lambda count: _cancelled(count + (current is not None)))

    def _cancel(self, command: Command) -> Future[str]:
        if command.line_id is None:
            raise CommandError('cancel needs the id of a line, as in {"command": "cancel", "id": "…"}')
        speaking = self._conductor.on_the_air()
        ours = speaking is not None and speaking.id == command.line_id
        if ours:
            self._conductor.cancel_current("cancel")

        def tell(waiting: int) -> str:
            if not waiting + ours:
                raise CommandError(f"no line with the id {command.line_id!r} is waiting or being spoken")
            return _cancelled(waiting + ours)

        return _then(self._inbox.cancel_waiting("cancel", command.line_id), tell)

    def _replay(self, _: Command) -> Future[str]:
        new_id = uuid.uuid4().hex

        def tell(last: Line | None) -> str:
            if last is None:
                raise CommandError("nothing has been spoken yet")
            return f"line {last.id} is said again as {new_id}"

        return _then(self._inbox.replay(new_id), tell)

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
        self._answers.tell("volume", None, True, f"the volume is {volume}", None)

    def _answer_with(self, command: Command, told: Future[str]) -> None:
        error = told.exception()
        self._answer_to(command, error is None, told.result() if error is None else str(error))

    def _answer_to(self, command: Command, ok: bool, detail: str) -> None:
        self._answers.tell(command.command, command.line_id, ok, detail, command.transaction)


def _too_many(word: str) -> str:
    return f"too many {word} commands are not finished; send fewer at once"


def _cancelled(count: int) -> str:
    return "1 line was cancelled" if count == 1 else f"{count or 'no'} lines were cancelled"


def _then(change: Future[T], tell: Callable[[T], str]) -> Future[str]:
    """The sentence that tells what a change of the inbox gave, once it is kept; CommandError: it gave nothing."""
    told: Future[str] = Future()

    def done(change: Future[T]) -> None:
        try:
            told.set_result(tell(change.result()))
        except Exception as error:
            # Whatever it is: a future that is never done would count as an unfinished command for ever.
            told.set_exception(error)

    change.add_done_callback(done)
    return told
