"""Every switch gives the sound of upstream, and mutations are noticed, with the tiny model."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from ishowtts.engines.f5 import dit, fast_model
from ishowtts_bench import parity
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]


def test_every_row_passes_and_every_mutation_is_noticed(env: BenchEnv) -> None:
    rows: list[parity.ParityRow] = []
    passed = parity.run(env, rows.append)
    assert [row for row in rows if not row.passed] == []
    assert passed
    assert {row.name for row in rows if row.mutation} == {
        "uniform steps", "guidance swapped", "the text of another line", "text at a bucket's length",
        "one key not masked", "lengths of another line", "average upsampling to a bucket",
        "bf16, one key not masked", "bf16, lengths of another line",
    }  # fmt: skip


def test_a_broken_engine_does_not_pass(env: BenchEnv) -> None:
    angles = dit.rotary_angles

    def late(frames: int, device: torch.device) -> torch.Tensor:
        return torch.view_as_real(torch.view_as_complex(angles(frames + 1, device)[1:]) ** 1.001)

    rows: list[parity.ParityRow] = []

    def report(row: parity.ParityRow) -> None:
        rows.append(row)
        if not row.passed:
            raise Noticed

    with patch.object(dit, "rotary_angles", late), pytest.raises(Noticed):
        parity.run(env, report)
    assert rows[-1].name == "fast, English"


class Noticed(Exception):
    """One failed row is enough, because the others take a minute."""


def test_mutations_are_noticed_in_graphs_that_were_recorded_before(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = TapeRecorder()
    monkeypatch.setattr(fast_model, "make_capturer", lambda _: tape)
    english = UpstreamInfer(env.folder, "cpu").synthesize(
        env.reference_clip(), parity.ENGLISH, nfe_step=7, seed=parity.SEED
    )
    rows = list(parity.at_fixed_addresses(env, english))
    assert [row for row in rows if not row.passed] == []
    assert tape.replayed == 3 * (7 + 1)  # with the vocoder; after other lines, and with each mutation
    assert [row.name for row in rows if row.mutation] == ["one key not masked", "lengths of another line"]


@pytest.mark.parametrize("error", [2e-4, float("inf"), float("nan")])
def test_one_failed_row_fails_the_whole_comparison(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    good, bad = parity.ParityRow("good", 1e-6, 1e-4), parity.ParityRow("bad", error, 1e-4)
    reported: list[parity.ParityRow] = []
    monkeypatch.setattr(parity, "_rows", lambda _: iter([good, bad, good]))
    assert not parity.run(env, reported.append)
    assert reported == [good, bad, good]
    monkeypatch.setattr(parity, "_rows", lambda _: iter([good, good]))
    assert parity.run(env, reported.append)


@pytest.mark.parametrize(
    ("mutation", "error", "passed"), [(False, 2e-4, False), (False, 9e-5, True), (True, 2e-4, False)]
)
def test_a_mutation_must_exceed_the_limit_and_other_rows_must_not(mutation: bool, error: float, passed: bool) -> None:
    assert parity.ParityRow("", error, 1e-3 if mutation else 1e-4, mutation).passed is passed
