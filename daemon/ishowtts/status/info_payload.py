"""Who the appliance is: the retained `info` payload."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from ishowtts import __version__
from ishowtts.board import BoardIdentity
from ishowtts.config import Config
from ishowtts.engines.build import EngineChoice


def compose(
    config: Config,
    *,
    instance: str,
    identity: BoardIdentity,
    lead: EngineChoice,
    voices: Sequence[str],
) -> dict[str, Any]:
    """What does not change from one line to the next."""
    return {
        "version": __version__,
        "instance": instance,
        "host": socket.gethostname(),
        "board": identity.model,
        "jetpack": identity.jetpack,
        "engine": lead.kind,
        "engine_why": lead.why,
        "telemetry_s": config.telemetry.interval_s,
        "weights_licence": lead.weights.licence if lead.weights else None,
        "voices": voices,
        "limits": {"max_chars": config.limits.max_chars, "max_lines": config.queue.max_lines},
    }
