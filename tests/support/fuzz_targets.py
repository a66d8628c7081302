"""Functions that feed untrusted bytes to a part of the appliance, and raise if it misbehaves.

What a function expects to be refused it catches itself. Seeds are good inputs, from which fuzzers make bad ones.
"""

from __future__ import annotations

import io
import json
import math
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile

from ishowtts import config
from ishowtts.cli.common import visible, why
from ishowtts.cli.say import sentence
from ishowtts.engines.hibari.hibari_package import missing_package
from ishowtts.errors import SynthesisError
from ishowtts.limits import VOICE_PART_BYTES, VOICE_PARTS
from ishowtts.model import BadVoiceRequest, Event, Line, Rejection, RenderRequest, SoundFormat, VoicePart
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.command_payload import BadCommand, parse_command, parse_voice, parse_volume
from ishowtts.mqtt.event_sender import event_payload
from ishowtts.mqtt.history_payload import HistoryRequest
from ishowtts.mqtt.line_payload import LineLimits, parse_line
from ishowtts.mqtt.publish_packet import MalformedPacket, MessageProperties, read_publish
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderQueued, parse_part
from ishowtts.mqtt.renders.render_payload import parse_render
from ishowtts.mqtt.voice_payload import parse_voice_request
from ishowtts.policies import Policies
from ishowtts.policies.blocked_words import WordList
from ishowtts.text import clean, is_speakable, segments
from ishowtts.text.languages import language_runs
from ishowtts.text.reader import TextReader
from ishowtts.text.scripts import canonical_language
from ishowtts.util.rate_limit import RateLimit
from support import damaged_rows, hostile_clients, hostile_files, hostile_frames, hostile_settings

ROOT, REPLY = "ishowtts/t/", "ishowtts/reply/"
LIMITS = LineLimits(200, lambda: ["anna", "bob"], REPLY, lambda: ["bell"], 200, warnings=RateLimit(0))
TAILS = ("say", "say/anna", "say/nobody", "urgent")
LANGUAGES = (None, "en", "zh", "de", "ja")
BLOCKED = ["badger", "go away", "ano", "傻逼", "🖕"]
POLICIES = (
    "{}",
    f"{{blocked: {{words: {BLOCKED}}}, links: drop, emoji: name}}",
    f"{{blocked: {{words: {BLOCKED}, action: mask}}, template: '{{author}} says: {{text}}'}}",
    f"{{blocked: {{words: {BLOCKED}, action: mask, mask: ''}}, emoji: keep, repeats: null, links: keep}}",
)


@dataclass(frozen=True)
class Target:
    """One thing to fuzz.

    Attributes:
        check: raises if what it was given is treated wrongly.
        seeds: good inputs.
        tokens: parts worth putting into an input.
    """

    check: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...] = ()


def check_packet(data: bytes) -> None:
    """A PUBLISH packet, as a broker may forward it, becomes a line, a rejection or a fault."""
    head, body = data[:1] or b"\0", data[1:]
    try:
        packet = read_publish(
            head[0] & 15, body, mqtt5=bool(head[0] & 16), size_bytes=len(body) + (100 if head[0] & 32 else 0)
        )
    except MalformedPacket:
        return
    message = packet.message(packet.topic or "", packet.delivery())
    if message.fault is None:
        tail = message.topic.removeprefix(ROOT)
        _check_arrival(parse_line(tail, message.payload, message.properties, LIMITS))
    else:
        assert message.fault.detail.isprintable()


def check_line(data: bytes) -> None:
    """The payload of a line, or of a render, becomes one or a rejection."""
    head, payload = data[:1] or b"\0", data[1:]
    properties = MessageProperties(
        content_type="application/json" if head[0] & 4 else None,
        response_topic=f"{REPLY}x" if head[0] & 8 else None,
        correlation=payload if head[0] & 16 else None,
        expiry_s=head[0] if head[0] & 32 else None,
    )
    _check_arrival(parse_line(TAILS[head[0] & 3], payload, properties, LIMITS))
    render = parse_render(payload, properties, LIMITS)
    _check_arrival(render if isinstance(render, Rejection) else render.line)
    if isinstance(render, RenderRequest):
        assert render.line.ttl_s is not None
        assert render.line.ttl_s <= 3600
        assert render.line.volume is None


