"""One signal calls all of its listeners."""

from __future__ import annotations

from ishowtts.util.callbacks import ChangeSignal, no_op


def test_a_signal_calls_every_listener_in_order() -> None:
    calls: list[str] = []
    signal = ChangeSignal()
    signal()
    signal.connect(lambda: calls.append("first"), no_op)
    signal.connect(lambda: calls.append("second"))
    signal()
    assert calls == ["first", "second"]
