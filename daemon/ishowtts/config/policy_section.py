"""The section `policies`: what is spoken, how much of it, and when. docs/policies.md explains it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ishowtts.config.section import Section
from ishowtts.limits import NAME, VOLUME


def _check_placeholders(template: str, *names: str) -> str:
    """Raise ValueError unless the template has `{text}` and no placeholder except `names`."""
    rest = re.sub("|".join(rf"\{{{name}\}}" for name in names), "", template)
    if "{" in rest or "}" in rest or "{text}" not in template:
        others = " and ".join(f"{{{name}}}" for name in names if name != "text")
        raise ValueError(f"must hold {{text}}, and may hold {others}; no other brace is allowed")
    return template


def _line_template(template: str) -> str:
    return _check_placeholders(template, "author", "text")


def _merge_template(template: str) -> str:
    return _check_placeholders(template, "text", "count")


def _time_of_day(time: object) -> str | None:
    if time is None:
        return None
    if not isinstance(time, str) or not re.fullmatch(r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]", time):
        raise ValueError('must be a local time from "00:00" to "23:59", as in "22:00"')
    return time.zfill(5)


def _printable(text: str) -> str:
    if any(not char.isprintable() for char in text):
        raise ValueError("must not hold line breaks or control characters")
    return text


def _voice_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("must be the name of a voice: 1 to 64 characters of a-z, 0-9, _ and -")
    return name


_BlockedWord = Annotated[str, Field(min_length=1, max_length=64)]
_SpokenWord = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_printable)]
_Template = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
_AuthorName = Annotated[str, Field(min_length=1, max_length=128)]
_VoiceName = Annotated[str, AfterValidator(_voice_name)]


class BlockedSection(Section):
    """Words that are not spoken."""

    words: list[_BlockedWord] = Field([], max_length=10_000)
    file: Path | None = None
    action: Literal["reject", "mask"] = "reject"
    mask: Annotated[str, Field(max_length=32), AfterValidator(_printable)] = "beep"


class QuietHoursSection(Section):
    """The local time in which `low` and `normal` lines wait, or are spoken at a lower volume."""

    from_: Annotated[str | None, BeforeValidator(_time_of_day)] = Field(None, alias="from")
    to: Annotated[str | None, BeforeValidator(_time_of_day)] = None
    action: Literal["wait", "quieter"] = "wait"
    volume: int = Field(30, ge=VOLUME[0], le=VOLUME[1])

    @model_validator(mode="after")
    def _check_times(self) -> QuietHoursSection:
        if (self.from_ is None) != (self.to is None):
            raise ValueError("from and to belong together; set both times, or neither")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("from and to are the same time; set both to null for no quiet hours")
        return self


EmojiLanguage = Literal[
    "auto", "ar", "de", "en", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"
]  # fmt: skip


class PolicySection(Section):
    """What is done with a line before it is stored. Urgent lines are exempt from the three `…_per_min`."""

    lines_per_min: int | None = Field(None, ge=1, le=10_000)
    author_lines_per_min: int | None = Field(None, ge=1, le=600)
    work_per_min: int | None = Field(None, ge=1, le=1_000_000_000)
    merge_s: float = Field(0, ge=0, le=3600)
    merge_say: Annotated[_Template, AfterValidator(_merge_template)] = "{text}, {count} times"
    blocked: BlockedSection = BlockedSection()
    links: Literal["keep", "drop", "word"] = "word"
    link_word: _SpokenWord = "link"
    emoji: Literal["keep", "drop", "name"] = "drop"
    emoji_language: EmojiLanguage = "auto"
    repeats: int | None = Field(3, ge=2, le=20)
    template: Annotated[_Template, AfterValidator(_line_template)] | None = None
    author_voices: dict[_AuthorName, _VoiceName] = Field({}, max_length=10_000)
    quiet: QuietHoursSection = QuietHoursSection()
