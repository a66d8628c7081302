"""Starts a real Home Assistant (`scripts/setup home-assistant`) for a test, and uses it over its own interfaces.

It is the program `hass` in a process of its own, with a configuration folder that survives its restarts. The first user
and the MQTT integration are set up as its web page does it.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from support.broker import Broker
from support.waiting import eventually
from support.websocket import WebSocket

PYTHON = Path(__file__).resolve().parents[2] / ".venv-home-assistant/bin/python"
_START_S = 60.0
_HTTP_S = 20.0
# These say something about this set-up or about a broker that a test has killed, up to 10 s later.
_EXPECTED = ("Skipping pip installation", "zlib_ng and isal are not available", "No ACK from MQTT server")

_CONFIGURATION = """\
homeassistant:
  name: Home
  time_zone: UTC
  latitude: 52.0
  longitude: 5.0
  elevation: 0
  unit_system: metric
  currency: EUR
  country: NL
  language: en
http:
  server_host: 127.0.0.1
  server_port: {port}
recorder:
history:
logbook:
"""
# What is left is the first user. The other steps would look for things in the network.
_ONBOARDING = {
    "version": 4,
    "minor_version": 1,
    "key": "onboarding",
    "data": {"done": ["core_config", "analytics", "integration"]},
}


def missing() -> str | None:
    """Why there is none to test with; `None` if there is one."""
    if PYTHON.exists():
        return None
    return "Home Assistant is not installed; `scripts/setup home-assistant` does it, and needs Python 3.13"


class HomeAssistant:
    """`with HomeAssistant(folder) as home: home.add_mqtt(broker); …`.

    Args:
        configuration: Further lines of its configuration.yaml.

    Attributes:
        url: Of its web page.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, configuration: str = "") -> None:
        # Below the range of ports that the kernel gives to clients: nobody takes it during a restart.
        self.port = random.randint(15_000, 32_000)
        self.url = f"http://{self.host}:{self.port}"
        self.tokens: dict[str, Any] = {}
        self._folder, self._configuration = folder, configuration
        self._log = folder / "hass.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def problems(self, after: int = 0, expected: Iterable[str] = ()) -> list[str]:
        """Its warnings and errors after so much of the log, except those that contain an expected text."""
        lines = re.findall(r"^\d{4}-\S+ \S+ (?:WARNING|ERROR|CRITICAL) .*$", self.log[after:], re.MULTILINE)
        return [line for line in lines if not any(text in line for text in (*_EXPECTED, *expected))]

    def start(self) -> HomeAssistant:
        """Starts it, after a stop with all that it knew. Returns when it runs."""
        if not (self._folder / "configuration.yaml").exists():
            (self._folder / ".storage").mkdir(parents=True)
            (self._folder / ".storage/onboarding").write_text(json.dumps(_ONBOARDING), encoding="utf-8")
            text = _CONFIGURATION.format(port=self.port) + self._configuration
            (self._folder / "configuration.yaml").write_text(text, encoding="utf-8")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "homeassistant", "--config", self._folder, "--skip-pip", "--log-no-color"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, "Home Assistant", _START_S)
        if not self.tokens:
            self._add_user()
        else:
            self._take_token(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])
        eventually(lambda: self.get("config")["state"] == "RUNNING", "the start of Home Assistant", _START_S)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it; SIGKILL ends it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    def __enter__(self) -> HomeAssistant:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add_mqtt(self, broker: Broker, **login: str) -> None:
        """Adds the MQTT integration, as its dialogue does it; `login` is `username` and `password`."""
        flow = self.post("config/config_entries/flow", {"handler": "mqtt"})
        address = {"broker": broker.host, "port": broker.port}
        done = self.post(f"config/config_entries/flow/{flow['flow_id']}", {**address, **login})
        assert done["type"] == "create_entry", done
        eventually(lambda: self.entry("mqtt")["state"] == "loaded", "the MQTT integration")

    def add_wyoming(self, host: str, port: int) -> None:
        """Adds a Wyoming server, as its dialogue does it."""
        flow = self.post("config/config_entries/flow", {"handler": "wyoming"})
        done = self.post(f"config/config_entries/flow/{flow['flow_id']}", {"host": host, "port": port})
        assert done["type"] == "create_entry", done
        eventually(lambda: self.entry("wyoming")["state"] == "loaded", "the Wyoming integration")

    def speech(self, text: str, **fields: Any) -> bytes:
        """The sound of a text from its entity `tts.ishowtts`, as WAV. Empty if it has none."""
        request = {"engine_id": "tts.ishowtts", "message": text, "language": "en", "cache": False, **fields}
        request["options"] = {"preferred_format": "wav", **request.get("options", {})}
        try:
            return self.download(self.post("tts_get_url", request)["path"])
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return b""

    def run_assist(self, text: str) -> list[dict[str, Any]]:
        """Gives a text to the pipeline of Assist, and returns its events up to the spoken answer."""
        events: list[dict[str, Any]] = []
        stages = {"start_stage": "intent", "end_stage": "tts"}
        with self._authenticated() as connection:
            connection.send(json.dumps({"id": 1, "type": "assist_pipeline/run", **stages, "input": {"text": text}}))
            assert json.loads(connection.receive())["success"]
            while not events or events[-1]["type"] not in ("run-end", "error"):
                events.append(json.loads(connection.receive())["event"])
        return events

    def download(self, path: str) -> bytes:
        """What is at a path of its web page."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            found: bytes = answer.read()
        return found

    def entry(self, domain: str) -> dict[str, Any]:
        """The one entry of an integration."""
        (entry,) = [entry for entry in self.get("config/config_entries/entry") if entry["domain"] == domain]
        return entry

    def states(self) -> dict[str, dict[str, Any]]:
        """All states, by the id of their entity."""
        return {state["entity_id"]: state for state in self.get("states")}

    def state(self, entity_id: str) -> dict[str, Any]:
        """The state of one entity."""
        state: dict[str, Any] = self.get(f"states/{entity_id}")
        return state

    def watch(self, entity_id: str) -> Changes:
        """The changes of one entity from now on, none left out: `with home.watch(…) as changes: …`."""
        return Changes(self._authenticated(), entity_id)

    def call(self, action: str, entity_id: str, **data: Any) -> None:
        """Carries out an action, such as `number.set_value`, and waits until it is done."""
        self.post(f"services/{action.replace('.', '/')}", {"entity_id": entity_id, **data})

    def devices(self) -> list[dict[str, Any]]:
        """The registry of devices, without those of Home Assistant itself."""
        entry_id = self.entry("mqtt")["entry_id"]
        return [device for device in self.ask("config/device_registry/list") if entry_id in device["config_entries"]]

    def entities(self) -> dict[str, dict[str, Any]]:
        """The registry of the entities that come over MQTT, by their id."""
        entities = self.ask("config/entity_registry/list")
        return {entity["entity_id"]: entity for entity in entities if entity["platform"] == "mqtt"}

    def ask(self, what: str, **fields: Any) -> Any:
        """One request over its WebSocket interface."""
        with self._authenticated() as connection:
            connection.send(json.dumps({"id": 1, "type": what, **fields}))
            answer = json.loads(connection.receive())
        assert answer["success"], answer
        return answer["result"]

    def get(self, path: str) -> Any:
        """What its REST interface answers."""
        return self._request(f"/api/{path}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What its REST interface answers to this."""
        return self._request(f"/api/{path}", json.dumps(body).encode())

    def _authenticated(self) -> WebSocket:
        connection = WebSocket(self.host, self.port, "/api/websocket", _HTTP_S)
        connection.receive()
        connection.send(json.dumps({"type": "auth", "access_token": self.tokens["access_token"]}))
        assert json.loads(connection.receive())["type"] == "auth_ok"
        return connection

    def _request(self, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind}
        if self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_HTTP_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path}: {error} {error.read()[:500]!r}; sent: {body!r}") from None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Home Assistant ended:\n{self.log}"
        try:
            with urllib.request.urlopen(f"{self.url}/api/onboarding", timeout=_HTTP_S):
                return True
        except OSError as error:
            # After the first user has been set up, this page is gone.
            if isinstance(error, urllib.error.HTTPError):
                error.close()
                return True
            time.sleep(0.2)
            return False

    def _add_user(self) -> None:
        user = {"name": "Owner", "username": "owner", "password": "its-password", "language": "en"}
        answer = self.post("onboarding/users", {**user, "client_id": f"{self.url}/"})
        self._take_token(grant_type="authorization_code", code=answer["auth_code"])

    def _take_token(self, **fields: str) -> None:
        form = urllib.parse.urlencode({**fields, "client_id": f"{self.url}/"}).encode()
        tokens, self.tokens = self.tokens, {}
        self.tokens = {**tokens, **self._request("/auth/token", form, "application/x-www-form-urlencoded")}


class Changes:
    """What became of one entity since the start of this."""

    def __init__(self, connection: WebSocket, entity_id: str) -> None:
        self._connection, self._entity_id = connection, entity_id
        self._states: list[dict[str, Any]] = []
        trigger = {"platform": "state", "entity_id": entity_id}
        connection.send(json.dumps({"id": 1, "type": "subscribe_trigger", "trigger": trigger}))
        assert json.loads(connection.receive())["success"]

    def __enter__(self) -> Changes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.__exit__(kind, error, trace)

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Its new states up to the first one that is so."""
        while not self._states or not holds(self._states[-1]):
            message = json.loads(self._connection.receive())
            self._states.append(message["event"]["variables"]["trigger"]["to_state"])
        return self._states
