"""The dashboard and the provisioning files for Grafana, which does not run in the tests."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "config/grafana"
DASHBOARD = json.loads((FOLDER / "dashboards/ishowtts.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
KINDS = {"row", "stat", "timeseries", "state-timeline", "heatmap"}
UNITS = {"none", "s", "hertz", "celsius", "percentunit", "watt", "bytes", "decbytes"}


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    assert not [(one, other) for one, other in combinations(places, 2) if overlap(one, other)]


def test_each_panel_asks_the_chosen_data_source_in_a_known_form() -> None:
    for panel in PANELS:
        assert panel["type"] in KINDS
        if panel["type"] == "row":
            continue
        title, targets = panel["title"], panel["targets"]
        assert panel["datasource"] == DATASOURCE, title
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, title
        assert len({target["refId"] for target in targets}) == len(targets) > 0, title
        for target in targets:
            assert target["datasource"] == DATASOURCE, title
            assert target["instant"] is not target["range"], title
            assert "$gateway" in target["expr"], title


def test_its_variables_are_a_data_source_a_gateway_and_appliances() -> None:
    variables: list[dict[str, Any]] = DASHBOARD["templating"]["list"]
    assert [(each["name"], each["type"]) for each in variables] == [
        ("datasource", "datasource"), ("gateway", "query"), ("device", "query"),
    ]  # fmt: skip
    assert variables[0]["query"] == "prometheus"
    assert all(each["datasource"] == DATASOURCE for each in variables[1:])
    assert DASHBOARD["uid"] == "ishowtts"
    assert "id" not in DASHBOARD, "Grafana gives it one"


def test_the_provisioning_files_have_what_grafana_needs() -> None:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/ishowtts.yaml").read_text())
    dashboards = yaml.safe_load((FOLDER / "provisioning/dashboards/ishowtts.yaml").read_text())
    assert sources["apiVersion"] == dashboards["apiVersion"] == 1
    (source,), (provider,) = sources["datasources"], dashboards["providers"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    assert (provider["type"], provider["options"]) == ("file", {"path": "/var/lib/grafana/dashboards"})
    # As in the configuration of Prometheus beside it: from it Grafana computes $__rate_interval.
    prometheus = yaml.safe_load((FOLDER.parent / "prometheus/prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
