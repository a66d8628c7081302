"""The simulated board: cause and effect, and bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ishowtts.board import BoardReading
from ishowtts.board.simulated import SimulatedSensors
from support.clock import Clock

INTERVAL_S = 5.0


class Bench:
    """A simulated board whose time and work a test sets."""

    def __init__(self, **conditions: float | bool) -> None:
        self.clock = Clock()
        self.speaking = False
        make: Callable[..., SimulatedSensors] = SimulatedSensors
        self.board = make(lambda: self.speaking, self.clock, **conditions)

    def run(self, seconds: float, *, speaking: bool = False) -> list[BoardReading]:
        self.speaking = speaking
        readings = []
        for _ in range(int(seconds / INTERVAL_S)):
            self.clock.now_s += INTERVAL_S
            readings.append(self.board.read())
        return readings


def known(value: float | None) -> float:
    assert value is not None
    return value


def test_speech_takes_power_at_once_heats_slowly_and_then_the_fan_cools() -> None:
    bench = Bench()
    idle = bench.run(60)[-1]
    speaking = bench.run(300, speaking=True)
    first, last = speaking[1], speaking[-1]
    assert known(first.gpu_load_pct) > known(idle.gpu_load_pct) + 60
    assert known(first.power_w) > known(idle.power_w) + 15
    warming = known(first.gpu_temp_c) - known(idle.gpu_temp_c)
    assert 0 < warming < 0.5 * (known(last.gpu_temp_c) - known(idle.gpu_temp_c)), "heat follows slowly"
    temperatures = [known(reading.gpu_temp_c) for reading in speaking]
    assert all(later > earlier - 0.8 for earlier, later in itertools.pairwise(temperatures)), "but for the noise"
    assert (known(idle.fan_pct), known(last.fan_pct) > 25) == (0.0, True)
    cooled = bench.run(600)[-1]
    assert known(cooled.gpu_temp_c) == pytest.approx(known(idle.gpu_temp_c), abs=1.0)


def test_the_clock_follows_the_load_unless_it_is_locked() -> None:
    free = Bench(locked=False)
    idle, speaking = free.run(60)[-1], free.run(60, speaking=True)[-1]
    assert (known(idle.gpu_clock_mhz) < 450, known(speaking.gpu_clock_mhz) > 1250) == (True, True)
    assert (idle.gpu_clock_locked, idle.throttled, idle.throttle_events) == (False, False, 0)
    locked = Bench()
    assert {reading.gpu_clock_mhz for reading in locked.run(60) + locked.run(60, speaking=True)} == {1300.5}
    assert known(locked.run(300)[-1].power_w) > known(free.run(300)[-1].power_w) + 3, "locked clocks take power"
    locked.board.locked = False
    assert [reading.gpu_clock_locked for reading in locked.run(10)] == [False, False]


def test_a_hot_board_throttles_and_recovers_when_it_is_cool_again() -> None:
    bench = Bench(ambient_c=84.0)
    bench.run(120)
    before = bench.board.read()
    hot = bench.run(120, speaking=True)
    throttled = next(reading for reading in hot if reading.throttled)
    assert known(throttled.gpu_clock_mhz) < 0.6 * known(throttled.gpu_clock_max_mhz)
    assert throttled.throttle_events == known(before.throttle_events) + 1
    assert throttled.gpu_clock_locked is True, "its bounds are still equal"
    assert known(hot[-1].power_w) < 26
    assert known(throttled.gpu_temp_c) > 94
    bench.board.ambient_c = 24.0
    cool = bench.run(300, speaking=True)[-1]
    assert (cool.throttled, cool.gpu_clock_mhz, cool.throttle_events) == (False, 1300.5, throttled.throttle_events)


def test_equal_clock_seed_and_work_give_equal_values() -> None:
    assert Bench(seed=3).run(60, speaking=True) == Bench(seed=3).run(60, speaking=True)
    assert Bench(seed=3).run(60, speaking=True) != Bench(seed=4).run(60, speaking=True)


def test_left_alone_it_speaks_from_time_to_time() -> None:
    clock = Clock()
    board = SimulatedSensors(clock=clock)
    loads = []
    for _ in range(40):
        clock.now_s += INTERVAL_S
        loads.append(known(board.read().gpu_load_pct))
    assert (min(loads) < 10, max(loads) > 60) == (True, True)


@pytest.mark.parametrize("ambient_c", [-60.0, 0.0, 24.0, 60.0, 120.0])
def test_all_values_are_there_and_plausible(ambient_c: float) -> None:
    bench = Bench(ambient_c=ambient_c, locked=False)
    for reading in bench.run(120, speaking=True) + bench.run(120):
        assert None not in vars(reading).values()
        assert 300 <= known(reading.gpu_clock_mhz) <= known(reading.gpu_clock_max_mhz)
        assert all(0 <= known(value) <= 100 for value in (reading.gpu_load_pct, reading.cpu_load_pct, reading.fan_pct))
        assert all(-40 <= known(value) <= 150 for value in (reading.gpu_temp_c, reading.cpu_temp_c))
        assert 5 < known(reading.power_w) < 60
        assert 0 < known(reading.memory_used_mb) < known(reading.memory_total_mb)


def test_a_long_time_between_two_readings_is_short_work() -> None:
    bench = Bench()
    bench.clock.now_s += 1e9
    assert bench.board.read().throttled is False
    bench.clock.now_s -= 5.0
    assert bench.board.read().throttled is False
