"""Says for each key of the configuration when a change of it takes effect: at a reload, or only after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from ishowtts.config.schema import Config
from ishowtts.config.section import Section

_SectionT = TypeVar("_SectionT", bound=Section)


class TakesEffect(Enum):
    """When a changed key takes effect."""

    RELOAD = "a reload"
    RESTART = "a restart"
    GATEWAY_RESTART = "a restart of the gateway"


RELOAD_TABLE: Mapping[str, TakesEffect] = {
    "device": TakesEffect.RESTART,  # topics, client ids and the session at the broker are named after it
    "mqtt": TakesEffect.RESTART,
    "engine": TakesEffect.RESTART,  # a worker is configured once
    "audio.device": TakesEffect.RESTART,
    "audio.volume": TakesEffect.RELOAD,
    "audio.mixer": TakesEffect.RESTART,
    "audio.pause_s": TakesEffect.RELOAD,
    "audio.wake_s": TakesEffect.RELOAD,
    "audio.idle_s": TakesEffect.RELOAD,
    "audio.release_s": TakesEffect.RELOAD,
    "audio.when_lost": TakesEffect.RELOAD,
    "audio.devices": TakesEffect.RESTART,  # it may name mixers
    "audio.loudness_lufs": TakesEffect.RELOAD,
    "audio.peak_dbtp": TakesEffect.RELOAD,
    "audio.chime": TakesEffect.RELOAD,
    "audio.chimes_dir": TakesEffect.RELOAD,
    "audio.cache_mb": TakesEffect.RESTART,
    "audio.record_dir": TakesEffect.RESTART,
    "audio.record_mb": TakesEffect.RESTART,
    "limits.max_chars": TakesEffect.RELOAD,
    "limits.too_long": TakesEffect.RELOAD,
    "limits.min_free_mb": TakesEffect.RELOAD,
    "limits.renders": TakesEffect.RESTART,  # a connection and a thread depend on it
    "policies": TakesEffect.RELOAD,
    "text": TakesEffect.RELOAD,
    "queue": TakesEffect.RELOAD,
    "telemetry": TakesEffect.RELOAD,
    "board": TakesEffect.RESTART,
    "home_assistant": TakesEffect.RELOAD,
    "alerts": TakesEffect.RELOAD,
    "gateway": TakesEffect.GATEWAY_RESTART,  # the daemon does not read it
    "log": TakesEffect.RELOAD,
    "state_dir": TakesEffect.RESTART,
    "data_dir": TakesEffect.RESTART,
    "cache_dir": TakesEffect.RESTART,
}
"""An entry is a key, or a section whose keys are all alike. No entry is within another one."""


def takes_effect(key: str) -> TakesEffect:
    """When a change of a key takes effect.

    Raises:
        KeyError: the table has neither the key nor its section.
    """
    section = key
    while section not in RELOAD_TABLE:
        section, dot, _ = section.rpartition(".")
        if not dot:
            raise KeyError(key)
    return RELOAD_TABLE[section]


def keys_of(section: type[Section], prefix: str = "") -> Iterator[str]:
    """All keys of a section with their names in the file, as in `policies.quiet.from`."""
    for name, field in section.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from keys_of(field.annotation, f"{key}.")
        else:
            yield key


def changes(old: Section, new: Section, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys whose values differ, in the order of the file, each with its old and its new value."""
    for name, field in type(old).model_fields.items():
        key, before, after = f"{prefix}{field.alias or name}", getattr(old, name), getattr(new, name)
        if isinstance(before, Section) and isinstance(after, Section):
            yield from changes(before, after, f"{key}.")
        elif before != after:
            yield key, before, after


def with_reloaded(in_use: Config, found: Config) -> Config:
    """The configuration in use, with the values of `found` for all keys that a reload applies."""
    return _merged(in_use, found, "")


def _merged(old: _SectionT, new: _SectionT, prefix: str) -> _SectionT:
    update: dict[str, Any] = {}
    for name, field in type(old).model_fields.items():
        key, before, after = f"{prefix}{field.alias or name}", getattr(old, name), getattr(new, name)
        if isinstance(before, Section) and key not in RELOAD_TABLE:
            update[name] = _merged(before, after, f"{key}.")
        elif takes_effect(key) is TakesEffect.RELOAD:
            update[name] = after
    return old.model_copy(update=update)
