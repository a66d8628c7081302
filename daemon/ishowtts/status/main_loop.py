"""What the main thread does after the start: it reports READY, feeds the watchdog, and prunes the history."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ishowtts.engines.build import Engines
from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox
from ishowtts.mqtt.link import MqttLink
from ishowtts.speech import Scheduler
from ishowtts.status import watchdog
from ishowtts.status.state_report import StateReport
from ishowtts.status.watchdog import Watched
from ishowtts.systemd import Notifier
from ishowtts.util.disk_space import DiskSpace
from ishowtts.util.free_memory import release_free_memory

log = logging.getLogger(__name__)

_WAIT_FOR_BROKER_S = 5.0
# A broker that could not be reached is tried again twice in this time. At a boot without a link nobody waits longer.
_WAIT_AFTER_FAILURE_S = 2.0
_PREPARE_S = 60.0  # systemd waits for 90 s
_PRUNE_INTERVAL_S = 3600.0
_INTERVAL_S = 5.0


@dataclass(frozen=True)
class MainLoop:
    """The loop of the main thread.

    Args:
        sum_up: Log what floods have left out. Called every few seconds.
        watched: The threads without which systemd must restart the daemon.
    """

    notifier: Notifier
    report: StateReport
    scheduler: Scheduler
    engines: Engines
    link: MqttLink
    inbox: Inbox
    disk: DiskSpace
    sum_up: Sequence[Callable[[], None]]
    watched: Sequence[Watched]

    def run(self, stop_requested: threading.Event) -> None:
        """Report READY once a line can come and be spoken, or after some time without; then feed the watchdog."""
        began_s = time.monotonic()
        while not self._may_report_ready(time.monotonic() - began_s) and not stop_requested.wait(0.05):
            pass
        self.report.ready()
        interval_s = min(self.notifier.watchdog_interval_s() or _INTERVAL_S, _INTERVAL_S)
        prune_at = time.monotonic()
        while not stop_requested.wait(interval_s):
            self.link.revive_if_dead()
            self.report.notify()
            self.report.log_start()
            for sum_up in self.sum_up:
                sum_up()
            release_free_memory()
            short = self.disk.shortage() is not None
            if time.monotonic() >= prune_at or short:
                # Each call takes about a second at most: the watchdog is fed in between.
                prune_at = time.monotonic() + (0.0 if self._prune(short) else _PRUNE_INTERVAL_S)
            if fault := watchdog.fault(self.watched):
                log.critical("the watchdog is not fed: %s", fault)
            else:
                self.notifier.watchdog()

    def _may_report_ready(self, waited_s: float) -> bool:
        """Whether the broker is connected and the first line would be heard at once, or too much time has passed.

        Without a broker no line can come, so nothing is waited for but the broker.
        """
        if not self.link.connected:
            return waited_s >= (_WAIT_AFTER_FAILURE_S if self.link.has_failed else _WAIT_FOR_BROKER_S)
        prepared = self.scheduler.status.prepared and not self.engines.hibari_is_starting()
        return prepared or waited_s >= _PREPARE_S

    def _prune(self, short: bool) -> bool:
        """Prune the history; return whether there is more to prune."""
        try:
            return self.inbox.prune(short=short)
        except InboxError as error:
            log.error("the history was not pruned: %s", error)
            return False
