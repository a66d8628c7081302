"""The alert rules for Prometheus: promtool lets each of them fire, and stay quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ishowtts.model import AlertName

FOLDER = Path(__file__).resolve().parents[3] / "config/prometheus"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "ishowtts.rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
OF_ALERTS = {f"IShowTTS{alert.value.title().replace('_', '')}": alert.value for alert in AlertName}
DEVICE = 'instance="gateway:8770", job="ishowtts", device="kitchen"'
BOTH = {"instance": "gateway:8770", "device": "kitchen"}
ALL = {**BOTH, "job": "ishowtts"}
HOUR = "x60"

# Rule: series that let it fire, minutes until it fires, its labels, the text of its value; series that do not.
SCENARIOS: dict[str, tuple[dict[str, str], int, dict[str, str], str, dict[str, str]]] = {
    "IShowTTSGatewayDown": (
        {'up{job="ishowtts", instance="gateway:8770"}': f"0{HOUR}"}, 2,
        {"instance": "gateway:8770", "job": "ishowtts"}, "",
        {'up{job="ishowtts", instance="gateway:8770"}': "1 0 1 1 0 1 1", 'up{job="other", instance="x:1"}': f"0{HOUR}"},
    ),
    "IShowTTSBrokerDisconnected": (
        {'ishowtts_broker_connected{instance="gateway:8770", job="ishowtts"}': f"0{HOUR}"}, 2,
        {"instance": "gateway:8770", "job": "ishowtts"}, "",
        {'ishowtts_broker_connected{instance="gateway:8770", job="ishowtts"}': f"0 0 1{HOUR}"},
    ),
    "IShowTTSDown": (
        {f"ishowtts_up{{{DEVICE}}}": f"0{HOUR}"}, 2, ALL, "",
        {f"ishowtts_up{{{DEVICE}}}": "0 0 1 1 0 1 1 1"},
    ),
    "IShowTTSTelemetryMissing": (
        {f"ishowtts_up{{{DEVICE}}}": f"1{HOUR}"}, 5, ALL, "",
        {f"ishowtts_up{{{DEVICE}}}": f"1{HOUR}", f"ishowtts_uptime_seconds{{{DEVICE}}}": "0+60x60"},
    ),
    "IShowTTSQueueGrows": (
        {f"ishowtts_queue_lines{{{DEVICE}}}": f"51{HOUR}", f"ishowtts_paused{{{DEVICE}}}": f"0{HOUR}"}, 10, ALL, "51",
        {f"ishowtts_queue_lines{{{DEVICE}}}": f"51{HOUR}", f"ishowtts_paused{{{DEVICE}}}": f"1{HOUR}"},
    ),
    "IShowTTSLinesFail": (
        {f'ishowtts_lines_total{{{DEVICE}, outcome="failed"}}': "0+1x60",
         f'ishowtts_lines_total{{{DEVICE}, outcome="finished"}}': "0+3x60"}, 6, BOTH, "25%",
        {f'ishowtts_lines_total{{{DEVICE}, outcome="failed"}}': "0+1x60",
         f'ishowtts_lines_total{{{DEVICE}, outcome="finished"}}': "0+10x60",
         f'ishowtts_lines_total{{{DEVICE}, outcome="rejected"}}': "0+99x60"},
    ),
    "IShowTTSFirstSoundLate": (
        {f'ishowtts_time_to_first_sound_seconds_bucket{{{DEVICE}, engine="f5", le="5.0"}}': "0+1x60",
         f'ishowtts_time_to_first_sound_seconds_bucket{{{DEVICE}, engine="f5", le="10.0"}}': "0+2x60",
         f'ishowtts_time_to_first_sound_seconds_bucket{{{DEVICE}, engine="f5", le="+Inf"}}': "0+2x60"}, 6,
        BOTH, "9.5s",
        {f'ishowtts_time_to_first_sound_seconds_bucket{{{DEVICE}, engine="f5", le="5.0"}}': "0+99x60",
         f'ishowtts_time_to_first_sound_seconds_bucket{{{DEVICE}, engine="f5", le="+Inf"}}': "0+100x60"},
    ),
    "IShowTTSEngineRestarts": (
        {f'ishowtts_engine_restarts_total{{{DEVICE}, engine="f5"}}': "0 0 4x60"}, 2, {**ALL, "engine": "f5"}, "",
        {f'ishowtts_engine_restarts_total{{{DEVICE}, engine="f5"}}': "0 0 2x60"},
    ),
    "IShowTTSSoundGaps": (
        {f"ishowtts_audio_underruns_total{{{DEVICE}}}": "0 0 0 9x60"}, 3, ALL, "",
        {f"ishowtts_audio_underruns_total{{{DEVICE}}}": "9000 9000 9001 9001x60"},
    ),
    **{
        rule: ({f'ishowtts_alert_active{{{DEVICE}, alert="{alert}"}}': f"0 1{HOUR}"}, 1, {**ALL, "alert": alert}, "",
               {f'ishowtts_alert_active{{{DEVICE}, alert="{alert}"}}': f"0{HOUR}"})
        for rule, alert in OF_ALERTS.items()
    },
}  # fmt: skip


def written(text: str, labels: dict[str, str], value: str) -> str:
    """An annotation with its variables replaced."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
    return re.sub(r"\{\{ \$value( \| \w+)? \}\}", value, text)


