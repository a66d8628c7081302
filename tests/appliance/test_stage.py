"""A stage, which has a loudspeaker and no voice of its own, and the boards that render its segments: real daemons."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.quick_daemon import code, height, read_notes
from support.waiting import eventually

SEGMENT_S = 2.0


def sentence(number: int) -> str:
    """A sentence that is a segment of its own, whose hum is told from that of the others."""
    long = "it is so long that no other one of them finds room in the same segment of the line"
    return f"This is sentence {code(number)}, and {long}, as I said."


def line_of(numbers: Sequence[int]) -> str:
    return " ".join(map(sentence, numbers))


def levels(numbers: Sequence[int]) -> list[int]:
    return [height(code(number)) for number in numbers]


class Board(Appliance):
    """An appliance that renders: each segment takes 0.3 s to make."""

    def __init__(self, folder: Path, broker: Broker, name: str, voices: tuple[str, ...] = ()) -> None:
        folder.mkdir()
        for voice in voices:
            clip = folder / "data/voices" / voice / "reference.wav"
            clip.parent.mkdir(parents=True)
            clip.write_bytes(b"")
        settings = {"device": {"name": name}, "data_dir": str(folder / "data"), "audio": {"device": "silent"}}
        super().__init__(folder, broker, settings, quick_s=0.4, quick=["--cost-s", "0.3"])
        self.root = f"ishowtts/{name}"

    @property
    def spoke(self) -> list[str]:
        """The texts that its engine was given."""
        return [note["spoke"] for note in read_notes(self.notes) if "spoke" in note]

    @property
    def cancelled(self) -> list[str]:
        """The texts that its engine did not finish, because they were cancelled."""
        return [note["cancelled"] for note in read_notes(self.notes) if "cancelled" in note]

    def kill(self) -> None:
        """Cut its power."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
        self.process = None


@dataclass
class Home:
    """A stage and two boards."""

    stage: Appliance
    boards: dict[str, Board]
    client: Client

    def say(self, text: str, **fields: Any) -> str:
        return self.stage.say(self.client, text, **fields)

    def final(self, line_id: str) -> dict[str, Any]:
        return self.stage.final(self.client, line_id)

    def wait_state(self, wanted: str) -> None:
        self.client.wait_for(f"{self.stage.root}/state", lambda message: message.json["state"] == wanted)

    def ready(self, *names: str) -> None:
        """Until exactly these boards can render, as the stage sees it."""
        eventually(lambda: self.ready_names() == set(names), f"the boards {names}")

    def stage_boards(self) -> dict[str, dict[str, Any]]:
        """What the stage says about its boards."""
        boards = self.client.on(f"{self.stage.root}/telemetry")[-1].json["boards"]
        return {board["name"]: board for board in boards}

    def ready_names(self) -> set[str]:
        return {name for name, board in self.stage_boards().items() if board["ready"]}

    def heard(self) -> list[int]:
        """The levels of what the loudspeaker played, without silence and without repetitions in a row."""
        peaks = [note["wrote"][1] for note in read_notes(self.stage.notes) if "wrote" in note]
        return [peak for peak, before in zip(peaks, [0, *peaks], strict=False) if peak > 500 and peak != before]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        (folder / "broker").mkdir()
        broker = stack.enter_context(Broker(folder / "broker"))
        client = stack.enter_context(Client(broker.host, broker.port))
        client.subscribe("ishowtts/#")
        boards = {
            "kitchen": Board(folder / "kitchen", broker, "kitchen", ("anna", "ben")),
            "cellar": Board(folder / "cellar", broker, "cellar", ("anna",)),
        }
        for board in boards.values():
            stack.enter_context(board)
        (folder / "stage").mkdir()
        # The boards share the cores of the tests: no listener is impatient, and only their deadline counts.
        engine = {"kind": "remote", "fallback": ["espeak"], "late_s": 60, "remote": {"segment_s": SEGMENT_S}}
        stage = Appliance(
            folder / "stage",
            broker,
            {"engine": engine},
            quick_s=0.0,
            quick=["--engine-as-configured"],
        )
        stack.enter_context(stage)
        for name in ("test", *boards):
            client.wait_for(f"ishowtts/{name}/state", lambda message: message.json["state"] == "ready")
        yield Home(stage, boards, client)


