"""A real Prometheus scrapes a real gateway of a real daemon; the dashboard for Grafana finds data there."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.prometheus import Prometheus
from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "config/prometheus/ishowtts.rules.yml"
DASHBOARD = json.loads((ROOT / "config/grafana/dashboards/ishowtts.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TOKEN = "a-token-of-thirty-two-characters"
FINISHED = 'ishowtts_lines_total{device="test", outcome="finished"}'
SOUND_S = "ishowtts_speech_seconds_total"


@dataclass(frozen=True)
class Scene:
    """A broker, a daemon, a gateway and a Prometheus that has scraped lines that were spoken."""

    broker: Broker
    appliance: Appliance
    gateway: GatewayProcess
    prometheus: Prometheus

    def say(self, text: str) -> None:
        """Publish a line, and wait until it was spoken."""
        with Client(self.broker.host, self.broker.port) as client:
            client.subscribe(f"{self.appliance.root}/event")
            client.publish(f"{self.appliance.root}/say", text)
            client.wait_for(where=lambda message: message.json["event"] == "finished")

    def value(self, expression: str) -> float | None:
        """The one value of an expression; `None` if it has none."""
        found = self.prometheus.query(expression)
        return found[0]["value"] if len(found) == 1 else None

    def known(self, expression: str) -> float:
        """The one value of an expression, once it has one: after a late scrape it has none for a moment."""
        found: list[float | None] = [None]

        def is_known() -> bool:
            found[0] = self.value(expression)
            return found[0] is not None

        eventually(is_known, expression)
        assert found[0] is not None
        return found[0]

    def reaches(self, expression: str, value: float) -> None:
        """Wait until an expression has a value."""
        eventually(lambda: self.value(expression) == value, f"{expression} = {value}, not {self.value(expression)},")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    for name in ("broker", "daemon", "gateway", "prometheus"):
        (folder / name).mkdir()
    appliance = {"board": {"source": "simulated"}}
    http = {"token_file": str(folder / "token")}
    with (
        Broker(folder / "broker") as broker,
        Appliance(folder / "daemon", broker, appliance, quick_s=0.2) as board,
        GatewayProcess(folder / "gateway", (broker.host, broker.port), {"http": http}) as gateway,
        Prometheus(
            folder / "prometheus",
            f"127.0.0.1:{gateway.port}",
            RULES,
            authorization={"credentials_file": str(folder / "token")},
        ) as prometheus,
    ):
        made = Scene(broker, board, gateway, prometheus)
        made.reaches("ishowtts_up", 1)
        made.reaches(FINISHED, 0)
        made.known(SOUND_S)
        for _ in range(2):
            made.say("One two three.")
        made.reaches(FINISHED, 2)
        eventually(lambda: (made.value(SOUND_S) or 0) > 0, "the sound of both lines")
        yield made


def shows(scene: Scene, query: str) -> bool:
    """Whether a query has a value that a panel can show."""
    return any(math.isfinite(each["value"]) for each in scene.prometheus.query(query))


def written(expression: str) -> str:
    """A query of the dashboard, with its variables replaced as Grafana replaces them."""
    for name, value in {"gateway": ".*", "device": ".*", "__rate_interval": "1m"}.items():
        expression = re.sub(rf"\${name}\b", value, expression)
    assert "$" not in expression, expression
    return expression


def test_every_query_of_the_dashboard_returns_data(scene: Scene) -> None:
    queries = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
    assert len(queries) > 40
    # The daemon of the test has no worker: an appliance that has one tells its memory.
    with Client(scene.broker.host, scene.broker.port) as client:
        client.publish("ishowtts/with-worker/availability", "online", retain=True)
        memory = {"worker_mb": 2000, "gpu_mb": 900, "gpu_graphs_mb": 90}
        client.publish("ishowtts/with-worker/telemetry", {"uptime_s": 5, "memory": memory})
    scene.reaches("ishowtts_gpu_memory_bytes", 9e8)
    for title, expression in queries:
        eventually(partial(shows, scene, written(expression)), f"{title}: {expression}")
    with Client(scene.broker.host, scene.broker.port) as client:
        for topic in ("availability", "telemetry"):
            client.publish(f"ishowtts/with-worker/{topic}", None, retain=True)
    scene.reaches("count(ishowtts_up)", 1)


def test_its_variables_find_their_values(scene: Scene) -> None:
    found = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            scene.known(written(metric))
            series = scene.prometheus.query(written(metric))
            found[variable["name"]] = [each["metric"][label] for each in series]
    assert found == {"gateway": [f"127.0.0.1:{scene.gateway.port}"], "device": ["test"]}


def test_every_rule_is_evaluated_and_its_metrics_exist(scene: Scene) -> None:
    groups = scene.prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    names = set(re.findall(r"\bishowtts_\w+", " ".join(rule["query"] for rule in rules)))
    known = set(scene.prometheus.get("label/__name__/values"))
    assert names - known == set()


def test_the_values_are_those_of_the_appliance(scene: Scene) -> None:
    assert scene.known("ishowtts_lines_accepted_total") == 2
    assert scene.known("ishowtts_queue_time_seconds_count") == 2
    assert scene.known("sum(ishowtts_time_to_first_sound_seconds_count)") == 2
    scene.reaches(f"round({SOUND_S}, 0.1)", 0.4)
    assert 20 < scene.known('ishowtts_temperature_celsius{sensor="gpu"}') < 100
    assert 1e8 < scene.known("ishowtts_gpu_clock_hertz") < 3e9
    assert scene.known("count(ishowtts_alert_active)") == 9


def test_a_restart_of_daemon_or_gateway_makes_no_counter_jump(scene: Scene) -> None:
    before, sound_s = scene.known(FINISHED), scene.known(SOUND_S)
    scene.appliance.stop()
    scene.reaches("ishowtts_up", 0)
    assert scene.value("ishowtts_power_watts") is None, "an appliance that is away has no readings"
    scene.appliance.start()
    scene.reaches("ishowtts_up", 1)
    scene.known("ishowtts_power_watts")
    assert (scene.known(FINISHED), scene.known(SOUND_S)) == (before, sound_s)
    scene.say("Four five six.")
    scene.reaches(FINISHED, before + 1)
    eventually(lambda: scene.known(SOUND_S) > sound_s, "its sound")
    increases = f"increase({FINISHED}[10m])", f"increase({SOUND_S}[10m])"
    risen = [scene.known(each) for each in increases]
    scene.gateway.stop(signal.SIGKILL)
    scene.gateway.start()
    scene.reaches(FINISHED, 0)
    scene.known(SOUND_S)
    assert [scene.known(each) for each in increases] == [pytest.approx(each, rel=0.2) for each in risen]
