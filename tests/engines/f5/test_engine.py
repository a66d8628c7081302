"""The engine: cancelling, sounds that are not finite, unusable voices, memory, precision."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from ishowtts.engines.f5 import dit
from ishowtts.engines.f5.engine import F5Engine, F5Options
from ishowtts.engines.f5.model_job import SegmentJob
from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Segment
from ishowtts.text import segments
from ishowtts.util.crossfade import join
from ishowtts.util.samples import unit_to_int16

pytestmark = [pytest.mark.f5, pytest.mark.slow]

Make = Callable[..., F5Engine]
TEXT = "A short line."


def never() -> bool:
    return False


def say(text: str = TEXT, **fields: object) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 1, "nfe_step": 5, **fields})


def test_cancel_is_asked_before_every_evaluation_and_leaves_no_stale_text(make_brief: Make) -> None:
    engine = make_brief()
    other = engine.render(say("Another one."), never)
    asked = 0

    def on_the_third() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with pytest.raises(Cancelled):
        engine.render(say(), on_the_third)
    assert asked == 3
    assert np.array_equal(engine.render(say("Another one."), never), other)


def test_a_sound_that_is_not_finite_fails_the_segment(make_brief: Make) -> None:
    engine = make_brief()
    with torch.inference_mode():
        engine._runner.model._dit.to_mel[1].fill_(float("nan"))
    with pytest.raises(SynthesisError, match="no finite sound") as told:
        engine.synthesize(say(), never)
    assert TEXT[:10] not in str(told.value), "the log may be private"


def test_a_text_that_is_too_long_is_refused_with_the_limit_of_the_voice(make_engine: Make) -> None:
    with pytest.raises(SynthesisError, match="too long for the voice 'default', which takes 159"):
        make_engine().synthesize(say("word " * 500), never)


def test_bf16_speaks(make_brief: Make) -> None:
    assert make_brief(precision="bf16").synthesize(say(), never).audio_s > 0.4


def test_an_engine_that_is_not_loaded_is_unavailable(checkpoint: Path) -> None:
    with pytest.raises(EngineUnavailable):
        F5Engine(F5Options(str(checkpoint))).synthesize(say(), never)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(48_000), "silent"),
        (np.full(4_000, 0.1), r"0\.2 s long"),
        (np.full(24_000 * 16, 0.1), r"16\.0 s long"),
        (np.full(48_000, np.nan), "not numbers"),
        (44_101, "44101 samples a second"),
        (None, "its format is unknown"),
    ],
)
def test_a_voice_that_cannot_be_used_is_reported_and_the_others_still_speak(
    make_engine: Make, tmp_path: Path, samples: np.ndarray | int | None, words: str
) -> None:
    (tmp_path / "odd").mkdir()
    if samples is None:
        (tmp_path / "odd" / "reference.wav").write_bytes(b"this is no sound")
    elif isinstance(samples, int):
        soundfile.write(tmp_path / "odd" / "reference.wav", np.full(3 * samples, 0.1), samples)
    else:
        soundfile.write(tmp_path / "odd" / "reference.wav", samples, 24_000, subtype="FLOAT")
    (tmp_path / "odd" / "reference.txt").write_text("Words.")
    engine = make_engine(voices_dir=str(tmp_path))
    with pytest.raises(VoiceError, match=words):
        engine.prepare("odd")
    assert engine.synthesize(say(), never).voice == "default"


@pytest.mark.parametrize(("text", "length_s", "words"), [("a" * 1100, 1.0, "too many"), (".", 15.0, "too few")])
def test_a_text_that_cannot_be_that_of_the_clip_is_refused_by_the_engine(
    make_engine: Make, tmp_path: Path, text: str, length_s: float, words: str
) -> None:
    """The daemon would treat an implausible voice as a broken protocol, and end the worker."""
    put(tmp_path, "odd", length_s)
    (tmp_path / "odd" / "reference.txt").write_text(text)
    with pytest.raises(VoiceError, match=f"{words} for its clip of {length_s:.1f} s"):
        make_engine(voices_dir=str(tmp_path)).prepare("odd")


@pytest.fixture
def make_brief(make_engine: Make, short_voice: dict[str, str]) -> Make:
    """Like `make_engine`, with a default voice of 1.2 s: the clip is a part of every run, so this takes less time."""
    return partial(make_engine, **short_voice)


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`short_of_memory(frames)`: a real allocation fails in every run that is longer."""

    def limit(most_frames: int) -> None:
        condition = dit.condition

        def allocating(*given: object) -> dit.Condition:
            if given[4] > most_frames:
                torch.empty(1 << 60)
            return condition(*given)

        monkeypatch.setattr(dit, "condition", allocating)

    return limit


