"""What is measured on a GPU can be recorded there."""

from __future__ import annotations

import os

import pytest
import torch
from tests.support.tape import TapeRecorder

from ishowtts.engines.f5.cuda import tuning

pytestmark = [
    pytest.mark.f5,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="an interpreted kernel waits for its values"),
]


def test_every_candidate_can_be_recorded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    recorders: list[TapeRecorder] = []

    def recorder() -> TapeRecorder:
        recorders.append(TapeRecorder())
        return recorders[-1]

    monkeypatch.setattr(tuning, "GraphRecorder", recorder)
    monkeypatch.setattr(tuning, "_FRAMES", 64)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(tuning, "_ours_run", lambda _: True)
    weight, bias, conv = torch.randn(256, 128), torch.randn(256), torch.randn(128, 8, 31)
    with torch.inference_mode():
        choice = tuning.choose(weight, bias, conv, 2, linear=None, fused=True)
    assert "cannot be recorded" not in caplog.text
    # Those that this processor has: plain products and convolutions, and eager steps between them.
    assert sum(recorder.recorded for recorder in recorders) >= 3
    assert choice.elementwise == "eager"


def test_where_triton_does_not_run_one_sentence_says_so_and_the_rest_is_chosen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tuning, "GraphRecorder", TapeRecorder)
    monkeypatch.setattr(tuning, "_FRAMES", 64)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    weight, bias, conv = torch.randn(256, 128), torch.randn(256), torch.randn(128, 8, 31)
    with torch.inference_mode():
        choice = tuning.choose(weight, bias, conv, 2, linear=None, fused=True)  # on a processor
    assert (choice.conv, choice.elementwise) == ("plain", "eager")
    told = [record.message for record in caplog.records if "Triton" in record.message]
    assert len(told) == 1
    assert "cannot compile here" in told[0]
