"""The section `engine:` of the configuration."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from ishowtts.config.device_names import device_names
from ishowtts.config.old_switches import OptimisationsSection
from ishowtts.config.section import Section as _Section
from ishowtts.f5_switches import EIGHT_BITS, TABLE, Compile, Switches, device_faults
from ishowtts.limits import LANGUAGE_TAG, NFE_STEP

FALLBACKS = ("hibari", "espeak")
"""Kinds of the engines that `engine.fallback` may name, in the order in which they are asked."""


def _switch_to_disable(name: str) -> str:
    known = [switch.name for switch in TABLE if switch.can_be_disabled]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
        raise ValueError(f"is not a switch that can be disabled; {hint}")
    return name


def _fallback(value: Any) -> Any:
    """Check here and not by the type: a union of types would report a fault for each of them."""
    if isinstance(value, bool):
        return value
    names = [name for name in FALLBACKS if isinstance(value, list) and name in value]
    if value != names:
        raise ValueError(f"must be true, false, or a list of {' and '.join(FALLBACKS)}, each once and in this order")
    return value


def _language(tag: str) -> str:
    if not LANGUAGE_TAG.fullmatch(tag):
        raise ValueError("must be a language tag such as en, de or pt-BR")
    return tag


def _not_empty(tags: list[str]) -> list[str]:
    if not tags:
        raise ValueError("must name at least one language; null means: as the weights say")
    return tags


class F5Section(_Section):
    """The F5-TTS engine."""

    weights: Path | None = None
    voices_dir: Path | None = None
    voices_over_mqtt: bool = False
    default_voice: str = "default"
    languages: Annotated[list[Annotated[str, AfterValidator(_language)]], AfterValidator(_not_empty)] | None = None
    max_rtf: float = Field(0.9, gt=0)
    nfe_step: int = Field(7, ge=NFE_STEP[0], le=NFE_STEP[1])
    cfg_strength: float = Field(2.0, ge=0, le=10)
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8", "fp8"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    quality: Literal["faithful", "fast"] = "faithful"
    disable: list[Annotated[str, AfterValidator(_switch_to_disable)]] = Field([])
    compile: Compile = False
    optimisations: OptimisationsSection = Field(OptimisationsSection(), exclude=True)

    @field_validator("disable")
    @classmethod
    def _needs_are_met(cls, names: list[str]) -> list[str]:
        off: dict[str, Any] = dict.fromkeys(names, False)
        Switches(**off)  # raises ValueError if another switch needs one of them
        return names

    @model_validator(mode="after")
    def _combination_is_possible(self) -> F5Section:
        if "optimisations" in self.model_fields_set:
            new = self.model_fields_set & {"quality", "disable", "compile"}
            if new:
                raise ValueError(f"use either optimisations, the old key, or {', '.join(sorted(new))}; not both")
        for fault in device_faults(self.switches, self.device):
            raise ValueError(fault)
        return self

    @property
    def switches(self) -> Switches:
        """The switches of the engine and of the scheduler, from all keys that set them."""
        changes: dict[str, Any] = {**Switches.quality(self.quality), "compile": self.compile}
        if self.precision in EIGHT_BITS:
            changes[self.precision] = True
        return Switches(**{**changes, **dict.fromkeys(self.disable, False), **self.optimisations.values()})

    @property
    def tensor_precision(self) -> Literal["auto", "fp32", "fp16", "bf16"]:
        """What the tensors between the products have: `auto` if the products themselves have eight bits."""
        if self.precision == "int8" or self.precision == "fp8":  # noqa: PLR1714 - mypy does not narrow by `in`
            return "auto"
        return self.precision


class DeadlinesSection(_Section):
    """How long the worker may take without progress before it is killed."""

    hello_s: float = Field(60, gt=0)
    load_s: float = Field(300, gt=0)
    warm_step_s: float = Field(300, gt=0)
    segment_s: float = Field(120, gt=0)
    answer_s: float = Field(10, ge=1)


class RestartSection(_Section):
    """How a worker that died is restarted, and when it is parked for an hour."""

    first_s: float = Field(0.5, gt=0)
    longest_s: float = Field(30, gt=0)
    park_deaths: int = Field(5, ge=1)
    park_window_s: float = Field(600, gt=0)


def _boards(value: object) -> object:
    return device_names(value, '"+" (every appliance under mqtt.prefix that renders)')


class RemoteSection(_Section):
    """Appliances that render for this one, if `engine.kind` is `remote`."""

    boards: Annotated[str | list[str], BeforeValidator(_boards)] = "+"
    segment_s: float = Field(8, gt=0, le=600)


class EngineSection(_Section):
    """Which engine speaks."""

    kind: Literal["auto", "f5", "hibari", "espeak", "remote"] = "auto"
    fallback: Annotated[bool | list[str], BeforeValidator(_fallback)] = True
    late_s: float = Field(1.2, ge=0.5)
    espeak_voice: str = Field("en-us", pattern=r"^[A-Za-z0-9+_][A-Za-z0-9+_-]{0,31}$")
    f5: F5Section = F5Section()
    remote: RemoteSection = RemoteSection()
    deadlines: DeadlinesSection = DeadlinesSection()
    restart: RestartSection = RestartSection()

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Kinds of the engines that may speak if another one cannot, in order."""
        if isinstance(self.fallback, bool):
            return FALLBACKS if self.fallback else ()
        return tuple(self.fallback)
