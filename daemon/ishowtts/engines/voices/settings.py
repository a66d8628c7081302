"""Reads and writes `voice.yaml`: the default speed, NFE, gain and language of a voice."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ishowtts.errors import VoiceError
from ishowtts.limits import NFE_STEP, SPEED
from ishowtts.util import strict_yaml
from ishowtts.util.files import read_bounded
from ishowtts.util.strict_yaml import StrictYamlError

_MAX_BYTES = 4096
_RULES = {
    "speed": "a number from 0.5 to 2.0",
    "nfe_step": f"a whole number from {NFE_STEP[0]} to {NFE_STEP[1]}",
    "gain_db": "a number from -24 to 12",
    "language": "a tag such as en, de or en-us (in quotes if YAML reads it as something else, such as `no`)",
}


class VoiceSettings(BaseModel):
    """The keys of `voice.yaml`; `None` means the value of the configuration.

    Attributes:
        speed: speaking speed, 0.5 to 2.0.
        nfe_step: model evaluations per segment, 4 to 64.
        gain_db: gain that is applied to the sound after loudness normalisation, -24 to 12.
        language: language of the clip; the fallback engine speaks it for this voice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    speed: float | None = Field(None, ge=SPEED[0], le=SPEED[1])
    nfe_step: int | None = Field(None, ge=NFE_STEP[0], le=NFE_STEP[1])
    # A gain, not a target loudness: a measurement needs seconds of speech, and a segment may be a single word.
    gain_db: float | None = Field(None, ge=-24.0, le=12.0)
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")


def read(path: Path) -> VoiceSettings:
    """Reads a `voice.yaml`. Raises VoiceError with the first fault."""
    try:
        raw = read_bounded(path, _MAX_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise VoiceError(
                f"{path} is larger than {_MAX_BYTES} bytes; it may hold only {', '.join(_RULES)}"
            ) from error
        raise VoiceError(f"{path} cannot be read ({error.strerror}); make it readable for the service") from error
    try:
        content = strict_yaml.load(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise VoiceError(f"{path} is not YAML in UTF-8; write lines such as `speed: 0.9`") from error
    except StrictYamlError as error:
        where = f", line {error.line}," if error.line else ""
        raise VoiceError(f"{path}{where} is not plain YAML: {error.problem}; write lines as `speed: 0.9`") from error
    return check({} if content is None else content, str(path))


def check(content: Any, source: str) -> VoiceSettings:
    """Validates settings from a file or a command line. Raises VoiceError with `source` and the first fault."""
    if not isinstance(content, dict):
        raise VoiceError(f"{source} must hold keys and values, in lines such as `speed: 0.9`")
    try:
        return VoiceSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
    if key not in _RULES:
        raise VoiceError(f"{source}: unknown key {key[:40]!r}; known here: {', '.join(_RULES)}")
    value = content[key]
    shown = repr(value)[:40] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    raise VoiceError(f"{source}: {key} must be {_RULES[key]}, but is {shown}")


def dump(settings: VoiceSettings) -> str:
    """Returns the content of `voice.yaml`; empty if nothing is set."""
    chosen = settings.model_dump(exclude_none=True)
    return yaml.safe_dump(chosen, sort_keys=False) if chosen else ""
