"""The vocoder Vocos: mel spectrogram to sound (Vocos, section 3). Its weights keep their names.

Magnitudes, phases and the inverse transform are always fp32: an exponential overflows half precision above 11.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5 import mel_spectrogram
from ishowtts.engines.f5.architecture import VocoderConfig

_REACH = 3
_LOUDEST = 1e2


class FastVocoder:
    """Decodes several spectrograms at once. Each sounds as if it were alone.

    Args:
        tensors: the tensors of Vocos, by its names; fp32.
        dtype: type of the backbone.
    """

    def __init__(
        self,
        description: VocoderConfig,
        tensors: dict[str, Tensor],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._layers = description.backbone.init_args.num_layers
        self._dtype = dtype
        self._weights = {
            name: tensor.to(device, dtype if name.startswith("backbone.") else torch.float32)
            for name, tensor in tensors.items()
            if name.startswith(("backbone.", "head.out."))
        }

    def decode(self, mel: Tensor, frames: Sequence[int]) -> list[Tensor]:
        """Decode log mel, fp32 [batch, longest, 100], to sounds of [(frames[i] - 1) * 256] each.

        The padding after a spectrogram never reaches its sound: it is zeroed before every convolution, and cut off
        before the inverse transform.
        """
        keep = None
        if any(count < mel.shape[1] for count in frames):
            positions = torch.arange(mel.shape[1], device=mel.device)
            keep = (positions < torch.tensor(frames, device=mel.device).unsqueeze(1)).unsqueeze(1)
        mel = mel.to(self._dtype)
        x = self._norm("backbone.norm", self._conv("backbone.embed", mel.transpose(1, 2), keep).transpose(1, 2))
        for i in range(self._layers):
            x = x + self._block(f"backbone.convnext.{i}", x, keep)
        x = self._linear("head.out", self._norm("backbone.final_layer_norm", x).float())
        return [_sound(x[i, :count]) for i, count in enumerate(frames)]

    def _block(self, name: str, x: Tensor, keep: Tensor | None) -> Tensor:
        z = self._conv(f"{name}.dwconv", x.transpose(1, 2), keep, groups=x.shape[2]).transpose(1, 2)
        z = F.gelu(self._linear(f"{name}.pwconv1", self._norm(f"{name}.norm", z)))
        return self._linear(f"{name}.pwconv2", z) * self._weights[f"{name}.gamma"]

    def _conv(self, name: str, x: Tensor, keep: Tensor | None, groups: int = 1) -> Tensor:
        # `where`, not a product: zero times NaN is NaN.
        x = x if keep is None else torch.where(keep, x, 0.0)
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.conv1d(x, weight, bias, padding=_REACH, groups=groups)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], 1e-6)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])


def _sound(coefficients: Tensor) -> Tensor:
    """Convert log magnitudes and phases, [frames, 1026], to sound."""
    log_magnitude, phase = coefficients.t().chunk(2)
    return mel_spectrogram.inverse(log_magnitude.exp().clamp(max=_LOUDEST), phase)
