"""What a bench prints in a pipe."""

from __future__ import annotations

from argparse import Namespace

import pytest
from rich.table import Table

from ishowtts_bench.commands.command_output import print_result


def test_in_a_pipe_no_cell_is_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table, long = Table("system", "what", box=None), "one long cell " * 20
    table.add_row("upstream", long)
    print_result(Namespace(figures=None, json=False), table, {}, "it is faster")
    title, row, verdict = capsys.readouterr().out.splitlines()
    assert title.split() == ["system", "what"]
    assert " ".join(row.split()) == f"upstream {long.strip()}"
    assert verdict == "it is faster"
