"""Frames of every size, with the values of a board and with hostile ones."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import Any

import pytest

from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.progress_estimate import ProgressEstimate
from ishowtts_gateway.terminal_view.styled_line import line_width, plain_text
from ishowtts_gateway.terminal_view.top_frame import TopView, frame, whole_frame

COUNT = itertools.count()
NOW_S = 1_800_000_000.0
SIZES = [(40, 10), (60, 15), (80, 24), (100, 30), (200, 60)]
STATE = {"state": "speaking", "paused": False, "muted": False, "volume": 80, "queue_depth": 3, "alerts": []}
SPEAKING = {
    "id": "now", "text": "The tea is ready.", "author": "Ann", "voice": "anna", "engine": "f5",
    "since": "2027-01-15T08:00:00.000Z", "segment": 1, "segments": 2, "played_s": 1.0, "left_s": 3.0,
}  # fmt: skip
TELEMETRY = {
    "gpu": {"clock_mhz": 1020, "clock_max_mhz": 1300, "temp_c": 61.5, "load_pct": 35},
    "cpu": {"temp_c": 55, "load_pct": 12},
    "board": {"power_w": 12.34},
    "speech": {"rtf": 0.2, "rtf_p50": 0.21, "queue_depth": 3},
}
HOSTILE = [
    "\x1b]0;evil\x07\x1b[2J",
    "\u202eabc\u2066",
    "茶" * 300,
    "e" + "\u0301" * 900,
    "👩\u200d👩\u200d👧" * 90,
    "שלום \u200f12",
]


def directory(**topics: Any) -> ApplianceDirectory:
    """The boards `kitchen`, with these topics, and `attic`, which is offline."""
    made = ApplianceDirectory("ishowtts", ["kitchen", "attic"])
    made.set_broker(True, None)
    made.apply("ishowtts/attic/availability", b"offline", retained=True)
    known: dict[str, Any] = {"state": {**STATE, "speaking": SPEAKING}, "telemetry": TELEMETRY, **topics}
    made.apply("ishowtts/kitchen/availability", b"online")
    for name, payload in known.items():
        made.apply(f"ishowtts/kitchen/{name}", json.dumps(payload).encode())
    return made


def event(made: ApplianceDirectory, line_id: str, name: str, **fields: Any) -> None:
    told = {"ts": f"2027-01-15T08:00:{next(COUNT) / 1000:06.3f}Z", "id": line_id, "event": name, **fields}
    made.apply("ishowtts/kitchen/event", json.dumps(told).encode())


def view(made: ApplianceDirectory, name: str | None = "kitchen", **fields: Any) -> TopView:
    record = made.records.get(name or "")
    progress = ProgressEstimate(lambda: 0.0, lambda: NOW_S)
    board = None if record is None else BoardView.of(record, progress.now(record.state), NOW_S)
    boards = [(each, made.records[each].online) for each in sorted(made.records)]
    return TopView(boards, board, made.broker_connected, made.broker_detail, "no board publishes", **fields)


def shown(seen: TopView, width: int = 80, height: int = 24) -> str:
    return "\n".join(map(plain_text, frame(seen, width, height)))


@pytest.fixture(scope="module")
def busy() -> ApplianceDirectory:
    made = directory(**{"alert/hot": {"active": True, "detail": "the GPU has 86 °C (alerts.hot_c); check the fan"}})
    for number in range(30):
        event(made, f"old-{number}", "accepted", text=f"Line {number}", author="Bob")
        event(made, f"old-{number}", "finished", rtf=0.2, ttfa_s=0.31, engine="f5", audible=number != 29)
    for number, priority in enumerate(["normal", "low", "high"]):
        event(made, f"next-{number}", "accepted", text=f"Wait {number}", priority=priority)
    event(made, "bad", "rejected", text="?", reason="filtered")
    return made


def test_a_frame_has_the_values_of_the_board(busy: ApplianceDirectory) -> None:
    text = shown(view(busy))
    for words in (
        "kitchen   online, speaking", "volume 80 %", "hot: the GPU has 86 °C (alerts.hot_c); check the fan",
        "Ann: The tea is ready.", "1 of 4 s, segment 1 of 2, f5, anna", "0.20, median 0.21", "1020 of 1300 MHz",
        "62 °C, CPU 55 °C", "GPU 35 %", "12.3 W", "3 waiting", "CPU 12 %", "high Wait 2", "  filtered: ?",
        "finished    0.20  0.31 s  f5      not heard: Bob: Line 29", "● kitchen", "○ attic", "s skip  p pause  m mute",
    ):  # fmt: skip
        assert words in text
    assert text.index("high Wait 2") < text.index("Wait 0") < text.index("low Wait 1")
    assert "▂" in text


def test_a_line_from_the_cache_has_no_rtf() -> None:
    made = directory()
    event(made, "a", "finished", rtf=0.2, engine="f5")
    event(made, "b", "finished", rtf=0.0, engine="f5", cached=True)
    text = shown(view(made))
    assert "0.20, median 0.21" in text
    assert "finished   cache" in text


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_what_matters_most(busy: ApplianceDirectory, size: tuple[int, int]) -> None:
    text = shown(view(busy), *size)
    for words in ("kitchen", "online", "hot: the GPU has", "The tea is ready.", "RTF", "filtered", "q quit", "? help"):
        assert words in text


def test_frames_of_any_size_fit_with_any_text(busy: ApplianceDirectory) -> None:
    hostile = directory(
        state={**STATE, "state": HOSTILE[0], "detail": " ".join(HOSTILE), "queue_depth": 10**14, "alerts": ["deaf", 7],
               "speaking": {**SPEAKING, "text": HOSTILE[2], "voice": HOSTILE[3], "segments": 10**9, "played_s": 1e11}},
        telemetry={"gpu": {"clock_mhz": 1e11, "clock_max_mhz": -5, "temp_c": "x"}, "cpu": [], "speech": {"rtf": 1e11}},
        **{"alert/hot": {"active": True, "detail": " ".join(HOSTILE)}},
    )  # fmt: skip
    for number, text in enumerate(HOSTILE):
        event(hostile, f"{number}", "accepted", text=text, author=text[:100], priority=text[:9])
        event(hostile, f"x{number}", "rejected", text=text, reason=text[:100], engine=text[:9])
    chosen = random.Random(7)
    sizes = [(width, height) for width in range(1, 12, 2) for height in range(1, 12, 2)]
    sizes += [(chosen.randint(1, 250), chosen.randint(1, 80)) for _ in range(20)]
    for width, height in [*SIZES, *sizes]:
        for made in (busy, hostile):
            message = (HOSTILE[2], "bad") if (width + height) % 2 else None
            lines = frame(view(made, message=message, help_shown=width % 7 == 0), width, height)
            assert len(lines) == height
            assert all(line_width(line) <= width for line in lines)
            assert all(plain_text(line).isprintable() for line in lines)


@pytest.mark.parametrize("ts", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01", "0000-00-00", "soon"])
def test_a_line_of_a_year_that_no_calendar_has_is_shown(ts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = directory()
    event(made, "1", "finished", text="The soup is hot.", ts=ts)
    try:
        for zone in ("Etc/GMT+12", "Etc/GMT-14"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert any("The soup is hot." in plain_text(line) for line in frame(view(made), 100, 40))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_no_text_is_not_shown_as_one() -> None:
    made = directory(
        state={**STATE, "state": {"id": "x"}, "detail": [1]}, **{"alert/hot": {"active": True, "detail": {}}}
    )
    for line in whole_frame(view(made), 100):
        assert not {"{", "["} & set(plain_text(line))


def test_what_is_wrong_is_said_in_a_sentence(busy: ApplianceDirectory) -> None:
    assert "attic is offline; on the board: sudo systemctl start ishowtts" in shown(view(busy, "attic"))
    unknown = ApplianceDirectory("ishowtts", ["hall"])
    unknown.set_broker(True, None)
    assert "nothing is known of ishowtts/hall" in shown(view(unknown, "hall"))
    away = directory()
    away.set_broker(False, "the broker at x:1 cannot be reached (refused); it is tried again")
    text = shown(view(away))
    assert "the broker at x:1 cannot be reached (refused); it is tried again" in text
    assert "no broker" in text
    assert "The tea is ready." not in text, "what it last said is outdated"
    nobody = ApplianceDirectory("ishowtts", None)
    nobody.set_broker(True, None)
    assert "no board publishes" in shown(view(nobody, None))
    assert "q quit" in shown(view(nobody, None, message=None))


def test_the_state_is_shown_by_words_too() -> None:
    text = shown(view(directory(state={**STATE, "state": "paused", "paused": True, "muted": True, "speaking": None})))
    assert "online, paused, muted" in text
    assert "paused; lines wait" in text
    assert "speaking, not audible" in shown(view(directory(state={**STATE, "audible": False})))
    private = directory(state={**STATE, "speaking": {"id": "a"}})
    assert "(text withheld: log.private)" in shown(view(private))
    empty = shown(view(directory(state={}, telemetry={})))
    assert "its state is unknown" in empty
    assert "clock –" in empty
    assert "nothing waits" in empty


def test_the_answer_of_a_key_takes_the_place_of_the_keys(busy: ApplianceDirectory) -> None:
    text = shown(view(busy, message=("refused: nothing is being spoken", "bad")))
    assert text.endswith("refused: nothing is being spoken")
    assert "q quit" not in text
    assert "previous board" in shown(view(busy, help_shown=True), 40, 10)


def test_a_printed_frame_is_whole_without_a_width_and_fits_with_one(busy: ApplianceDirectory) -> None:
    long = "The tea is ready. " * 30
    event(busy, "long", "rejected", text=long, reason="filtered")
    printed = [plain_text(line) for line in whole_frame(view(busy), None)]
    assert any(line.endswith(f"filtered: {long.strip()}") for line in printed)
    assert all(line_width(line) <= 50 for line in whole_frame(view(busy), 50))
    offline = [plain_text(line) for line in whole_frame(view(busy, "attic"), None)]
    assert offline[1:] == ["attic is offline; on the board: sudo systemctl start ishowtts"]
