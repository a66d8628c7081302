"""The best source of each field."""

from __future__ import annotations

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.combined_board import CombinedBoard

SYSFS = BoardReading(
    gpu_clock_mhz=612.0, gpu_clock_max_mhz=1300.0, gpu_clock_locked=False, gpu_load_pct=71.0, gpu_temp_c=46.5,
    cpu_load_pct=5.0, power_w=15.4, memory_used_mb=8000.0, memory_total_mb=64000.0,
)  # fmt: skip


class Source:
    """A source that gives what a test sets."""

    def __init__(self, name: str, reading: BoardReading) -> None:
        self.name = name
        self.reading = reading
        self.started = False
        self.closed_s: list[float] = []

    def start(self) -> None:
        self.started = True

    def read(self) -> BoardReading:
        return self.reading

    def close(self, timeout_s: float) -> None:
        self.closed_s.append(timeout_s)


def combined(*readings: BoardReading) -> tuple[CombinedBoard, list[Source]]:
    names = ("sysfs", "nvml", "jetson-stats")
    sources = [Source(name, reading) for name, reading in zip(names, readings, strict=False)]
    return CombinedBoard(BoardIdentity, sources), sources


def test_each_field_comes_from_the_first_source_that_has_it() -> None:
    board, _ = combined(
        BoardReading(gpu_temp_c=40.0), BoardReading(gpu_temp_c=41.0, gpu_load_pct=30.0), BoardReading(power_w=9.0)
    )
    assert board.read() == BoardReading(gpu_temp_c=40.0, gpu_load_pct=30.0, power_w=9.0)
    assert board.sources() == {"gpu_temp_c": "sysfs", "gpu_load_pct": "nvml", "power_w": "jetson-stats"}


def test_a_source_that_comes_late_fills_the_gaps_and_then_a_better_one_takes_over() -> None:
    board, (sysfs, nvml) = combined(BoardReading(power_w=9.0), BoardReading())
    board.start()
    assert sysfs.started
    assert nvml.started
    assert board.sources() == {"power_w": "sysfs"}, "known from the start on"
    nvml.reading = BoardReading(gpu_load_pct=12.0)
    assert board.read() == BoardReading(power_w=9.0, gpu_load_pct=12.0)
    sysfs.reading = SYSFS
    assert board.read() == SYSFS
    assert board.sources()["gpu_load_pct"] == "sysfs"


def test_the_clock_and_its_bounds_come_from_one_source_and_so_does_the_memory() -> None:
    other = BoardReading(gpu_clock_mhz=990.0, gpu_clock_max_mhz=2100.0, memory_used_mb=1.0, memory_total_mb=24000.0)
    board, _ = combined(BoardReading(gpu_clock_max_mhz=1300.0, gpu_clock_locked=True, memory_total_mb=64000.0), other)
    reading = board.read()
    assert (reading.gpu_clock_mhz, reading.gpu_clock_max_mhz, reading.gpu_clock_locked) == (None, 1300.0, True)
    assert (reading.memory_used_mb, reading.memory_total_mb) == (None, 64000.0)


def test_a_sensor_that_is_off_is_not_replaced_by_what_another_source_invents() -> None:
    board, (sysfs, _) = combined(SYSFS, BoardReading(gpu_temp_c=1.0, gpu_load_pct=0.0))
    board.read()
    sysfs.reading = BoardReading(gpu_clock_max_mhz=1300.0, power_w=9.0)
    assert board.read() == BoardReading(gpu_clock_max_mhz=1300.0, power_w=9.0)
    assert board.sources()["gpu_temp_c"] == "sysfs", "the source of its last value"


def test_a_source_that_has_ended_is_replaced() -> None:
    board, (_, nvml, jtop) = combined(
        BoardReading(power_w=9.0), BoardReading(gpu_load_pct=20.0), BoardReading(gpu_load_pct=21.0)
    )
    assert board.read().gpu_load_pct == 20.0
    nvml.reading = BoardReading()
    assert board.read().gpu_load_pct == 21.0
    assert board.sources()["gpu_load_pct"] == "jetson-stats"
    jtop.reading = BoardReading()
    assert board.read().gpu_load_pct is None
    nvml.reading = BoardReading(gpu_load_pct=22.0)
    assert board.read().gpu_load_pct == 22.0


def test_a_load_that_was_never_above_0_is_not_believed_if_another_source_shows_one() -> None:
    board, (sysfs, nvml) = combined(BoardReading(gpu_load_pct=0.0), BoardReading(gpu_load_pct=0.0))
    chosen = []
    for sysfs_pct, nvml_pct in ((0.0, 0.0), (0.0, 35.0), (0.0, 0.0), (40.0, 36.0), (0.0, 3.0), (7.0, 0.0)):
        sysfs.reading, nvml.reading = BoardReading(gpu_load_pct=sysfs_pct), BoardReading(gpu_load_pct=nvml_pct)
        chosen.append((board.read().gpu_load_pct, board.sources()["gpu_load_pct"]))
    assert chosen == [
        (0.0, "sysfs"), (35.0, "nvml"), (0.0, "nvml"), (40.0, "sysfs"), (0.0, "sysfs"), (7.0, "sysfs"),
    ]  # fmt: skip


def test_the_sources_are_the_same_object_until_one_changes() -> None:
    board, (sysfs,) = combined(SYSFS)
    board.read()
    before = board.sources()
    sysfs.reading = BoardReading(power_w=3.0)
    board.read()
    assert board.sources() is before


def test_the_sources_share_the_time_to_end() -> None:
    board, sources = combined(SYSFS, SYSFS)
    board.close(2.0)
    assert all(0 <= source.closed_s[0] <= 2.0 for source in sources)
