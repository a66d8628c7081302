"""Says what is in a backup, for `ishowtts backup` and `ishowtts restore`."""

from __future__ import annotations

from collections.abc import Iterator

from ishowtts.backup.manifest import BLOCKED_WORDS, CONFIG, PRONUNCIATIONS, TREES, ArchivedFile, Manifest
from ishowtts.util.logs import visible

_MOST_NAMES = 20


def content_lines(manifest: Manifest) -> Iterator[str]:
    """Yield one line for each part of a backup."""
    if manifest.queue is None:
        yield "no queue: the daemon had never run"
    elif manifest.queue.waiting is None or manifest.queue.ended is None:
        yield f"the queue, version {manifest.queue.version}, with history, volume, voice and mute"
    else:
        lines = f"{_count(manifest.queue.waiting, 'waiting line')} and {manifest.queue.ended} in the history"
        yield f"the queue: {lines}, with volume, voice and mute"
    for kind in manifest.trees:
        yield visible(_tree_line(kind, manifest))
    if manifest.file(CONFIG) is not None:
        named = [
            what
            for name, what in ((PRONUNCIATIONS, "pronunciations"), (BLOCKED_WORDS, "blocked words"))
            if manifest.file(name) is not None
        ]
        yield " with ".join(["the configuration", *([" and ".join(named)] if named else [])])


def _tree_line(kind: str, manifest: Manifest) -> str:
    what, files = TREES[kind].what, manifest.in_tree(kind)
    if not files:
        return f"no {what}"
    if kind in ("recordings", "weights"):
        return f"{what}: {_count(len(files), 'file')}, {sum(each.size for each in files) / 1e6:.0f} MB"
    names = sorted({_item(each) for each in files})
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{what}: {', '.join(names[:_MOST_NAMES])}{more}"


def _item(file: ArchivedFile) -> str:
    """The name of a voice or of a chime."""
    return file.name.split("/")[1]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
