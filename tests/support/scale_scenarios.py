"""The scenarios of scripts/bench-scale: one fleet of daemons, used by one after the other."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ishowtts.status.speech_figures import percentile
from support.broker_rate import part_rates
from support.broker_sets import Address, BrokerNode, BrokerSet
from support.scale_fleet import Costs, Fleet, MachineLoad
from support.scale_lines import Audit, BrokerKill, Hum, LineTraffic, audit, hums_of

Figures = dict[str, Any]

SCENARIOS = ("broker", "throughput", "idle", "latency", "faults")  # boards are added, never taken away
STAGE, BOARD, OWN = "stage-", "board-", "own-"
WAITING_PER_BOARD = 4
RAMP_S = 5.0
PAIRS, RATE_S = 4, 10.0
IDLE_S = 20.0
BROKER_DOWN_S = 2.0
READY_S_PER_DAEMON = 3.0
WITHOUT_PROGRESS_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What is measured, from the command line."""

    stages: int
    boards: tuple[int, ...]
    own: int
    costs: Costs
    seconds: float
    load: float
    scenarios: tuple[str, ...]
    segment_s: float
    fault_every_s: float
    seed: int


class Bench:
    """The fleet, its brokers and its lines. The scenarios use the same daemons, one after the other.

    Args:
        entrances: where clients connect, each daemon at the next one in turn.
        stack: ends the fleet.
    """

    def __init__(
        self, folder: Path, plan: Plan, brokers: BrokerSet, entrances: Sequence[Address], stack: ExitStack
    ) -> None:
        self._plan = plan
        self._brokers = brokers
        self._folder = folder
        self._chance = random.Random(plan.seed)
        self._traffic = stack.enter_context(LineTraffic(entrances[0]))
        self._fleet = Fleet(folder, entrances, self._traffic.ready)
        stack.callback(self._fleet.close)
        self.faults: Counter[str] = Counter()

    def run(self) -> Figures:
        """Runs the scenarios and returns their figures."""
        plan, figures = self._plan, Figures()
        if "broker" in plan.scenarios:
            figures["broker"] = part_rates(self._brokers.nodes, PAIRS, RATE_S)
        if plan.scenarios == ("broker",):
            return figures
        self._set_boards(plan.boards[0])
        for number in range(plan.stages):
            self._fleet.add(f"{STAGE}{number}", self._stage_settings())
        for number in range(plan.own):
            self._fleet.add(f"{OWN}{number}", {"limits": {"renders": 0}}, plan.costs)
        names = [*self._fleet.members]
        figures["all_ready_s"] = round(self._fleet.wait_ready(names, READY_S_PER_DAEMON * len(names) + 30), 1)
        for name in plan.scenarios:
            if name == "broker":
                continue
            if name == "throughput":
                figures[name] = {f"boards_{count}": self._throughput(count) for count in plan.boards}
            else:
                self._set_boards(plan.boards[-1])
                figures[name] = {"idle": self._idle, "latency": self._latency, "faults": self._with_faults}[name]()
            print(f"{name}: done", file=sys.stderr)
        return figures

    def keep_logs(self) -> None:
        """Prints the logs of the daemons with warnings, for the search of a fault."""
        for member in self._fleet.members.values():
            if log := member.log:
                print(f"--- {member.name}\n{log[-3000:]}", file=sys.stderr)

    def _stage_settings(self) -> dict[str, Any]:
        boards = [f"{BOARD}{number}" for number in range(self._plan.boards[-1])]
        remote = {"boards": boards, "segment_s": self._plan.segment_s}
        return {"engine": {"kind": "remote", "remote": remote, "fallback": ["espeak"]}}

    def _set_boards(self, count: int) -> None:
        """Makes sure that so many boards run, and waits until they are ready."""
        names = [f"{BOARD}{number}" for number in range(count)]
        for name in names:
            if name not in self._fleet.members:
                self._fleet.add(name, {"limits": {"renders": 1000}}, self._plan.costs)
        self._fleet.wait_ready(names, 60)

    def _pids(self, prefix: str = "") -> list[int]:
        return [member.pid for member in self._fleet.named(prefix) if member.runs]

    def _idle(self) -> Figures:
        daemons = MachineLoad(self._pids())
        brokers = MachineLoad([node.pid for node in self._brokers.nodes])
        time.sleep(IDLE_S)
        count = len(self._pids())
        return {
            "daemons": count,
            "daemons_cpu_pct": round(100 * daemons.share(), 1),
            "daemon_cpu_pct": round(100 * daemons.share() / count, 2),
            "daemon_memory_mb": round(daemons.memory_mb() / count, 1),
            "brokers_cpu_pct": round(100 * brokers.share(), 1),
            "brokers_memory_mb": round(brokers.memory_mb(), 1),
        }

    def _throughput(self, boards: int) -> Figures:
        """Keeps the boards busy for a while. What is counted lies after the ramp."""
        self._set_boards(boards)
        waiting, stages = WAITING_PER_BOARD * boards, [f"{STAGE}{number}" for number in range(self._plan.stages)]
        sent: list[str] = []
        load, brokers = MachineLoad(self._pids()), MachineLoad([node.pid for node in self._brokers.nodes])
        counted_from_s = time.monotonic() + RAMP_S
        ends_s = counted_from_s + self._plan.seconds
        turn = 0
        while time.monotonic() < ends_s:
            while self._traffic.not_started() < waiting:
                sent.append(self._traffic.say(stages[turn % len(stages)]))
                turn += 1
            time.sleep(0.01)
        cpu = {"daemons_cpu_pct": round(100 * load.share(), 1), "brokers_cpu_pct": round(100 * brokers.share(), 1)}
        self._settle(sent)
        begun = sum(counted_from_s <= hum.began_s < ends_s for hum in self._hums())
        made = sum(counted_from_s <= note["at"] < ends_s for _, note in self._fleet.notes(BOARD) if "made" in note)
        ideal = boards / self._plan.costs.cost_s
        rate = begun / self._plan.seconds
        return {
            "lines_per_s": round(rate, 2),
            "made_per_s": round(made / self._plan.seconds, 2),
            "ideal_per_s": round(ideal, 2),
            "efficiency": round(rate / ideal, 3),
            "made_by_board": self._made_by_board(counted_from_s, ends_s),
            **cpu,
            **self._fates(sent),
        }

    def _latency(self) -> Figures:
        sent = self._steady(self._plan.seconds)
        own = [line_id for line_id in sent if self._traffic.sent[line_id].stage.startswith(OWN)]
        remote = [line_id for line_id in sent if line_id not in set(own)]
        return {
            **({"remote": self._fates(remote)} if remote else {}),
            **({"own_engine": self._fates(own)} if own else {}),
        }

    def _with_faults(self) -> Figures:
        """Kills each of up to four boards, restarts the broker, kills it, and kills a board together with it."""
        nodes, kills = self._brokers.nodes, list[BrokerKill]()
        victims = self._fleet.named(BOARD)[:4]
        steps: list[tuple[str, Callable[[], None]]] = []
        for victim in victims:
            steps += [(f"kill {victim.name}", victim.kill), (f"start {victim.name}", lambda v=victim: _start(v))]

        def restart(node: BrokerNode, kill: bool) -> None:
            if kill:
                saved_s = self._brokers.saved_s(node)
                node.kill()
                kills.append(BrokerKill(saved_s, time.monotonic()))
            else:
                node.stop()
            time.sleep(BROKER_DOWN_S)
            node.start()

        for number, node in enumerate(nodes):
            steps.append((f"restart broker {number}", lambda n=node: restart(n, kill=False)))
        for number, node in enumerate(nodes):
            steps.append((f"kill broker {number}", lambda n=node: restart(n, kill=True)))
        done: list[str] = []

        def act() -> None:
            for name, step in steps:
                time.sleep(self._plan.fault_every_s)
                step()
                done.append(name)

        thread = threading.Thread(target=act, name="faults")
        thread.start()
        sent = self._steady(None, until=lambda: not thread.is_alive())
        thread.join()
        return {"faults": len(done), "faults_done": done, **self._fates(sent, kills)}

    def _steady(self, seconds: float | None, until: Callable[[], bool] = lambda: False) -> list[str]:
        """Publishes lines at random moments to random stages at the planned load, and waits for their ends."""
        plan = self._plan
        remote_per_s = plan.load * plan.boards[-1] / plan.costs.cost_s if plan.stages else 0.0
        # As many lines for each stage with an engine of its own as for each other one.
        own_per_s = plan.own * (remote_per_s / plan.stages if plan.stages else plan.load / plan.costs.sound_s)
        stages = [member.name for member in self._fleet.named(STAGE)]
        own = [member.name for member in self._fleet.named(OWN)]
        share = own_per_s / (remote_per_s + own_per_s)
        sent: list[str] = []
        began_s = next_s = time.monotonic()
        while not until() and (seconds is None or time.monotonic() < began_s + seconds):
            time.sleep(max(0.0, min(0.1, next_s - time.monotonic())))
            while time.monotonic() >= next_s:
                among = own if self._chance.random() < share else stages
                # A line behind another one of its stage would measure the loudspeaker.
                silent = sorted(set(among) - self._traffic.speaking()) or among
                sent.append(self._traffic.say(self._chance.choice(silent)))
                next_s += self._chance.expovariate(remote_per_s + own_per_s)
        self._settle(sent)
        return sent

    def _settle(self, sent: Sequence[str]) -> None:
        """Waits until each line has its final event, as long as more of them come. The audit says which have none."""
        left, changed_s = len(sent) + 1, time.monotonic()
        while left and time.monotonic() < changed_s + WITHOUT_PROGRESS_S + self._plan.costs.sound_s:
            time.sleep(0.1)
            if (now_left := len(self._traffic.not_ended() & set(sent))) < left:
                left, changed_s = now_left, time.monotonic()

    def _hums(self) -> list[Hum]:
        return hums_of([*self._fleet.notes(STAGE), *self._fleet.notes(OWN)])

    def _fates(self, sent: Sequence[str], kills: Sequence[BrokerKill] = ()) -> Figures:
        lines = [self._traffic.sent[line_id] for line_id in sent]
        folders = {member.name: member.folder for member in (*self._fleet.named(STAGE), *self._fleet.named(OWN))}
        found = audit(lines, self._traffic, folders, self._hums(), sound_s=self._plan.costs.sound_s, kills=kills)
        self.faults.update(found.faults)
        return {**_first_sound(found), **_counts(found)}

    def _made_by_board(self, from_s: float, to_s: float) -> list[int]:
        made = Counter(
            name for name, note in self._fleet.notes(BOARD) if "made" in note and from_s <= note["at"] < to_s
        )
        return [made[member.name] for member in self._fleet.named(BOARD)]


def _start(member: Any) -> None:
    member.start()


def _first_sound(found: Audit) -> Figures:
    values = [*found.first_sound_s.values()]
    return {
        "first_sound_s": {
            f"p{share}": None if (value := percentile(values, share)) is None else round(value, 3)
            for share in (50, 95, 99, 100)
        }
    }


def _counts(found: Audit) -> Figures:
    wrong = ("lost", "lost_at_broker", "open", "untold", "told_twice", "silent", "cut", "doubled", "elsewhere")
    return {
        "published": found.published,
        "confirmed": found.confirmed,
        "outcomes": found.outcomes,
        "by_engine": found.by_engine,
        **{name: len(getattr(found, name)) for name in wrong},
    }
