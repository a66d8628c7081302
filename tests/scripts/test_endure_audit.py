"""The audit of `scripts/endure --runs all-faults` finds each fault that it is there for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support.endurance.audit import FAULTS, Audit, Seen, audit, tracebacks
from support.endurance.fault_injection import Injected
from support.endurance.mixed_lines import word_of
from support.endurance.silences import Silence, common, silences, union

NOTES: list[dict[str, Any]] = [
    {"at": 2.0, "pid": 1, "ready": True},
    {"at": 3.0, "pid": 1, "event": "accepted", "id": "a", "text": word_of(7)},
    {"at": 3.1, "pid": 1, "plays": "a", "position": 0, "engine": "hibari"},
    *({"at": 3.2 + tenth / 10, "pid": 1, "audible": True} for tenth in range(8)),
    {"at": 4.0, "pid": 1, "event": "finished", "id": "a", "text": word_of(7)},
]
AGAIN = {"at": 5.0, "pid": 1, "plays": "a", "position": 0, "engine": "espeak"}

INTERRUPTED = {"at": 3.12, "pid": 1, "event": "interrupted", "id": "a"}


def seen(**changes: Any) -> Seen:
    """A run of one line in which all was well, with changes."""
    fields: dict[str, Any] = {
        "rows": [{"id": "a", "text": f"{word_of(7)}.", "state": "finished"}],
        "finals": {"a": Counter(finished=1)},
        "notes": NOTES,
        "published": Counter({7: 1}),
        "lost_at_broker": set(),
        "hostile": set(),
        "daemon": [(0.0, 100.0)],
        "device": [(0.0, 100.0)],
        "injected": [],
    }
    return Seen(**{**fields, **changes})


def audited(run: Seen) -> Audit:
    """Its figures."""
    out = Audit()
    audit(out, run, most_silent_s=2.0)
    return out


def faults(run: Seen) -> set[str]:
    """The names of what was found wrong."""
    out = audited(run)
    return {name for name in FAULTS if getattr(out, name)}


def late(notes: list[dict[str, Any]], by_s: float) -> list[dict[str, Any]]:
    """The notes, of which all but the first two come later."""
    return [*notes[:2], *({**note, "at": note["at"] + by_s} for note in notes[2:])]


def test_a_run_without_faults_has_none() -> None:
    assert faults(seen()) == set()
    assert audited(seen()).engines == {"hibari": 1}


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("lost", {"published": Counter({7: 1, 8: 1})}),
        ("doubled", {"rows": 2 * seen().rows}),
        ("open", {"rows": [{"id": "a", "text": word_of(7), "state": "waiting"}], "finals": {"a": Counter()}}),
        ("told_otherwise", {"finals": {"a": Counter(finished=1, failed=1)}}),
        ("untold", {"finals": {}}),
        ("heard_again_wrongly", {"notes": [*NOTES, AGAIN]}),
        ("mute", {"notes": late(NOTES, 2.5)}),
    ],
)
def test_each_fault_is_found(fault: str, changes: dict[str, Any]) -> None:
    assert fault in faults(seen(**changes))


def test_a_rejected_line_may_have_been_pruned_and_any_other_line_not() -> None:
    two = Counter({7: 1, 8: 1})
    unreadable = {"at": 5.0, "pid": 1, "event": "rejected", "id": "b", "text": None}
    for note, hostile in ((unreadable, {8}), ({**unreadable, "text": word_of(8)}, set())):
        run = seen(published=two, hostile=hostile, notes=[*NOTES, note])
        assert (audited(run).pruned, faults(run)) == ([word_of(8)], set())
    assert faults(seen(published=two, notes=[*NOTES, unreadable])) == {"lost"}
    assert faults(seen(published=Counter({7: 1, 8: 1, 9: 1}), hostile={8, 9}, notes=[*NOTES, unreadable])) == {"lost"}


def test_what_a_broker_or_a_full_disk_took_is_counted_apart() -> None:
    two = Counter({7: 1, 8: 1})
    assert audited(seen(published=two, lost_at_broker={8})).lost_at_broker == [word_of(8)]
    in_memory = {"at": 5.0, "pid": 1, "event": "accepted", "id": "b", "text": word_of(8), "durable": False}
    run = seen(published=two, notes=[*NOTES, in_memory])
    assert (audited(run).lost_in_memory, faults(run)) == ([word_of(8)], set())
    run = seen(finals={}, injected=[Injected("broker", 4.5, 5.0)])
    assert (audited(run).untold_by_broker, faults(run)) == (["a"], set())
    run = seen(notes=[*NOTES, AGAIN], injected=[Injected("full disk", 3.0, 5.0)])
    assert (audited(run).again_from_file, faults(run)) == (["a"], set())


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"notes": [*NOTES[:3], {**AGAIN, "at": 3.15, "pid": 2}, *NOTES[3:]]}, True),
        (
            {"notes": [*NOTES[:3], {**AGAIN, "at": 3.15, "pid": 2}, *NOTES[3:], {**AGAIN, "at": 9.0, "plays": "b"}]},
            True,
        ),
        (
            {"notes": [*NOTES[:3], {"at": 3.12, "event": "interrupted", "id": "a"}, {**AGAIN, "at": 3.15}, *NOTES[3:]]},
            True,
        ),
        ({"notes": [*NOTES[:3], {**AGAIN, "at": 3.15}, *NOTES[3:]], "device": [(0.0, 3.12), (3.13, 100.0)]}, True),
        ({"notes": [*NOTES[:3], {**AGAIN, "at": 3.15}, *NOTES[3:]]}, False),
    ],
    ids=["kill", "kill-and-its-pid-used-again", "interruption", "device", "nothing"],
)
def test_a_segment_is_heard_again_only_for_a_reason(changes: dict[str, Any], again: bool) -> None:
    out = audited(seen(**changes))
    assert out.heard_again == 1
    assert (out.heard_again_wrongly == []) is again


@pytest.mark.parametrize(
    "excuse", [{"device": [(0.0, 3.0), (4.5, 100.0)]}, {"daemon": [(0.0, 3.0), (4.5, 100.0)]}], ids=["device", "daemon"]
)
def test_silence_counts_only_while_a_device_is_there_and_the_daemon_runs(excuse: dict[str, Any]) -> None:
    assert faults(seen(notes=late(NOTES, 2.5), **excuse)) == set()


def test_silences_have_the_faults_of_then_as_their_causes() -> None:
    injected = [Injected("hibari stop", 3.5, 4.0), Injected("broker", 90.0, 91.0)]
    out = audited(seen(notes=late(NOTES, 2.5), injected=injected))
    assert out.silences == {"hibari stop": (1, 2.7)}
    assert out.mute[0].causes == ("hibari stop",)


def test_the_time_from_the_start_of_a_process_to_its_sound_is_no_silence() -> None:
    begins = [{**NOTES[1], "at": 0.5}, {**NOTES[0], "at": 2.9}, *NOTES[2:]]
    out = audited(seen(notes=begins, daemon=[(-5.0, 0.6), (0.7, 100.0)]))
    assert (out.starts_s, out.mute) == ({"median": 2.5, "longest": 2.5}, [])


@pytest.mark.parametrize(
    ("error", "is_fault"),
    [("ValueError: no", True), ("MemoryError", False), ("OSError: Cannot allocate memory", False)],
)
def test_a_traceback_is_a_fault_unless_a_worker_was_left_without_memory(error: str, is_fault: bool) -> None:
    logged = f"Traceback (most recent call last):\n  File a\n    b()\n{error}"
    assert tracebacks(f"before\n{logged}\nMemoryError in another line\n") == [logged] * is_fault


def test_spans_and_silences() -> None:
    assert union([(3, 4), (0, 1), (0.5, 2), (4, 4)]) == [(0, 2), (3, 4)]
    assert common([(0, 2), (3, 6)], [(1, 4), (5, 9)]) == [(1, 2), (3, 4), (5, 6)]
    assert silences([(0, 3), (10, 11)], [0.5, 0.6, 2.8, 7], 0.5) == [
        Silence(0, 0.5),
        Silence(0.6, pytest.approx(2.2)),
        Silence(10, 1),
    ]
