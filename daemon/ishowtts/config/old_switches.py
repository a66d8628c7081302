"""The old key `engine.f5.optimisations`, accepted for one version: a map with a value for each switch.

`engine.f5.disable`, `quality`, `precision` and `compile` replace it. Delete this module with the next version.
"""

from __future__ import annotations

from typing import Any

from ishowtts.config.section import Section
from ishowtts.f5_switches import EIGHT_BITS, TABLE, Compile, GuidanceSkip

_DEFAULTS = {switch.name: switch.default for switch in TABLE}


class OptimisationsSection(Section):
    """The sixteen old keys with their old meaning. A key that is not given has the default of its switch."""

    folds: bool = True
    text_once: bool = True
    reference_cache: bool = True
    exact_padding: bool | None = None
    graphs: bool | None = None
    fused_kernels: bool = True
    cpu_kernels: bool = True
    streaming: bool = True
    batching: bool = True
    short_text: bool = True
    int8: bool = False
    fp8: bool = False
    guidance_skip: GuidanceSkip = False
    nfe_policy: bool = False
    compile: Compile = False
    tensorrt_vocoder: bool = False  # never had an effect

    def values(self) -> dict[str, Any]:
        """The values that differ from the defaults, by the names of `Switches`.

        `graphs: null` meant "if it is possible", so it becomes `False` if a switch that graphs need is off.
        """
        given = self.model_dump(exclude={"tensorrt_vocoder"})
        for switch in TABLE:
            if given[switch.name] is None and any(given[other] is False for other in switch.needs):
                given[switch.name] = False
        return {name: value for name, value in given.items() if value != _DEFAULTS[name]}

    def deprecation(self) -> str:
        """One sentence for the operator: what to write instead."""
        values = self.values()
        instead = []
        if disabled := [name for name, value in values.items() if value is False]:
            instead.append(f"engine.f5.disable: [{', '.join(disabled)}]")
        instead += [f"engine.f5.precision: {name}" for name in EIGHT_BITS if values.pop(name, False)]
        if values.get("guidance_skip") == "plain":
            instead.append("engine.f5.quality: fast")
            del values["guidance_skip"]
        if "compile" in values:
            instead.append(f"engine.f5.compile: {values.pop('compile')}")
        lost = [name for name, value in values.items() if value is not False]
        sentence = "engine.f5.optimisations is an old key, which the next version refuses; "
        sentence += f"write {' and '.join(instead)} instead" if instead else "remove it"
        return sentence + (f"; nothing replaces {' and '.join(lost)}" if lost else "")