def check_command(data: bytes) -> None:
    """A command, or a sentence that says what is wrong with it."""
    try:
        command = parse_command(data)
    except BadCommand as error:
        _check_sentence(str(error))
        _check_name(error.transaction or "a")
    else:
        _check_name(command.transaction or "a")
        if isinstance(command, HistoryRequest):
            assert 1 <= command.limit <= 100
            assert command.before_seq is None or 1 <= command.before_seq < 1 << 63
        else:
            _check_name(command.line_id or "a")
    try:
        assert 0 <= parse_volume(data) <= 100
    except BadCommand as error:
        _check_sentence(str(error))


def check_voice(data: bytes) -> None:
    """A part of a recording for a voice, the removal of one, the choice of one, or a sentence about what is wrong."""
    try:
        assert len(parse_voice(data) or "a") <= 128
    except BadCommand as error:
        _check_sentence(str(error))
    request = parse_voice_request("anna", data)
    if isinstance(request, BadVoiceRequest):
        _check_sentence(request.detail)
        _check_name(request.transaction or "a")
    elif isinstance(request, VoicePart):
        assert 0 <= request.part < request.parts <= VOICE_PARTS[1]
        assert 1 <= len(request.data) <= VOICE_PART_BYTES


def check_event(data: bytes) -> None:
    """Whatever is published as an event, `ishowtts say` prints one line. The reply to a render has bounds too."""
    for part in ("queued", "head", "end", "error"):
        parsed = parse_part(data, [("part", part)])
        if isinstance(parsed, RenderError):
            assert not parsed.detail or parsed.detail.isprintable()
        elif isinstance(parsed, RenderEnd):
            assert math.isfinite(parsed.audio_s + parsed.synth_s + parsed.queue_s)
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(event, dict):
        assert sentence(event).isprintable()
        assert why(event).isprintable()
        assert visible(str(event.get("detail"))).isprintable()


def check_text(data: bytes) -> None:
    """A text is cleaned once for all, read aloud, and cut into segments that lose nothing."""
    if len(data) < 3:
        return
    text = data[3:].decode("utf-8", "surrogateescape")
    max_bytes, first = 16 + data[0], None if data[1] < 128 else data[1] - 127
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    cleaned.encode()
    parts = segments(text, max_bytes, first)
    assert all(is_speakable(part) and len(part.encode()) <= max_bytes for part in parts)
    spoken = "".join(filter(str.isalnum, "".join(parts)))
    assert spoken == "".join(filter(str.isalnum, cleaned))
    language = LANGUAGES[data[2] % len(LANGUAGES)]
    runs = language_runs(cleaned, language, fixed=data[2] >= 128)
    assert "".join(cleaned[run.start : run.end] for run in runs) == cleaned
    said = _reader(language).read(text, None)
    assert clean(said) == said
    assert bool(cleaned) == bool(said)


