"""Asks a gateway that is killed again and again, and notes what it answers while it runs."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

from support.endurance.fault_injection import Lives


class GatewayClients:
    """A thread that asks the gateway for its appliances and now and then for speech, as pages and assistants do."""

    def __init__(self, url: str, lives: Lives) -> None:
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._url, self._lives = url, lives
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway clients")

    def __enter__(self) -> GatewayClients:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(0.3):
            number += 1
            speech = {"model": "tts-1", "input": "kettle", "response_format": "wav"} if number % 10 == 0 else None
            self._ask("/v1/audio/speech" if speech else "/api/devices", speech)

    def _ask(self, path: str, body: dict[str, Any] | None) -> None:
        began_s = time.monotonic()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
                status = str(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            status = str(error.code)
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
        if self._lives.is_up_since(began_s):
            self.answers[f"{path} {status}"] += 1
            # 502 to 504: there is no appliance that can render now. If a daemon is killed in mid-render, the sound is
            # cut off after the 200: only the missing last chunk can say so.
            if status not in ("200", "502", "503", "504") and (body is None or status != "IncompleteRead"):
                self.faults.append(f"{path}: {status}")
