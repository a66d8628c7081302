"""`ishowtts bench predict` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board.gpu_specs import BOARDS, find
from ishowtts.cli import main
from ishowtts_bench import roofline


def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["bench", "predict", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "predict"]) == 0
    out = capsys.readouterr().out
    assert "Predicted, not measured" in out
    for board in BOARDS:
        assert board.title in out
    for words in (
        "Time of each stage on AGX Orin 64 GB",
        "Efficiencies (low / likely / high)",
        "What each step gains",
        "Products in eight bits",
        "Comparison with published figures",
    ):
        assert words in out


def test_json_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    found = predicted(capsys)
    assert [row["board"] for row in found["boards"]] == [board.name for board in BOARDS]
    for row in found["boards"]:
        low, likely, high = row["rtf"]
        assert row["arithmetic_rtf"] < high < likely < low
        assert [one["name"] for one in row["assumptions"]] == ["low", "likely", "high"]
        assert row["assumptions"][1]["products"] == find(row["board"]).reached.products[1]
        assert len(row["rtf_predicted_first"]) == 3
        assert len(row["first_audio_s"]) == 3
    assert sum(stage["share"] for stage in found["stages"]) == pytest.approx(1.0)
    assert all(set(step["s"]) == {"agx-orin", "thor", "h200"} for step in found["steps"] + found["eight_bit"])
    assert {stage["bound"] for stage in found["stages"]} == {"arithmetic", "memory", "launches"}
    assert [check["figure"]["rtf"] for check in found["published"]] == [
        1.32, 1.32, 0.266, 0.212, 0.168, 0.030, 0.0402, 0.1467,
    ]  # fmt: skip
    assert len(found["other_references"]) == 4 * len(found["published"])


def test_one_board_is_the_same_alone_as_among_all(capsys: pytest.CaptureFixture[str]) -> None:
    everyone = {row["board"]: row for row in predicted(capsys)["boards"]}
    alone = predicted(capsys, "--board", "thor")
    assert alone["boards"] == [everyone["thor"]]
    assert alone["explained"] == "thor"
    assert {name for step in alone["steps"] for name in step["s"]} == {"thor"}
    longer = predicted(capsys, "--board", "thor", "--speech", "60", "--nfe", "16", "--reference", "10")
    assert longer["boards"][0]["rtf"][1] > everyone["thor"]["rtf"][1]


def test_one_board_is_answered_in_the_first_line_without_the_figures_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "predict", "--board", "orin-nano-super"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("Orin Nano 8 GB Super: about ")
    assert "times faster than speech, first sound after about 0." in first
    assert not any("published figures" in line or "AGX Orin" in line for line in rest)


def test_a_measured_list_replaces_the_assumptions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    kernels = [{"name": "nvjet_hsh_128x256", "spent_s": 0.02, "share": 0.6, "calls": 600}]
    content = {"kernels": kernels, "frames": 1219, "nfe_step": 7, "device": "NVIDIA H200"}
    profile.write_text(json.dumps(content | {"flop_per_s": 7e14, "bytes_per_s": 4e12}))
    found = predicted(capsys, "--kernels", str(profile))
    assert found["measured"] == ["products"]
    (row,) = found["boards"]  # what an H200 reaches says nothing about a Jetson
    (measured,) = row["assumptions"]
    assert (row["board"], measured["name"]) == ("h200", "measured")
    assert measured["attention"] == roofline.likely(find("h200")).attention
    assert found["steps"] == []
    asked = predicted(capsys, "--kernels", str(profile), "--board", "agx-orin")
    assert [row["board"] for row in asked["boards"]] == ["agx-orin"]
    assert main(["bench", "predict", "--kernels", str(profile)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "Measured on NVIDIA H200, as shares of the data sheet of H200 SXM: products (a list of 60% of the time)" in out
    )
    assert "Efficiencies (measured)" in out
    profile.write_text(json.dumps(content | {"flop_per_s": 7e14, "bytes_per_s": 4e12, "device": "NVIDIA L4"}))
    assert len(predicted(capsys, "--kernels", str(profile))["boards"]) == len(BOARDS)
    profile.write_text(json.dumps(content))
    assert main(["bench", "predict", "--kernels", str(profile)]) != 0
    assert "lacks flop_per_s, bytes_per_s" in capsys.readouterr().err


def test_an_unknown_board_gets_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "predict", "--board", "nano"]) != 0
    err = capsys.readouterr().err
    assert "no board is called 'nano'; name one of agx-orin" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reference", "0"], "1 to 15 seconds"),
        (["--reference", "nan"], "1 to 15 seconds"),
        (["--reference", "five"], "not a number of seconds"),
        (["--speech", "1e9"], "0.5 to 120"),
        (["--nfe", "1"], "4 to 64"),
        (["--kernels", "/tmp/there-is-no-such-profile"], "is missing"),
    ],
)
def test_wrong_usage_gives_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "predict", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
