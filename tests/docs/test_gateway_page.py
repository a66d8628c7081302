"""docs/gateway.md and the metrics in docs/telemetry.md: what they name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import yaml
from prometheus_client.core import Metric

from ishowtts.cli.main import parser
from ishowtts.config import Config
from ishowtts_gateway.appliances.appliance_directory import MAX_DEVICES, ApplianceDirectory
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.http.api_routes import ApiRoutes
from ishowtts_gateway.metrics.prometheus_metrics import Metrics
from ishowtts_gateway.openai.speech_routes import SpeechRoutes
from ishowtts_gateway.renders.render_client import _UNREAD_BYTES, RenderClient

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/gateway.md").read_text(encoding="utf-8")
TELEMETRY = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8").split("## Prometheus and Grafana")[1]
SECURITY = (ROOT / "daemon/ishowtts_gateway/http/http_security.py").read_text(encoding="utf-8")
SPEECH_REQUEST = (ROOT / "daemon/ishowtts_gateway/openai/speech_request.py").read_text(encoding="utf-8")
HTTP_APP = (ROOT / "daemon/ishowtts_gateway/http_app.py").read_text(encoding="utf-8")


def first_cells(page: str, heading: str) -> list[str]:
    """The words in code style of the first columns of the tables with a heading."""
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, flags=re.M)
    assert tables, heading
    return [
        word for table in tables for row in table.splitlines() for word in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]


def exported(family: Metric) -> str:
    """The name of a family, as Prometheus shows it."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def test_each_metric_has_its_row_and_each_row_its_metric() -> None:
    families = list(Metrics(ApplianceDirectory("ishowtts", [])).collect())
    rows = first_cells(TELEMETRY, "metric") + first_cells(TELEMETRY, "counter or histogram")
    assert sorted(rows) == sorted(map(exported, families))


def test_the_label_of_a_row_is_that_of_the_metric() -> None:
    labels = {
        exported(family): getattr(family, "_labelnames", ())
        for family in Metrics(ApplianceDirectory("x", [])).collect()
    }
    for line in re.findall(r"^\| `ishowtts_.*", TELEMETRY, flags=re.M):
        names, told = line.split("|")[1:3]
        for name in re.findall(r"`(\w+)`", names):
            named = set(re.findall(r"`(\w+)`", told.split(":")[0]))
            if "no `device`" in told:
                assert set(labels[name]) == set(), name
            else:
                assert {"device", *named} == set(labels[name]), name


def test_its_queries_use_metrics_that_exist() -> None:
    families = set(map(exported, Metrics(ApplianceDirectory("ishowtts", [])).collect()))
    used = set(re.findall(r"\bishowtts_\w+", re.findall(r"^```\n(.*?)^```$", TELEMETRY, flags=re.M | re.S)[0]))
    assert {name.removesuffix("_bucket") for name in used} <= families


def test_its_configurations_are_valid() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        Config.model_validate(yaml.safe_load(block))


def test_its_units_credentials_users_and_commands_exist() -> None:
    assert (ROOT / "systemd/ishowtts-gateway.service").exists()
    credentials = set(re.findall(r"/etc/ishowtts/(gateway-[\w-]+)", PAGE))
    assert credentials == {path.stem for path in (ROOT / "systemd").glob("gateway-*.conf")}
    acl = (ROOT / "config/mosquitto/ishowtts.acl").read_text(encoding="utf-8")
    users = first_cells(PAGE, "user at the broker")
    assert [user for user in users if f"\nuser {user}\n" in acl] == users != []
    parser().parse_args(["gateway", "--config", "gateway.yaml"])
    for command in re.findall(r"^(?:sudo )?ishowtts (top[^#\n]*)", PAGE, flags=re.M):
        parser().parse_args(command.split())
    keys = set(re.findall(r"`gateway\.([a-z_.]+)", PAGE))
    for key in keys:
        section: object = Config().gateway
        for part in key.split("."):
            section = getattr(section, part)


def test_its_addresses_exist() -> None:
    routes = {
        f"{method} {re.sub('{[a-z_]+}', 'NAME', route.path)}"
        for route in ApiRoutes(ApplianceDirectory("x", []), cast(ApplianceRequests, None)).routes()
        for method in route.methods or ()
    }
    told = {word.partition("?")[0] for word in first_cells(PAGE, "request")}
    assert len(told) >= 8
    assert {word.replace("VOICE", "NAME") for word in told} - {"GET /api/stream"} <= routes
    for path in ("/api/stream", *(word for word in first_cells(PAGE, "address") if "…" not in word)):
        assert f'Route("{path}"' in HTTP_APP, path


def test_the_addresses_and_the_fields_of_openai_are_those_of_the_code() -> None:
    routes = {
        f"{method} {route.path.replace('{model}', 'NAME')}"
        for route in SpeechRoutes(cast(RenderClient, None)).routes()
        for method in route.methods or ()
    }
    told = set(first_cells(PAGE, "address of the interface"))
    assert told == {route for route in routes if not route.startswith("HEAD")}
    read = re.findall(r'body\.get\("(\w+)"\)', SPEECH_REQUEST)
    assert sorted(first_cells(PAGE, "field of the body")) == sorted(read)


def test_its_figures_are_those_of_the_code() -> None:
    assert f"at most {MAX_DEVICES} appliances" in PAGE
    assert f"takes less than {_UNREAD_BYTES >> 20} MB" in PAGE
    assert "MemoryMax=1G\n" in (ROOT / "systemd/ishowtts-gateway.service").read_text()
    assert "WatchdogSec=30\n" in (ROOT / "systemd/ishowtts-gateway.service").read_text()
    assert "UPLOAD_BYTES = 12_300_000" in SECURITY  # client_max_body_size is larger
    assert "client_max_body_size 13m" in PAGE


def test_its_links_exist() -> None:
    links = {link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE) if "://" not in link}
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