def check_pronunciation(data: bytes) -> None:
    """A segment for the natural voice becomes phrases that the model can speak, or is refused."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(SynthesisError):
        phrases = list(_phonemizer().phrases(text))
        assert all(0 < len(phrase.phonemes) <= 200 for phrase in phrases)
        assert sum(len(phrase.phonemes) for phrase in phrases) <= 100 + 20 * len(data)


def check_policies(data: bytes) -> None:
    """Policies make a line or a rejection of any line, and what is spoken holds no blocked word."""
    if not data:
        return
    try:
        author, _, text = data[1:].decode().rpartition("\0")
    except UnicodeDecodeError:
        return
    if not is_speakable(text):
        return
    kind = data[0] % len(POLICIES)
    admitted = _policies(kind).admit(Line("a", text, author=author[:128] or None))
    if isinstance(admitted, Rejection):
        _check_sentence(admitted.detail)
        return
    assert len(admitted.text) <= 200 + 60
    assert is_speakable(admitted.text)
    if kind > 0 and admitted.done:
        assert not list(WordList(BLOCKED).find(admitted.text)), admitted.text


def _check_arrival(what: Line | Rejection) -> None:
    if what.reply_to is not None:
        assert what.reply_to.topic.startswith(REPLY)
        assert len(what.reply_to.topic) <= 512
        assert len(what.reply_to.correlation or b"") <= 4096
    _check_name(what.id)
    if isinstance(what, Rejection):
        _check_sentence(what.detail)
        event = Event("now", what.id, "rejected", {"reason": what.reason, "detail": what.detail})
        assert json.loads(strict_json.dumps(event_payload(event)))["detail"] == what.detail
        return
    what.text.encode()
    assert is_speakable(what.text)
    assert len(what.text) <= 200
    assert what.voice is None or what.voice in ("anna", "bob")
    assert what.chime in (None, True, False, "bell")
    assert what.ttl_s is None or (math.isfinite(what.ttl_s) and what.ttl_s >= 0)
    assert what.speed is None or 0.5 <= what.speed <= 2.0
    assert what.nfe_step is None or 4 <= what.nfe_step <= 64
    assert what.volume is None or 0 <= what.volume <= 100
    assert what.seed is None or 0 <= what.seed < 2**63
    assert what.language is None or canonical_language(what.language) == what.language
    assert len(what.author or "a") <= 128


def _check_sentence(text: str) -> None:
    assert text.isprintable(), text
    assert 0 < len(text) < 2000


def _check_name(name: str) -> None:
    assert 1 <= len(name) <= 128
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name)


@lru_cache
def _reader(language: str | None) -> TextReader:
    return TextReader(None, lambda _: language)


@lru_cache
def _phonemizer() -> Any:
    from hibari.g2p.oov import OOV

    from ishowtts.engines.hibari.phonemizer import Phonemizer

    return Phonemizer(OOV())


@lru_cache
def _policies(kind: int) -> Policies:
    settings = config.parse(f"policies: {POLICIES[kind]}\nlimits: {{max_chars: 200, too_long: cut}}\n", "c.yaml")
    return Policies(settings.policies, settings.limits, 32)


def _publish(topic: str, payload: bytes, properties: bytes = b"") -> bytes:
    """As `check_packet` takes it: flags, topic, packet id, properties, payload."""
    name = topic.encode()
    return b"\x12" + len(name).to_bytes(2, "big") + name + b"\0\7" + bytes([len(properties)]) + properties + payload


def _string(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


_DESCRIPTIONS = (
    b"name: a\ntokenizer: char\narch: {dim: 64, depth: 2, heads: 1, ff_mult: 2, text_dim: 64, conv_layers: 1}\n"
    b"languages: [en]\nlicence: MIT\n",
    b"feature_extractor: {class_path: vocos.feature_extractors.MelSpectrogramFeatures}\n"
    b"backbone: {class_path: vocos.models.VocosBackbone,\n"
    b"  init_args: {input_channels: 100, dim: 8, intermediate_dim: 8, num_layers: 1}}\n"
    b"head: {class_path: vocos.heads.ISTFTHead, init_args: {dim: 8, n_fft: 1024, hop_length: 256}}\n",
    b"speed: 1.0\nnfe_step: 32\ngain_db: -3\nlanguage: pt-BR\n",
    b'{"model": "m", "repo": "r", "revision": null, "verified_by": "hub", "sha256": {"a": "b"}}',
)
_CONFIGS = (
    b"device: {name: t}\nmqtt: {host: localhost, groups: [all]}\nengine: {kind: espeak, fallback: []}\n",
    b"limits: {max_chars: 200, too_long: cut}\nqueue: {max_lines: 5, history_days: 1}\nlog: {private: true}\n",
    b"policies: {blocked: {words: [a], action: mask}, quiet: {from: 22:00, to: 07:00, action: wait}}\n",
    b"audio: {device: 'wav:/tmp/a', volume: 50, loudness_lufs: -16}\ntelemetry: {interval_s: 5}\nalerts: {hot_c: 80}\n",
)
_KEYS = tuple(name.encode() for name in config.Config.model_fields)
_HEAD = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
_HEAD = len(_HEAD).to_bytes(8, "little") + _HEAD + bytes(4)


def _recordings() -> tuple[bytes, ...]:
    """One of each form that a voice's clip may have."""
    kept = []
    forms = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", None), ("MP3", None), ("AIFF", None))
    for kind, coding in forms:
        out = io.BytesIO()
        soundfile.write(out, np.sin(np.arange(200) / 9) / 3, 24000, format=kind, subtype=coding)
        kept.append(out.getvalue())
    return tuple(kept)


_LINE = (
    b'{"text": "Tea is ready.", "id": "tea-1", "voice": "anna", "priority": "high", "ttl_s": 60, "speed": 1.2, '
    b'"nfe_step": 16, "volume": 50, "chime": "bell", "author": "Bob", "seed": 7, "language": "pt-BR"}'
)
_RENDER = b'{"text": "Tea is ready.", "voice": "anna", "ttl_s": 60, "format": "flac", "as": "segment", "seed": 7}'
_JSON = (
    b'"text"', b'"id"', b'"author"', b'"voice"', b'"seed"', b'"language"', b'"ttl_s"', b"null", b"true", b"1e999",
    b"-0", b"[", b"{", b'"', b"\\ud800", b"\\u0000", b"\\u2028", b"NaN",
    b"9" * 400, b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff",
)  # fmt: skip
_TEXT = (
    "\u200d", "\u202e", "\u0301", "ﷺ", "👩‍🚀", "🇩🇪", "傻", "ก็", "각", "[[", "12:30", "1,234.5", "$5", "http://a.b/c",
    "°C", "½", "İ", "ß", "ŉ", "\u1160", "\ufe0f", "，", "。", "a'b", "é", "ʼ", "ａ", "𝓯", "\x1b", "\u2028",
    "\U000e0041", "bad", "ger",
)  # fmt: skip
_WORDS = tuple(word.encode() for word in _TEXT)

