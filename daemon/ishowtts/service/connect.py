"""From the configuration to what the MQTT side needs."""

from __future__ import annotations

import os
from pathlib import Path

from ishowtts.config import Config
from ishowtts.engines.voices import VoiceShelf
from ishowtts.mqtt.link import MqttOptions
from ishowtts.mqtt.payload import LineLimits


def options(config: Config, root: str) -> MqttOptions:
    """How to reach the broker.

    Raises:
        ConfigError: the password file cannot be read.
    """
    mqtt = config.mqtt
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return MqttOptions(
        host=mqtt.host,
        port=mqtt.port,
        root=root,
        prefix=mqtt.prefix,
        protocol=5 if mqtt.protocol == 5 else 4,
        username=mqtt.username,
        password=config.mqtt_password(Path(credentials) if credentials else None),
        tls=mqtt.tls.enabled,
        ca=mqtt.tls.ca,
        cert=mqtt.tls.cert,
        key=mqtt.tls.key,
        keepalive_s=mqtt.keepalive_s,
        session_expiry_s=int(config.queue.max_age_s),
    )


def line_limits(config: Config, voices: VoiceShelf) -> LineLimits:
    """What one line may be."""
    return LineLimits(
        max_chars=config.limits.max_chars, voices=voices.names, reply_prefix=f"{config.mqtt.prefix}/reply/"
    )
