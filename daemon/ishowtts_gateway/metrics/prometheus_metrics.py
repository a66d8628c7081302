"""Exports what the gateway knows in the formats of Prometheus and OpenMetrics.

A value that is not known has no series. The only label that grows is `device`, a checked name; all others have fixed
sets of values. Nothing else that came in a payload is in a label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ishowtts import __version__
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import OFFLINE, ONLINE, ApplianceRecord
from ishowtts_gateway.appliances.published_value import number
from ishowtts_gateway.metrics import appliance_readings
from ishowtts_gateway.metrics.appliance_counts import RESTARTS, ApplianceCounts, Histogram, field
from ishowtts_gateway.metrics.appliance_readings import GAUGES, Sample

_DEFAULT_TELEMETRY_S = 5.0
_MISSED_MESSAGES = 3
_LEAST_AGE_S = 30.0
_MAX_TELEMETRY_S = 3600.0
_ODD_VERSION = re.compile(r"version=(?!\d{1,3}(\.\d{1,3}){0,3} *([;,]|$))")
_UNITS = ("seconds", "bytes", "celsius", "hertz", "ratio", "watts")

_TOTALS = {
    "audio_s": ("ishowtts_speech_seconds", "Length of the sound of all lines that were heard to their end."),
    "cache_hits": ("ishowtts_cached_lines", "Lines whose sound came from the cache."),
    "unbucketed": ("ishowtts_unprepared_segments", "Segments that were longer than every prepared length of F5."),
    "underruns": ("ishowtts_audio_underruns", "How often the sound device ran out of samples."),
    "device_losses": ("ishowtts_audio_device_losses", "How often the sound device was lost."),
    "reconnects": ("ishowtts_mqtt_reconnects", "How often the connection of the appliance to the broker came back."),
    "renders_done": ("ishowtts_renders_done", "Texts whose sound was sent to its end."),
    "renders_failed": ("ishowtts_renders_failed", "Renders that ended with an error."),
    "renders_cancelled": ("ishowtts_renders_cancelled", "Renders that were cancelled, or whose requester was gone."),
    "throttle_events": ("ishowtts_throttle_events", "How often the hardware reduced the clocks."),
}
"""Name and help of the counter of each total of an appliance."""


class Metrics(Collector):
    """The metrics of the gateway and of all its appliances. All methods run in the thread of the event loop.

    Args:
        directory: The appliances. It is read at each scrape, and tells events and telemetry at once.
    """

    def __init__(self, directory: ApplianceDirectory) -> None:
        self._directory = directory
        self._counts: dict[str, ApplianceCounts] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        directory.add_event_listener(self._count_event)
        directory.add_telemetry_listener(self._count_telemetry)

    def render(self, accept: str = "") -> bytes:
        """All metrics, in the format that the header Accept of a request asks for.

        Args:
            accept: The header. OpenMetrics is used only if it is named.
        """
        encoder, _ = _encoding(accept)
        return encoder(self._registry)

    def collect(self) -> Iterable[Metric]:
        """All metrics of the gateway, except those of its process."""
        self._forget_the_gone()
        connected = self._directory.broker_connected
        records = sorted(self._directory.records.items())
        yield InfoMetricFamily("ishowtts_gateway", "Version of the gateway.", {"version": __version__})
        yield GaugeMetricFamily(
            "ishowtts_broker_connected", "Whether the gateway is connected to the broker.", float(connected)
        )
        yield GaugeMetricFamily("ishowtts_gateway_devices", "Appliances that the gateway knows.", float(len(records)))
        up = GaugeMetricFamily("ishowtts_up", "Whether messages reach the appliance.", labels=("device",))
        for name, record in records:
            if connected and record.availability in (ONLINE, OFFLINE):
                up.add_metric((name,), float(record.online))
        yield up
        yield from self._gauges(records if connected else [])
        counts = [(name, self._of(name)) for name, _ in records]
        yield from _counters(counts)
        yield from _histograms(counts)

    def _count_event(self, device: str, event: Mapping[str, Any]) -> None:
        self._of(device).count_event(event)

    def _count_telemetry(self, device: str, telemetry: Mapping[str, Any], retained: bool) -> None:
        self._of(device).count_telemetry(telemetry, retained=retained)

    def _of(self, device: str) -> ApplianceCounts:
        if device not in self._counts:
            self._forget_the_gone()
            self._counts[device] = ApplianceCounts()
        return self._counts[device]

    def _forget_the_gone(self) -> None:
        """Forget appliances that the directory does not know any more, so that there are never more than there."""
        for name in self._counts.keys() - self._directory.records.keys():
            del self._counts[name]

    def _gauges(self, records: Iterable[tuple[str, ApplianceRecord]]) -> Iterator[Metric]:
        families = {
            gauge: GaugeMetricFamily(gauge.name, gauge.help, labels=("device", *gauge.labels), unit=_unit(gauge.name))
            for gauge in GAUGES
        }
        for name, record in records:
            for gauge, labels, value in self._samples(name, record):
                families[gauge].add_metric((name, *labels), value)
        yield from families.values()

    def _samples(self, name: str, record: ApplianceRecord) -> Iterator[Sample]:
        """What is known of an appliance now: what one that is away said last is not.

        An appliance that messages do not reach is offline too, but its alerts are known, such as `deaf`.
        """
        counts, max_age_s = self._of(name), _max_age_s(record)
        if record.online or counts.heard_within(max_age_s):
            yield from appliance_readings.from_alerts(record)
        if record.online:
            yield from appliance_readings.from_record(record)
            if record.telemetry is not None and counts.heard_within(max_age_s, retained=True):
                yield from appliance_readings.from_telemetry(record.telemetry)


def content_type(accept: str = "") -> str:
    """The Content-Type of what `Metrics.render` makes of a header Accept."""
    _, found = _encoding(accept)
    return found


def _encoding(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The function that writes all metrics, and its Content-Type."""
    # prometheus_client would compare the words of a version such as `1.0.x` with numbers, and raise.
    return choose_encoder("" if _ODD_VERSION.search(accept) else accept)


