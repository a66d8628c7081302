"""Mel, Vocos and AdaLN equal upstream's, and padding never reaches a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ishowtts.engines.f5 import checkpoint as checkpoints
from ishowtts.engines.f5 import schedule
from ishowtts.engines.f5.adaln import AdaLayerNorm
from ishowtts.engines.f5.cuda import kernel_timing
from ishowtts.engines.f5.mel_spectrogram import inverse, log_mel
from ishowtts.engines.f5.vocoder import FastVocoder, choose_backbone_dtype
from ishowtts.engines.weights import locate
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> checkpoints.Checkpoint:
    weights = locate(checkpoint)
    assert weights is not None
    return checkpoints.load(weights)


@pytest.mark.parametrize("samples", [24_000, 24_001, 61_439, 61_440])
def test_the_spectrogram_equals_upstreams(upstream: UpstreamInfer, samples: int) -> None:
    audio = torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1
    theirs = upstream.cfm.mel_spec(audio[None])[0].t()
    ours = log_mel(audio)
    assert ours.shape == (samples // 256 + 1, 100)
    assert torch.allclose(ours, theirs, atol=2e-4)


def test_a_batch_of_spectrograms_sounds_like_each_alone_whatever_the_padding_holds(
    upstream: UpstreamInfer, loaded: checkpoints.Checkpoint
) -> None:
    vocoder = FastVocoder(loaded.vocoder, loaded.vocos, CPU)
    frames = (60, 23, 41)
    mel = torch.full((3, 64, 100), float("nan"))
    for i, count in enumerate(frames):
        mel[i, :count] = torch.randn(count, 100, generator=torch.Generator().manual_seed(i)) - 4
    with torch.inference_mode():
        sounds = vocoder.decode(mel, frames)
        for i, count in enumerate(frames):
            alone = upstream.vocos.decode(mel[i : i + 1, :count].transpose(1, 2))[0]
            assert sounds[i].shape == ((count - 1) * 256,)
            assert (sounds[i] - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 100])
def test_the_inverse_transform_equals_torchs(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    magnitude = torch.rand(2, count + 1, 513, generator=generator) * 5
    phase = torch.randn(2, count + 1, 513, generator=generator) * 3
    frames = (count, count + 1)
    for i, (sound, length) in enumerate(zip(inverse(magnitude, phase, frames), frames, strict=True)):
        spectrum = torch.polar(magnitude[i, :length], phase[i, :length]).t()
        theirs = torch.istft(spectrum, 1024, 256, window=torch.hann_window(1024), center=True)
        assert sound.shape == theirs.shape
        assert (sound - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_one_frame_is_no_sound() -> None:
    assert [len(sound) for sound in inverse(torch.ones(1, 2, 513), torch.zeros(1, 2, 513), [1])] == [0]


def loud_after(frames: tuple[int, ...]) -> torch.Tensor:
    """Log mel of these lengths as one batch, with NaN after the end of each."""
    mel = torch.full((len(frames), max(frames), 100), float("nan"))
    for i, count in enumerate(frames):
        mel[i, :count] = torch.randn(count, 100, generator=torch.Generator().manual_seed(i)) - 4
    return mel


@pytest.mark.parametrize("frames", [(2,), (31,), (32,), (33,), (150,), (60, 23, 41)])
def test_a_length_in_steps_sounds_like_the_exact_one(loaded: checkpoints.Checkpoint, frames: tuple[int, ...]) -> None:
    exact = FastVocoder(loaded.vocoder, loaded.vocos, CPU)
    in_steps = FastVocoder(loaded.vocoder, loaded.vocos, CPU, step=32)
    mel = loud_after(frames)
    with torch.inference_mode():
        for one, other in zip(in_steps.decode(mel, frames), exact.decode(mel, frames), strict=True):
            assert one.shape == other.shape
            assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_a_replayed_vocoder_sounds_the_same_bit_for_bit(loaded: checkpoints.Checkpoint) -> None:
    direct = FastVocoder(loaded.vocoder, loaded.vocos, CPU, step=32)
    replayed = FastVocoder(loaded.vocoder, loaded.vocos, CPU, step=32)
    tape = TapeRecorder()
    runs = [((60,), loud_after((60,))), ((33, 20), loud_after((33, 20))), ((64,), loud_after((64,)))]
    with torch.inference_mode():
        replayed.use_graphs(tape, 128)
        for captured in (False, True):
            for frames, mel in runs:
                for one, other in zip(replayed.decode(mel, frames), direct.decode(mel, frames), strict=True):
                    assert torch.equal(one, other)
            while not captured and replayed.capture_next():
                pass
    assert tape.captured == 2, "60 and 64 frames share a graph"
    assert tape.replayed == 3


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The times that a GPU takes for each type of the backbone, in seconds."""
    times_s = {"fp32": 1.0, "fp16": 0.5}
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(kernel_timing, "times_s", lambda runs: {name: times_s[name] for name in runs})
    monkeypatch.setattr(kernel_timing, "_SHORT_S", 60.0)  # a busy machine must not make the first run too slow to time
    return times_s


@pytest.mark.parametrize(("fp16_s", "chosen"), [(0.5, torch.float16), (2.0, torch.float32)])
def test_the_backbone_runs_in_the_faster_type(
    loaded: checkpoints.Checkpoint, timed: dict[str, float], caplog: pytest.LogCaptureFixture, fp16_s: float,
    chosen: torch.dtype,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    timed["fp16"] = fp16_s
    with torch.inference_mode():
        assert choose_backbone_dtype(loaded.vocoder, loaded.vocos, CPU) is chosen
    name = "fp16" if chosen is torch.float16 else "fp32"
    assert caplog.messages[-1] == f"the vocoder's backbone runs in {name} on this GPU"


def test_a_backbone_that_overflows_in_half_precision_runs_in_fp32(
    loaded: checkpoints.Checkpoint, timed: dict[str, float]
) -> None:
    loud = dict(loaded.vocos)
    loud["backbone.norm.weight"] = torch.full_like(loud["backbone.norm.weight"], 1e5)
    with torch.inference_mode():
        assert choose_backbone_dtype(loaded.vocoder, loud, CPU) is torch.float32


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("nfe_step", [5, 7, 9])
def test_the_table_equals_the_modulation_of_each_evaluation(
    upstream: UpstreamInfer, loaded: checkpoints.Checkpoint, nfe_step: int, fold: bool
) -> None:
    transformer = upstream.cfm.transformer
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in loaded.cfm.items()}
    modulator = AdaLayerNorm(tensors, 3, CPU, torch.float32, fold=fold)
    with torch.inference_mode():
        for i, t in enumerate(schedule.times(nfe_step)[:-1]):
            source = transformer.time_embed(t[None])
            ours = modulator.at(nfe_step, i)
            for block, table in zip(transformer.transformer_blocks, ours.blocks, strict=True):
                theirs = block.attn_norm.linear(block.attn_norm.silu(source)).view(6, -1)
                theirs[[1, 4]] += 1
                assert torch.allclose(table, theirs, atol=1e-5)
            final = transformer.norm_out.linear(transformer.norm_out.silu(source)).view(2, -1)
            final[0] += 1
            assert torch.allclose(ours.final, final, atol=1e-5)
