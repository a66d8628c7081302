"""Carries out the commands of the contract on the scheduler thread, and answers each with a `command` event."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from ishowtts.errors import CommandError
from ishowtts.inbox import Inbox
from ishowtts.model import Command, Event, Line, timestamp
from ishowtts.playback.player import Player
from ishowtts.policies.authors import author_key
from ishowtts.speech.default_voice import DefaultVoice
from ishowtts.speech.scheduler import Scheduler
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.rate_limit import FLOOD_S, RateLimit

log = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_ANSWERS = 100  # to one command, within FLOOD_S
_MAX_UNREADABLE_ANSWERS = 10


class CommandHandler:
    """Carries out commands. Volume, mute, pause and the default voice are kept over a restart.

    Args:
        reload: Reads the configuration again. Gives the answer in a sentence, or raises CommandError.
        on_change: Called when volume, mute or the default voice may have changed.
    """

    def __init__(
        self,
        inbox: Inbox,
        scheduler: Scheduler,
        player: Player,
        default_voice: DefaultVoice,
        reload: Callable[[], Future[str]],
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._scheduler = scheduler
        self._player = player
        self._default_voice = default_voice
        self._on_change = on_change
        self._answers = CommandAnswers(inbox)
        self._handlers: dict[str, Callable[[Command], str | Future[str]]] = {
            "skip": self._skip,
            "stop": self._stop,
            "pause": lambda _: self._set_paused(True),
            "resume": lambda _: self._set_paused(False),
            "mute": lambda _: self._set_muted(True),
            "unmute": lambda _: self._set_muted(False),
            "replay": self._replay,
            "cancel": self._cancel,
            "reload": lambda _: reload(),
        }

    def command(self, command: Command) -> None:
        """Carry out a command at the scheduler's next step; refuse it if too many are unfinished. Never blocks."""
        if not self._scheduler.submit(lambda: self._execute(command), kind=command.command, same=command):
            self._answer(command, False, _too_many(command.command))

    def volume(self, volume: int) -> None:
        """Set the volume, 0 to 100. Never blocks."""
        if not self._scheduler.submit(lambda: self._set_volume(volume), kind="volume", same=volume):
            self._answers.send("volume", None, False, _too_many("volume"), None)

    def voice(self, name: str | None) -> None:
        """Set the voice of lines that name none; `None`: the configured one. It looks at the voices on the disk."""
        if name is not None and not self._default_voice.is_there(name):
            self._answers.send("voice", None, False, partial(self._default_voice.why_not, name), None)
            return
        try:
            if name is not None:
                self._default_voice.check(name)
        except CommandError as error:
            self._answers.send("voice", None, False, str(error), None)
            return
        if not self._scheduler.submit(lambda: self._set_voice(name), kind="voice", same=("voice", name)):
            self._answers.send("voice", None, False, _too_many("voice"), None)

    def refused(self, sentence: str, transaction: str | None, command: str = "") -> None:
        """Answer a command that cannot be carried out; `command` is empty if it could not be read. Never blocks."""
        self._answers.send(command, None, False, sentence, transaction)

    def sum_up(self, *, last: bool = False) -> None:
        """Send the summaries of floods; see `CommandAnswers.sum_up`."""
        self._answers.sum_up(last=last)

    def _execute(self, command: Command) -> Future[str] | None:
        """Carry out a command and answer it; the future is done when the inbox has done its part."""
        try:
            result = self._handlers[command.command](command)
        except CommandError as error:
            self._answer(command, False, str(error))
            return None
        if isinstance(result, str):
            self._answer(command, True, result)
            return None
        result.add_done_callback(lambda sentence: self._answer_result(command, sentence))
        return result

    def _skip(self, _: Command) -> str:
        line = self._scheduler.cancel_current("skip")
        if line is None:
            raise CommandError("nothing is being spoken")
        return f"line {line.id} was skipped"

    def _stop(self, _: Command) -> Future[str]:
        current = self._scheduler.cancel_current("stop")
        waiting = self._inbox.cancel_waiting("stop")
        return _then(waiting, lambda count: _cancelled(count + (current is not None)))

    def _cancel(self, command: Command) -> Future[str]:
        current = self._scheduler.current_line
        is_current = current is not None and _is_meant(command, current)
        if is_current:
            self._scheduler.cancel_current("cancel")
        if command.author is not None:
            of_author = self._inbox.cancel_author("cancel", _is_author(command.author), command.line_id)
            return _then(of_author, lambda found: _cancel_answer(command, found[0] + is_current, found[1]))
        with_id = self._inbox.cancel_waiting("cancel", command.line_id)
        return _then(with_id, lambda waiting: _cancel_answer(command, waiting + is_current))

    def _replay(self, _: Command) -> Future[str]:
        new_id = uuid.uuid4().hex

        def sentence(last: Line | None) -> str:
            if last is None:
                raise CommandError("nothing has been spoken yet")
            return f"line {last.id} is said again as {new_id}"

        return _then(self._inbox.replay(new_id), sentence)

    def _set_paused(self, paused: bool) -> str:
        self._scheduler.set_paused(paused)
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
        self._answers.send("volume", None, True, f"the volume is {volume}", None)

    def _set_voice(self, name: str | None) -> None:
        sentence = self._default_voice.choose(name)
        self._inbox.remember("voice", name or "")
        self._scheduler.voices_changed()
        self._on_change()
        self._answers.send("voice", None, True, sentence, None)

    def _answer_result(self, command: Command, sentence: Future[str]) -> None:
        error = sentence.exception()
        self._answer(command, error is None, sentence.result() if error is None else str(error))

    def _answer(self, command: Command, ok: bool, detail: str) -> None:
        self._answers.send(command.command, command.line_id, ok, detail, command.transaction)


