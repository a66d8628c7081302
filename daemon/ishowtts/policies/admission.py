"""What becomes of a line before it is stored: each policy in its turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from ishowtts import config
from ishowtts.model import Line, Priority, Reason, Rejection
from ishowtts.policies.authors import author_key, spoken_author
from ishowtts.policies.blocked_words import BlockedWords
from ishowtts.policies.emoji_names import emoji_cuts
from ishowtts.policies.length import cut
from ishowtts.policies.links import link_cuts
from ishowtts.policies.quiet_hours import QuietHours, quiet_at
from ishowtts.policies.rate_limits import RateLimits
from ishowtts.policies.repeats import without_repeats
from ishowtts.policies.templates import filled
from ishowtts.policies.text_edits import spliced, visible
from ishowtts.text import is_speakable

log = logging.getLogger(__name__)

_MOST_AUTHOR_CHARS = 256
_MOST_MASKINGS = 4
# Links, emoji and repeats shrink a text: so much more than `max_chars` is read of it. Each character costs time on the
# one thread that takes lines, so a text that is cut anyway gets less than one that is refused for its length.
_EXTRA_CHARS = 4096
_EXTRA_CUT_CHARS = 512
_LONGEST_WORD_CHARS = 64

BLOCKED, LINKS, EMOJI, REPEATS, CUT, VOICE, TEMPLATE = (
    "blocked",
    "links",
    "emoji",
    "repeats",
    "cut",
    "voice",
    "template",
)
"""The words of `Line.done`, in the order in which things are done."""


_Bounded = Callable[[str, list[str]], str]
"""Shortens a text and notes that in the list."""


class _PolicyRejection(Exception):
    def __init__(self, reason: Reason, detail: str, line: Line | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.line = line


class Policies:
    """Every line goes through `admit` once, in the order of arrival, on one thread; `quiet` may be asked on another.

    Args:
        nfe_step: of lines that name none: the work of a line is its characters times NFE.
        clock: seconds, monotonic.
        voices: names of the voices there are now; `None` while nobody knows them (any name passes).
    """

    def __init__(
        self,
        policies: config.PolicySection,
        limits: config.LimitsSection,
        nfe_step: int,
        clock: Callable[[], float] = time.monotonic,
        voices: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        self._policies = policies
        self._limits = limits
        self._nfe_step = nfe_step
        self._clock = clock
        self._voices = voices
        self._blocked = BlockedWords(policies.blocked, clock)
        self._rates = RateLimits(policies)
        self._author_voices = {author_key(name): voice for name, voice in policies.author_voices.items()}
        self._told_of: set[str] = set()

    @property
    def fault(self) -> str | None:
        """What is wrong with the file of blocked words, in a sentence; `None`: nothing."""
        return self._blocked.fault

    def admit(self, line: Line) -> Line | Rejection:
        """The line as it is to be spoken, with what was done to it, or why it is not. Never raises.

        A line to which nothing was done is given back as it is.
        """
        try:
            return self._admit(line)
        except _PolicyRejection as refused:
            return Rejection(line.id, refused.reason, refused.detail, line.reply_to, refused.line or line)

    def quiet(self, wall: datetime) -> QuietHours | None:
        """The quiet hours that hold at this local time; `None`: none do. `high` and `urgent` do not ask."""
        return quiet_at(self._policies.quiet, wall)

    def _admit(self, line: Line) -> Line:
        done: list[str] = []
        text = self._worded(self._bounded(line.text, done), done)
        self._refuse_empty(text, done)
        text = self._fitting(text, done)
        voice = self._voice_of(line, done)
        text = self._in_template(line.author, text, done)
        if done or len(line.text) > self._limits.max_chars:  # of what cannot be seen there may be any amount
            line = replace(line, text=text, voice=voice, done=(*line.done, *dict.fromkeys(done)))
        self._count(line)
        return line

    def _bounded(self, text: str, done: list[str]) -> str:
        """The visible text, or the head of it that can still be spoken: a megabyte costs no more than a page."""
        most = self._limits.max_chars + _EXTRA_CHARS
        if self._limits.too_long == "reject" and len(text) > most:
            raise self._too_long(text)
        seen = visible(text[:most])
        if self._limits.too_long == "reject":
            return seen
        head = _head(seen, self._limits.max_chars + _EXTRA_CUT_CHARS)
        if len(text) > most or head != seen:
            done.append(CUT)
        return head

    def _worded(self, text: str, done: list[str]) -> str:
        """Blocked words are looked for before anything could hide one, and again after something could make one."""
        policies = self._policies
        text = sent = self._without_blocked(text, "the text", done, self._bounded)
        if policies.links != "keep":
            word = policies.link_word if policies.links == "word" else ""
            text = _noted(LINKS, text, spliced(text, link_cuts(text, word)), done)
        cuts = emoji_cuts(text, policies.emoji, policies.repeats is not None, policies.emoji_language)
        text = self._bounded(_noted(EMOJI, text, spliced(text, cuts), done), done)  # names are longer than emoji
        if policies.repeats is not None:
            text = _noted(REPEATS, text, without_repeats(text, policies.repeats), done)
        return text if text == sent else self._without_blocked(text, "the text", done, self._bounded)

    def _without_blocked(self, text: str, what: str, done: list[str], bounded: _Bounded) -> str:
        if self._policies.blocked.action == "mask":
            return self._masked(text, what, done, bounded)
        entry = self._blocked.first(text)
        if entry is not None:
            raise _PolicyRejection(
                Reason.FILTERED, f"{what} holds {entry!r}, which is blocked (policies.blocked); leave it out"
            )
        return text

    def _author_without_blocked(self, name: str, done: list[str]) -> str:
        return self._without_blocked(name, "the author's name", done, lambda name, _: name[:_MOST_AUTHOR_CHARS])

    def _masked(self, text: str, what: str, done: list[str], bounded: _Bounded) -> str:
        """A word that is taken out can bring another one together, so it is looked again until there is none.

        A mask may be longer than its word, so the text is bounded again each time.
        """
        for _ in range(_MOST_MASKINGS):
            masked = self._blocked.masked(text)
            if masked == text:
                return text
            text = bounded(_noted(BLOCKED, text, masked, done), done)
        raise _PolicyRejection(
            Reason.FILTERED, f"{what} holds blocked words in blocked words (policies.blocked); leave them out"
        )

    def _refuse_empty(self, text: str, done: list[str]) -> None:
        if is_speakable(text):
            return
        keys = " and ".join(f"policies.{word}" for word in dict.fromkeys(done) if word != CUT)
        why = f"nothing is left of the text after {keys}" if keys else "the text has no letter and no digit"
        raise _PolicyRejection(Reason.EMPTY, f"{why}; send words")

    def _fitting(self, text: str, done: list[str]) -> str:
        if len(text) <= self._limits.max_chars:
            return text
        if self._limits.too_long == "reject":
            raise self._too_long(text)
        text = _noted(CUT, text, cut(text, self._limits.max_chars), done)
        self._refuse_empty(text, done)
        return text

    def _too_long(self, text: str) -> _PolicyRejection:
        most = self._limits.max_chars
        return _PolicyRejection(
            Reason.TOO_LONG,
            f"the text has {len(text)} characters; at most {most} are spoken (limits.max_chars); send less",
        )

    def _voice_of(self, line: Line, done: list[str]) -> str | None:
        """The line's own voice, else its author's. One that is not there costs a warning, not the line."""
        if line.voice is not None or line.author is None:
            return line.voice
        voice = self._author_voices.get(author_key(line.author))
        if voice is None:
            return None
        known = self._voices()
        if known is not None and voice not in known:
            if voice not in self._told_of:
                self._told_of.add(voice)
                log.warning("policies.author_voices: there is no voice %r; the default voice speaks instead", voice)
            return None
        done.append(VOICE)
        return voice

    def _in_template(self, author: str | None, text: str, done: list[str]) -> str:
        template = self._policies.template
        if template is None or author is None:
            return text
        name: str | None = author
        if "{author}" in template:
            # As it was sent and as it is said: a sign that is left out could hide a word, or make one.
            sent = self._author_without_blocked(visible(author[:_MOST_AUTHOR_CHARS]), done)
            name = spoken_author(sent, links_go=self._policies.links != "keep")
            name = None if name is None else self._author_without_blocked(name, done)
        if name is None:
            return text
        done.append(TEMPLATE)
        return filled(template, {"author": name, "text": text})

    def _count(self, line: Line) -> None:
        if line.priority is Priority.URGENT:
            return
        author = None if line.author is None else author_key(line.author)
        work = len(line.text) * (self._nfe_step if line.nfe_step is None else line.nfe_step)
        sentence = self._rates.refusal(author, work, self._clock())
        if sentence is not None:
            raise _PolicyRejection(Reason.RATE_LIMITED, sentence, line)


def _head(text: str, most_chars: int) -> str:
    """The first characters of a text, without half a word at the end."""
    if len(text) <= most_chars:
        return text
    blank = text.rfind(" ", most_chars - _LONGEST_WORD_CHARS, most_chars + 1)
    return text[: most_chars if blank < 0 else blank]


def _noted(word: str, before: str, after: str, done: list[str]) -> str:
    if after != before:
        done.append(word)
    return after
