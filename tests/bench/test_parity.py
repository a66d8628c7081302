"""Every switch sounds as upstream does, and a fault would be found: the bench that users run, on the tiny model."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from ishowtts.bench import parity
from ishowtts.bench.setting import Setting
from ishowtts.engines.f5 import dit

pytestmark = [pytest.mark.f5, pytest.mark.slow]


def test_all_is_as_upstream_has_it_and_every_canary_sings(setting: Setting) -> None:
    rows: list[parity.Row] = []
    passed = parity.run(setting, rows.append)
    assert [row for row in rows if not row.passed] == []
    assert passed
    assert {row.name for row in rows if row.canary} == {
        "uniform steps", "guidance swapped", "the text of another line", "text at a bucket's length",
        "one key not masked", "lengths of another line",
        "bf16, one key not masked", "bf16, lengths of another line",
    }  # fmt: skip


def test_a_broken_engine_does_not_pass(setting: Setting) -> None:
    angles = dit.rotary_angles

    def late(frames: int, device: torch.device) -> torch.Tensor:
        return torch.view_as_real(torch.view_as_complex(angles(frames + 1, device)[1:]) ** 1.001)

    rows: list[parity.Row] = []
    with patch.object(dit, "rotary_angles", late):
        assert not parity.run(setting, rows.append)
    assert "fast, English" in {row.name for row in rows if not row.passed}
    assert "all off" in {row.name for row in rows if row.passed}


@pytest.mark.parametrize(
    ("canary", "error", "passed"), [(False, 2e-4, False), (False, 9e-5, True), (True, 2e-4, False)]
)
def test_a_row_is_judged_by_its_kind(canary: bool, error: float, passed: bool) -> None:
    assert parity.Row("", error, 1e-3 if canary else 1e-4, canary).passed is passed
