"""`ishowtts status`: shows what the appliance says about itself: state, volume, queue, engine, figures, versions.

Exit status: 0 it is online, 1 it is not, or the broker does not answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ishowtts.cli.appliance_view import START_FIX, ApplianceView, bounded_text, connect, read_view
from ishowtts.cli.common import Commands, number, print_json, read_config, root_topic
from ishowtts.cli.engine_findings import about_licence
from ishowtts.cli.other_appliance import CHANGE_NAME, other_appliance
from ishowtts.cli.tables import terminal_width
from ishowtts.util.terminal_text import cut, wrapped

_TITLE_WIDTH = 10
_MOST_BOARDS = 100
_LEAST_ROOM = 20
_CUT = ("  speaking ", "  voices ")


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("status", parents=[common])
    parser.add_argument("--json", action="store_true", help="the retained topics as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the appliance is online."""
    settings = read_config(arguments)
    root = root_topic(settings)
    with connect(settings, root) as client:
        view = read_view(client, root, ("alerts", "state", "info", "telemetry"))
    other = other_appliance(settings, root, view.info) if view.online else None
    if arguments.json:
        topics = {name: getattr(view, name) or None for name in ("state", "alerts", "info", "telemetry")}
        print_json({"root": root, "availability": view.availability, "other_appliance": other, **topics})
    else:
        fault = [f"  {'fault':<{_TITLE_WIDTH}}{other}: {CHANGE_NAME}"] if other is not None else []
        for line in (*lines_of(view), *fault):
            print(_fitted(line, terminal_width()))
    return 0 if view.online else 1


def _fitted(line: str, width: int | None) -> str:
    """A row for a terminal of this width. Rows that may name a fix are wrapped, and the others cut."""
    if width is None:
        return line
    if line.startswith(_CUT):
        return cut(line, width)
    indent = 2 + _TITLE_WIDTH if width >= 2 + _TITLE_WIDTH + _LEAST_ROOM else 4
    return "\n".join(wrapped(line, width, indent=" " * indent))


def lines_of(view: ApplianceView) -> Iterator[str]:
    """Yield the lines for a person. Of an appliance that is not online, only that: what it last said is outdated."""
    if not view.online:
        yield f"{view.root}: {view.summary}{f' ({START_FIX})' if view.offline else ''}"
        return
    state = bounded_text(view.state.get("state")) or "its state is unknown"
    yield f"{view.root}: online, {state}"
    for name, detail in view.active_alerts.items():
        yield f"  {'alert':<{_TITLE_WIDTH}}{name.value}: {detail}"
    rows = {
        "detail": view.detail_without_alerts,
        "volume": _volume(view),
        "speaking": _speaking(view.state),
        "waiting": _waiting(view.state.get("queue_depth")),
        "sound": bounded_text(view.state.get("device") or _section(view.telemetry, "audio").get("device")),
        "engine": _engine(view),
        "why": _why(view),
        "boards": _boards(view.telemetry.get("boards")),
        "weights": _weights(view.info.get("weights_licence")),
        "voice": _default_voice(view),
        "voices": _voices(view.info.get("voices")),
        "speech": _speech(_section(view.telemetry, "speech")),
        "GPU": _gpu(_section(view.telemetry, "gpu")),
        "CPU": _joined(_figure(_section(view.telemetry, "cpu"), "temp_c", "{} °C", 0)),
        "version": _version(view),
    }
    for title, text in rows.items():
        if text:
            yield f"  {title:<{_TITLE_WIDTH}}{text}"


def _volume(view: ApplianceView) -> str:
    level = "unknown" if view.volume is None else str(view.volume)
    configured = view.state.get("volume_configured")
    differs = type(configured) is int and configured != view.volume
    silence = "not heard: {} ({})".format(*view.silence) if view.silence else ""
    return _joined(
        level,
        silence,
        f"audio.volume is {configured}" if differs else "",
    )


def _default_voice(view: ApplianceView) -> str:
    """The voice of lines that name none, and whether it can be heard now: only F5 speaks in it, here or on a board."""
    ready = view.state.get("engines")
    unheard = isinstance(ready, list) and "f5" not in ready and "remote" not in ready
    who = "no board renders" if view.info.get("engine") == "remote" else "F5 does not speak"
    return f"{view.voice}{f', not heard: {who} now' if unheard else ''}" if view.voice else ""


