"""Each command gets one answer; those of a flood are summed up in one."""

from __future__ import annotations

import logging
from concurrent.futures import Future

import pytest

from ishowtts.config import Config
from ishowtts.engines import build
from ishowtts.errors import CommandError
from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.model import Command, Line
from ishowtts.speech.commands import CommandAnswers, CommandHandler
from ishowtts.speech.default_voice import DefaultVoice
from support.clock import Clock
from support.speech_harness import Harness
from support.waiting import eventually


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox():
    inbox = Inbox(None, InboxLimits())
    yield inbox
    inbox.close()


@pytest.fixture
def answers(inbox: Inbox, clock: Clock) -> CommandAnswers:
    return CommandAnswers(inbox, clock)


def sent(inbox: Inbox) -> list[tuple[str, bool, str, str | None]]:
    events = [event for _, event in wait_for(inbox.unsent(10_000))]
    return [tuple(event.data[key] for key in ("command", "ok", "detail", "transaction")) for event in events]


def test_of_a_flood_of_unreadable_commands_ten_are_answered_and_the_others_summed_up(
    answers: CommandAnswers, inbox: Inbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(50_000):
        answers.send("", None, False, f"unknown command {number}", f"t{number}")
    answers.sum_up()
    assert [transaction for *_, transaction in sent(inbox)] == [f"t{number}" for number in range(10)]
    clock.now_s += 10
    answers.sum_up()
    answers.sum_up()
    assert sent(inbox)[10:] == [
        ("", False, "of more such commands within 10 s, 49990 refused; send fewer", None),
    ]
    assert len(caplog.records) == 11
    assert caplog.records[0].getMessage() == "command ? refused: unknown command 0"
    fields = vars(caplog.records[0])["journal_fields"]
    assert (fields["ISHOWTTS_EVENT"], fields["ISHOWTTS_OUTCOME"]) == ("command", "refused")


def test_a_flood_of_one_command_does_not_cost_another_its_answers(answers: CommandAnswers, inbox: Inbox) -> None:
    for number in range(500):
        answers.send("pause", None, number % 2 == 0, "paused", None)
        answers.send("", None, False, "unknown", None)
    answers.send("stop", None, True, "1 line was cancelled", "mine")
    assert sent(inbox)[-1] == ("stop", True, "1 line was cancelled", "mine")
    assert len(sent(inbox)) == 100 + 10 + 1
    answers.sum_up(last=True)
    summary = "of more such commands within 10 s, 200 executed and 200 refused; send fewer"
    assert ("pause", False, summary, None) in sent(inbox)


def test_a_summary_says_how_many_commands_were_executed(answers: CommandAnswers, inbox: Inbox) -> None:
    for _ in range(101):
        answers.send("volume", None, True, "the volume is 30", None)
    answers.sum_up(last=True)
    assert sent(inbox)[-1] == ("volume", True, "of more such commands within 10 s, 1 executed; send fewer", None)


class Console:
    """Sends commands to the scheduler of a harness, and reads the answers."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        config = Config.model_validate({"data_dir": harness.path.parent, "engine": {"kind": "espeak"}})
        engines = build.build_engines(config, build.choose_engine(config), lambda: None)
        default_voice = DefaultVoice(engines, None)
        self.reloads: list[Future[str]] = []
        self.handler = CommandHandler(
            harness.inbox, harness.scheduler, harness.player, default_voice, self._reload, on_change=lambda: None
        )

    def _reload(self) -> Future[str]:
        self.reloads.append(Future())
        return self.reloads[-1]

    def answer(self, command: Command) -> tuple[bool, str]:
        """Send a command, and wait for its answer."""
        before = len(self.answers())
        self.handler.command(command)
        eventually(lambda: len(self.answers()) > before, "the answer")
        return self.answers()[-1]

    def answers(self) -> list[tuple[bool, str]]:
        """`ok` and `detail` of all answers so far."""
        events = [event for _, event in wait_for(self._harness.inbox.unsent(100)) if event.event == "command"]
        return [(event.data["ok"], event.data["detail"]) for event in events]


def test_a_flood_of_unknown_voices_costs_no_more_than_its_answers(
    paced: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(paced)
    asked: list[str] = []
    why_not = DefaultVoice.why_not

    def counted(default_voice: DefaultVoice, name: str) -> str:
        asked.append(name)
        return why_not(default_voice, name)

    monkeypatch.setattr(DefaultVoice, "why_not", counted)
    for number in range(2000):
        console.handler.voice(f"nobody{number}")
    assert len(asked) == 100, "a list of 500 voices takes milliseconds, and other commands wait for the same thread"
    eventually(lambda: len(console.answers()) == 100, "the answers")
    assert console.answers()[0] == (False, "there is no voice 'nobody0'; the voices are default")


def test_cancel_ends_all_lines_of_an_author_in_any_spelling(paced: Harness) -> None:
    console = Console(paced)
    paced.say(
        Line("a", "one two three four five six seven eight nine ten. " * 9, author="Bob"),
        Line("b", "two", author="\uff22\uff4f\u200b\uff42"),
        Line("c", "three", author="Bobby"),
        Line("d", "four", author=" BOB "),
        Line("e", "five"),
    )
    eventually(lambda: ("a", "started") in paced.events(), "the first sound")
    assert console.answer(Command("cancel", "c", author="bob")) == (
        False,
        "no line with the id 'c' of the author 'bob' is waiting or being spoken",
    )
    assert console.answer(Command("cancel", "b", author="bob")) == (True, "1 line was cancelled")
    assert console.answer(Command("cancel", author="bob")) == (True, "2 lines were cancelled")
    assert [paced.await_outcome(line_id) for line_id in "abcde"] == [
        "cancelled", "cancelled", "finished", "cancelled", "finished",
    ]  # fmt: skip
    assert console.answer(Command("cancel", author="bob")) == (
        False,
        "no line of the author 'bob' is waiting or being spoken",
    )
    paced.say(Line("f", "six", author="Bob"))
    assert paced.await_outcome("f") == "finished", "later lines are spoken"


def test_cancel_of_a_line_that_is_not_there_says_so(harness: Harness) -> None:
    ok, detail = Console(harness).answer(Command("cancel", "x"))
    assert (ok, detail) == (False, "no line with the id 'x' is waiting or being spoken")


def test_reload_is_answered_once_the_file_was_read(harness: Harness) -> None:
    console = Console(harness)
    for result, answer in (("nothing has changed", True), (CommandError("the file has faults"), False)):
        console.handler.command(Command("reload"))
        eventually(lambda: console.reloads, "the command")
        reload = console.reloads.pop()
        if isinstance(result, str):
            reload.set_result(result)
        else:
            reload.set_exception(result)
        eventually(lambda said=(answer, str(result)): said in console.answers(), "the answer")
