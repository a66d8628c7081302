"""Ranges and patterns that several packages check. Each of them is written here once.

A range is the lowest and the highest value that is allowed.
"""

from __future__ import annotations

import re

VOLUME = (0, 100)
"""In percent of full scale, on the curve of `playback.volume_gain`."""
SPEED = (0.5, 2.0)
"""Speech rate; 1 is that of the reference clip. Outside of it F5 skips or repeats words."""
NFE_STEP = (4, 64)
"""Evaluations of the model for each segment."""
SEED = (0, 2**63 - 1)
"""What torch takes as a seed without a sign."""

LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}|-[A-Za-z0-9](?=-[A-Za-z0-9]{2})){0,16}")
"""Tag of a language, as in `de` or `pt-BR` (BCP 47)."""
LANGUAGE_TAG_CHARS = 35
"""BCP 47 asks every program to take tags of this length."""

HISTORY_LIMIT = (1, 100)
"""Lines in one reply to the command `history`."""

SENT_CHARS = 1000
"""Of a text as it was sent, or as it was read aloud, events and history have so many characters."""

NAME = re.compile(r"[a-z0-9_-]{1,64}")
"""Name of a voice, of a chime or of a device: it is part of paths and topics."""
MAX_NAME_CHARS = 64
RESERVED_NAMES = ("reply", "group")
"""No name of a device: the topics under `<prefix>/reply/` and `<prefix>/group/` belong to no single appliance."""
RENDER_CHARS = 4096
"""A text to render may be this long, even if `limits.max_chars` is less: OpenAI's interface takes as much."""
RENDER_PART_BYTES = 32_768
"""Most bytes of sound in one message of a render."""


def as_name(written: str) -> str:
    """Returns the valid name that is most like a text; empty if the text has no usable character."""
    return re.sub(r"[^a-z0-9_-]+", "-", written.lower()).strip("-")[:MAX_NAME_CHARS]


SOUND_SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".3gp", ".amr", ".aiff",
    ".aif",
)  # fmt: skip
"""How the names of sound files end, in small letters, whether we can read them or not."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""For a character class: Chinese characters. Unicode reserves planes 2 and 3 for them."""
KANA = "\u3040-\u30ff\u31f0-\u31ff"
"""For a character class: Japanese syllables."""

WEB_START = r"(?:https?://|www\.)"
"""How an address of the web begins."""
TOP_LEVEL = (
    "com", "net", "org", "edu", "gov", "io", "tv", "gg", "ai", "dev", "app", "info", "biz", "xyz",
    "eu", "de", "fr", "uk", "nl", "pl", "ch", "ru", "cn", "jp", "kr", "br",
)  # fmt: skip
"""Top-level domains that make `example.com` an address without anything before or after it."""
TOP_LEVEL_WORDS = ("app", "de", "dev", "info")
"""Those that begin a sentence in `Dinner is ready.De kids eat first.`"""
WEB_END = r"0-9A-Za-z/=&#_~-"
"""For a character class: what an address may end with. A full stop or a bracket after it belongs to the sentence."""
MAIL = r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
"""An address of mail. No part is unbounded, since the text may be hostile."""

VOICE_PART_BYTES = 32_768
"""Most bytes of a recording in one message over MQTT."""
VOICE_PARTS = (1, 1000)
"""Messages in which a recording may come."""
VOICE_RECORDING_BYTES = 12_000_000
"""Longest recording that may come over MQTT: 120 s in 16-bit mono at 48 kHz, the most that the checks read."""
VOICE_WORDS_BYTES = 4000
"""Most words of a recording that comes over MQTT, in UTF-8. A clip of 12 s has about 200 bytes."""

KEPT_BY_RESTORE = ".before-restore-"
"""In the names of files and folders that `ishowtts restore` has moved aside."""
