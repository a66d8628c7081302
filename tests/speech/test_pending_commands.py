"""Commands wait in a bounded queue; a flood of one kind neither delays nor refuses another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import pytest

from ishowtts.speech.pending_commands import PendingCommands


def nothing() -> None:
    pass


def test_commands_are_taken_in_the_order_in_which_they_came() -> None:
    commands = PendingCommands()
    done: list[int] = []
    for number in range(3):
        assert commands.add(str(number), number, partial(done.append, number))
    assert commands
    for command in commands.take():
        command()
    assert done == [0, 1, 2]
    assert not commands
    assert commands.take() == []


def test_a_flood_of_one_kind_is_refused_and_another_kind_is_accepted() -> None:
    commands = PendingCommands()
    accepted = [commands.add("pause", number, nothing) for number in range(1000)]
    assert accepted == [True] * 100 + [False] * 900
    assert commands.add("stop", None, nothing)
    taken = commands.take()
    assert len(taken) == 101
    assert not commands.add("pause", 0, nothing), "none of the others has been executed"
    for command in taken:
        command()
    assert commands.add("pause", 0, nothing)


@pytest.mark.parametrize("fails", [False, True])
def test_a_command_counts_until_its_future_is_done(fails: bool) -> None:
    commands = PendingCommands()
    futures: list[Future[None]] = [Future() for _ in range(100)]
    for future in futures:
        assert commands.add("cancel", future, lambda future=future: future)
    for command in commands.take():
        command()
    assert not commands
    assert not commands.add("cancel", None, nothing), "100 are not done"
    assert commands.add("stop", None, nothing)
    for future in futures[:3]:
        future.set_exception(OSError()) if fails else future.set_result(None)
    assert [commands.add("cancel", number, nothing) for number in range(4)] == [True] * 3 + [False]


def test_a_repeated_command_that_waits_last_is_kept_once() -> None:
    commands = PendingCommands()
    for _ in range(1000):
        assert commands.add("pause", "p", nothing)
    assert commands.add("resume", "r", nothing)
    assert commands.add("pause", "p", nothing), "after resume it means something again"
    assert len(commands.take()) == 3


def test_a_command_added_during_execution_waits_for_the_next_take() -> None:
    commands = PendingCommands()

    def ask_again() -> None:
        commands.add("skip", 2, nothing)

    commands.add("skip", 1, ask_again)
    for command in commands.take():
        command()
    assert len(commands.take()) == 1


def test_any_thread_may_add() -> None:
    commands = PendingCommands()
    taken = list[Callable[[], None]]()

    def execute_all() -> None:
        for command in commands.take():
            command()
            taken.append(command)

    def add(kind: str) -> None:
        for number in range(100):
            while not commands.add(kind, number, nothing):
                pass

    threads = [threading.Thread(target=add, args=(kind,)) for kind in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        execute_all()
    execute_all()
    assert len(taken) == 400
