"""Simulates the sensors of an AGX Orin: for dashboards and alerts on machines that are no Jetson."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

from ishowtts.board import BoardReading

_MIN_MHZ, _MAX_MHZ, _THROTTLED_MHZ = 306.0, 1300.5, 726.75
_SPEAKING_LOAD, _IDLE_LOAD = 0.75, 0.02  # at the maximum clock. The same work at a lower clock is a higher load
_LOAD_S = 2.0  # time constants: the load of the GPU, and the temperature of the heat sink
_HEAT_S = 40.0
_BASE_W, _CLOCK_W, _LOAD_W, _FAN_W = 8.0, 6.0, 28.0, 2.0
_WARM_K_PER_W, _COOLED_K_PER_W = 1.3, 0.5  # thermal resistance without fan, and at its full speed
_FAN_STARTS_C, _FAN_FULL_C, _FAN_PER_S = 45.0, 80.0, 0.05
_THROTTLES_C, _RECOVERS_C = 99.0, 95.0  # the trip of an Orin and its hysteresis
_STEP_S, _LONGEST_GAP_S = 1.0, 600.0
_DEMO_S, _DEMO_SPEAKING_S = 40.0, 15.0


class SimulatedSensors:
    """The source `simulated`. Its values follow from each other as those of a board do:

    Speech loads the GPU. The clock follows the load, unless it is locked. Load and clock take power, power heats the
    chip slowly, heat speeds up the fan, and the fan cools. A chip of 99 °C reduces its clock until it has 95 °C.

    The same clock, seed and work give the same values.

    Args:
        busy: Whether the engine works now. `None`: it speaks for 15 s of each 40 s.
        clock: Seconds of a clock that never goes back.
        seed: Seed of the noise.
        ambient_c: Temperature of the air. From about 80 °C on, the board throttles when it speaks.
        locked: Whether the clocks are locked at their maximum.

    `ambient_c` and `locked` may be changed while it runs.
    """

    name = "simulated"

    def __init__(
        self,
        busy: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        seed: int = 0,
        ambient_c: float = 24.0,
        locked: bool = True,
    ) -> None:
        self.ambient_c = ambient_c
        self.locked = locked
        self._clock = clock
        self._busy = busy or self._demo
        self._noise = random.Random(seed)  # noqa: S311 -- noise of a sensor
        self._began_at_s = self._at_s = clock()
        self._load = _IDLE_LOAD
        self._fan = 0.0
        self._throttled = False
        self._throttle_events = 0
        self._chip_c = ambient_c + self._power_w() * _WARM_K_PER_W  # as after some time without work

    def start(self) -> None:
        """Does nothing."""

    def close(self, timeout_s: float) -> None:
        """Does nothing."""

    def read(self) -> BoardReading:
        """Lets the time since the previous reading pass, and returns the values."""
        now_s = self._clock()
        busy = self._busy()
        left_s = min(now_s - self._at_s, _LONGEST_GAP_S)
        self._at_s = now_s
        while left_s > 0:
            self._step(min(left_s, _STEP_S), busy)
            left_s -= _STEP_S
        heat = self._chip_c - self.ambient_c
        return BoardReading(
            gpu_clock_mhz=round(self._clock_mhz(), 2),
            gpu_clock_max_mhz=_MAX_MHZ,
            gpu_clock_locked=self.locked,
            gpu_load_pct=_bounded(100 * self._load + self._noise.gauss(0, 0.7), 0, 100),
            gpu_temp_c=_bounded(self._chip_c + self._noise.gauss(0, 0.1), -40, 150),
            cpu_load_pct=_bounded(4 + 20 * self._load + self._noise.gauss(0, 1), 0, 100),
            cpu_temp_c=_bounded(self.ambient_c + 0.95 * heat + self._noise.gauss(0, 0.1), -40, 150),
            power_mode="MAXN",
            power_w=_bounded(self._power_w() + self._noise.gauss(0, 0.15), 1, 100),
            fan_pct=100 * self._fan,
            throttle_events=self._throttle_events,
            throttled=self._throttled,
            memory_used_mb=9000 + 40 * self._noise.random(),
            memory_total_mb=30697.0,
        )

    def _demo(self) -> bool:
        return (self._clock() - self._began_at_s) % _DEMO_S < _DEMO_SPEAKING_S

    def _step(self, dt_s: float, busy: bool) -> None:
        wanted = min(1.0, (_SPEAKING_LOAD if busy else _IDLE_LOAD) * _MAX_MHZ / self._clock_mhz())
        self._load += (wanted - self._load) * _share(dt_s, _LOAD_S)
        resistance = _WARM_K_PER_W - (_WARM_K_PER_W - _COOLED_K_PER_W) * self._fan
        steady_c = self.ambient_c + self._power_w() * resistance
        self._chip_c += (steady_c - self._chip_c) * _share(dt_s, _HEAT_S)
        fan = _bounded((self._chip_c - _FAN_STARTS_C) / (_FAN_FULL_C - _FAN_STARTS_C), 0, 1)
        self._fan += _bounded(fan - self._fan, -_FAN_PER_S * dt_s, _FAN_PER_S * dt_s)
        if self._chip_c >= _THROTTLES_C and not self._throttled:
            self._throttled = True
            self._throttle_events += 1
        elif self._chip_c <= _RECOVERS_C:
            self._throttled = False

    def _clock_mhz(self) -> float:
        free_mhz = _MAX_MHZ if self.locked else _MIN_MHZ + (_MAX_MHZ - _MIN_MHZ) * min(1.0, self._load / _SPEAKING_LOAD)
        return min(free_mhz, _THROTTLED_MHZ) if self._throttled else free_mhz

    def _power_w(self) -> float:
        speed = self._clock_mhz() / _MAX_MHZ
        return _BASE_W + _CLOCK_W * speed + _LOAD_W * self._load * speed**2 + _FAN_W * self._fan


def _share(dt_s: float, constant_s: float) -> float:
    """The part of the way to the steady state that is done in this time."""
    return 1 - math.exp(-dt_s / constant_s)


def _bounded(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
