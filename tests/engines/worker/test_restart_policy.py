"""Waits between workers grow, deaths in a row park the engine, and speech ends both."""

from __future__ import annotations

import pytest

from ishowtts.engines.worker.restart_policy import RestartBackoff, RestartPolicy
from ishowtts.engines.worker.worker_connection import WorkerExit
from ishowtts.errors import WeightsError

DIED = WorkerExit("it died")
BACKOFF = RestartBackoff(first_s=1.0, longest_s=4.0, park_deaths=5, park_window_s=100.0, park_s=3600.0)


@pytest.fixture
def policy() -> RestartPolicy:
    return RestartPolicy(BACKOFF)


def waits_s(policy: RestartPolicy, deaths: int, now_s: float = 0.0) -> list[float]:
    return [policy.worker_ended(DIED, now_s).wait_s for _ in range(deaths)]


def test_each_wait_is_twice_as_long_up_to_the_longest(policy: RestartPolicy) -> None:
    assert waits_s(policy, 4) == [1.0, 2.0, 4.0, 4.0]
    policy.spoke()
    assert policy.worker_ended(DIED, 200.0).wait_s == 1.0


def test_the_fifth_death_within_the_window_parks_the_engine(policy: RestartPolicy) -> None:
    waits_s(policy, 4)
    decision = policy.worker_ended(DIED, 50.0)
    assert (decision.parked, decision.wait_s) == (True, 3600.0)
    assert decision.detail == "the worker ended 5 times recently (the last time: it died)", (
        "`doctor` takes what follows a semicolon for the fix"
    )


def test_deaths_before_the_window_do_not_count(policy: RestartPolicy) -> None:
    waits_s(policy, 4)
    assert not policy.worker_ended(DIED, 101.0).parked


def test_after_parking_one_death_parks_again_until_the_worker_has_spoken(policy: RestartPolicy) -> None:
    waits_s(policy, 5)
    assert policy.worker_ended(DIED, 5000.0).parked, "it is on probation"
    policy.spoke()
    assert not policy.worker_ended(DIED, 10_000.0).parked


def test_an_error_that_a_new_worker_would_repeat_parks_the_engine_at_once(policy: RestartPolicy) -> None:
    decision = policy.worker_ended(WorkerExit("no weights", permanent_error=WeightsError("no weights")), 0.0)
    assert (decision.parked, decision.detail) == (True, "no weights")


def test_a_voice_that_ended_the_worker_never_parks_the_engine(policy: RestartPolicy) -> None:
    exits = [WorkerExit("it died", preparing=True, voice=f"voice-{i}") for i in range(10)]
    assert not any(policy.worker_ended(one, 0.0).parked for one in exits)
    assert not policy.worker_ended(DIED, 0.0).parked


def test_a_reset_forgets_deaths_wait_and_probation(policy: RestartPolicy) -> None:
    waits_s(policy, 5)
    policy.reset()
    assert waits_s(policy, 4) == [1.0, 2.0, 4.0, 4.0]
