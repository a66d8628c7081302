"""Examines the engines that a configuration chooses: F5's weights, the natural voice, espeak-ng.

`check` and `doctor` use it. The part of each finding is the key that decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ishowtts.cli.findings import Finding, fault

if TYPE_CHECKING:
    from ishowtts.config import Config  # it takes 0.2 s to import, and `status --help` does not need it
    from ishowtts.engines.weights import Weights

INSTALL_FIX = "run install.sh again"
_SPEAKERS = {"remote": "other boards", "f5": "F5", "hibari": "the natural voice (English only)", "espeak": "espeak-ng"}
_FREE_LICENCES = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0")


def examine_engines(settings: Config) -> Iterator[Finding]:
    """Examine every engine. What the configuration does not name and what is as usual is left out."""
    yield from examine_f5(settings)
    yield from examine_natural_voice(settings)
    yield from examine_espeak_voice(settings)
    yield from _remote_engine(settings)
    yield from _unspoken_default_language(settings)
    yield from _keys_without_effect(settings)


def examine_f5(settings: Config) -> Iterator[Finding]:
    """Weights of F5, if the configuration names or needs some, and packages that it lacks."""
    from ishowtts.engines.engine_choice import choose_engine

    named = settings.engine.f5.weights
    chosen = choose_engine(settings)
    key = "engine.kind" if named is None else "engine.f5.weights"
    if problem := chosen.weights_problem:
        # Also a fault if another engine speaks instead: the daemon then says that it is degraded.
        yield fault(key, problem, "sudo ishowtts fetch" if named is None else None)
    elif problem := chosen.upstream_problem:
        yield fault("engine.f5", problem)
    elif named is not None and chosen.weights is not None:
        yield Finding(key, "ok", str(named))


def examine_natural_voice(settings: Config) -> Iterator[Finding]:
    """Whether the natural voice is installed, if it may speak: a fault if the configuration names it, else a note."""
    from ishowtts.engines.hibari.hibari_package import missing_package

    section, missing = settings.engine, missing_package()
    leads = section.kind == "hibari"
    wanted = leads or ("hibari" in section.fallbacks and section.kind != "espeak")
    if missing is None or not wanted:
        return
    is_named = leads or section.fallback is not True
    found = fault("engine.kind" if leads else "engine.fallback", missing)
    yield found if is_named else replace(found, verdict="note")


def examine_espeak_voice(settings: Config) -> Iterator[Finding]:
    """Whether espeak-ng has the configured voice. The default voice needs no look."""
    from ishowtts.config.engine_section import EngineSection

    voice = settings.engine.espeak_voice
    if voice == EngineSection().espeak_voice:
        return
    # Imported here: it loads the text reader.
    from ishowtts.engines.espeak_voices import missing_voice

    if (missing := missing_voice(voice)) is not None:
        found = fault("engine.espeak_voice", missing)
        yield found if may_speak(settings, "espeak") else replace(found, verdict="note")


def _remote_engine(settings: Config) -> Iterator[Finding]:
    """What the engine `remote` needs, and keys that have an effect with it only, or without it only."""
    from ishowtts.config.engine_section import RemoteSection

    if settings.engine.kind != "remote":
        if settings.engine.remote != RemoteSection():
            yield _without_effect("engine.remote", f"engine.kind is {settings.engine.kind}")
        return
    if settings.mqtt.protocol != 5:
        yield fault(
            "mqtt.protocol",
            "engine.kind remote needs MQTT 5, whose response topics bring the sounds",
            "set mqtt.protocol to 5",
        )
    if settings.engine.remote.boards == [settings.device.name]:
        yield fault(
            "engine.remote.boards",
            "it names this appliance only",
            'name other appliances, or "+" for all',
        )
    if settings.engine.f5.voices_over_mqtt:
        why = "the boards speak, each with its own voices"
        yield Finding("engine.f5.voices_over_mqtt", "note", f"it has no effect: {why}", "add voices on the boards")


def may_speak(settings: Config, kind: str) -> bool:
    """Whether the configuration lets an engine speak, first or as a fallback."""
    from ishowtts.engines.engine_choice import choose_engine

    return kind in choose_engine(settings).order


def _unspoken_default_language(settings: Config) -> Iterator[Finding]:
    """That only the natural voice may speak, and lines are in another language than English unless they name one."""
    from ishowtts.engines.engine_choice import choose_engine

    if choose_engine(settings).order != ("hibari",):
        return
    # Imported here: it loads the text reader.
    from ishowtts.engines.espeak_voices import voice_language
    from ishowtts.text.scripts import base_language

    language = base_language(voice_language(settings.engine.espeak_voice))
    if language != "en":
        yield Finding(
            "engine.espeak_voice",
            "note",
            f"lines in its language, {language}, fail: the natural voice alone may speak, and it speaks English only",
            "add espeak to engine.fallback, or set engine.espeak_voice to en-us",
        )


def _keys_without_effect(settings: Config) -> Iterator[Finding]:
    """Keys that are set and change nothing, because another one decides."""
    from ishowtts.config.engine_section import F5Section
    from ishowtts.engines.engine_choice import choose_engine

    section, chosen = settings.engine, choose_engine(settings)
    if section.f5.languages is not None and "f5" not in chosen.order:
        other = section.kind in ("hibari", "espeak", "remote")
        why = f"engine.kind is {section.kind}" if other else "there are no weights"
        yield _without_effect("engine.f5.languages", why)
    if section.f5.max_rtf != F5Section().max_rtf and section.kind != "auto":
        yield _without_effect("engine.f5.max_rtf", f"engine.kind is {section.kind}, which leads at any speed")
    listed = section.fallback if isinstance(section.fallback, list) else []
    asked_before = [kind for kind in listed if kind == chosen.kind or (kind, chosen.kind) == ("hibari", "espeak")]
    if section.kind != "auto" and asked_before:
        # The rest of the list has an effect, and the whole key too: without it, every engine may follow.
        first = asked_before[0]
        detail = f"{first} in it has no effect: {first} does not come after {chosen.kind}"
        yield Finding("engine.fallback", "note", detail, f"remove {first} from engine.fallback, or change engine.kind")


def _without_effect(key: str, why: str) -> Finding:
    return Finding(key, "note", f"it has no effect: {why}", f"remove {key}, or change engine.kind")


def in_its_place(kinds: Sequence[str]) -> str:
    """Say which engines speak in the place of another one, as a clause.

    Args:
        kinds: The engines that come after it, in order.
    """
    names = [_SPEAKERS.get(kind, kind) for kind in kinds]
    if not names:
        return "no other engine speaks in its place, as engine.fallback says"
    return f"{' and '.join(names)} {'speaks' if len(names) == 1 else 'speak'} in its place"


def about_weights(settings: Config, weights: Weights) -> str:
    """Name, languages and licence of the weights that F5 uses, and whether the licence allows commercial use."""
    from ishowtts.engines.weights_catalogue import CATALOGUE

    if settings.engine.f5.languages is not None:
        languages = f"{', '.join(settings.engine.f5.languages)} (engine.f5.languages)"
    elif weights.languages is not None:
        languages = ", ".join(weights.languages)
    else:
        languages = "not known, so en, zh and those of the voices"
    licence = about_licence(weights.licence)
    if weights.licence is not None and weights.name not in CATALOGUE:
        licence += " (as model.yaml says; what was trained on from the official weights stays non-commercial)"
    return f"{weights.name}: languages {languages}; licence {licence}"


def about_licence(licence: str | None) -> str:
    """A licence of weights, and whether it allows commercial use."""
    if licence is None:
        return "not known; ask who made these weights"
    if re.search(r"\bnc\b", licence.lower()):
        return f"{licence}, commercial use NOT allowed"
    if licence.lower() in _FREE_LICENCES:
        return f"{licence}, commercial use allowed"
    return f"{licence}, which says whether commercial use is allowed"
