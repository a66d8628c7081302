"""The table of the F5 engine's switches: everything that the project knows about a switch, in one place.

The configuration, the worker's options, the cache key, the parity bench, the ablation bench and the table in
`docs/f5.md` read it. A new switch is a field of `Switches` and the code that uses it. Imports no torch: the daemon and
its configuration read this module too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

GuidanceSkip = Literal[False, "plain", "reuse"]
Compile = Literal[False, "max-autotune"]
Value = TypeVar("Value")

EIGHT_BITS = ("int8", "fp8")
"""Switches that `engine.f5.precision` turns on by their names. What they gain depends on the machine, so that
`quality: fast` leaves them alone.
"""


@dataclass(frozen=True)
class Switch:
    """What is known about one switch.

    Args:
        name: the name in the configuration and in `Switches`.
        default: `None` means: on if the device is CUDA.
        help: what it does, for the table in `docs/f5.md`.
        changes_sound: whether the listener can hear the difference, so that cached speech depends on it.
        costs_fidelity: whether the sound moves away from what the weights say.
        needs: switches without which it cannot work.
        excludes: switches that cannot be on together with it.
        device: the only device that it has an effect on; `None`: every device.
        scheduler: whether the daemon's scheduler uses it, not the engine.
        fast: its value under `engine.f5.quality: fast`; `None`: as by default.
        choices: every value that it may have.
    """

    name: str
    default: bool | str | None
    help: str
    changes_sound: bool
    costs_fidelity: bool
    needs: tuple[str, ...]
    excludes: tuple[str, ...]
    device: Literal["cpu", "cuda"] | None
    scheduler: bool
    fast: bool | str | None
    choices: tuple[bool | str | None, ...]

    @property
    def can_be_disabled(self) -> bool:
        """Whether it is on without being asked for by its name, so that an operator may want it off."""
        return self.default is not False or self.fast is not None


def _switch(
    default: Value,
    purpose: str,
    *,
    changes_sound: bool = True,
    costs_fidelity: bool = False,
    needs: tuple[str, ...] = (),
    excludes: tuple[str, ...] = (),
    device: Literal["cpu", "cuda"] | None = None,
    scheduler: bool = False,
    fast: bool | str | None = None,
    choices: tuple[bool | str | None, ...] = (False, True),
) -> Value:
    """Make a field of `Switches`.

    `changes_sound` is true by default: with a switch that nobody classified, the daemon must not play cached speech
    that was made without it.
    """
    about = {
        "default": default, "help": purpose, "changes_sound": changes_sound, "costs_fidelity": costs_fidelity,
        "needs": needs, "excludes": excludes, "device": device, "scheduler": scheduler, "fast": fast,
        "choices": choices,
    }  # fmt: skip
    made: Value = field(default=default, metadata=about)
    return made


@dataclass(frozen=True)
class Switches:
    """The switches of one engine. It is JSON-able with `asdict`, since it crosses to the worker.

    Raises:
        ValueError: the combination is impossible; the sentence says which switches and what to do.
    """

    folds: bool = _switch(
        True,
        "AdaLN's projections (140.65 of 337 million parameters) become a table for the schedule; voice, text and bias "
        "are projected once a segment; queries, keys and values are one product; the angles are a table",
        changes_sound=False,
    )
    text_once: bool = _switch(
        True, "the text encoder runs in closed form; the tokens of the last 256 texts are kept", changes_sound=False
    )
    reference_cache: bool = _switch(
        True, "the spectrogram and the loudness of a voice are computed once", changes_sound=False
    )
    exact_padding: bool | None = _switch(
        None,
        "runs are padded to a few lengths, because graphs need fixed shapes",
        changes_sound=False,
        choices=(None, False, True),
    )
    graphs: bool | None = _switch(
        None,
        "evaluations run at fixed addresses; they, text encoder and vocoder are captured as CUDA graphs, which saves "
        "the launches",
        changes_sound=False,
        needs=("folds", "exact_padding"),
        choices=(None, False, True),
    )
    fused_kernels: bool = _switch(
        True,
        "our own Triton kernels save memory traffic between the products, if they are correct and faster",
        changes_sound=False,
        device="cuda",
    )
    cpu_kernels: bool = _switch(
        True,
        "products, convolutions and attention use the kernels that are the fastest by measurement",
        changes_sound=False,
        device="cpu",
    )
    streaming: bool = _switch(
        True,
        "the first segment is short if the machine keeps ahead of playback, so the sound begins earlier, with more "
        "seams ([architecture](architecture.md))",
        changes_sound=False,  # of a segment, which is what the cache holds
        scheduler=True,
    )
    batching: bool = _switch(
        True,
        "several segments of a long line run together, if the engine says that this pays "
        "([architecture](architecture.md))",
        changes_sound=False,
        scheduler=True,
    )
    short_text: bool = _switch(
        True, "under 10 bytes of text take the time of 14 bytes, not the time of upstream's speed 0.3"
    )
    int8: bool = _switch(
        False, "products in 8-bit integers; `precision: int8` turns it on", costs_fidelity=True, excludes=("fp8",)
    )
    fp8: bool = _switch(
        False,
        "products in 8-bit floating point, on GPUs that have them; `precision: fp8` turns it on",
        costs_fidelity=True,
        device="cuda",
    )
    guidance_skip: GuidanceSkip = _switch(  # noqa: RUF009 - it is a field
        False,
        "the first evaluations run without their unconditional half (`plain`), or reuse the first difference "
        "(`reuse`); `quality: fast` sets `plain`",
        costs_fidelity=True,
        fast="plain",
        choices=(False, "plain", "reuse"),
    )
    nfe_policy: bool = _switch(
        False,
        "8 evaluations under 5 s of speech, 7 under 15 s, else 6, whatever `nfe_step` says; for benches only",
        costs_fidelity=True,
    )
    compile: Compile = _switch(  # noqa: RUF009 - it is a field
        False,
        "`max-autotune` runs upstream's modules through `torch.compile`, as a system before this one did, "
        "instead of our model",
        changes_sound=False,
        excludes=("exact_padding", "graphs", "int8", "fp8", "guidance_skip"),
        choices=(False, "max-autotune"),
    )

    def __post_init__(self) -> None:
        fault = next(iter(faults(vars(self))), None)
        if fault is not None:
            raise ValueError(fault)

    @classmethod
    def off(cls, **changes: Any) -> Switches:
        """Every switch off, which is upstream module for module, except for `changes`."""
        return cls(**{**{switch.name: False for switch in TABLE}, **changes})

    @classmethod
    def quality(cls, quality: Literal["faithful", "fast"]) -> dict[str, bool | str]:
        """The values that `engine.f5.quality` sets."""
        return {switch.name: switch.fast for switch in TABLE if quality == "fast" and switch.fast is not None}

    def on_device(self, device: str) -> Switches:
        """The same switches with every `None` decided.

        It becomes on if the device is CUDA or if a switch that is on needs it, unless one that is on excludes it.
        """
        values = vars(self)
        on = [switch for switch in TABLE if values[switch.name]]
        needed = {name for switch in on for name in switch.needs}
        excluded = {name for switch in on for name in switch.excludes}
        decided: dict[str, Any] = {
            name: name not in excluded and (device == "cuda" or name in needed)
            for name, value in values.items()
            if value is None
        }
        return replace(self, **decided)

    @property
    def heard(self) -> dict[str, bool | str | None]:
        """The values that change the sound. They are a part of the cache key."""
        return {switch.name: vars(self)[switch.name] for switch in TABLE if switch.changes_sound}

    @property
    def need_fast_model(self) -> bool:
        """Whether any of them is more than a decision around upstream's modules."""
        return not self.compile and bool(
            self.folds or self.text_once or self.exact_padding or self.graphs or self.fused_kernels
            or self.cpu_kernels or self.int8 or self.fp8 or self.guidance_skip
        )  # fmt: skip


TABLE: tuple[Switch, ...] = tuple(Switch(name=item.name, **item.metadata) for item in fields(Switches))
"""Every switch, in the order of the documentation."""


def faults(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each combination that cannot work. `None` counts as on: on CUDA it will be."""
    found = []
    for switch in TABLE:
        value = values[switch.name]
        if value not in switch.choices or (value is not None and not isinstance(value, (bool, str))):
            found.append(f"{switch.name} cannot be {value!r}; it may be {', '.join(map(repr, switch.choices))}")
        if value is False:
            continue
        found += [
            f"{switch.name} needs {other}, which is off; switch {switch.name} off too"
            for other in switch.needs
            if values[other] is False
        ]
        found += [
            f"{switch.name} and {other} exclude each other; switch one of them off"
            for other in switch.excludes
            if values[other]
        ]
    return found


def device_faults(switches: Switches, device: str) -> list[str]:
    """A sentence for each switch that was asked for and that this device (`auto`, `cpu` or `cuda`) cannot have."""
    return [
        f"{switch.name} needs CUDA, but engine.f5.device is cpu; choose another device or another precision"
        for switch in TABLE
        if device == "cpu" and switch.device == "cuda" and switch.default is False and vars(switches)[switch.name]
    ]
