"""Applies the policies to a line before it is stored, one after the other."""

from __future__ import annotations

import copy
import logging
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from ishowtts import config
from ishowtts.errors import LineRejected
from ishowtts.model import Line, Priority, Reason, Rejection
from ishowtts.policies.authors import author_key, spoken_author
from ishowtts.policies.blocked_words import BlockedWords
from ishowtts.policies.emoji_names import emoji_edits
from ishowtts.policies.links import link_edits
from ishowtts.policies.quiet_hours import QuietHours, active_quiet_hours
from ishowtts.policies.rate_limits import RateLimits
from ishowtts.policies.repeats import shorten_repeats
from ishowtts.policies.text_edits import apply_edits, truncate, visible_text
from ishowtts.text import is_speakable, plain_text

log = logging.getLogger(__name__)

_MAX_AUTHOR_CHARS = 256
_MAX_MASK_PASSES = 4
# Links, emoji and repeats shrink a text, so more than `max_chars` of it is read. Each character costs time on the one
# thread that accepts lines, so a text that is cut anyway gets less than one that is rejected for its length.
_EXTRA_CHARS = 4096
_EXTRA_CUT_CHARS = 512
_LONGEST_WORD_CHARS = 64

MARKUP, BLOCKED, LINKS, EMOJI, REPEATS, CUT, VOICE, TEMPLATE = (
    "markup",
    "blocked",
    "links",
    "emoji",
    "repeats",
    "cut",
    "voice",
    "template",
)
"""The words of `Line.done`, in the order in which the policies are applied."""

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_SENTENCE_ENDS = ".,;:!?…。，、；：！？ "


@dataclass(frozen=True)
class PolicyStep:
    """What one policy changed.

    Attributes:
        policy: Its word in `Line.done`.
        before, after: What it changed: the text; the author's name, if a blocked word was in it; the name of a voice.
    """

    policy: str
    before: str
    after: str


_Bound = Callable[[str, list[PolicyStep]], str]
"""Bounds the length of a text, and adds a step to `done` if it cut something."""


