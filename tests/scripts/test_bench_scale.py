"""scripts/bench-scale counts each fate of a line, and runs."""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from support.scale_daemon import level_of
from support.scale_lines import Audit, BrokerKill, Hum, SentLine, audit, hums_of

ROOT = Path(__file__).resolve().parents[2]
LINE = SentLine("a", "stage-0", 5000, published_s=10.0)
HUM = Hum("stage-0", 5000, began_s=11.5, sound_s=3.0)
SPOKEN = ("finished", {"engine": "remote"})


def audited(
    folder: Path,
    *,
    row: tuple[str, dict[str, Any]] | None = SPOKEN,
    finals: tuple[str, ...] = ("finished",),
    hums: tuple[Hum, ...] = (HUM,),
    confirmed_s: float | None = 10.1,
    kills: tuple[BrokerKill, ...] = (),
) -> Audit:
    """Audits one line."""
    (folder / "state").mkdir()
    with closing(sqlite3.connect(folder / "state" / "inbox.sqlite")) as queue:
        queue.execute("CREATE TABLE lines (id TEXT, state TEXT, data TEXT)")
        if row is not None:
            queue.execute("INSERT INTO lines VALUES (?, ?, ?)", ("a", row[0], json.dumps(row[1])))
        queue.commit()
    traffic: Any = SimpleNamespace(
        confirmed_s={} if confirmed_s is None else {"a": confirmed_s},
        finals={"a": Counter(finals)} if finals else {},
    )
    return audit([LINE], traffic, {"stage-0": folder}, hums, sound_s=3.0, kills=kills)


def test_a_line_that_was_heard_once_has_no_fault(tmp_path: Path) -> None:
    found = audited(tmp_path)
    assert found.faults == {}
    assert (found.published, found.confirmed, found.outcomes) == (1, 1, {"finished": 1})
    assert found.by_engine == {"remote": 1}
    assert found.first_sound_s == {"a": pytest.approx(1.5)}


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("lost", {"row": None, "finals": (), "hums": ()}),
        ("lost", {"row": None, "finals": (), "hums": (), "kills": (BrokerKill(10.2, 11.0),)}),
        ("open", {"row": ("speaking", {}), "finals": ()}),
        ("untold", {"finals": ()}),
        ("told_twice", {"finals": ("finished", "failed")}),
        ("silent", {"hums": ()}),
        ("cut", {"hums": (Hum("stage-0", 5000, 11.5, 2.0),)}),
        ("doubled", {"hums": (HUM, Hum("stage-0", 5000, 20.0, 3.0))}),
        ("doubled", {"hums": (Hum("stage-0", 5000, 11.5, 6.0),)}),
        ("elsewhere", {"hums": (HUM, Hum("stage-1", 5000, 11.5, 3.0))}),
    ],
)
def test_each_fault_is_found(fault: str, what: dict[str, Any], tmp_path: Path) -> None:
    assert audited(tmp_path, **what).faults == {fault: 1}


def test_what_a_killed_broker_had_not_saved_is_counted_apart(tmp_path: Path) -> None:
    found = audited(tmp_path, row=None, finals=(), hums=(), kills=(BrokerKill(10.0, 11.0),))
    assert (found.faults, found.lost_at_broker) == ({}, ["a"])


def test_a_line_that_another_engine_went_on_with_is_not_cut(tmp_path: Path) -> None:
    row = ("finished", {"engine": "espeak", "engines": ["remote", "espeak"]})
    assert audited(tmp_path, row=row, hums=(Hum("stage-0", 5000, 11.5, 1.0),)).faults == {}


def test_a_speaker_tells_hums_from_other_sound() -> None:
    hum = np.full(480, 5000, dtype=np.int16)
    edge = np.concatenate([np.zeros(40, dtype=np.int16), hum[40:]])
    voice = (3000 * np.sin(np.arange(480) / 9)).astype(np.int16)
    assert [level_of(block) for block in (hum, edge, voice, hum * 0)] == [5000, 5000, 0, None]


def test_hums_are_read_from_notes_of_several_speakers() -> None:
    notes = [
        ("stage-0", {"at": 1.0, "begun": 5000}),
        ("stage-1", {"at": 1.1, "begun": 6000}),
        ("stage-0", {"at": 4.0, "ended": 5000, "sound_s": 3.0}),
        ("stage-0", {"at": 4.0, "begun": 0}),
        ("stage-0", {"at": 5.0, "ended": 0, "sound_s": 1.0}),
    ]
    assert hums_of(notes) == [Hum("stage-0", 5000, 1.0, 3.0), Hum("stage-1", 6000, 1.1, 0.0)]


@pytest.mark.slow
def test_the_bench_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    words = ["--stages", "0", "--boards", "1", "--own", "2", "--sound-s", "0.3", "--cost-s", "0.1", "--seconds", "2"]
    monkeypatch.setattr(sys, "argv", ["bench-scale", *words, "--only", "latency", "--dir", str(tmp_path / "new")])
    assert importlib.import_module("bench_scale").main() == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["latency"]["own_engine"]
    assert figures["outcomes"] == {"finished": figures["published"]}
    assert list((tmp_path / "new").iterdir()) == []
