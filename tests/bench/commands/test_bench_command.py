"""`ishowtts bench` as a user types it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from ishowtts.cli import main
from ishowtts.engines.f5.upstream_packages import INSTALL_FIX
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.commands import bench_command, speed_command, sweep_command
from ishowtts_bench.commands.bench_arguments import RANDOM_MODELS
from ishowtts_bench.commands.bench_help import TEXTS
from ishowtts_bench.metrics import metric_packages

F5 = pytest.mark.f5
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], env: BenchEnv, tmp_path: Path) -> Run:
    """`run("sweep", …)` returns exit status and standard output, with the environment of the benches."""
    config = tmp_path / "config.yaml"
    config.write_text(f"engine: {{f5: {{voices_dir: {env.voices_dir}, default_voice: {env.voice}}}}}\n")
    options = ["--config", str(config), "--model", str(env.folder), "--device", env.device]

    def bench(*words: str) -> tuple[int, str]:
        status = main(["bench", *words, *options])
        return status, capsys.readouterr().out

    return bench


@F5
def test_speed_saves_a_baseline_that_regress_reads(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ishowtts_bench import machine

    monkeypatch.setattr(machine, "_MEASUREMENTS", 1)
    options = ["--lengths", "1", "--rounds", "1", "--precision", "fp32"]
    picture = tmp_path / "speed.svg"
    status, out = run("speed", *options, "--save", str(tmp_path / "baseline.json"), "--plot", str(picture))
    assert "upstream, NFE 7" in picture.read_text()
    *_, verdict, last = out.splitlines()
    assert verdict.startswith(("ok: our engine is", "slower than upstream: our engine takes"))
    summary = json.loads(last)
    assert status == 0
    assert json.loads((tmp_path / "baseline.json").read_text()) == summary
    (tmp_path / "baseline.json").write_text(json.dumps(summary | {"ratio_equal_nfe": 1000.0}))
    status, out = run("regress", str(tmp_path / "baseline.json"), *options, "--json")
    assert status == 1
    assert json.loads(out)["changes"][0]["worse"] is True


@F5
def test_speed_that_is_ended_leaves_the_figures_of_the_rounds_before(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ishowtts_bench import machine

    measured = iter([machine.Machine(1e11, 1e10, "float32", 2)] * 5)  # before, and after two rounds

    def ended(*_: object) -> machine.Machine:
        found = next(measured, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(machine, "measure", ended)
    path = tmp_path / "figures.json"
    options = ["--model", str(env.folder), "--device", "cpu", "--lengths", "0.5", "--rounds", "9", "--nfe", "4"]
    main(["bench", "speed", *options, "--figures", str(path)])
    assert json.loads(path.read_text())["ratio_equal_nfe"] > 0
    assert list(tmp_path.iterdir()) == [path]


@F5
@pytest.mark.parametrize("fault", [None, "the rate of the machine was measured too low"])
def test_a_fault_of_the_measurement_is_refused_but_kept_in_the_figures(
    env: BenchEnv,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fault: str | None,
) -> None:
    import torch

    from ishowtts_bench import machine, speed, startup
    from ishowtts_bench.speed_result import SpeedResult, Timing

    def measured(*_: object, **__: object) -> SpeedResult:
        result = SpeedResult(machine.Machine(1e11, 1e10, "float32", torch.get_num_threads()), 7, new_length_s=[0.0123])
        result.timings += [Timing("upstream, NFE 7", 3, 3.0, 2, 3.0), Timing("ours, NFE 7", 3, 1.0, 2, 1.0)]
        result.fractions.append(1.3 if fault else 0.5)
        result.starts.append(startup.Start("ours", True, 7.0, 1.0, 2500.0))
        return result

    monkeypatch.setattr(speed, "run", measured)
    path = tmp_path / "figures.json"
    options = ["--model", str(env.folder), "--device", "cpu", "--precision", "fp32"]
    status = main(["bench", "speed", *options, "--figures", str(path)])
    printed = capsys.readouterr()
    summary = json.loads(path.read_text())
    assert summary == json.loads(printed.out.splitlines()[-1])
    assert summary["ratio_equal_nfe"] == 3.0
    assert summary["new_length_ms"] == 12.3
    assert "takes 12.3 ms more than the second" in printed.out
    if fault is None:
        assert (status, summary["measure_fault"]) == (0, None)
        assert "ok: our engine is 3.00 times as fast" in printed.out
        assert "faulty" not in printed.out
    else:
        assert status == 1
        assert fault in summary["measure_fault"]
        assert "faulty measurement: our engine is 3.00 times as fast" in printed.out
        assert "faulty measurement: the machine's rate was measured too low" in printed.out  # under the table
        last = printed.err.splitlines()[-1]
        assert last == f"ishowtts: fault of the measurement: {summary['measure_fault']}"
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(summary | {"measure_fault": None}))
    assert main(["bench", "regress", str(baseline), *options]) == (1 if fault else 0)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "no comparison is possible" if fault else "ok: no figure fell by more than 10 %"
    )


@F5
def test_sweep_writes_a_sample_of_each_point(run: Run, tmp_path: Path, env: BenchEnv) -> None:
    from ishowtts_bench.quality_sweep import NFE_VALUES, SweepPlan, points_planned

    picture = tmp_path / "sweep.svg"
    options = ["--length", "1", "--sentences", "0", "--wav", str(tmp_path / "samples"), "--json"]
    status, out = run("sweep", *options, "--plot", str(picture))
    assert "<svg" in picture.read_text()
    points = json.loads(out)["points"]
    assert status == 0
    assert len(points) == points_planned(env, SweepPlan(1.0, NFE_VALUES, 7, (), None))
    plain = {(point["nfe_step"], point["schedule"]): point for point in points if not point["name"]}
    assert plain[32, "uniform"]["deviation"] == 0.0
    assert {nfe for nfe, schedule in plain if schedule == "EPSS"} == {5, 6, 7, 10, 12, 16}
    assert {nfe for nfe, schedule in plain if schedule == "uniform"} == {5, 6, 7, 8, 10, 12, 16, 24, 32}
    assert plain[7, "EPSS"]["deviation"] != plain[7, "uniform"]["deviation"]
    assert all(point["deviation"] > 0 for point in points if point["nfe_step"] != 32)
    assert {"int8", "guidance_skip: plain", "guidance_skip: reuse"} <= {point["name"] for point in points}
    assert not any("mos" in point for point in points)  # without metrics
    files = {path.name for path in (tmp_path / "samples").iterdir()}
    assert len(files) == len(points)
    assert {
        "nfe-07-EPSS.wav",
        "nfe-07-uniform.wav",
        "nfe-07-EPSS-int8.wav",
        "nfe-07-EPSS-guidance-skip-plain.wav",
    } <= files
    assert soundfile.info(tmp_path / "samples" / "nfe-07-EPSS.wav").samplerate == 24_000


@F5
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("metrics")
@pytest.mark.skipif(bool(metric_packages.missing()), reason=f"no metrics without {metric_packages.missing()}")
def test_metrics_find_no_words_in_the_hum_of_random_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ishowtts_bench import quality_sweep
    from ishowtts_bench.metrics import asr

    monkeypatch.setattr(quality_sweep, "_SWITCHES", {})  # each adds a sound to transcribe
    monkeypatch.setattr(quality_sweep, "_FIRST_S", (1.0,))
    monkeypatch.setattr(asr, "_MAX_TOKENS", 24)  # Whisper finds many words in a hum; a few prove enough
    monkeypatch.setattr(asr, "_BEAMS", 1)
    status, out = run("sweep", "--length", "1", "--nfe-values", "7", "--sentences", "1", "--json")
    assert status == 0
    points = json.loads(out)["points"]
    for point in points:
        assert point["word_error"] > 0.8
        assert point["similarity"] is None or point["similarity"] < 0.75
        assert point["mos"] is None or point["mos"] < 2.5
    names = [point["name"] for point in points]
    assert names.count("") == 3
    assert names[-1] == "lines, first segment from 1 s"


@F5
def test_a_sweep_without_the_metrics_says_what_to_install(
    env: BenchEnv, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ishowtts_bench import quality_sweep

    def sweep(
        _: BenchEnv, plan: quality_sweep.SweepPlan, metrics: object, __: object
    ) -> list[quality_sweep.SweepPoint]:
        assert (metrics, plan.sentences) == (None, ())
        return [quality_sweep.SweepPoint(7, "EPSS", 0.1, 0.0)]

    monkeypatch.setattr(quality_sweep, "run", sweep)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "speechmos" else find(name))
    assert main(["bench", "sweep", "--model", str(env.folder), "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "no metrics: speechmos not installed (scripts/setup test in a checkout)" in printed.err
    assert "EPSS" in printed.out
    assert "DNSMOS" not in printed.out


@F5
def test_profile_accounts_for_the_whole_time(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "profile.png"
    status, out = run("profile", "--length", "1", "--json", "--plot", str(picture))
    assert status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(out)
    stages = found["stages"]
    assert sum(stage["share"] for stage in stages) == pytest.approx(1.0)
    assert {stage["name"]: stage["calls"] for stage in stages}["evaluations"] == 7
    assert max(stages, key=lambda stage: stage["share"])["name"] == "evaluations"
    # What `bench predict --kernels` reads.
    assert found["device"] == "cpu"
    assert found["nfe_step"] == 7
    assert found["frames"] > 150
    assert found["flop_per_s"] > 0
    assert found["bytes_per_s"] > 0


@F5
def test_batches_are_compared_with_single_segments(run: Run, tmp_path: Path) -> None:
    picture, figures = tmp_path / "batches.svg", tmp_path / "batches.json"
    options = ["--length", "0.5", "--rounds", "1", "--nfe", "4", "--plot", str(picture), "--figures", str(figures)]
    status, out = run("batches", *options)
    data = json.loads(figures.read_text())
    found, fault = data["batches"], data["measure_fault"]
    assert (status, fault is not None) in ((0, False), (1, True))
    assert "times single" in out
    begin = "ok: most speech a second with " if fault is None else "fault of the measurement: "
    assert out.splitlines()[-1].startswith(begin)
    assert "in proportion" in picture.read_text()
    assert [one["segments"] for one in found] == [1, 2, 4, 8]
    assert found[0]["ratio"] == 1.0
    for one in found:
        assert one["audio_s"] == pytest.approx(one["segments"] * found[0]["audio_s"], rel=0.35)
        assert one["ratio"] == pytest.approx(one["throughput"] / found[0]["throughput"])
        assert 0 < one["share"] < 1.2
        assert one["peak_mb"] is one["outside_mb"] is None


@F5
def test_ablate_shows_which_switches_cost_fidelity(run: Run) -> None:
    status, out = run("ablate", "--length", "1", "--rounds", "1", "--precision", "fp32", "--json")
    assert status == 0
    deviation = {one["name"]: one["deviation"] for one in json.loads(out)["variants"]}
    for name in ("without folds", "without text_once", "padded to buckets", "all off"):
        assert deviation[name] < 1e-4
    for name in ("with int8", "with guidance_skip: plain", "with guidance_skip: reuse"):
        assert deviation[name] > 1e-3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["speed", "--lengths", "0"], "0.5 to 120 seconds"),
        (["speed", "--nfe", "99"], "4 to 64"),
        (["speed", "--nfe", "seven"], "not a whole number"),
        (["speed", "--save", "/nowhere/at/all.json"], "is not a folder"),
        (["speed", "--save", "/tmp"], "not a regular file"),
        (["regress", "/tmp/there-is-no-such-baseline"], "is missing"),
        (["sweep", "--length", "x"], "not a number of seconds"),
        (["sweep", "--length", "nan"], "0.5 to 120"),
        (["ablate", "--length", "1e9"], "0.5 to 120"),
        (["sweep", "--nfe-values", "7,99"], "4 to 64"),
        (["sweep", "--sentences", "-1"], "0 or more"),
        (["sweep", "--plot", "sweep.gif"], ".png or .svg"),
        (["sweep", "--wav", "/dev/null"], "is not a folder"),
    ],
)
def test_wrong_usage_gives_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@F5
def test_missing_weights_give_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "parity", "--model", str(tmp_path / "none")]) == 1
    assert "neither a folder of weights nor one of tiny, small, base" in capsys.readouterr().err


def test_an_installation_without_the_engine_gives_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vocos" else find(name))
    assert main(["bench", "speed"]) == 1
    assert capsys.readouterr().err in {
        f"ishowtts: a bench needs the package {package}, which is not installed; {INSTALL_FIX}\n"
        for package in ("torch", "f5_tts", "vocos")
    }


def test_an_empty_folder_of_weights_is_found_before_torch_is_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_env(_: object) -> None:
        raise AssertionError("this imports torch")

    for module in (bench_command, sweep_command):
        monkeypatch.setattr(module, "make_env", make_env)
    for name in ("speed", "parity", "sweep"):
        assert main(["bench", name, "--model", str(tmp_path)]) == 1
        assert f"{tmp_path} holds neither model.yaml nor" in capsys.readouterr().err


@F5
def test_the_names_of_random_models_are_the_sizes_that_can_be_made() -> None:
    from ishowtts_bench.random_checkpoint import SIZES

    assert tuple(SIZES) == RANDOM_MODELS


@pytest.mark.parametrize("name", TEXTS)
def test_each_bench_says_what_it_does_how_long_it_takes_and_what_its_end_means(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["bench", name, "--help"])
    out = " ".join(capsys.readouterr().out.split())
    for words in ("It takes ", " line ", "RTF is the real-time factor", "NFE is the number of evaluations"):
        assert words in out
    if name != "predict":
        assert "(default: tiny)" in out or "(default: small)" in out or "(default: base)" in out
        assert "auto, which is fp16 with cuda, bf16 on a CPU with such instructions, else fp32" in out


@pytest.mark.parametrize(
    ("load", "cores", "noted"), [(0.0, 2, False), (2.0, 2, False), (2.1, 2, True), (9.0, 16, False), (9.0, None, False)]
)
def test_a_busy_machine_is_noted(load: float, cores: int | None, noted: bool) -> None:
    note = speed_command.load_note(load, cores)
    assert (note is not None) == noted
    if note:
        assert note == "note: other programs run (load average 2.1, 2 cores): repeat on an idle machine"