TARGETS: dict[str, Target] = {
    "packet": Target(
        check_packet,
        (
            _publish("ishowtts/t/say", b"Hello."),
            _publish("ishowtts/t/say/anna", _LINE, b"\x03" + _string(b"application/json")),
            _publish(
                "ishowtts/t/urgent",
                b"Fire.",
                b"\x02\0\0\0\x3c\x08" + _string(b"ishowtts/reply/x") + b"\x09" + _string(b"c"),
            ),
            _publish("ishowtts/t/say", b"Hello.", b"\x26" + _string(b"a") + _string(b"b") + b"\x01\1\x0b\x81\1"),
        ),
        (*_JSON, b"\x26\0\1a\0\1b", b"\x08\0\x10ishowtts/reply/x", b"\x09\xff\xff", b"\x80\x80\x80\x01"),
    ),
    "line": Target(
        check_line, (b"\0Hello.", b"\0" + _RENDER, b"\0" + _LINE, b"\x3d" + _LINE, b"\1{laughs} hi"), (*_JSON, *_WORDS)
    ),
    "command": Target(
        check_command,
        (
            b"skip",
            b'{"command": "cancel", "id": "tea-2", "transaction": "t-17"}',
            b'{"command": "mute"}',
            b'{"command": "history", "limit": 5, "before": "1042"}',
            b"60",
            b"60.0",
            b'{"command": "cancel", "author": "Bob"}',
            b'{"volume": 60}',
        ),
        (*_JSON, b'"command"', b'"transaction"', b"stop"),
    ),
    "voice": Target(
        check_voice,
        (
            b'{"upload": "u", "part": 0, "parts": 2, "data": "aGk=", "text": "Hi.", "consent": true, "replace": false}',
            b'{"upload": "u", "part": 1, "parts": 2, "data": "aGk="}',
            b'{"remove": true, "transaction": "t-18"}',
            b'{"voice": "anna"}',
            b"default",
        ),
        (*_JSON, b'"part"', b'"parts"', b'"upload"', b'"data"', b'"consent"', b'"replace"', b'"remove"', b"===="),
    ),
    "event": Target(
        check_event,
        (
            b'{"id": "a", "event": "finished", "audio_s": 1.5, "rtf": 0.1, "engine": "f5", "queue_s": 0.1}',
            b'{"id": "a", "event": "merged", "into": "b"}',
            b'{"id": "a", "event": "rejected", "reason": "empty", "detail": "no"}',
            *(part.payload() for part in (RenderQueued(2), RenderHead(SoundFormat.WAV, 24_000, "f5", "anna"))),
            RenderEnd(1.5, 0.2, None, 0.1, 0.0, "f5", ("f5",), "anna", cached=False, parts=3).payload(),
        ),
        (*_JSON, b'"engine"', b'"audio_s"', b'"cached"'),
    ),
    "text": Target(
        check_text,
        (
            b"\x30\0\1On 3 May 2024 at 12:30 it was -5\xc2\xb0C, e.g. $1,234.50.",
            "\x60\x80\2今天是2024年5月3日，气温-5°C。".encode(),
            "\x20\0\3Straße 5, https://example.com/x?y=1 👩‍🚀 ok".encode(),
        ),
        _WORDS,
    ),
    "policies": Target(
        check_policies,
        (
            b"\1Bob\0Look at http://example.com noooooo \xf0\x9f\x8e\x89\xf0\x9f\x8e\x89",
            b"\2Bob\0You badger, go away!",
            "\3Bob\0b á d g e r 傻逼 🖕 ba'dger ha ha ha ha ha ha ha".encode(),
        ),
        _WORDS,
    ),
    "frames": Target(hostile_frames.check_frames, tuple(hostile_frames.seeds())),
    "clip": Target(
        hostile_files.check_clip, _recordings(), (b"data", b"fmt ", b"LIST", b"\xff\xff\xff\xff", b"fLaC", b"OggS")
    ),
    "yaml": Target(
        hostile_files.check_yaml,
        (b"reference_text: Hello.\nspeed: 1.0\nnfe_step: 32\n", b"a: [1, {b: c}]\nd: |\n  text\n"),
        (b"&a", b"*a", b"<<: ", b"!!", b"[", b"{", b"? ", b": ", b"- ", b"---\n", b"|", b">", b"%YAML", b"\t"),
    ),
    "weights_head": Target(
        hostile_files.check_weights_head,
        (_HEAD, _HEAD[8:]),
        (*_JSON, b'"data_offsets"', b'"dtype"', b'"shape"', b'"F16"', b"[0,1e999]"),
    ),
    "checkpoint": Target(hostile_settings.check_checkpoint, (*_DESCRIPTIONS, b" \na\nb\n"), (*_JSON, b": ", b"\n  ")),
    "config": Target(
        hostile_settings.check_config, _CONFIGS, (*_KEYS, b": ", b"\n  ", b"[", b"{", b"&a", b"*a", b"!!")
    ),
    "discovery": Target(
        hostile_settings.check_discovery,
        (b"Orin\0JetPack 6.2\0144\0anna\0bob", b"\0\0\0"),
        (*_WORDS, b"{{", b"%}"),
    ),
    "stored": Target(
        hostile_settings.check_stored,
        (
            b'{"ishowtts/t": null, "ishowtts/u": "144"}',
            b'{"too_big": 5, "duplicate": 7}',
            b"60",
            b'{"archive": "a", "queue": "q", "replacements": []}',
            b'{"samples": 0, "rate_hz": 24000}\n\0\0',
        ),
        _JSON,
    ),
    "http": Target(
        hostile_clients.check_http,
        tuple(hostile_clients.http_seeds()),
        (*_JSON, b"\0\0", b"\r\n", b"Host: ", b"Cookie: ", b"Content-Length: ", b"chunked", b"%00", b"..", b"?limit="),
    ),
    "wyoming": Target(
        hostile_clients.check_wyoming,
        (
            b'{"type": "describe"}\n',
            b'{"type": "synthesize", "data": {"a": 1}, "data_length": 13, "payload_length": 2}\n{"text": "c"}ab',
            b'{"type": "x", "data_length": null}\n{"type": "y", "payload_length": 0}\n',
        ),
        (*_JSON, b'"type"', b'"data"', b'"data_length"', b'"payload_length"', b"\n", b"1000000000000000000000"),
    ),
    "openai": Target(
        hostile_clients.check_openai,
        (
            b'{"model": "ishowtts:kitchen", "input": "Hi.", "voice": "nova", "response_format": "wav", "speed": 1.5}',
            b'{"input": "Hi.", "voice": {"id": "anna"}, "stream_format": "sse"}',
            b"1700000000.00112233445566778899aabbccddeeff."
            b"0011223344556677889900112233445566778899001122334455667788990011",
        ),
        (*_JSON, b'"input"', b'"model"', b'"response_format"', b'"stream_format"', b'"speed"', b'"aac"'),
    ),
    "published": Target(
        hostile_clients.check_published,
        (
            b'\0{"state": "ready", "queue": 2, "current": {"id": "a"}}\0{"voices": ["a"], "limits": {"renders": 3}}',
            b'\2{"gpu": {"temp_c": 50.5}, "lines": {"rtf": 0.1}}\0'
            b'{"id": "a", "event": "finished", "ts": "2026-12-01T00:00:00.000Z", "rtf": 0.1, "audio_s": 1.5}',
            b'\4online\x0055\0true\0"anna"\0{"active": true, "since": null}',
        ),
        (*_JSON, b"\0", b'"event"', b'"ts"', b'"rtf"', b'"state"'),
    ),
    # A file of the queue is changed at random, by a seed: an input is a number.
    "rows": Target(lambda data: damaged_rows.check_hostile_rows(int.from_bytes(data[:8], "big")), (b"\0", bytes(8))),
}
if missing_package() is None:
    TARGETS["pronunciation"] = Target(
        check_pronunciation,
        (
            b"The quick brown fox jumps over the lazy dog. Isn't it?",
            "[word](/fˈoʊni/) costs $1,234.50, x² = -5.".encode(),
            b"k9k9k9k9 a-b-c aBaBaB 1st U.S. 'n' e.g. http://example.com",
        ),
        (*_WORDS, b"](/", b"/)", b"'s", b"-", b"st", b"$", b"."),
    )
