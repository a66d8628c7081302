"""The fast model sounds like upstream's modules in batches, in buckets and with every guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ishowtts.engines.f5 import assembly, dit, duration, kernels, sampler
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import TOLERANCE
from ishowtts_bench.upstream_infer import UpstreamInfer

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
OFF: dict[str, Any] = asdict(Switches.off())


def never() -> bool:
    return False


def segment(text: str, **fields: Any) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 1, "nfe_step": 5, **fields})


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Two voices, `long` and `short`, with different lengths and loudness."""
    samples, rate_hz = soundfile.read(VoiceLibrary(None).find(None).audio_path, dtype="float32")
    for name, seconds, gain in (("long", 4.0, 1.0), ("short", 1.5, 0.1)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "reference.wav", samples[: int(seconds * rate_hz)] * gain, rate_hz)
        (tmp_path / name / "reference.txt").write_text(f"These are the words of the {name} one.")
    return tmp_path


@pytest.mark.parametrize("exact_padding", [False, True])
def test_two_voices_in_one_batch_sound_like_upstream(make_engine: Make, voices: Path, exact_padding: bool) -> None:
    ours = make_engine(voices_dir=str(voices), switches={"exact_padding": exact_padding, "graphs": False})
    upstream = make_engine(voices_dir=str(voices), switches=OFF)
    segments = [
        segment("A line in the long voice, 你好.", voice="long", seed=5),
        segment("And one in the short voice, with more words in it.", voice="short", seed=6),
        segment("Again the long one.", voice="long", seed=7),
    ]
    for sound, one in zip(ours.render_batch(segments, never), segments, strict=True):
        assert distance(sound, upstream.render(one, never)) <= TOLERANCE


def test_a_run_longer_than_every_bucket_is_not_padded(make_engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (512, 544))
    text = "This is a run that is longer than every bucket."
    ours, upstream = (make_engine(switches=switches) for switches in ({"exact_padding": True}, OFF))
    assert ours._job(segment(text)).frames > duration.BUCKETS[-1]
    sound = ours.render(segment(text), never)
    assert ours._runner.model.unbucketed == 1
    assert distance(sound, upstream.render(segment(text), never)) <= TOLERANCE


@pytest.mark.parametrize("cfg_strength", [0.0, 0.5, 10.0])
def test_guidance_has_the_configured_strength(make_engine: Make, cfg_strength: float) -> None:
    unpadded = {"exact_padding": False, "graphs": False}
    ours, upstream = (make_engine(cfg_strength=cfg_strength, switches=switches) for switches in (unpadded, OFF))
    one = segment("The strength of guidance.")
    assert distance(ours.render(one, never), upstream.render(one, never)) <= TOLERANCE


@pytest.mark.parametrize("skip", ["plain", "reuse"])
def test_skipped_guidance_sounds_the_same_with_and_without_padding(make_engine: Make, skip: str) -> None:
    exact, padded = (
        make_engine(switches={"guidance_skip": skip, "exact_padding": padding, "graphs": False})
        for padding in (False, True)
    )
    one = segment("Guided only where it counts.", nfe_step=7)
    assert distance(padded.render(one, never), exact.render(one, never)) <= TOLERANCE


def test_a_skipped_step_is_guided_as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Euler's sum is known for a conditional flow of 3 and an unconditional flow of 1."""
    steps = torch.tensor([0.1, 0.2, 0.7])
    asked: list[int] = []

    class Given:
        lengths = None

        def branches(self, count: int) -> int:
            return count

    def velocity(_: object, y: torch.Tensor, branches: int, at: float) -> torch.Tensor:
        asked.append(branches)
        with_, without = torch.full_like(y, 3.0 + at), torch.full_like(y, 1.0)
        return torch.cat((with_, without)) if branches == 2 else with_

    monkeypatch.setattr(dit, "velocity", velocity)
    model: Any = SimpleNamespace(elementwise=EagerElementwise())

    def run(*plan: Guidance) -> float:
        asked.clear()
        y, difference = sampler.new_state([torch.zeros(1, 1)], 1)
        given: Any = Given()

        def advance(i: int, guidance: Guidance) -> None:
            at: Any = float(i)
            sampler.step(model, sampler.StaticBuffers(y, difference, given, at, steps[i]), guidance, 2.0)

        sampler.integrate(plan, advance, never)
        return float(y)

    full, reuse, none = Guidance.FULL, Guidance.REUSE, Guidance.NONE
    assert run(full, full, full) == pytest.approx(0.1 * 7 + 0.2 * 10 + 0.7 * 13)
    assert run(full, reuse, full) == pytest.approx(0.1 * 7 + 0.2 * (4 + 2 * 2) + 0.7 * 13)
    assert run(none, none, full) == pytest.approx(0.1 * 3 + 0.2 * 4 + 0.7 * 13)
    assert asked == [1, 1, 2]


