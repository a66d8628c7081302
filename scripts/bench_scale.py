"""Measures many stages and several boards on one machine, with real daemons and real brokers.

`scripts/bench-scale` runs this. A stage has a loudspeaker and no engine (`engine.kind: remote`); boards render for it.
The engine of a board waits a given time for each line (--cost-s) and computes nothing, so one machine can hold many
boards. A speaker plays nothing, in real time, and notes each sound. Each line has a sound of its own, so that the notes
show which line was heard, where, when and how often. Everything else is the real daemon.

- `idle`: CPU time and memory of all daemons and of the broker, without lines.
- `throughput`: lines a second with each number of boards (--boards), at the limit: three lines wait for each board. The
  ideal is boards / cost; `efficiency` is the share of it.
- `latency`: time from PUBLISH to the first sound, at a part (--load) of the ideal with all boards. Some stages have an
  engine of the same cost of their own (--own); their lines are measured side by side.
- `faults`: the same load, while boards are killed and started again, and the broker is restarted and then killed.

With --brokers N the daemons are spread over N brokers: mosquitto with bridges, or with --rabbitmq a cluster of
RabbitMQ. That needs root, and a folder with Debian 13:

    sudo debootstrap --variant=minbase --include=rabbitmq-server trixie /tmp/rabbitmq http://deb.debian.org/debian

Prints a table, then one line of JSON. The exit status is 1 if a line was lost, doubled, cut or heard elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_ingest import Figures, flatten

from ishowtts.status.speech_figures import percentile
from support import daemon_server
from support.broker_sets import BrokerNode, BrokerSet, MosquittoBrokers
from support.rabbitmq_cluster import RabbitMqCluster
from support.scale_fleet import Costs, Fleet, MachineLoad
from support.scale_lines import Audit, Hum, LineTraffic, audit, hums_of
from support.service_process import ServiceProcess

SCENARIOS = ("idle", "throughput", "latency", "faults")
STAGE, BOARD, OWN = "stage-", "board-", "own-"
WAITING_PER_BOARD = 3
RAMP_S = 5.0
IDLE_S = 20.0
BROKER_DOWN_S = 2.0
READY_S_PER_DAEMON = 3.0
MIXED_OUTCOMES_S = 60.0


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


def main() -> int:
    """Returns the exit status: 1 if any line had a wrong fate."""
    arguments = _arguments()
    plan = Plan(
        arguments.stages,
        tuple(sorted(set(arguments.boards))),
        arguments.own,
        Costs(arguments.cost_s, arguments.sound_s),
        arguments.seconds,
        arguments.load,
        tuple(name for name in SCENARIOS if name in arguments.only),
        arguments.segment_s,
        arguments.fault_every_s,
        arguments.seed,
    )
    ServiceProcess.server = staticmethod(daemon_server.shared)
    with tempfile.TemporaryDirectory(prefix="ishowtts-scale-", dir=arguments.dir) as name, ExitStack() as stack:
        folder = Path(name)
        brokers: BrokerSet
        if arguments.rabbitmq is not None:
            brokers = stack.enter_context(RabbitMqCluster(arguments.rabbitmq, arguments.brokers))
        else:
            brokers = stack.enter_context(MosquittoBrokers(folder, arguments.brokers))
        bench = Bench(folder, plan, brokers, stack)
        figures: Figures = {
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 2),
            "brokers": brokers.name,
            "stages": plan.stages,
            "cost_s": plan.costs.cost_s,
            "sound_s": plan.costs.sound_s,
            **bench.run(),
        }
        if bench.faults:
            bench.keep_logs()
    for key, value in flatten(figures):
        print(f"{key:52} {value}")
    print(json.dumps(figures))
    return 1 if bench.faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench-scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", type=int, default=100, help="number of stages (default 100)")
    parser.add_argument("--boards", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of boards (1 2 4 8)")
    parser.add_argument("--own", type=int, default=5, help="number of stages with an engine of their own (5)")
    parser.add_argument("--cost-s", type=float, default=1.0, help="seconds that an engine takes for a line (1)")
    parser.add_argument("--sound-s", type=float, default=3.0, help="seconds that a line sounds (3)")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of each measurement (30)")
    parser.add_argument("--load", type=float, default=0.5, help="part of the ideal in `latency` and `faults` (0.5)")
    parser.add_argument("--segment-s", type=float, default=8.0, help="engine.remote.segment_s of the stages (8)")
    parser.add_argument("--fault-every-s", type=float, default=10.0, help="seconds between two faults (10)")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=[*SCENARIOS], help="scenarios to run")
    parser.add_argument("--brokers", type=int, default=1, help="number of brokers (1)")
    parser.add_argument("--rabbitmq", type=Path, help="folder with a Debian 13 that has rabbitmq-server")
    parser.add_argument("--seed", type=int, default=20, help="seed for the times and stages of lines")
    parser.add_argument("--dir", type=Path, help="folder for the queues of the daemons; default: a temporary folder")
    return parser.parse_args()


class Bench:
    """The fleet, its brokers and its lines. The scenarios use the same daemons, one after the other."""

    def __init__(self, folder: Path, plan: Plan, brokers: BrokerSet, stack: ExitStack) -> None:
        self._plan = plan
        self._brokers = brokers
        self._folder = folder
        self._chance = random.Random(plan.seed)  # noqa: S311
        self._traffic = stack.enter_context(LineTraffic(brokers.nodes[0]))
        self._fleet = Fleet(folder, brokers.nodes, self._traffic.ready)
        stack.callback(self._fleet.close)
        self.faults: Counter[str] = Counter()

    def run(self) -> Figures:
        """Runs the scenarios and returns their figures."""
        plan, figures = self._plan, Figures()
        self._set_boards(plan.boards[0])
        for number in range(plan.stages):
            self._fleet.add(f"{STAGE}{number}", self._stage_settings())
        for number in range(plan.own):
            self._fleet.add(f"{OWN}{number}", {}, plan.costs)
        names = [*self._fleet.members]
        figures["all_ready_s"] = round(self._fleet.wait_ready(names, READY_S_PER_DAEMON * len(names) + 30), 1)
        for name in plan.scenarios:
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
        remote = {"boards": "+", "segment_s": self._plan.segment_s}
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
        nodes, killed_s = self._brokers.nodes, list[float]()
        victims = self._fleet.named(BOARD)[:4]
        steps: list[tuple[str, Callable[[], None]]] = []
        for victim in victims:
            steps += [(f"kill {victim.name}", victim.kill), (f"start {victim.name}", lambda v=victim: _start(v))]

        def restart(node: BrokerNode, kill: bool) -> None:
            if kill:
                node.kill()
                killed_s.append(time.monotonic())
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
        return {"faults": len(done), "faults_done": done, **self._fates(sent, killed_s)}

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
        """Waits until each line has its final event; the audit says which ones have none."""
        ends_s = time.monotonic() + MIXED_OUTCOMES_S + self._plan.costs.sound_s
        while time.monotonic() < ends_s and self._traffic.not_ended() & set(sent):
            time.sleep(0.1)

    def _hums(self) -> list[Hum]:
        return hums_of([*self._fleet.notes(STAGE), *self._fleet.notes(OWN)])

    def _fates(self, sent: Sequence[str], killed_s: Sequence[float] = ()) -> Figures:
        lines = [self._traffic.sent[line_id] for line_id in sent]
        folders = {member.name: member.folder for member in (*self._fleet.named(STAGE), *self._fleet.named(OWN))}
        found = audit(lines, self._traffic, folders, self._hums(), sound_s=self._plan.costs.sound_s, killed_s=killed_s)
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


if __name__ == "__main__":
    sys.exit(main())
