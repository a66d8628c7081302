"""Opens the queue, and builds the player with the volume and the mute that an earlier run of the daemon left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ishowtts.config import Config
from ishowtts.engines.voices.voice_library import UPLOADED
from ishowtts.errors import FatalError, InboxError
from ishowtts.inbox import Inbox, InboxLimits
from ishowtts.limits import KEPT_BY_RESTORE
from ishowtts.playback.build_player import ChosenSpeaker, build_player
from ishowtts.playback.player import Player
from ishowtts.playback.volume_gain import stored_volume
from ishowtts.policies import quiet_hours
from ishowtts.util.files import make_private_folder

log = logging.getLogger(__name__)


def open_inbox(config: Config, *, on_lines: Callable[[], None], on_events: Callable[[], None]) -> Inbox:
    """Open the queue. If its file cannot be used, it works in memory, and its `problem` says why.

    Args:
        on_lines: Called when lines have come or changed.
        on_events: Called when events were stored.

    Raises:
        FatalError: It cannot work at all; the sentence is for the operator.
    """
    path = config.inbox_file
    with suppress(OSError):  # the inbox reports what is wrong with the folder, and works in memory
        make_private_folder(path.parent, ours=partial(_is_in_state_dir, path.name))  # spoken text is private
    try:
        inbox = Inbox(
            path,
            inbox_limits(config),
            on_lines=on_lines,
            on_events=on_events,
        )
    except InboxError as error:
        raise FatalError(str(error)) from error
    if inbox.problem:
        log.error("%s", inbox.problem)
    return inbox


def inbox_limits(config: Config) -> InboxLimits:
    """The limits of the queue, with the quiet hours, which do not count against the age of a line."""
    return InboxLimits.from_config(config, partial(quiet_hours.held_s, config.policies.quiet))


def restored_player(
    config: Config, inbox: Inbox, choose: Callable[[str], ChosenSpeaker], on_change: Callable[[], None]
) -> Player:
    """Build the player, with the volume and the mute that were set last.

    Args:
        choose: Chooses the sound device by its name.
        on_change: Called when the device or a level may have changed.
    """
    player = build_player(config.audio, choose, on_change=on_change)
    player.set_volume(_start_volume(config, inbox))
    player.set_muted(inbox.recall("muted") == "1")
    if player.muted:
        log.warning("the appliance is muted since before the daemon was started; the command unmute ends that")
    return player


def _start_volume(config: Config, inbox: Inbox) -> int:
    """The volume that was set last over MQTT, else `audio.volume`."""
    configured = config.audio.volume
    stored = stored_volume(inbox.recall("volume"))
    if stored is None:
        return configured
    if stored != configured:
        log.info("volume %d, set over MQTT; audio.volume is %d", stored, configured)
    return stored


def _is_in_state_dir(inbox_file: str, name: str) -> bool:
    """Whether a file or folder in `state_dir` is one of ours; those of `data_folder` are there in a run by hand."""
    name = name.partition(KEPT_BY_RESTORE)[0]
    return name.startswith(inbox_file) or name.endswith(".wav") or name in ("weights", "voices", "chimes", UPLOADED)