def run(tmp_path: Path, *tests: dict[str, Any]) -> str:
    """What promtool says of tests of the rules; empty if all of them pass."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    path = tmp_path / "tests.yml"
    path.write_text(
        yaml.safe_dump(
            {"rule_files": [str(FOLDER / "ishowtts.rules.yml")], "evaluation_interval": "1m", "tests": tests}
        )
    )
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def scenario(rule: str, series: dict[str, str], fires_at: int | None, *quiet_at: int) -> dict[str, Any]:
    """A test of promtool: at which minutes a rule fires and does not fire."""
    expected = [(minute, []) for minute in quiet_at]
    if fires_at is not None:
        expected.append((fires_at, [firing(rule)]))
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": rule, "exp_alerts": alerts} for minute, alerts in expected
        ],
    }


def firing(rule: str) -> dict[str, Any]:
    """The alert that the scenario of a rule raises."""
    _, _, labels, value, _ = SCENARIOS[rule]
    annotations = {key: written(text, labels, value) for key, text in RULES[rule]["annotations"].items()}
    return {"exp_labels": {**labels, **RULES[rule]["labels"]}, "exp_annotations": annotations}


def test_each_rule_fires_in_its_scenario_and_neither_earlier_nor_in_another(tmp_path: Path) -> None:
    assert set(SCENARIOS) == set(RULES)
    tests = []
    for rule, (series, minute, _, _, quiet) in SCENARIOS.items():
        tests.append(scenario(rule, series, minute, minute - 1))
        tests.append(scenario(rule, quiet, None, 15))
    assert run(tmp_path, *tests) == ""


def test_a_scenario_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    assert "IShowTTSHot" in run(tmp_path, scenario("IShowTTSHot", SCENARIOS["IShowTTSHot"][0], None, 1))


@pytest.mark.parametrize("name", ["rules", "config"])
def test_promtool_finds_no_fault_in_the_shipped_files(name: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    path = FOLDER / {"rules": "ishowtts.rules.yml", "config": "prometheus.yml"}[name]
    done = subprocess.run([promtool, "check", name, str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_of_an_appliance_has_a_rule_and_each_rule_says_what_to_do() -> None:
    assert set(OF_ALERTS) <= set(RULES)
    for name, rule in RULES.items():
        assert set(rule["annotations"]) == {"summary", "description"}, name
        assert rule["labels"]["severity"] in ("critical", "warning"), name
