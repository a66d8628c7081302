"""Weights of each published shape run in the fast model and sound like upstream."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml

from ishowtts.engines.f5 import duration, fast_model
from ishowtts.engines.f5.block_steps import SeparateQkv
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.fast_model import FastModel
from ishowtts.engines.f5.upstream_model import UpstreamModel
from ishowtts.errors import SynthesisError, VoiceError
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts_bench import mutations
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.fidelity import distance
from ishowtts_bench.parity import MUTATION_MIN_ERROR, TOLERANCE
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
OFF: dict[str, Any] = asdict(Switches.off())
# Quotes and semicolons, which upstream's pinyin converts, and letters that the vocabulary lacks.
TEXTS = {
    "silma": ["مرحبًا، كيف حالك؟ “Fine”; и ты?", "Hello; نعم you", "السلام عليكم"],
    "hindi": ["नमस्ते, आप कैसे हैं? “ठीक”; мы", "यह एक लंबा वाक्य है, और बस।", "धन्यवाद जी।"],
}
VOICE = {"silma": "arabic", "hindi": "hindi"}


def never() -> bool:
    return False


class Published(NamedTuple):
    """A checkpoint, how to make engines with it, and each line with the sound of upstream's own function."""

    folder: Path
    options: dict[str, Any]
    sounds: dict[Segment, np.ndarray]


@pytest.fixture(scope="module", params=["silma", "hindi"])
def published(request: pytest.FixtureRequest, short_voice: dict[str, str]) -> Published:
    """Each shape in turn."""
    shape: str = request.param
    folder: Path = request.getfixturevalue(f"{shape}_checkpoint")
    voices = Path(short_voice["voices_dir"])
    upstream = UpstreamInfer(folder, "cpu")
    clip = BenchEnv(folder, "cpu", voices_dir=voices, voice=VOICE[shape]).reference_clip()
    speeds = (1.0, 1.4, 0.8)
    lines = [
        Segment("line", 0, 1, text, nfe_step=4, seed=i, speed=speed)
        for i, (text, speed) in enumerate(zip(TEXTS[shape], speeds, strict=True))
    ]
    sounds = {
        line: upstream.synthesize(clip, line.text, nfe_step=4, seed=line.seed or 0, speed=line.speed or 1.0)
        for line in lines
    }
    return Published(folder, {"weights": str(folder), **short_voice, "default_voice": VOICE[shape]}, sounds)


def engine(make_engine: Make, published: Published, **switches: Any) -> F5Engine:
    """An engine with upstream's length of short texts."""
    return make_engine(**published.options, switches={"short_text": False, "cpu_kernels": False, **switches})


@pytest.mark.parametrize("switches", [{}, {"exact_padding": True}, {"folds": False, "graphs": False}, OFF])
def test_every_line_sounds_like_upstream(make_engine: Make, published: Published, switches: dict[str, Any]) -> None:
    ours = engine(make_engine, published, **switches)
    assert isinstance(ours._runner.model, UpstreamModel if switches is OFF else FastModel)
    for line, sound in published.sounds.items():
        assert distance(ours.render(line, never), sound) <= TOLERANCE


def test_a_batch_of_mixed_lengths_sounds_like_each_line_alone(make_engine: Make, published: Published) -> None:
    lines = list(published.sounds)
    together = engine(make_engine, published, exact_padding=True, graphs=False).render_batch(lines, never)
    for line, sound in zip(lines, together, strict=True):
        assert distance(sound, published.sounds[line]) <= TOLERANCE


def test_captured_runs_sound_like_upstream(
    make_engine: Make, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "BUCKETS", (192, 256, 320, 640))
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    ours = engine(make_engine, published, exact_padding=True, graphs=True)
    for _ in range(2):
        for line, sound in published.sounds.items():
            assert distance(ours.render(line, never), sound) <= TOLERANCE
        while ours.idle():
            pass
    assert tape.replayed > 0


def test_a_text_at_the_length_of_a_bucket_is_noticed(make_engine: Make, published: Published) -> None:
    ours = engine(make_engine, published, exact_padding=True)
    line, sound = next(iter(published.sounds.items()))
    with mutations.text_at_bucket_length():
        assert distance(ours.render(line, never), sound) >= MUTATION_MIN_ERROR


def test_each_key_of_the_description_changes_the_sound(make_engine: Make, published: Published, tmp_path: Path) -> None:
    """Nothing in the tensors tells these weights apart. So a comparison must notice a wrong description."""
    shutil.copytree(published.folder, tmp_path, dirs_exist_ok=True)
    right = yaml.safe_load((tmp_path / "model.yaml").read_text())
    first_version, char = "pe_attn_head" in right["arch"], right.get("tokenizer") == "char"
    others: list[dict[str, Any]] = [
        {"tokenizer": "pinyin" if char else "char"},
        {"arch": right["arch"] | {"text_mask_padding": first_version}},
        {"arch": right["arch"] | {"pe_attn_head": None if first_version else 1}},
    ]
    wrong = published._replace(options=published.options | {"weights": str(tmp_path)})
    line, sound = next(iter(published.sounds.items()))
    for other in others:
        (tmp_path / "model.yaml").write_text(yaml.safe_dump(right | other))
        assert distance(engine(make_engine, wrong).render(line, never), sound) >= MUTATION_MIN_ERROR, other


@pytest.mark.parametrize("count", [0, 1, 2, 3, None])
def test_only_the_first_heads_are_rotated(count: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, 5, 3, 3, 64, generator=generator)
    angles = torch.randn(5, 32, 2, generator=generator)
    steps = EagerElementwise()
    all_rotated = steps.rotate(qkv.clone(), angles)
    plain = qkv.permute(2, 0, 3, 1, 4).clone().unbind()
    found = SeparateQkv(lambda x: x, steps, 3, count).rotate(qkv, angles)
    until = 3 if count is None else count
    for one, rotated, unrotated in zip(found, all_rotated, plain, strict=True):
        assert torch.equal(one, torch.cat((rotated[:, :until], unrotated[:, until:]), dim=1))


def test_a_text_in_other_letters_is_refused_and_the_next_one_is_spoken(make_engine: Make, published: Published) -> None:
    ours = engine(make_engine, published)
    line = next(iter(published.sounds))
    with pytest.raises(SynthesisError, match=r"lack 9 of the 9 letters of this text$") as told:
        ours.synthesize(replace(line, text="Привет, мир"), never)
    assert "мир" not in str(told.value), "the log may be private"
    assert ours.synthesize(line, never).audio_s > 0.5


def test_a_voice_in_other_letters_is_refused(
    make_engine: Make, hindi_checkpoint: Path, short_voice: dict[str, str]
) -> None:
    with pytest.raises(VoiceError, match="lack most letters of the words of the voice 'brief'; add a voice"):
        make_engine(weights=str(hindi_checkpoint), **short_voice)


def test_a_segment_has_as_many_characters_as_bytes_were_allowed(make_engine: Make, published: Published) -> None:
    """The speech of that many characters still fits into the 22 s that a run has."""
    ours = engine(make_engine, published)
    found = ours.prepare(None)
    text = "ab" if published.options["default_voice"] == "arabic" else "कख"
    longest = (text * found.max_segment_bytes)[: found.max_segment_bytes // (1 if text == "ab" else 3)]
    job = ours._job(Segment("line", 0, 1, longest))
    assert len(longest.encode()) <= found.max_segment_bytes
    assert 20.5 <= job.frames / duration.FRAMES_PER_S <= 22.5
