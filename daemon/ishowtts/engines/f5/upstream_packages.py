"""Says when upstream's modules run in the place of the fast model, and which of their packages are missing.

Imports no torch: the daemon and `ishowtts check` ask before any worker starts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from ishowtts.engines.f5.architecture import BASE, ModelConfig, VocoderConfig, read_model, read_vocoder
from ishowtts.errors import WeightsError
from ishowtts.f5_switches import Switches
from ishowtts.util.package_files import missing_packages

if TYPE_CHECKING:
    from ishowtts.engines.weights import Weights

INSTALL_FIX = "run install.sh again, with --bench (a checkout: scripts/setup)"
_PACKAGES = {name.replace("-", "_"): name for name in ("torchaudio", "torchdiffeq", "vocos", "x-transformers")}
"""The packages that `upstream_model` imports and an appliance lacks, by the name that is imported."""


def unsupported(model: ModelConfig, vocoder: VocoderConfig) -> str | None:
    """The part of a checkpoint's description that the fast model does not compute; `None`: it computes all of it."""
    arch = model.arch
    odd = {
        "qk_norm": arch.qk_norm is not None,
        "long_skip_connection": arch.long_skip_connection,
        "attn_mask_enabled": arch.attn_mask_enabled,
        "conv_layers": arch.conv_layers == 0,
        "the vocoder's padding": vocoder.head.init_args.padding != "center",
    }
    return next((name for name, present in odd.items() if present), None)


def missing_packages_problem(
    weights: Weights, switches: Switches, device: Literal["auto", "cpu", "cuda"]
) -> str | None:
    """Why F5 cannot speak without upstream's packages, with the fix; `None` if it can, or if they are installed.

    Nothing is told of weights whose description cannot be read: loading them says what is wrong.

    Args:
        device: with `auto` the device is not known yet; it counts as CUDA, for which more switches are on.
    """
    missing = [_PACKAGES[name] for name in missing_packages(_PACKAGES)]
    if not missing:
        return None
    if switches.compile:
        what, fix = "engine.f5.compile", f"remove engine.f5.compile, or {INSTALL_FIX}"
    elif odd := _unsupported_part(weights):
        what, fix = f"{weights.folder} ({odd})", INSTALL_FIX
    elif not switches.on_device("cpu" if device == "cpu" else "cuda").need_fast_model:
        what, fix = "engine.f5.disable with these switches", f"disable fewer of them, or {INSTALL_FIX}"
    else:
        return None
    names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    verb = "is" if len(missing) == 1 else "are"
    return f"{what} needs upstream's modules, but {names} {verb} not installed; {fix}"


def _unsupported_part(weights: Weights) -> str | None:
    with suppress(WeightsError):
        model = read_model(weights.architecture) if weights.architecture else BASE
        return unsupported(model, read_vocoder(weights.vocoder_config))
    return None