def _max_age_s(record: ApplianceRecord) -> float:
    """After this time without telemetry, an appliance is not heard any more."""
    interval_s = number(field(record.info, "telemetry_s"))
    interval_s = _DEFAULT_TELEMETRY_S if interval_s is None else min(interval_s, _MAX_TELEMETRY_S)
    return max(_MISSED_MESSAGES * interval_s, _LEAST_AGE_S)


def _counters(counts: Iterable[tuple[str, ApplianceCounts]]) -> Iterator[Metric]:
    counts = list(counts)
    accepted = _counter("ishowtts_lines_accepted", "Lines that were accepted.")
    ended = _counter("ishowtts_lines", "Lines that have ended, by their final event.", "outcome")
    inaudible = _counter("ishowtts_inaudible_lines", "Finished lines that nobody could hear, or only in part.")
    substituted = _counter("ishowtts_substituted_lines", "Finished lines that another engine spoke than it should.")
    commands = _counter("ishowtts_commands", "Commands that were executed or refused.", "outcome")
    restarts = _counter("ishowtts_engine_restarts", "Workers of an engine that were started again.", "engine")
    totals = {key: _counter(*named) for key, named in _TOTALS.items()}
    for name, of in counts:
        accepted.add_metric((name,), of.accepted)
        inaudible.add_metric((name,), of.inaudible)
        substituted.add_metric((name,), of.substituted)
        for outcome, value in of.outcomes.items():
            ended.add_metric((name, outcome), value)
        for outcome, value in of.commands.items():
            commands.add_metric((name, outcome), value)
        for key, value in of.totals.items():
            if key.startswith(RESTARTS):
                restarts.add_metric((name, key.removeprefix(RESTARTS)), value)
            else:
                totals[key].add_metric((name,), value)
    yield from (accepted, ended, inaudible, substituted, commands, restarts, *totals.values())


def _histograms(counts: Iterable[tuple[str, ApplianceCounts]]) -> Iterator[Metric]:
    rtf = _histogram("ishowtts_rtf_ratio", "Real-time factor of lines: synthesis time divided by sound.", "engine")
    first = _histogram("ishowtts_time_to_first_sound_seconds", "From when a line is next to its first sound.", "engine")
    queue = _histogram("ishowtts_queue_time_seconds", "How long lines waited that were played to their end.")
    for name, of in counts:
        for family, by_engine in ((rtf, of.rtf), (first, of.first_sound_s)):
            for engine, histogram in by_engine.items():
                _add(family, (name, engine), histogram)
        _add(queue, (name,), of.queue_s)
    yield from (rtf, first, queue)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    family.add_metric(labels, histogram.buckets(), histogram.sum)


def _counter(name: str, documentation: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, documentation, labels=("device", *labels), unit=_unit(name))


def _histogram(name: str, documentation: str, *labels: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, documentation, labels=("device", *labels), unit=_unit(name))


def _unit(name: str) -> str:
    """The base unit at the end of a name; empty if it has none."""
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")
