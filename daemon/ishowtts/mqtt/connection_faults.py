"""The sentences that say why a connection to the broker cannot be made, or has ended."""

from __future__ import annotations

import ssl

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from ishowtts.mqtt import tls
from ishowtts.mqtt.mqtt_options import MqttOptions


def unusable_tls_files(error: ValueError) -> str:
    """Why no client can be made."""
    return f"the files of mqtt.tls cannot be used ({error}); fix their paths or permissions"


def unreachable(options: MqttOptions, error: OSError | ValueError) -> str:
    """Why a connection that is tried again and again cannot be made."""
    if options.tls and isinstance(error, (ssl.SSLError, ConnectionResetError)):
        return tls.untrusted_broker(error, options.broker)
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return f"{options.broker} cannot be reached ({reason}); it is tried again until it answers"


def lost(
    options: MqttOptions,
    code: MQTTErrorCode,
    *,
    reason: str | None,
    fault: str | None,
    answered: bool,
    tls_refusal: ssl.SSLError | None,
) -> str:
    """Why a connection has ended that nobody closed.

    Args:
        code: What the network loop returned.
        reason: What the broker said.
        fault: Why a packet of the broker cannot be parsed.
        answered: Whether the broker has answered our CONNECT.
        tls_refusal: Its TLS alert.
    """
    if options.tls and not answered:
        return tls.refused_by_broker(tls_refusal, options.broker)
    if reason is not None:
        return reason
    if fault is not None:
        return f"{options.broker} sent a malformed packet ({fault}); look at its log and version"
    return f"the connection to {options.broker} is lost ({paho.error_string(code)})"
