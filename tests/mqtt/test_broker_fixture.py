from __future__ import annotations

from support.broker import Broker
from support.client import Client


def test_what_is_published_arrives(mqtt_client: Client) -> None:
    mqtt_client.subscribe("a/#").publish("a/b", {"x": 1}, CorrelationData=b"7")
    message = mqtt_client.wait_for("a/b")
    assert (message.json, message.correlation, message.retain) == ({"x": 1}, b"7", False)


def test_a_killed_broker_comes_back_on_its_port_with_what_it_saved(broker: Broker) -> None:
    port = broker.port
    with Client(broker.host, broker.port) as client:
        client.publish("a/b", "kept", retain=True)
    broker.save()
    broker.kill()
    broker.start()
    assert broker.port == port
    with Client(broker.host, broker.port) as client:
        assert client.subscribe("a/b").wait_for("a/b").retain