LONG = "This is the first half of it, and here it goes on for a while. This is the second half, and here it ends."


def test_a_segment_that_does_not_fit_into_memory_is_spoken_in_parts(
    make_brief: Make, short_of_memory: Callable[[int], None]
) -> None:
    engine = make_brief()
    short_of_memory(400)
    spoken = engine.synthesize(say(LONG), never)
    halves = segments(LONG, len(LONG) // 2 + 8)
    assert len(halves) > 1
    assert np.array_equal(
        spoken.samples, unit_to_int16(join([engine.render(say(half), never) for half in halves], 24_000))
    )


def test_without_memory_for_any_part_the_segment_fails_and_the_engine_goes_on(
    make_brief: Make, short_of_memory: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_brief()
    with monkeypatch.context():
        short_of_memory(10)
        with pytest.raises(SynthesisError, match="not enough memory for this segment"):
            engine.synthesize(say(LONG), never)
        with pytest.raises(EngineError, match="not enough memory to speak its first words"):
            engine.warm(lambda _: None)
    monkeypatch.undo()
    assert engine.synthesize(say(), never).audio_s > 0.4


def test_a_batch_that_does_not_fit_into_memory_is_spoken_one_by_one_and_in_parts(
    make_brief: Make, short_of_memory: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_brief()
    wanted = [say(), say(LONG), say("Another short one.")]
    render = engine._runner.model.render

    def allocating(jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[torch.Tensor]:
        if len(jobs) > 1:
            torch.empty(1 << 60)
        return render(jobs, cancelled)

    monkeypatch.setattr(engine._runner.model, "render", allocating)
    short_of_memory(400)
    together = engine.synthesize_batch(wanted, never)
    for one, segment in zip(together, wanted, strict=True):
        assert np.array_equal(one.samples, engine.synthesize(segment, never).samples)


def test_segments_with_the_same_nfe_step_share_a_run_and_its_time(
    make_brief: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_brief()
    runs: list[list[int]] = []
    render = engine._runner.model.render

    def noting(jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[torch.Tensor]:
        runs.append([job.nfe_step for job in jobs])
        return render(jobs, cancelled)

    monkeypatch.setattr(engine._runner.model, "render", noting)
    wanted = [say(nfe_step=5), say(LONG, nfe_step=6), say("Another one.", nfe_step=5, seed=2), say(nfe_step=None)]
    together = engine.synthesize_batch(wanted, never)
    assert runs == [[5, 5], [6], [7]]
    assert [one.nfe_step for one in together] == [5, 6, 5, 7]
    for one, segment in zip(together, wanted, strict=True):
        assert np.abs(one.samples.astype(int) - engine.synthesize(segment, never).samples).max() <= 1
    reference_s = engine.prepare(None).reference_s
    costs = [one.synth_s / (reference_s + one.audio_s) for one in (together[0], together[2])]
    assert costs[0] == pytest.approx(costs[1], rel=0.01)
    assert costs[0] > 0


def test_one_sound_that_is_not_finite_fails_the_batch_but_not_the_others_alone(
    make_brief: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_brief()
    wanted = [say(), say("Another one.")]
    render = engine._runner.model.render

    def poisoned(jobs: Sequence[SegmentJob], cancelled: IsCancelled) -> list[torch.Tensor]:
        sounds = zip(render(jobs, cancelled), jobs, strict=True)
        return [sound * (float("nan") if "Another" in job.text else 1.0) for sound, job in sounds]

    monkeypatch.setattr(engine._runner.model, "render", poisoned)
    with pytest.raises(SynthesisError, match="no finite sound"):
        engine.synthesize_batch(wanted, never)
    assert engine.synthesize(wanted[0], never).audio_s > 0.4
    with pytest.raises(SynthesisError, match="no finite sound"):
        engine.synthesize(wanted[1], never)


def test_a_line_may_set_its_nfe_step_and_the_policy_sets_the_others(make_brief: Make) -> None:
    usual = make_brief(nfe_step=6)
    by_length = make_brief(nfe_step=6, switches={"nfe_policy": True})
    segment = Segment("line", 0, 1, TEXT, seed=1)
    assert usual.synthesize(segment, never).nfe_step == 6
    assert by_length.synthesize(segment, never).nfe_step == 8
    assert by_length.synthesize(say(), never).nfe_step == 5
    assert by_length._job(Segment("line", 0, 1, "word " * 30)).nfe_step == 7


def test_a_seed_repeats_the_speech_and_no_seed_varies_it(make_brief: Make) -> None:
    engine = make_brief()
    first, second = (engine.render(say(seed=7), never) for _ in range(2))
    assert np.array_equal(first, second)
    other, another = (engine.render(say(seed=None), never) for _ in range(2))
    assert not np.allclose(other, another, atol=1e-3)


def test_the_voice_info_has_the_cost_after_it_was_measured(make_brief: Make) -> None:
    engine = make_brief()
    assert engine.prepare(None).cost is None
    engine.warm(lambda _: None)
    cost = engine.prepare(None).cost
    assert cost is not None
    assert cost > 0


def test_weights_that_the_fast_model_does_not_support_run_in_upstreams_modules(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(checkpoint, folder)
    description = yaml.safe_load((folder / "vocos" / "config.yaml").read_text())
    description["head"]["init_args"]["padding"] = "same"
    (folder / "vocos" / "config.yaml").write_text(yaml.safe_dump(description))
    engine = F5Engine(F5Options(str(folder), device="cpu", precision="fp32"))
    engine.load(lambda _: None)
    assert engine.synthesize(say(), never).audio_s > 0.5
    engine.close()


def test_a_start_imports_no_slow_module_of_upstream_and_descriptions_need_no_torch() -> None:
    program = (
        "import sys; from ishowtts.engines.f5 import architecture, duration, vocabulary; "
        "print(sorted({'torch'} & set(sys.modules))); from ishowtts.engines.f5 import engine; "
        "print(sorted({'x_transformers', 'librosa', 'vocos', 'torchdiffeq'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["[]", "[]"]


def put(folder: Path, name: str, length_s: float, settings: str = "") -> None:
    rng = np.random.default_rng(3)
    (folder / name).mkdir(exist_ok=True)
    soundfile.write(folder / name / "reference.wav", rng.normal(0, 0.12, round(length_s * 24_000)), 24_000)
    (folder / name / "reference.txt").write_text("These are the words of the clip.")
    (folder / name / "voice.yaml").write_text(settings)


def test_the_settings_of_a_line_win_over_those_of_its_voice_and_those_over_the_configuration(
    make_engine: Make, tmp_path: Path
) -> None:
    put(tmp_path, "plain", 3)
    put(tmp_path, "mine", 3, "speed: 0.5\nnfe_step: 6\ngain_db: -6\n")
    engine = make_engine(voices_dir=str(tmp_path))

    def spoken(voice: str, **fields: object) -> np.ndarray:
        return engine.render(Segment("line", 0, 1, TEXT, voice=voice, seed=1, **fields), never)

    as_told = spoken("plain", speed=0.5, nfe_step=6)
    assert np.allclose(spoken("mine"), as_told, atol=1e-6)
    assert np.allclose(spoken("mine", speed=1.0, nfe_step=5), spoken("plain", nfe_step=5), atol=1e-6)
    assert engine.synthesize(Segment("line", 0, 1, TEXT, voice="mine"), never).nfe_step == 6
    assert engine.synthesize(Segment("line", 0, 1, TEXT, voice="plain"), never).nfe_step == 7
    cards = [engine.prepare(voice) for voice in ("plain", "mine")]
    assert [(card.speed, card.nfe_step) for card in cards] == [(1.0, None), (0.5, 6)]


def test_a_changed_voice_is_read_again_and_a_deleted_one_is_reported(make_engine: Make, tmp_path: Path) -> None:
    put(tmp_path, "mine", 3)
    engine = make_engine(voices_dir=str(tmp_path))
    before = engine.prepare("mine").max_segment_bytes
    same = engine._references["mine"][1]
    engine.prepare("mine")
    assert engine._references["mine"][1] is same
    put(tmp_path, "mine", 6)
    assert engine.prepare("mine").max_segment_bytes < before
    (tmp_path / "mine" / "reference.wav").write_bytes(b"half of it")
    with pytest.raises(VoiceError, match="its format is unknown"):
        engine.synthesize(say(voice="mine"), never)
    put(tmp_path, "mine", 3)
    assert engine.synthesize(say(voice="mine"), never).voice == "mine"
    (tmp_path / "mine" / "reference.wav").unlink()
    with pytest.raises(VoiceError, match="no voice 'mine'"):
        engine.synthesize(say(voice="mine"), never)


def test_a_voice_that_comes_over_mqtt_can_be_used_at_once(make_engine: Make, tmp_path: Path) -> None:
    uploaded = tmp_path / "uploaded"
    engine = make_engine(voices_dir=str(tmp_path / "voices"), uploaded_dir=str(uploaded))
    assert engine.prepare(None).name == "default"
    with pytest.raises(VoiceError, match="there is no voice 'ann'"):
        engine.prepare("ann")
    uploaded.mkdir()
    put(uploaded, "ann", 3.0)
    assert engine.prepare("ann").name == "ann"
