"""Commands wait in a bounded queue, and a flood of one kind delays or refuses no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import pytest

from ishowtts.speech.pending_commands import PendingCommands


def nothing() -> None:
    pass


def test_orders_are_taken_in_the_order_in_which_they_came() -> None:
    orders = PendingCommands()
    done: list[int] = []
    for number in range(3):
        assert orders.add(str(number), number, partial(done.append, number))
    assert orders
    for order in orders.take():
        order()
    assert done == [0, 1, 2]
    assert not orders
    assert orders.take() == []


def test_a_flood_of_one_kind_is_refused_and_another_is_taken() -> None:
    orders = PendingCommands()
    accepted = [orders.add("pause", number, nothing) for number in range(1000)]
    assert accepted == [True] * 100 + [False] * 900
    assert orders.add("stop", None, nothing)
    taken = orders.take()
    assert len(taken) == 101
    assert not orders.add("pause", 0, nothing), "none of the others has been carried out"
    for order in taken:
        order()
    assert orders.add("pause", 0, nothing)


@pytest.mark.parametrize("fails", [False, True])
def test_an_order_counts_until_the_last_part_of_it_is_done(fails: bool) -> None:
    orders = PendingCommands()
    futures: list[Future[None]] = [Future() for _ in range(100)]
    for future in futures:
        assert orders.add("cancel", future, lambda future=future: future)
    for order in orders.take():
        order()
    assert not orders
    assert not orders.add("cancel", None, nothing), "100 are not done"
    assert orders.add("stop", None, nothing)
    for future in futures[:3]:
        future.set_exception(OSError()) if fails else future.set_result(None)
    assert [orders.add("cancel", number, nothing) for number in range(4)] == [True] * 3 + [False]


def test_the_same_again_while_it_waits_last_is_one_order() -> None:
    orders = PendingCommands()
    for _ in range(1000):
        assert orders.add("pause", "p", nothing)
    assert orders.add("resume", "r", nothing)
    assert orders.add("pause", "p", nothing), "after resume it means something again"
    assert len(orders.take()) == 3


def test_what_is_added_while_orders_are_carried_out_waits_for_the_next_look() -> None:
    orders = PendingCommands()

    def ask_again() -> None:
        orders.add("skip", 2, nothing)

    orders.add("skip", 1, ask_again)
    for order in orders.take():
        order()
    assert len(orders.take()) == 1


def test_any_thread_may_add() -> None:
    orders = PendingCommands()
    taken = list[Callable[[], None]]()

    def obey() -> None:
        for order in orders.take():
            order()
            taken.append(order)

    def add(kind: str) -> None:
        for number in range(100):
            while not orders.add(kind, number, nothing):
                pass

    threads = [threading.Thread(target=add, args=(kind,)) for kind in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        obey()
    obey()
    assert len(taken) == 400
