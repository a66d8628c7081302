"""Commands wait in a bounded queue, and a flood of one kind delays or refuses no other."""

from __future__ import annotations

import threading

from ishowtts.pipeline.orders import Orders


def test_orders_are_taken_in_the_order_in_which_they_came() -> None:
    orders, done = Orders(), []
    for number in range(3):
        assert orders.add(str(number), number, lambda number=number: done.append(number))
    assert orders
    for order in orders.take():
        order()
    assert done == [0, 1, 2]
    assert not orders
    assert orders.take() == []


def test_a_flood_of_one_kind_is_refused_and_another_is_taken() -> None:
    orders = Orders()
    taken = [orders.add("pause", number, list) for number in range(1000)]
    assert taken == [True] * 100 + [False] * 900
    assert orders.add("stop", None, list)
    assert len(orders.take()) == 101
    assert orders.add("pause", 0, list), "the others have been taken"


def test_the_same_again_while_it_waits_last_is_one_order() -> None:
    orders = Orders()
    for _ in range(1000):
        assert orders.add("pause", "p", list)
    assert orders.add("resume", "r", list)
    assert orders.add("pause", "p", list), "after resume it means something again"
    assert len(orders.take()) == 3


def test_what_is_added_while_orders_are_carried_out_waits_for_the_next_look() -> None:
    orders = Orders()
    orders.add("skip", 1, lambda: orders.add("skip", 2, list))
    for order in orders.take():
        order()
    assert len(orders.take()) == 1


def test_any_thread_may_add() -> None:
    orders, taken = Orders(), []

    def add(kind: str) -> None:
        for number in range(100):
            while not orders.add(kind, number, list):
                pass

    threads = [threading.Thread(target=add, args=(kind,)) for kind in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += orders.take()
    taken += orders.take()
    assert len(taken) == 400
