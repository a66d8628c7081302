"""Parses the payload of a line. Nothing that a publisher sends can raise here."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ishowtts.config import Config
from ishowtts.limits import RENDER_CHARS, SENT_CHARS
from ishowtts.model import Line, Priority, Reason, Rejection, ReplyTo
from ishowtts.mqtt import json_faults, strict_json
from ishowtts.mqtt.fields import LINE_FIELDS, MAX_NAME_CHARS, FieldCheck, check_fields, joined, truth_value
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.publish_packet import MessageProperties, ReceivedMessage
from ishowtts.mqtt.response_topic import BadResponseTopic, checked_reply_to
from ishowtts.mqtt.strict_json import BadJson, NotJson, clip
from ishowtts.text import is_speakable
from ishowtts.util.known_names import closest, listed
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_MAX_WARNINGS = 5  # in 10 s


@dataclass(frozen=True)
class LineLimits:
    """The limits of one line.

    Args:
        max_chars: Maximum length of the text in characters. `None`: as many as a packet holds; a later step cuts them.
        voices: Returns the names of the current voices; `None` while they are unknown (then any name is accepted).
        reply_prefix: Response topics are used only under this prefix, as in `ishowtts/reply/`.
        render_chars: Maximum length of a text that is rendered for others.
        chimes: Returns the names of the current chimes; `None` while they are unknown (then any name is accepted).
        signs: Whether a text without letters and digits is accepted. A later step reads out the names of emoji.
        warnings: Limits the log lines about ignored response topics.
        template_warnings: Limits the log lines about templates that were not rendered.
    """

    max_chars: int | None
    voices: Callable[[], Collection[str] | None]
    reply_prefix: str
    chimes: Callable[[], Collection[str] | None] = lambda: None
    render_chars: int = RENDER_CHARS
    signs: bool = False
    warnings: RateLimit = field(default_factory=lambda: RateLimit(_MAX_WARNINGS), compare=False)
    template_warnings: RateLimit = field(default_factory=lambda: RateLimit(1), compare=False)

    @classmethod
    def from_config(
        cls,
        config: Config,
        voices: Callable[[], Collection[str]],
        chimes: Callable[[], Collection[str]],
        reply_prefix: str,
    ) -> LineLimits:
        """The limits that a configuration sets. Lines within them still have to pass the policies."""
        return cls(None, voices, reply_prefix).changed(config, chimes)

    def changed(self, config: Config, chimes: Callable[[], Collection[str]]) -> LineLimits:
        """The limits of another configuration, with the same voices and the same limits of log lines."""
        return replace(
            self,
            max_chars=None if config.limits.too_long == "cut" else config.limits.max_chars,
            chimes=chimes,
            render_chars=max(config.limits.max_chars, RENDER_CHARS),
            signs=config.policies.emoji == "name",
        )

    @property
    def max_bytes(self) -> int:
        """Larger payloads are not even parsed: no text within `max_chars` needs more, even if all of it is escaped."""
        return MqttOptions.max_packet_bytes if self.max_chars is None else 16_384 + 12 * self.max_chars


class LineFault(Exception):
    """A payload is not accepted as a line. Carries what the event and the history show of it."""

    def __init__(self, reason: Reason, detail: str, line_id: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.line_id = line_id
        self.text: str | None = None
        self.author: str | None = None

    def rejection(self, payload: bytes, reply_to: ReplyTo | None = None) -> Rejection:
        """The rejection of a payload."""
        line_id, sent = self.line_id or new_id(), payload_head(payload)
        return Rejection(line_id, self.reason, self.detail, reply_to, sent=sent, text=self.text, author=self.author)


def parse_line(topic_tail: str, payload: bytes, properties: MessageProperties, limits: LineLimits) -> Line | Rejection:
    """Parse a line. Returns a rejection if it is not accepted. Never raises.

    Args:
        topic_tail: `say`, `say/<voice>` or `urgent`.
    """
    reply_to = _reply_to(properties, limits)
    try:
        line, _ = read_line(topic_tail, payload, properties, limits)
    except LineFault as fault:
        return fault.rejection(payload, reply_to)
    return replace(line, reply_to=reply_to)


def received_line(topic_tail: str, message: ReceivedMessage, limits: LineLimits) -> Line | Rejection:
    """Parse the line of a message, as `parse_line` does. A faulty packet is a rejection too."""
    if message.fault is None:
        return parse_line(topic_tail, message.payload, message.properties, limits)
    return Rejection(new_id(), message.fault.reason, message.fault.detail, sent=payload_head(message.payload))


def payload_head(payload: bytes) -> str:
    """The head of a payload as text, so that the history can show what was sent."""
    text = payload[: 4 * SENT_CHARS].decode("utf-8", "replace").removeprefix("\ufeff")
    is_cut = len(payload) > 4 * SENT_CHARS or len(text) > SENT_CHARS
    return f"{text[:SENT_CHARS]}… (cut; it has {len(payload)} bytes)" if is_cut else text


def new_id() -> str:
    """Make an id for a line that has none."""
    return uuid.uuid4().hex


def read_line(
    topic_tail: str,
    payload: bytes,
    properties: MessageProperties,
    limits: LineLimits,
    known: Mapping[str, FieldCheck] = LINE_FIELDS,
) -> tuple[Line, dict[str, Any]]:
    """Read a line, without its response topic. Returns it, and the values of all fields.

    Args:
        known: The fields that the object may have.

    Raises:
        LineFault: it is not accepted.
    """
    if len(payload) > limits.max_bytes:
        raise LineFault(Reason.TOO_BIG, f"the payload has {len(payload)} bytes; at most {limits.max_bytes} are allowed")
    try:
        body = json_faults.decode(payload)
    except ValueError as error:
        raise LineFault(Reason.BAD_UTF8, f"the payload {error}") from error

    found = _object(body, properties.content_type)
    fields, problems = check_fields(found, known) if found is not None else ({"text": body}, [])
    with _words_noted(fields):
        line_id = fields.get("id") or new_id()
        if found is not None and found.get("text") is None:
            problems.append("text: is missing; put the text to speak there")
        elif found is not None and json_faults.looks_like_object(str(fields.get("text", "")).strip()):
            problems.append("text: is itself an object; send that object as the payload")
        voice, clash = _voice(topic_tail, fields.get("voice"))
        problems += clash
        if problems:
            raise LineFault(Reason.BAD_FIELD, joined(problems), line_id)

        text = _spoken_text(fields["text"], limits, line_id)
        if json_faults.has_template(text) and limits.template_warnings.allows():
            words = "the text of line %s has a template that nobody rendered: %s"
            log.warning(words, Untrusted(line_id), Untrusted(clip(text)), extra=log_fields(line_id=line_id))
        if voice is not None:  # only then, because the names of voices are read from the disk
            _known_voice(voice, limits.voices(), line_id)
        chime = fields.get("chime")
        if isinstance(chime, str):
            chime = _known_chime(chime, limits.chimes(), line_id)
        expiry_s = None if properties.expiry_s is None else float(properties.expiry_s)
        line = Line(
            id=line_id,
            text=text,
            voice=voice,
            priority=Priority.URGENT if topic_tail == "urgent" else fields.get("priority", Priority.NORMAL),
            ttl_s=fields.get("ttl_s", expiry_s),
            speed=fields.get("speed"),
            nfe_step=fields.get("nfe_step"),
            volume=fields.get("volume"),
            chime=chime,
            author=fields.get("author"),
            seed=fields.get("seed"),
            language=fields.get("language"),
        )
        return line, fields


@contextmanager
def _words_noted(fields: dict[str, Any]) -> Iterator[None]:
    """Add the text and the author to a rejection, so that its event and the history show whose line it was."""
    try:
        yield
    except LineFault as rejection:
        text = fields.get("text")
        rejection.text = None if text is None else text[: SENT_CHARS + 1]
        rejection.author = fields.get("author")
        raise


def _object(body: str, content_type: str | None) -> dict[str, Any] | None:
    """The line object in `body`; `None` if it is plain text."""
    declared = content_type is not None and content_type.split(";")[0].strip().lower() == "application/json"
    if not declared and not body.startswith("{"):
        if not json_faults.looks_like_object(body):
            return None
        advice = json_faults.correction(body)
        raise LineFault(Reason.BAD_JSON, f"the payload is not a line object; {advice}")
    try:
        found = strict_json.loads(body)
    except NotJson as error:
        meant = json_faults.looks_like_object(body)
        if not declared and not meant:
            return None  # `{laughs} hi` is text
        advice = json_faults.correction(body, error) if meant else "send an object, or text without a Content Type"
        raise LineFault(Reason.BAD_JSON, f"the line object is not valid JSON: {error}; {advice}") from error
    except BadJson as error:
        raise LineFault(Reason.BAD_JSON, f"the line object is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise LineFault(Reason.BAD_JSON, 'the payload must be an object such as {"text": "Hello."}')
    return found


def _voice(topic_tail: str, named: str | None) -> tuple[str | None, list[str]]:
    if not topic_tail.startswith("say/"):
        return named, []
    voice = topic_tail.removeprefix("say/")
    if named is not None and named != voice:
        return None, [f"voice: is {clip(named)} but the topic names {clip(voice)}; keep one"]
    return voice, []


def _spoken_text(text: str, limits: LineLimits, line_id: str) -> str:
    text = text.replace("\0", " ").strip()
    max_chars = limits.max_chars
    if max_chars is not None and len(text) > max_chars:
        raise LineFault(
            Reason.TOO_LONG,
            f"the text has {len(text)} characters; at most {max_chars} are spoken (limits.max_chars)",
            line_id,
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LineFault(
            Reason.BAD_UTF8, "the text contains half of a surrogate pair; send both halves", line_id
        ) from error
    if not is_speakable(text) and not (limits.signs and text):
        raise LineFault(Reason.EMPTY, "the text is empty: it has no letter and no digit; send a text to speak", line_id)
    return text


def _known_voice(voice: str, known: Collection[str] | None, line_id: str) -> None:
    if voice in known if known is not None else voice.isprintable() and voice:
        return
    names = listed(known) if known else "none yet"
    detail = f"there is no voice {clip(voice)}; {_similar(voice, known)}there are: {names}"
    raise LineFault(Reason.UNKNOWN_VOICE, detail, line_id)


def _known_chime(chime: str, known: Collection[str] | None, line_id: str) -> bool | str:
    """The chime of a name; a truth value if the name is one in words, as template engines write it."""
    if known is not None and chime in known:
        return chime
    if (choice := truth_value(chime)) is not None or known is None:
        return chime if choice is None else choice
    detail = f"chime: there is no chime {clip(chime)}; {_similar(chime, known)}there are: {listed(known)}"
    raise LineFault(Reason.BAD_FIELD, detail, line_id)


def _similar(name: str, known: Collection[str] | None) -> str:
    """Part of a sentence: the known name that is the same apart from capitals, blanks or one or two letters."""
    close = closest(name.strip().lower()[:MAX_NAME_CHARS], sorted(known or ()), cutoff=0.75)
    return f"did you mean {close!r}? " if close else ""


def _reply_to(properties: MessageProperties, limits: LineLimits) -> ReplyTo | None:
    try:
        return checked_reply_to(properties, limits.reply_prefix)
    except BadResponseTopic as error:
        _warn_ignored(limits.warnings, properties.response_topic or "", str(error))
        return None


def _warn_ignored(warnings: RateLimit, topic: str, why: str) -> None:
    """Log the first few in 10 s. The next log line after those says how many more there were."""
    if count := warnings.held_back().total():
        log.warning("%d more response topics were ignored", count)
    if warnings.allows():
        log.warning("response topic %s is ignored: %s", Untrusted(clip(topic)), why)
