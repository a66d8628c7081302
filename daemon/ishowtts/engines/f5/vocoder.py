"""The vocoder Vocos: mel spectrogram to sound (Vocos, section 3). Its weights keep their names.

Magnitudes, phases and the inverse transform are always fp32: an exponential overflows half precision above 11.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5 import mel_spectrogram
from ishowtts.engines.f5.architecture import MELS, N_FFT, VocoderConfig
from ishowtts.engines.f5.captured_function import CapturedFunction
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, fastest
from ishowtts.engines.f5.graph_store import StepCapture

log = logging.getLogger(__name__)

_REACH = 3
_LOUDEST = 1e2
_MEASURED_FRAMES = 384  # 4 s, the usual segment


class FastVocoder:
    """Decodes several spectrograms at once. Each sounds as if it were alone.

    Args:
        tensors: the tensors of Vocos, by its names; fp32.
        dtype: type of the backbone.
        step: spectrograms are padded to a multiple of this number of frames, so that few shapes occur. On a GPU each
            new shape costs time, because libraries plan for it; on a CPU only the padding would cost time.
    """

    def __init__(
        self,
        description: VocoderConfig,
        tensors: dict[str, Tensor],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        step: int = 1,
    ) -> None:
        self._layers = description.backbone.init_args.num_layers
        self._dtype = dtype
        self._step = step
        self._captured: CapturedFunction | None = None
        self._weights = {
            name: tensor.to(device, dtype if name.startswith("backbone.") else torch.float32)
            for name, tensor in tensors.items()
            if name.startswith(("backbone.", "head.out."))
        }

    def decode(self, mel: Tensor, frames: Sequence[int]) -> list[Tensor]:
        """Decode log mel, fp32 [batch, longest, 100], to sounds of [(frames[i] - 1) * 256] each.

        The padding after a spectrogram never reaches its sound: it is zeroed before every convolution, and cut off
        before the sound is added up.
        """
        mel = F.pad(mel, (0, 0, 0, -mel.shape[1] % self._step))
        keep = None
        if self._captured is not None or any(count < mel.shape[1] for count in frames):
            positions = torch.arange(mel.shape[1], device=mel.device)
            # Compared with numbers: a tensor of them would be copied to the device, and the processor would wait.
            keep = torch.stack([positions < count for count in frames]).unsqueeze(1)
        x = self.coefficients(mel, keep) if self._captured is None or keep is None else self._captured(mel, keep)
        log_magnitude, phase = x.chunk(2, dim=-1)
        return mel_spectrogram.inverse(log_magnitude.exp().clamp(max=_LOUDEST), phase, frames)

    def coefficients(self, mel: Tensor, keep: Tensor | None) -> Tensor:
        """Compute log magnitudes, then phases: fp32 [batch, frames, 100] to [batch, frames, 1026].

        Args:
            keep: bool [batch, 1, frames], false in the padding; `None` if there is none.
        """
        mel = mel.to(self._dtype)
        x = self._norm("backbone.norm", self._conv("backbone.embed", mel.transpose(1, 2), keep).transpose(1, 2))
        for i in range(self._layers):
            x = x + self._block(f"backbone.convnext.{i}", x, keep)
        return self._linear("head.out", self._norm("backbone.final_layer_norm", x).float())

    def use_graphs(self, capturer: StepCapture | None, most_frames: int) -> None:
        """Compute the coefficients of at most so many frames through graphs from now on.

        The inverse transform stays outside: a graph would keep the addresses of a plan that cuFFT's cache may drop.
        """

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self._weights["head.out.bias"].device)

        inputs = zeros(most_frames, MELS), zeros(most_frames, dtype=torch.bool)
        output = zeros(most_frames, N_FFT + 2)
        self._captured = CapturedFunction("the vocoder", self.coefficients, inputs, output, capturer)

    def enqueue_capture(self, frames: int) -> None:
        """Have single spectrograms of so many frames, a multiple of the step, captured by a later `capture_next`."""
        if self._captured is not None:
            self._captured.enqueue_capture(((1, frames, MELS), (1, 1, frames)))

    def capture_next(self) -> bool:
        """Capture one graph. Returns whether there may be more to capture."""
        return self._captured is not None and self._captured.capture_next()

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


def choose_backbone_dtype(description: VocoderConfig, tensors: dict[str, Tensor], device: torch.device) -> torch.dtype:
    """The faster type of the backbone on this GPU, fp16 or fp32; fp32 if fp16 computes wrong.

    Products are faster in fp16. But depthwise convolutions in fp16 go to cuDNN, which need not be good at them, and
    those in fp32 to a kernel of torch.
    """
    mel = torch.randn(1, _MEASURED_FRAMES, MELS, generator=torch.Generator(device).manual_seed(0), device=device)
    keep = torch.ones(1, 1, _MEASURED_FRAMES, dtype=torch.bool, device=device)
    dtypes = {"fp32": torch.float32, "fp16": torch.float16}
    vocoders = {name: FastVocoder(description, tensors, device, dtype) for name, dtype in dtypes.items()}
    runs = {name: partial(vocoder.coefficients, mel, keep) for name, vocoder in vocoders.items()}
    chosen = fastest(CandidateGroup("the vocoder's backbone", runs, "fp32", torch.float16))
    log.info("the vocoder's backbone runs in %s on this GPU", chosen)
    del runs, vocoders
    torch.cuda.empty_cache()  # the graphs of the measurement hold memory that nothing else can use
    return dtypes[chosen]
