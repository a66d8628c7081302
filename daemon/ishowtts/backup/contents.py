"""Finds what belongs into a backup: the folders and files that a configuration names."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ishowtts.backup.manifest import BLOCKED_WORDS, JOURNAL, PRONUNCIATIONS, TREES, TreeKind, is_plain
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.engines.voices.voice_library import uploaded_voices_folder, voices_folder
from ishowtts.limits import KEPT_BY_RESTORE
from ishowtts.util.user_rights import as_owner_of

_MOST_BESIDE = 1000


@dataclass(frozen=True)
class SourceFile:
    """A file that goes into a backup.

    Args:
        name: Its name there.
        owner_of: The folder whose owner may read it: root does not follow the links of another user.
    """

    name: str
    path: Path
    owner_of: Path


@dataclass
class TreeContent:
    """The files of a folder, and what was left out, as sentences."""

    files: list[SourceFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def tree_folders(config: Config) -> dict[str, Path]:
    """The folders that can be in a backup, by their names there."""
    folders = {
        "voices": voices_folder(config),
        "uploaded-voices": uploaded_voices_folder(config),
        "chimes": config.chimes_folder,
        "weights": config.data_folder / "weights",
    }
    if config.audio.record_dir is not None:
        folders["recordings"] = config.audio.record_dir
    return {kind: folder.absolute() for kind, folder in folders.items()}


def named_files(config: Config) -> Mapping[str, tuple[str, Path]]:
    """Files that the configuration names, by their names in a backup: the key and the path."""
    found = {
        PRONUNCIATIONS: ("text.pronunciations", config.text.pronunciations),
        BLOCKED_WORDS: ("policies.blocked.file", config.policies.blocked.file),
    }
    return {name: (key, path.absolute()) for name, (key, path) in found.items() if path is not None}


def beside_config(config: Config, config_path: Path | None) -> list[str]:
    """Names of the files beside the configuration of the service that are in no backup, such as the passwords.

    Beside another configuration, as in a run by hand, there may be anything.
    """
    if config_path != DEFAULT_PATH:
        return []
    known = {DEFAULT_PATH, *(path for _, path in named_files(config).values())}
    others = {each.name for each in DEFAULT_PATH.parent.iterdir() if each not in known and is_plain(each.name)}
    ours = f"{DEFAULT_PATH.name}.new", JOURNAL  # of an upgrade and of a restore
    return sorted(name for name in others if name not in ours and KEPT_BY_RESTORE not in name)[:_MOST_BESIDE]


def tree_content(kind: str, folder: Path) -> TreeContent:
    """Find the files of a folder, with the rights of its owner.

    Links are followed if they stay in the folder, as the appliance does it. Hidden files are the unfinished ones of
    `voices add` and `fetch`, and are passed over.

    Raises:
        OSError: The folder cannot be read.
    """
    found = TreeContent()
    with as_owner_of(folder):
        if folder.is_dir():
            _collect(kind, TREES[kind], folder, folder.resolve(), found)
    return found


def _collect(kind: str, about: TreeKind, folder: Path, root: Path, found: TreeContent) -> None:
    for path, parts in _walk(folder, (), about.levels):
        if (why := _why_left_out(path, parts, about, root)) is not None:
            found.left_out.append(f"{path}: {why}")
        elif path.is_file():
            found.files.append(SourceFile("/".join((kind, *parts)), path, folder))


def _walk(folder: Path, above: tuple[str, ...], levels: int) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path in sorted(folder.iterdir()):
        name = path.name
        if name.startswith("."):
            continue
        parts = (*above, name)
        if levels and path.is_dir() and not path.is_symlink() and is_plain(name):
            yield from _walk(path, parts, levels - 1)
        elif levels and path.is_dir() and path.is_symlink() and path.resolve().is_relative_to(folder.resolve()):
            yield from _walk(path, parts, 0)
        else:
            yield path, parts


def _why_left_out(path: Path, parts: tuple[str, ...], about: TreeKind, root: Path) -> str | None:
    if not all(map(is_plain, parts)):
        return "its name is not plain text of at most 80 bytes"
    try:
        status = path.stat()
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not path.resolve().is_relative_to(root):
        return "it is a link out of its folder"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_size > about.most_bytes:
        return f"it is larger than {about.most_bytes} bytes"
    return None