def _speaking(state: Mapping[str, Any]) -> str:
    line = state.get("speaking")
    return f"{bounded_text(line.get('text'))} ({bounded_text(line.get('id'))})" if isinstance(line, dict) else "nothing"


def _waiting(depth: object) -> str:
    return "" if type(depth) is not int else "1 line" if depth == 1 else f"{depth or 'no'} lines"


def _engine(view: ApplianceView) -> str:
    engine = _section(view.telemetry, "engine")
    # `state` has the engine that speaks now, `info` the configured one.
    speaks, configured = bounded_text(view.state.get("engine")), bounded_text(view.info.get("engine"))
    worker = bounded_text(engine.get("state"))
    restarts = engine.get("restarts")
    return _joined(
        speaks or configured,
        f"configured: {configured}" if speaks and configured and speaks != configured else "",
        worker if worker and worker != "ready" else "",
        f"{restarts} restarts" if type(restarts) is int and restarts > 0 else "",
        _after_first(view.engines),
    )


def _why(view: ApplianceView) -> str:
    """Why this engine leads. It is empty if the row `detail`, or that of an alert, says the same."""
    why = bounded_text(view.info.get("engine_why"))
    return "" if any(why in told for told in (view.detail, *view.active_alerts.values())) else why


def _after_first(engines: Sequence[tuple[str, str]]) -> str:
    """The engines that speak what the first one cannot, with their state if they are not ready."""
    names = [name if state == "ready" else f"{name} ({state})" for name, state in engines[1:]]
    return f"then {' and '.join(names)}" if names else ""


def _boards(boards: object) -> str:
    """The boards that render for this appliance, and those that do not now."""
    known = [each for each in boards[:_MOST_BOARDS] if isinstance(each, dict)] if isinstance(boards, list) else []
    return _joined(
        *(f"{bounded_text(each.get('name'))}{'' if each.get('ready') else ' (not ready)'}" for each in known)
    )


def _weights(licence: object) -> str:
    return f"licence {about_licence(bounded_text(licence))}" if isinstance(licence, str) else ""


def _voices(voices: object) -> str:
    return bounded_text(", ".join(bounded_text(voice) for voice in voices[:100])) if isinstance(voices, list) else ""


def _speech(speech: Mapping[str, Any]) -> str:
    total = speech.get("lines_total")
    return _joined(
        _figure(speech, "rtf", "RTF {}", 3),
        _figure(speech, "rtf_p50", "median {}", 3),
        _figure(speech, "ttfa_s_p50", "first sound after {} s (median)", 2),
        f"{'1 line' if total == 1 else f'{total} lines'} since the start" if type(total) is int else "",
    )


def _gpu(gpu: Mapping[str, Any]) -> str:
    return _joined(
        " ".join(filter(None, (_figure(gpu, "clock_mhz", "{} MHz", 0), _figure(gpu, "clock_max_mhz", "of {} MHz", 0)))),
        "locked" if gpu.get("clock_locked") is True else "",
        _figure(gpu, "temp_c", "{} °C", 0),
        _figure(gpu, "load_pct", "load {} %", 0),
    )


def _version(view: ApplianceView) -> str:
    info = view.info
    return _joined(
        bounded_text(info.get("version")),
        f"host {bounded_text(info['host'])}" if info.get("host") else "",
        bounded_text(info.get("board")),
        bounded_text(info.get("jetpack")),
        _uptime(view.telemetry.get("uptime_s")),
    )


def _uptime(uptime_s: object) -> str:
    if not number(uptime_s, 1) or not isinstance(uptime_s, (int, float)):
        return ""
    return f"up for {uptime_s / 3600:.1f} h" if uptime_s >= 3600 else f"up for {uptime_s / 60:.0f} min"


def _section(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = payload.get(name)
    return section if isinstance(section, dict) else {}


def _figure(section: Mapping[str, Any], name: str, layout: str, digits: int) -> str:
    figure = number(section.get(name), digits)
    return layout.format(figure) if figure else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
