"""Sensors that hang, raise or are slow hold up nobody."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.timely_board import TimelyBoard
from support.waiting import eventually

WARM, HOT = BoardReading(gpu_temp_c=50.0), BoardReading(gpu_temp_c=60.0)
SHORT_S = 0.05


class Sensors:
    """A source that a test can hang, or make raise."""

    name = "sysfs"

    def __init__(self, reading: BoardReading = WARM) -> None:
        self.reading = reading
        self.answers = threading.Event()
        self.answers.set()
        self.fails = False
        self.threads: set[str] = set()
        self.reads = 0

    def start(self) -> None:
        """Nothing."""

    def read(self) -> BoardReading:
        self.reads += 1
        self.threads.add(threading.current_thread().name)
        self.answers.wait(30)
        if self.fails:
            raise RuntimeError("a driver of another kind")
        return self.reading

    def close(self, timeout_s: float) -> None:
        """Nothing."""


def timely(sensors: Sensors, *, wait_s: float = SHORT_S, stale_s: float = 10.0) -> TimelyBoard:
    return TimelyBoard(CombinedBoard(BoardIdentity, [sensors]), wait_s=wait_s, stale_s=stale_s)


def test_a_board_that_answers_is_read_each_time_in_one_thread() -> None:
    sensors = Sensors()
    board = timely(sensors, wait_s=10)
    assert board.read() == WARM, "before the start too"
    sensors.threads.clear()
    board.start()
    assert board.sources() == {"gpu_temp_c": "sysfs"}, "known from the start on"
    assert board.read() == WARM
    sensors.reading = HOT
    assert board.read() == HOT, "never an older one if it answers in time"
    assert sensors.threads == {"board"}
    board.close(5)
    assert not board.alive()


def test_a_board_that_hangs_gives_its_last_values_for_a_while_and_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sensors = Sensors()
    board = timely(sensors, wait_s=10, stale_s=0.3)
    board.start()
    assert board.read() == WARM
    board._wait_s = SHORT_S
    sensors.answers.clear()
    began_s = time.monotonic()
    assert board.read() == WARM
    eventually(lambda: board.read() == BoardReading(), "values that are too old")
    reads = sensors.reads
    for _ in range(100):
        board.read()
    assert time.monotonic() - began_s < 10, "no wait after the first one"
    assert sensors.reads == reads, "a read that hangs is not read again"
    eventually(lambda: not board.read().gpu_temp_c and "have not answered" in caplog.text, "the warning")
    sensors.reading = HOT
    sensors.answers.set()
    eventually(lambda: board.read() == HOT, "the values of a board that answers again")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    board.close(5)


def test_a_board_that_hangs_from_the_start_delays_neither_start_nor_end() -> None:
    sensors = Sensors()
    sensors.answers.clear()
    board = timely(sensors)
    began_s = time.monotonic()
    board.start()
    assert board.read() == BoardReading()
    board.close(SHORT_S)
    assert time.monotonic() - began_s < 10
    assert board._thread.daemon, "the process can end while the kernel holds the thread"
    sensors.answers.set()
    eventually(lambda: not board.alive(), "the end of the thread")


def test_a_source_that_raises_is_logged_once_and_read_again(caplog: pytest.LogCaptureFixture) -> None:
    sensors = Sensors()
    sensors.fails = True
    board = timely(sensors, wait_s=10)
    board.start()
    assert [board.read() for _ in range(3)] == [BoardReading()] * 3
    assert caplog.text.count("cannot be read") == 1
    sensors.fails = False
    assert board.read() == WARM
    board.close(5)