@pytest.mark.parametrize("amplitude", [1.0, 1e-3])
def test_a_block_equals_upstreams_even_for_quiet_input(upstream: UpstreamInfer, amplitude: float) -> None:
    """Quiet input shows the epsilon of the norms."""
    transformer = upstream.cfm.transformer
    description = DitConfig(dim=128, depth=3, heads=2, ff_mult=2, text_dim=64, conv_layers=4)
    cpu = torch.device("cpu")
    x = torch.randn(2, 50, 128, generator=torch.Generator().manual_seed(0)) * amplitude
    with torch.inference_mode():
        ours = assembly.assemble_dit(
            transformer.state_dict(), description, cpu, torch.float32, kernels.PLAIN, merge_qkv=True
        )
        block = transformer.transformer_blocks[1]
        time = transformer.time_embed(torch.tensor([0.3]))
        table = block.attn_norm.linear(block.attn_norm.silu(time)).view(6, -1)
        table[[1, 4]] += 1
        theirs = block(x, time.repeat(2, 1), rope=transformer.rotary_embed.forward_from_seq_len(50))
        shift, scale, gate, shift_ff, scale_ff, gate_ff = table.unbind()
        between, mine = ours.elementwise, ours.blocks[1]
        attended = ours.attention(*mine.qkv(between.norm(x, scale, shift), dit.rotary_angles(50, cpu)), None)
        middle, z = mine.out(attended, x, gate, scale_ff, shift_ff)
        found, _ = mine.down(mine.up(z), middle, gate_ff, scale, shift)
    assert (found - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_a_sound_that_is_not_finite_is_reported_by_the_warm_up(make_engine: Make) -> None:
    from ishowtts.errors import EngineError

    for switches in ({}, {"int8": True}):
        engine = make_engine(switches=switches)
        with torch.inference_mode():
            engine._runner.model._dit.to_mel[1].fill_(float("nan"))
        with pytest.raises(EngineError, match="makes no finite sound"):
            engine.warm(lambda _: None)


def test_silence_in_a_clip_has_the_floor_of_upstream(upstream: UpstreamInfer) -> None:
    from ishowtts.engines.f5.mel_spectrogram import log_mel

    audio = torch.cat((torch.zeros(4096), 0.1 * torch.randn(4096, generator=torch.Generator().manual_seed(0))))
    assert torch.allclose(log_mel(audio), upstream.cfm.mel_spec(audio[None])[0].t(), atol=2e-4)
    assert np.isclose(float(log_mel(audio).min()), np.log(1e-5), atol=1e-3)


def test_an_unknown_character_is_a_space_like_in_upstream(checkpoint: Path) -> None:
    from f5_tts.model.utils import convert_char_to_pinyin, list_str_to_idx

    from ishowtts.engines.f5.tokens import Tokenizer
    from ishowtts.engines.f5.vocabulary import read_vocab

    vocab = read_vocab(checkpoint / "vocab.txt")
    text = "A ☃ and ꙮ; 你好, naïve “quotes”."
    expected = list_str_to_idx(convert_char_to_pinyin([text]), vocab)[0]
    for remember in (True, False):
        assert torch.equal(Tokenizer(vocab, remember)(text), expected)
