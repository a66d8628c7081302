"""Sends recordings for voices over MQTT, as docs/mqtt.md describes it."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Any

from support.client import Client

WORDS = "The kettle is on, and the tea will be ready in a minute or two."
PART_BYTES = 32_768


def speech(folder: Path) -> bytes:
    """4 s of speech that says WORDS, as a WAV file."""
    path = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-w", str(path), WORDS], check=True)
    return path.read_bytes()


def parts_of(recording: bytes, upload: str, **about: Any) -> list[dict[str, Any]]:
    """The messages of an upload. A field of `about` that is None is left out of part 0."""
    pieces = [recording[i : i + PART_BYTES] for i in range(0, len(recording), PART_BYTES)]
    parts = [
        {"upload": upload, "part": i, "parts": len(pieces), "data": base64.b64encode(piece).decode()}
        for i, piece in enumerate(pieces)
    ]
    first = {"text": WORDS, "consent": True, **about}
    parts[0] |= {field: value for field, value in first.items() if value is not None}
    return parts


def wait_for_voices(client: Client, root: str) -> None:
    """Until the connection of the appliance for voices is subscribed. `client` reads all of root since its start."""
    client.wait_for(f"{root}/probe/voices", timeout_s=60)


class VoiceSender:
    """Sends voices to one appliance and waits for the answers."""

    def __init__(self, client: Client, root: str) -> None:
        self.client = client
        self.root = root

    def send(self, name: str, message: dict[str, Any] | bytes) -> None:
        """Publish one message for a voice."""
        self.client.publish(f"{self.root}/voice/{name}/set", message)

    def answer(self, transaction: str, count: int = 1) -> dict[str, Any]:
        """The answer to an upload or a removal."""
        found = self.client.wait_for(
            f"{self.root}/event", lambda message: message.json.get("transaction") == transaction, count=count
        )
        answer: dict[str, Any] = found.json
        return answer

    def add(self, name: str, recording: bytes, **about: Any) -> dict[str, Any]:
        """Send a whole recording; return the answer."""
        upload = uuid.uuid4().hex[:8]
        for part in parts_of(recording, upload, **about):
            self.send(name, part)
        return self.answer(upload)

    def remove(self, name: str) -> dict[str, Any]:
        """Remove a voice; return the answer."""
        transaction = uuid.uuid4().hex[:8]
        self.send(name, {"remove": True, "transaction": transaction})
        return self.answer(transaction)