@pytest.fixture(autouse=True)
def all_boards(home: Home) -> None:
    for board in home.boards.values():
        if board.process is None:
            board.start()
    home.ready(*home.boards)
    home.wait_state("ready")


def test_what_it_hears_is_what_the_boards_make_each_segment_once(home: Home) -> None:
    before = len(home.heard())
    event = home.final(home.say(line_of(range(1, 5))))
    assert (event["event"], event["engine"]) == ("finished", "remote")
    assert home.heard()[before:] == levels(range(1, 5))


def test_a_board_that_is_killed_in_mid_segment_leaves_the_line_to_the_other_one(home: Home) -> None:
    before, spoke = len(home.heard()), {name: len(board.spoke) for name, board in home.boards.items()}
    line_id = home.say(line_of(range(11, 15)))
    eventually(lambda: any(len(board.spoke) > spoke[name] for name, board in home.boards.items()), "the first segment")
    [asked] = [board for name, board in home.boards.items() if len(board.spoke) > spoke[name]]
    asked.kill()
    event = home.final(line_id)
    assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "remote", None)
    assert home.heard()[before:] == levels(range(11, 15))
    home.ready(*(name for name, board in home.boards.items() if board is not asked))


def test_a_board_that_hangs_is_late_and_what_it_sends_later_is_not_heard(home: Home) -> None:
    before, spoke = len(home.heard()), {name: len(board.spoke) for name, board in home.boards.items()}
    line_id = home.say(line_of(range(21, 25)))
    eventually(lambda: any(len(board.spoke) > spoke[name] for name, board in home.boards.items()), "the first segment")
    [asked] = [board for name, board in home.boards.items() if len(board.spoke) > spoke[name]]
    assert asked.process is not None
    asked.process.send_signal(signal.SIGSTOP)
    try:
        event = home.final(line_id)
        late = home.stage_boards()[asked.root.rpartition("/")[2]]["late"]
    finally:
        asked.process.send_signal(signal.SIGCONT)
    assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "remote", None)
    assert late >= 1
    event = home.final(home.say(line_of([31])))
    assert home.heard()[before:] == levels([*range(21, 25), 31])


def test_a_voice_that_only_one_board_has_is_always_its(home: Home) -> None:
    spoke = len(home.boards["cellar"].spoke)
    for number in range(41, 44):
        event = home.final(home.say(line_of([number]), voice="ben"))
        assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "remote", None)
    assert len(home.boards["cellar"].spoke) == spoke
    assert home.boards["kitchen"].spoke[-3:] == [sentence(number) for number in range(41, 44)]
    event = home.final(home.say("one", voice="nobody"))
    assert (event["event"], event["reason"]) == ("rejected", "unknown_voice")
    home.boards["kitchen"].stop()
    home.ready("cellar")
    event = home.final(home.say("This is for ben.", voice="ben"))
    assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "espeak", "remote")


def test_without_any_board_it_speaks_itself_and_with_one_it_does_not(home: Home) -> None:
    for board in home.boards.values():
        board.stop()
    home.ready()
    home.wait_state("degraded")
    detail = home.client.on(f"{home.stage.root}/state")[-1].json["detail"]
    assert detail == "no board renders now: cellar is offline, kitchen is offline; look at their state"
    event = home.final(home.say("Nobody helps me."))
    assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "espeak", "remote")
    home.boards["kitchen"].start()
    home.ready("kitchen")
    event = home.final(home.say(line_of([51])))
    assert (event["event"], event["engine"], event["substituted_for"]) == ("finished", "remote", None)


def test_a_skipped_line_is_cancelled_at_its_board(home: Home) -> None:
    before = len(home.heard())
    line_id = home.say(line_of(range(61, 65)))
    boards = home.boards.values()
    eventually(lambda: any(sentence(61) in board.spoke for board in boards), "a segment that is being made")
    home.client.publish(f"{home.stage.root}/command", "skip")
    assert home.final(line_id)["event"] == "cancelled"
    eventually(lambda: any(sentence(61) in board.cancelled for board in boards), "the cancel at the board")
    assert home.final(home.say(line_of([71])))["event"] == "finished"
    assert home.heard()[before:] == levels([71])