class CommandAnswers:
    """Answers each command with one event and one log line. Any thread may call; no method blocks.

    Within 10 s the first 100 answers to each command are sent, and 10 to messages that are not a command. The others
    are counted and summed up in one event once the 10 s are over.

    Args:
        now_s: Monotonic clock, in seconds.
    """

    def __init__(self, inbox: Inbox, now_s: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._now_s = now_s
        self._lock = threading.Lock()
        self._limits: dict[str, RateLimit] = {}

    def send(
        self,
        command: str,
        line_id: str | None,
        ok: bool,
        detail: str | Callable[[], str],
        transaction: str | None,
        *,
        voice: str | None = None,
        limited: bool = True,
    ) -> None:
        """Answer one command.

        Args:
            command: The name of the command; empty if it could not be read.
            detail: A sentence. A function is called only if the answer is sent, not for each message of a flood.
            voice: The voice that is added or removed; `None` if the command is about none.
            limited: Whether only the first 100 are sent. `False` for a command that takes so long that it cannot flood.
        """
        if not limited or self._limit(command).allows("executed" if ok else "refused"):
            sentence = detail if isinstance(detail, str) else detail()
            self._record(command, line_id, ok, sentence, transaction, voice=voice)

    def sum_up(self, *, last: bool = False) -> None:
        """Send a summary of the answers that were only counted, once their 10 s are over. Call it every few seconds.

        Args:
            last: Send it now.
        """
        with self._lock:
            limits = list(self._limits.items())
        for command, limit in limits:
            if counts := limit.held_back(last=last):
                each = " and ".join(f"{count} {what}" for what, count in sorted(counts.items()))
                detail = f"of more such commands within {FLOOD_S:.0f} s, {each}; send fewer"
                self._record(command, None, "refused" not in counts, detail, None)

    def _limit(self, command: str) -> RateLimit:
        with self._lock:
            if command not in self._limits:
                self._limits[command] = RateLimit(_MAX_ANSWERS if command else _MAX_UNREADABLE_ANSWERS, self._now_s)
            return self._limits[command]

    def _record(
        self,
        command: str,
        line_id: str | None,
        ok: bool,
        detail: str,
        transaction: str | None,
        *,
        voice: str | None = None,
    ) -> None:
        outcome = "executed" if ok else "refused"
        fields = log_fields(event="command", outcome=outcome, command=command, line_id=line_id, voice=voice)
        log.info("command %s %s: %s", command or "?", outcome, Untrusted(detail), extra=fields)
        data = {"command": command, "ok": ok, "detail": detail, "transaction": transaction}
        data |= {} if voice is None else {"voice": voice}
        self._inbox.record(Event(timestamp(time.time()), line_id or "", "command", data))


def _too_many(command: str) -> str:
    return f"too many {command} commands are not finished; send fewer at once"


def _is_author(name: str) -> Callable[[str | None], bool]:
    """Returns a function that tells whether another name is one that a reader takes for this name."""
    key = author_key(name)
    return lambda other: other is not None and author_key(other) == key


def _is_meant(command: Command, line: Line) -> bool:
    """Whether `cancel` is about this line: it has the id and the author, if the command names them."""
    of_author = command.author is None or _is_author(command.author)(line.author)
    return of_author and command.line_id in (None, line.id)


def _cancel_answer(command: Command, count: int, repeats: int = 0) -> str:
    """The answer to `cancel`.

    Args:
        repeats: How many lines of the author do not count any more in lines of others.

    Raises:
        CommandError: There was no such line.
    """
    if not count and not repeats:
        named = "" if command.line_id is None else f" with the id {command.line_id!r}"
        written = "" if command.author is None else f" of the author {command.author!r}"
        raise CommandError(f"no line{named}{written} is waiting or being spoken")
    counted = "1 repeat is" if repeats == 1 else f"{repeats} repeats are"
    return _cancelled(count) + (f"; {counted} not counted in lines of others any more" if repeats else "")


def _cancelled(count: int) -> str:
    return "1 line was cancelled" if count == 1 else f"{count or 'no'} lines were cancelled"


def _then(change: Future[T], sentence: Callable[[T], str]) -> Future[str]:
    """The answer to a command, once the inbox has made the change.

    Args:
        sentence: Turns the result of the change into the answer. It raises CommandError if the command failed.
    """
    answer: Future[str] = Future()

    def done(change: Future[T]) -> None:
        try:
            answer.set_result(sentence(change.result()))
        except Exception as error:
            # Every exception: a future that is never done would count as an unfinished command for ever.
            answer.set_exception(error)

    change.add_done_callback(done)
    return answer
