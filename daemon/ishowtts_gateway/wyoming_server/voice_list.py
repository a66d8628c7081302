"""The voices and languages that the Wyoming server offers, from what the appliances publish."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice
from wyoming.tts import SynthesizeVoice

from ishowtts import __version__
from ishowtts.limits import LANGUAGE_TAG, LANGUAGE_TAG_CHARS, NAME
from ishowtts.mqtt.renders.render_boards import renders_for_others, texts_in
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.wyoming_server.event_reader import WyomingProtocolError
from ishowtts_gateway.wyoming_server.event_writer import event_bytes

PROGRAM = "ishowtts"
DEFAULT_VOICE = "auto"
"""The voice that an appliance speaks in if a text names none. A name such as `auto:de` adds a language."""
_MAX_VOICES = 500
_MAX_LANGUAGES = 200
_REFRESH_S = 1.0
_CLONING = "f5"  # only F5 speaks in the voices of `info`
_EVERY_LANGUAGE = (
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es",
    "et", "eu", "fa", "fi", "fr", "ga", "gd", "gu", "he", "hi", "hr", "ht", "hu", "hy", "ia", "id", "is", "it",
    "ja", "ka", "kk", "kn", "ko", "kok", "ku", "ky", "la", "lb", "lt", "lv", "mi", "mk", "ml", "mr", "ms", "mt",
    "my", "nb", "ne", "nl", "om", "or", "pa", "pl", "pt", "qu", "ro", "ru", "sd", "si", "sk", "sl", "sq", "sr",
    "sv", "sw", "ta", "te", "th", "tk", "tn", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "yue", "zh",
)  # fmt: skip
"""Shown for an engine that says that it speaks every language, and while no appliance is known: those of espeak-ng."""


@dataclass(frozen=True)
class VoiceChoice:
    """The voice and the language of a request; `None`: those of the appliance."""

    voice: str | None = None
    language: str | None = None


class VoiceList:
    """Answers `describe` from memory.

    Voices of an appliance that is offline stay in the list: Home Assistant reads it once, when it starts.

    Args:
        directory: The appliances.
    """

    def __init__(self, directory: ApplianceDirectory) -> None:
        self._directory = directory
        self._seen: dict[str, Any] = {}
        self._made_s = -math.inf
        self._described = b""

    def described(self) -> bytes:
        """The event `info`. It is made again at most once a second, if an appliance has published something else."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._made_s >= _REFRESH_S:
            current = {name: record.info for name, record in self._directory.records.items()}
            is_same = current.keys() == self._seen.keys() and all(
                info is self._seen[name] for name, info in current.items()
            )
            if not self._described or not is_same:
                self._described = event_bytes(_info(info for info in current.values() if info).event())
                self._seen, self._made_s = current, now_s
        return self._described


def chosen_voice(wanted: SynthesizeVoice | None) -> VoiceChoice:
    """The voice and the language that a client names. `anna:de` is the voice anna for a text in German.

    A speaker counts only if no voice is named, because no voice here has several.

    Raises:
        WyomingProtocolError: A name is not one.
    """
    if wanted is None:
        return VoiceChoice()
    name, _, tag = (wanted.name or wanted.speaker or "").strip().partition(":")
    tag = (tag or wanted.language or "").strip().replace("_", "-")
    if tag and (len(tag) > LANGUAGE_TAG_CHARS or not LANGUAGE_TAG.fullmatch(tag)):
        raise WyomingProtocolError("the language of a voice must be a tag, as in de or pt-BR")
    if name and not NAME.fullmatch(name.lower()):
        raise WyomingProtocolError(
            "the name of a voice has 1 to 64 characters of a-z, 0-9, _ and -; `describe` lists all"
        )
    return VoiceChoice(None if name.lower() in ("", DEFAULT_VOICE) else name.lower(), tag or None)


def _info(published: Iterable[Mapping[str, Any]]) -> Info:
    """What the appliances can speak, as one program.

    Args:
        published: `info` of each appliance.
    """
    voices: dict[str, set[str]] = {}
    spoken: set[str] = set()
    for info in published:
        if not renders_for_others(info):
            continue
        spoken.update(*(_engine_languages(info, engine) for engine in texts_in(info.get("engines"))))
        cloning = _engine_languages(info, _CLONING) if _CLONING in texts_in(info.get("engines")) else set()
        tags = _object(info.get("voice_languages"))
        for name in filter(NAME.fullmatch, texts_in(info.get("voices"))):
            if name in voices or len(voices) < _MAX_VOICES:
                voices.setdefault(name, set()).update(cloning, _tags([tags.get(name)]))
    languages = sorted(spoken)[:_MAX_LANGUAGES] or sorted(_EVERY_LANGUAGE)
    return Info(
        tts=[
            TtsProgram(
                name=PROGRAM,
                attribution=_attribution(),
                installed=True,
                description="Speech of iShowTTS appliances",
                version=__version__,
                voices=[*_default_voices(languages, voices), *_cloned_voices(voices, languages)],
                supports_synthesize_streaming=True,
            )
        ]
    )


def _default_voices(languages: list[str], cloned: Mapping[str, object]) -> Iterator[TtsVoice]:
    if DEFAULT_VOICE not in cloned:
        yield _voice(DEFAULT_VOICE, "Default voice", languages)
    for tag in languages:
        # Clients such as Home Assistant send the name of a voice and no language. A short text does not show its own.
        yield _voice(f"{DEFAULT_VOICE}:{tag}", f"Default voice, always in {tag}", [tag])


def _cloned_voices(voices: Mapping[str, set[str]], languages: list[str]) -> Iterator[TtsVoice]:
    for name in sorted(voices):
        yield _voice(name, name, sorted(voices[name])[:_MAX_LANGUAGES] or languages)


def _voice(name: str, description: str, languages: list[str]) -> TtsVoice:
    return TtsVoice(
        name=name,
        attribution=_attribution(),
        installed=True,
        description=description,
        version=__version__,
        languages=languages,
    )


def _attribution() -> Attribution:
    return Attribution(name="iShowTTS", url="")


def _engine_languages(info: Mapping[str, Any], engine: str) -> set[str]:
    """What an engine speaks; `null` in `info` means every language."""
    found = _object(info.get("engine_languages"))
    if engine not in found:
        return set()
    return set(_EVERY_LANGUAGE) if found[engine] is None else _tags(texts_in(found[engine]))


def _tags(values: Iterable[Any]) -> set[str]:
    return {
        value
        for value in values
        if isinstance(value, str) and len(value) <= LANGUAGE_TAG_CHARS and LANGUAGE_TAG.fullmatch(value)
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
