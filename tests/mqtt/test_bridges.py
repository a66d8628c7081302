"""config/mosquitto/ishowtts-bridge.conf joins two brokers."""

from __future__ import annotations

from pathlib import Path

from support.broker_sets import MosquittoBrokers
from support.client import Client, Message
from support.waiting import eventually


def test_the_shipped_bridges_pass_on_lines_renders_and_what_appliances_publish(tmp_path: Path) -> None:
    with MosquittoBrokers(tmp_path, 2) as brokers:
        first, second = brokers.nodes
        with Client(first.host, first.port) as here, Client(second.host, second.port) as there:
            here.subscribe("ishowtts/#")

            def arrived(topic: str, **properties: bytes) -> Message:
                """Publishes at the second broker until the bridge is up, and returns what comes at the first."""

                def came() -> bool:
                    there.publish(topic, "text", retain=topic.endswith("/info"), **properties)
                    return bool(here.on(topic))

                eventually(came, topic)
                return here.on(topic)[0]

            assert arrived("ishowtts/hall/say").text == "text"
            assert arrived("ishowtts/kitchen/render", CorrelationData=b"one").correlation == b"one"
            arrived("ishowtts/kitchen/info")
            with Client(first.host, first.port) as late:
                assert late.subscribe("ishowtts/+/info").wait_for("ishowtts/kitchen/info").retain
