"""`ishowtts bench vocoder` as a user types it, on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ishowtts.cli import main
from ishowtts_bench.bench_env import BenchEnv

pytestmark = pytest.mark.f5


def test_it_measures_each_vocoder_and_its_part_of_a_segment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, env: BenchEnv, tmp_path: Path
) -> None:
    from ishowtts_bench import vocoder_bench

    monkeypatch.setattr(vocoder_bench, "LENGTHS_S", (0.5, 1.0))
    config = tmp_path / "config.yaml"
    config.write_text(f"engine: {{f5: {{voices_dir: {env.voices_dir}, default_voice: {env.voice}}}}}\n")
    options = ["--config", str(config), "--model", str(env.folder), "--device", "cpu", "--rounds", "1"]
    assert main(["bench", "vocoder", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"decoders", "parts", "nfe_step"}
    names = ["upstream, fp32", "ours, backbone in fp32"]
    assert [(row["name"], row["length_s"]) for row in found["decoders"]] == [
        (name, length_s) for length_s in (0.5, 1.0) for name in names
    ]
    assert all(row["deviation"] < 1e-5 and row["synth_s"] > 0 for row in found["decoders"])
    assert [part["length_s"] for part in found["parts"]] == [0.5, 1.0]
    assert all(0 < part["share"] < 1 for part in found["parts"])