class Policies:
    """Decides whether a line is spoken, with which text, voice and author's name.

    Each line is admitted once, in the order of arrival, by one thread at a time. `quiet_hours` may be called on another
    thread.

    Args:
        policies: The section `policies` of the configuration.
        limits: The section `limits` of the configuration.
        nfe_step: NFE of lines that name none. The work of a line is its characters times NFE.
        clock: Monotonic time in seconds.
        voices: Returns the names of the voices that exist now; `None` while they are unknown (any name is accepted).
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
        self._author_voices = _author_voices(policies)
        self._warned_voices: set[str] = set()

    def for_longer_texts(self, max_chars: int) -> Policies:
        """The same policies and the same counts of the minute, for texts of up to `max_chars` characters."""
        other = copy.copy(self)
        other._limits = self._limits.model_copy(update={"max_chars": max_chars})
        return other

    def changed(self, policies: config.PolicySection, limits: config.LimitsSection) -> Policies:
        """Other policies with the same counts of the minute. Those of the limits hold after `take_effect`."""
        other = copy.copy(self)
        other._policies, other._limits = policies, limits
        if policies.blocked != self._policies.blocked:
            other._blocked = BlockedWords(policies.blocked, self._clock)
        other._author_voices = _author_voices(policies)
        other._warned_voices = set()
        return other

    def take_effect(self) -> None:
        """Count against the limits of these policies from now on. No line may be admitted at the same time."""
        self._rates.change(self._policies)

    @property
    def fault(self) -> str | None:
        """What is wrong with the file of blocked words, in a sentence; `None` if nothing is."""
        return self._blocked.fault

    def admit(self, line: Line) -> Line | Rejection:
        """The line as it is to be spoken, with what was done to it, or why it is rejected. Never raises.

        A line that no policy changes is returned as it is.
        """
        admitted, _ = self.explain(line)
        if isinstance(admitted, Rejection):
            return admitted
        excess = self._rate_excess(admitted)
        if excess is not None:
            return Rejection(line.id, Reason.RATE_LIMITED, excess, line.reply_to, admitted)
        return admitted

    def explain(self, line: Line) -> tuple[Line | Rejection, list[PolicyStep]]:
        """As `admit` without the rate limits, which count nothing here; and what each policy changed, in their order.

        Before a rejection, the steps are those up to it.
        """
        done: list[PolicyStep] = []
        try:
            return self._apply(line, done), done
        except LineRejected as rejected:
            return Rejection(line.id, Reason(rejected.reason), rejected.detail, line.reply_to, line), done

    def quiet_hours(self, local_time: datetime) -> QuietHours | None:
        """The quiet hours in force at a local time, for `low` and `normal` lines; `None` if there are none."""
        return active_quiet_hours(self._policies.quiet, local_time)

    def _apply(self, line: Line, done: list[PolicyStep]) -> Line:
        text = self._filtered(self._bounded(self._without_markup(line.text, done), done), done)
        self._reject_if_empty(text, done)
        text = self._within_limit(text, done)
        voice = self._voice_of(line, done)
        bare_text, text = text, self._in_template(line.author, text, done)
        # Without a word in `done`, invisible characters may have made the text longer than the limit.
        if done or len(line.text) > self._limits.max_chars:
            words = dict.fromkeys(step.policy for step in done)
            merged = self._policies.merge_s > 0 and TEMPLATE in words
            return replace(
                line, text=text, voice=voice, done=(*line.done, *words), bare_text=bare_text if merged else None
            )
        return line

    def _without_markup(self, text: str, done: list[PolicyStep]) -> str:
        """The text without markup. A megabyte costs no more than a page, as in `_bounded`."""
        max_chars = self._limits.max_chars + _EXTRA_CHARS
        if len(text) > max_chars:
            if self._limits.too_long == "reject":
                raise self._too_long(text)
            done.append(PolicyStep(CUT, text, text[:max_chars]))
            text = text[:max_chars]
        plain = plain_text(text)
        if plain != text and visible_text(plain) != visible_text(text):
            done.append(PolicyStep(MARKUP, text, plain))
        return plain

    def _bounded(self, text: str, done: list[PolicyStep]) -> str:
        """The visible text, or the head of it that can still be spoken: a megabyte costs no more than a page."""
        max_chars = self._limits.max_chars + _EXTRA_CHARS
        if self._limits.too_long == "reject" and len(text) > max_chars:
            raise self._too_long(text)
        visible = visible_text(text[:max_chars])
        if self._limits.too_long == "reject":
            return visible
        head = _head(visible, self._limits.max_chars + _EXTRA_CUT_CHARS)
        if len(text) > max_chars or head != visible:
            done.append(PolicyStep(CUT, text, head))
        return head

    def _filtered(self, text: str, done: list[PolicyStep]) -> str:
        """Apply blocked words, links, emoji and repeats.

        Blocked words are searched before an edit can hide one, and again after the edits, which can make one.
        """
        policies = self._policies
        text = before = self._without_blocked(text, "the text", done, self._bounded)
        if policies.links != "keep":
            replacement = policies.link_word if policies.links == "word" else ""
            # Who drops links runs a chat: an advertiser would write the address as if it were a name.
            links = link_edits(text, replacement, all_hosts=policies.links == "drop")
            text = _record(LINKS, text, apply_edits(text, links), done)
        edits = emoji_edits(text, policies.emoji, policies.emoji_language, collapse_runs=policies.repeats is not None)
        text = self._bounded(_record(EMOJI, text, apply_edits(text, edits), done), done)  # names are longer than emoji
        if policies.repeats is not None:
            text = _record(REPEATS, text, shorten_repeats(text, policies.repeats), done)
        return text if text == before else self._without_blocked(text, "the text", done, self._bounded)

    def _without_blocked(self, text: str, subject: str, done: list[PolicyStep], bound: _Bound) -> str:
        if self._policies.blocked.action == "mask":
            return self._masked(text, subject, done, bound)
        entry = self._blocked.first_entry(text)
        if entry is not None:
            raise LineRejected(
                Reason.FILTERED, f"{subject} holds {entry!r}, which is blocked (policies.blocked); leave it out"
            )
        return text

    def _author_without_blocked(self, name: str, done: list[PolicyStep]) -> str:
        return self._without_blocked(name, "the author's name", done, lambda name, _: name[:_MAX_AUTHOR_CHARS])

    def _masked(self, text: str, subject: str, done: list[PolicyStep], bound: _Bound) -> str:
        """The text with its blocked words masked.

        A removed word can bring another one together, so the search is repeated until it finds none. A mask may be
        longer than its word, so the text is bounded each time.
        """
        for _ in range(_MAX_MASK_PASSES):
            masked = self._blocked.masked(text)
            if masked == text:
                return text
            text = bound(_record(BLOCKED, text, masked, done), done)
        raise LineRejected(
            Reason.FILTERED, f"{subject} holds blocked words in blocked words (policies.blocked); leave them out"
        )

    def _reject_if_empty(self, text: str, done: list[PolicyStep]) -> None:
        if is_speakable(text):
            return
        words = dict.fromkeys(step.policy for step in done)
        keys = " and ".join(f"policies.{word}" for word in words if word not in (MARKUP, CUT))
        why = f"nothing is left of the text after {keys}" if keys else "the text has no letter and no digit"
        raise LineRejected(Reason.EMPTY, f"{why}; send words")

    def _within_limit(self, text: str, done: list[PolicyStep]) -> str:
        if len(text) <= self._limits.max_chars:
            return text
        if self._limits.too_long == "reject":
            raise self._too_long(text)
        text = _record(CUT, text, truncate(text, self._limits.max_chars), done)
        self._reject_if_empty(text, done)
        return text

    def _too_long(self, text: str) -> LineRejected:
        max_chars = self._limits.max_chars
        return LineRejected(
            Reason.TOO_LONG,
            f"the text has {len(text)} characters; at most {max_chars} are spoken (limits.max_chars); send less",
        )

    def _voice_of(self, line: Line, done: list[PolicyStep]) -> str | None:
        """The line's own voice, else its author's. If that one does not exist, a warning says so once."""
        if line.voice is not None or line.author is None:
            return line.voice
        voice = self._author_voices.get(author_key(line.author))
        if voice is None:
            return None
        known = self._voices()
        if known is not None and voice not in known:
            if voice not in self._warned_voices:
                self._warned_voices.add(voice)
                log.warning("policies.author_voices: there is no voice %r; the default voice speaks instead", voice)
            return None
        done.append(PolicyStep(VOICE, "", voice))
        return voice

    def _in_template(self, author: str | None, text: str, done: list[PolicyStep]) -> str:
        template = self._policies.template
        if template is None or author is None:
            return text
        name: str | None = author
        if "{author}" in template:
            # The name is searched as it was sent and as it is spoken: a dropped character could hide or make a word.
            visible = self._author_without_blocked(visible_text(author[:_MAX_AUTHOR_CHARS]), done)
            name = spoken_author(visible, drop_links=self._policies.links != "keep")
            name = None if name is None else self._author_without_blocked(name, done)
        if name is None:
            return text
        filled = _fill(template, {"author": name, "text": text})
        done.append(PolicyStep(TEMPLATE, text, filled))
        return filled

    def _rate_excess(self, line: Line) -> str | None:
        """Which limit of the minute rejects a line; `None` if it was counted, or is urgent."""
        if line.priority is Priority.URGENT:
            return None
        work = len(line.text) * (self._nfe_step if line.nfe_step is None else line.nfe_step)
        return self._rates.try_acquire(line.author, work, self._clock())


def _author_voices(policies: config.PolicySection) -> dict[str, str]:
    return {author_key(name): voice for name, voice in policies.author_voices.items()}


def merged_text(template: str, text: str, count: int) -> str:
    """What is spoken for the same text `count` times, such as `Hello, 4 times`.

    The text's own full stop is dropped if the template continues after the text.
    """
    continues = not template.rstrip().endswith("{text}")
    bare = text.rstrip(_SENTENCE_ENDS) if continues else text
    return _fill(template, {"text": bare or text, "count": str(count)})


def _fill(template: str, values: dict[str, str]) -> str:
    """The template with its placeholders filled; the configuration has checked their names.

    A value is inserted as it is: a chatter may write `{author}` too.
    """
    return _PLACEHOLDER.sub(lambda placeholder: values[placeholder[1]], template)


def _head(text: str, max_chars: int) -> str:
    """The first characters of a text, without half a word at the end."""
    if len(text) <= max_chars:
        return text
    blank = text.rfind(" ", max_chars - _LONGEST_WORD_CHARS, max_chars + 1)
    return text[: max_chars if blank < 0 else blank]


def _record(policy: str, before: str, after: str, done: list[PolicyStep]) -> str:
    """Add a step to `done` if the policy changed the text. Returns the changed text."""
    if after != before:
        done.append(PolicyStep(policy, before, after))
    return after
