"""From the configuration to what a line may be, and to how many of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ishowtts.config import Config
from ishowtts.inbox import InboxLimits
from ishowtts.mqtt.line_payload import LineLimits


def of_lines(
    config: Config, voices: Callable[[], Collection[str]], chimes: Callable[[], Collection[str]], reply_prefix: str
) -> LineLimits:
    """What is refused before anybody looks at its meaning; the policies see to the rest."""
    return LineLimits(
        None if config.limits.too_long == "cut" else config.limits.max_chars,
        voices,
        reply_prefix,
        chimes=chimes,
        signs=config.policies.emoji == "name",
    )


def of_inbox(config: Config) -> InboxLimits:
    """How much waits, and for how long."""
    queue = config.queue
    return InboxLimits(
        max_lines=queue.max_lines,
        max_age_s=queue.max_age_s,
        dedup_s=queue.dedup_s,
        merge_s=config.policies.merge_s,
        history_days=queue.history_days,
        history_lines=queue.history_lines,
        history_mb=queue.history_mb,
        after_crash=queue.after_crash,
    )
