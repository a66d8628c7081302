"""Changes for watchers that read fast, slowly, or never."""

from __future__ import annotations

import asyncio
from typing import Any

from ishowtts_gateway.appliances.change_feed import ALL_KINDS, ApplianceChange, ChangeFeed, Kind, Watcher


def change(kind: Kind, device: str | None = "kitchen", **data: Any) -> ApplianceChange:
    return ApplianceChange(kind, device, data)


def read(*changes: ApplianceChange, kinds: Any = ALL_KINDS) -> list[ApplianceChange]:
    """What a watcher gets that reads only after all of them."""

    async def scenario() -> list[ApplianceChange]:
        feed = ChangeFeed()
        with feed.watch(kinds) as watcher:
            for each in changes:
                feed.publish(each)
            feed.close()
            return [each async for each in watcher]

    return asyncio.run(scenario())


def test_a_slow_watcher_gets_the_newest_values_in_order() -> None:
    assert read(
        change("broker", None, connected=True),
        change("device", muted=True, volume=3),
        change("line", id="a", status="waiting"),
        change("telemetry", t=1),
        change("line", id="b", status="waiting"),
        change("line", id="a", status="finished"),
        change("device", "attic", volume=1),
        change("device", volume=4),
        change("telemetry", t=2),
        change("broker", None, connected=False),
    ) == [
        change("broker", None, connected=False),
        change("device", muted=True, volume=4),
        change("line", id="a", status="finished"),
        change("telemetry", t=2),
        change("line", id="b", status="waiting"),
        change("device", "attic", volume=1),
    ]


def test_events_are_all_kept_and_a_device_that_is_gone_takes_its_changes_with_it() -> None:
    assert read(
        change("event", event="command", ok=True),
        change("event", "attic", event="command"),
        change("line", id="a"),
        change("event", event="command", ok=True),
        change("gone"),
        change("device", state=None),
    ) == [change("event", "attic", event="command"), change("gone"), change("device", state=None)]


def test_only_the_kinds_that_are_wanted_come() -> None:
    assert read(change("event"), change("line", id="a"), change("gone"), kinds={"gone"}) == [change("gone")]


def test_a_watcher_that_never_reads_is_told_to_read_everything_again() -> None:
    lines = [change("line", id=str(number)) for number in range(5000)]
    got = read(*lines)
    assert got[0] == ApplianceChange("reset", None, {})
    assert len(got) <= 2001
    assert got[-1] == lines[-1]
    events = read(*[change("event", number=number) for number in range(1000)])
    assert events[0].kind == "reset"
    assert len(events) <= 202


def test_a_watcher_waits_and_ends_with_the_feed() -> None:
    async def scenario() -> None:
        feed = ChangeFeed()
        with feed.watch() as watcher, feed.watch() as other:
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            feed.publish(change("gone"))
            assert await waiting == change("gone")
            waiting = asyncio.ensure_future(_rest(watcher))
            await asyncio.sleep(0)
            feed.close()
            assert await waiting == []
            assert await _rest(other) == [change("gone")]
        with feed.watch() as late:
            assert await _rest(late) == []

    asyncio.run(scenario())


async def _rest(watcher: Watcher) -> list[ApplianceChange]:
    return [each async for each in watcher]


def test_a_reader_waits_for_a_limited_time_and_can_be_cancelled() -> None:
    async def scenario() -> None:
        feed = ChangeFeed()
        with feed.watch() as watcher:
            assert await watcher.get(0.01) is None
            reading = asyncio.ensure_future(_rest(watcher))
            await asyncio.sleep(0)
            feed.publish(change("gone"))
            reading.cancel()  # together with the change
            await asyncio.wait({reading}, timeout=5)
            assert reading.cancelled()

    asyncio.run(scenario())


class CountedName(str):
    """Counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other


def test_a_device_that_is_gone_costs_no_look_at_what_is_pending_for_others() -> None:
    watcher = Watcher(ALL_KINDS)
    for number in range(1000):
        watcher.put(change("line", CountedName(f"d{number}"), id="a"))
    CountedName.compared = 0
    watcher.put(change("gone", "d-1"))
    assert CountedName.compared < 10
