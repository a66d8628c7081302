"""Measures many stages and several boards on one machine, with real daemons and real brokers.

`scripts/bench-scale` runs this. A stage has a loudspeaker and no engine (`engine.kind: remote`); boards render for it.
The engine of a board waits a given time for each line (--cost-s) and computes nothing, so one machine can hold many
boards. A speaker plays nothing, in real time, and notes each sound. Each line has a sound of its own, so that the notes
show which line was heard, where, when and how often. Everything else is the real daemon.

- `broker`: parts of sound (32 kB, QoS 1) that clients send through the broker, or from one of several to the next.
- `idle`: CPU time and memory of all daemons and of the broker, without lines.
- `throughput`: lines a second with each number of boards (--boards), at the limit: four lines wait for each board. The
  ideal is boards / cost; `efficiency` is the share of it.
- `latency`: time from PUBLISH to the first sound, at a part (--load) of the ideal with all boards. Some stages have an
  engine of the same cost of their own (--own); their lines are measured side by side.
- `faults`: the same load, while boards are killed and started again, and the broker is restarted and then killed.

With --brokers N the daemons are spread over N brokers: mosquitto with bridges, or with --rabbitmq a cluster of
RabbitMQ behind a load balancer. That needs root, and a folder with Debian 13:

    sudo debootstrap --variant=minbase --include=rabbitmq-server trixie /tmp/rabbitmq http://deb.debian.org/debian

Prints a table, then one line of JSON. The exit status is 1 if a line was lost, doubled, cut or heard elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench_ingest import Figures, flatten

from support import daemon_server
from support.broker_sets import Address, BrokerSet, MosquittoBrokers
from support.rabbitmq_cluster import RabbitMqCluster
from support.scale_fleet import Costs
from support.scale_scenarios import SCENARIOS, Bench, Plan
from support.service_process import ServiceProcess
from support.tcp_balancer import TcpBalancer


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the daemons too
    try:
        return _measure(arguments, plan)
    except RuntimeError as error:
        print(f"bench-scale: {error}", file=sys.stderr)
        return 2


def _measure(arguments: argparse.Namespace, plan: Plan) -> int:
    ServiceProcess.server = staticmethod(daemon_server.shared)
    if arguments.dir is not None:
        arguments.dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ishowtts-scale-", dir=arguments.dir) as name, ExitStack() as stack:
        folder = Path(name)
        brokers: BrokerSet
        if arguments.rabbitmq is not None:
            brokers = stack.enter_context(RabbitMqCluster(arguments.rabbitmq, arguments.brokers))
        else:
            brokers = stack.enter_context(MosquittoBrokers(folder, arguments.brokers))
        entrances: Sequence[Address] = brokers.nodes
        if brokers.shares_sessions:
            entrances = [stack.enter_context(TcpBalancer([node.port for node in brokers.nodes]))]
        bench = Bench(folder, plan, brokers, entrances, stack)
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


if __name__ == "__main__":
    sys.exit(main())
