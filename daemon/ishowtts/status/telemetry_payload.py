"""Gathers what telemetry needs from the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ishowtts.engines.build import Engines
from ishowtts.inbox import Inbox
from ishowtts.mqtt.link import MqttLink
from ishowtts.playback.player import Player
from ishowtts.status.telemetry import Telemetry


@dataclass(frozen=True)
class TelemetryPayload:
    """Makes the telemetry payload."""

    telemetry: Telemetry
    inbox: Inbox
    player: Player
    company: Engines
    link: MqttLink

    def compose(self) -> dict[str, Any]:
        """One snapshot, as the contract has it."""
        status, sound, stats = self.company.status(), self.player.status(), self.company.stats()
        engine = {
            "name": self.company.choice.kind,
            "state": status.state.value if status else ("absent" if self.company.choice.trouble else "ready"),
            "pid": status.pid if status else None,
            "restarts": status.restarts if status else 0,
            "last_death": status.last_death if status else None,
            "warm_s": status.warm_s if status else None,
            "unbucketed": stats.unbucketed,
        }
        audio = {
            "device": sound.device,
            "underruns": sound.underruns,
            "device_losses": sound.device_losses,
            "lateness_max_s": round(sound.lateness_max_s, 4),
        }
        mqtt = {"connected": self.link.connected, "reconnects": self.link.reconnects}
        return self.telemetry.snapshot(
            engine=engine,
            audio=audio,
            mqtt=mqtt,
            queue_depth=self.inbox.depth(),
            worker_pid=status.pid if status else None,
            gpu_mb=stats.gpu_mb,
        )
