"""Where the F5-TTS weights are, and how they come here. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import WeightsError, first_line
from ishowtts.util.files import make_folder, open_regular

LICENCE = "CC-BY-NC-4.0"
LICENCE_NOTE = (
    "The official F5-TTS weights (SWivid/F5-TTS) are licensed CC-BY-NC-4.0: share and adapt with attribution, "
    "not for commercial use. Vocos (charactr/vocos-mel-24khz) is licensed MIT."
)

_MEND = "`ishowtts fetch` gets it again"
_FOLDER = "weights"  # in the data directory
_OFFICIAL = "model_1250000.safetensors"
_BLOCK = 1 << 20
_MOST_FILE_BYTES = 1 << 40
_MOST_HEAD_BYTES = 1_000_000  # the official one has about 60,000 for 364 tensors

ReportBytes = Callable[[str, int, int], None]
"""Called with a file's name, the bytes done and the bytes in all."""


@dataclass(frozen=True)
class Weights:
    """The files of a checkpoint; all of them are there and of a plausible size.

    Attributes:
        architecture: `model.yaml`; `None`: the official F5TTS_v1_Base.
        vocoder: Vocos' weights, safetensors or torch's old format.
        licence: of the official weights; `None` where we cannot know.
    """

    folder: Path
    model: Path
    vocab: Path
    vocoder: Path
    vocoder_config: Path
    architecture: Path | None = None
    licence: str | None = None


@dataclass(frozen=True)
class _Remote:
    """A file at a pinned revision of the hub, with the size and checksum that the hub shows for it there."""

    repo: str
    revision: str
    path: str
    place: str
    size: int
    sha256: str


_F5_REVISION = "84e5a410d9cead4de2f847e7c9369a6440bdfaca"
_VOCOS_REVISION = "0feb3fdd929bcd6649e0e7c5a688cf7dd012ef21"
FILES = (
    _Remote("SWivid/F5-TTS", _F5_REVISION, "F5TTS_v1_Base/vocab.txt", "vocab.txt",
            13_800, "2a05f992e00af9b0bd3800a8d23e78d520dbd705284ed2eedb5f4bd29398fa3c"),
    _Remote("charactr/vocos-mel-24khz", _VOCOS_REVISION, "config.yaml", "vocos/config.yaml",
            461, "da9033922f969a47f0c160010226919e59f27761fd5066f3828d46de6650b0fc"),
    _Remote("charactr/vocos-mel-24khz", _VOCOS_REVISION, "pytorch_model.bin", "vocos/pytorch_model.bin",
            54_365_991, "97ec976ad1fd67a33ab2682d29c0ac7df85234fae875aefcc5fb215681a91b2a"),
    # Last, so that a fetch that was broken off is not taken for whole.
    _Remote("SWivid/F5-TTS", _F5_REVISION, "F5TTS_v1_Base/model_1250000.safetensors", _OFFICIAL,
            1_348_435_761, "670900fd14e6c458b95da6e9ed317cdb20dbaf7a1c02ac06a05475a9d32b6a38"),
)  # fmt: skip


def locate(weights: Path | None, data_dir: Path | None = None) -> Weights | None:
    """Find the weights.

    Args:
        weights: a folder, either of a checkpoint (`model.yaml`, `model.safetensors`, `vocab.txt`, `vocos/`) or of
            the official files. `None`: where `ishowtts fetch` puts them.
        data_dir: holds the folder that `ishowtts fetch` fills.

    Returns:
        `None` where no folder was named and nothing was fetched.

    Raises:
        WeightsError: a file is missing, unreadable or truncated.
    """
    if weights is not None:
        return examine(weights)
    if data_dir is None or not (data_dir / _FOLDER / _OFFICIAL).exists():
        return None
    return examine(data_dir / _FOLDER)


def fetched_folder(data_dir: Path) -> Path:
    """Where `fetch` is to put the official weights so that `locate` finds them."""
    return data_dir / _FOLDER


def fetch(target_dir: Path, from_dir: Path | None = None, progress: ReportBytes | None = None) -> Weights:
    """Bring the official weights into a folder and verify each file by the checksum that stands above.

    What is there and right already stays. Whoever calls shows `LICENCE_NOTE` first. The hub's client draws its own
    progress bar while it downloads; `progress` tells of copying and checking.

    Args:
        target_dir: made where it is missing.
        from_dir: a folder or a mounted stick with these files, in place of the hub.
        progress: called with a file's name, its bytes done and its bytes in all.

    Raises:
        WeightsError: no network, a file that is missing in `from_dir`, a wrong size or checksum, or no room.
    """
    report = progress or (lambda name, done, total: None)
    arriving = target_dir / ".arriving"
    for file in FILES:
        place = target_dir / file.place
        try:
            if place.is_file() and _is_right(place, file, report):
                continue
            for folder in (place.parent, arriving):
                make_folder(folder)
            came = _copy(file, from_dir, arriving, report) if from_dir else _download(file, arriving)
            if not _is_right(came, file, report):
                came.unlink()
                raise WeightsError(
                    f"{file.path} came with a wrong size or checksum; try again, or take it from another source"
                )
            came.chmod(0o644)  # the service's user reads it, whatever root's umask is
            os.replace(came, place)  # noqa: PTH105 - atomic, and the name says so
            shutil.rmtree(arriving)
        except OSError as error:
            raise WeightsError(
                f"{place} cannot be written ({error.strerror}); is there room, and a right to?"
            ) from error
    return examine(target_dir)


def _download(file: _Remote, arriving: Path) -> Path:
    import huggingface_hub

    try:
        came = huggingface_hub.hf_hub_download(file.repo, file.path, revision=file.revision, local_dir=arriving)
    except Exception as error:  # the boundary: the hub's client lets out errors of a transport that its releases change
        raise WeightsError(
            f"{file.path} cannot be got from {file.repo}: {first_line(error)}. Without a network, fetch the "
            "files on another machine and run `ishowtts fetch --from DIR` on a folder or stick that holds them"
        ) from error
    return Path(came)


def _copy(file: _Remote, from_dir: Path, arriving: Path, report: ReportBytes) -> Path:
    name = Path(file.path).name
    folders = ("vocos", "vocos-mel-24khz", ".") if "vocos" in file.repo else ("F5TTS_v1_Base", ".")
    source = next((from_dir / folder / name for folder in folders if (from_dir / folder / name).is_file()), None)
    if source is None:
        raise WeightsError(f"{from_dir} lacks {name} of {file.repo}; put it there, in {' or '.join(folders)}")
    copy = arriving / name
    copy.unlink(missing_ok=True)
    with open_regular(source) as giving:
        # Before a byte is written: a full disk would cost the daemon its history.
        if (size := os.fstat(giving.fileno()).st_size) != file.size:
            raise WeightsError(f"{source} has {size} bytes instead of {file.size}; copy it again from {file.repo}")
        if (free := shutil.disk_usage(arriving).free) < file.size:
            raise WeightsError(f"{copy} needs {file.size} bytes, and its disk has {free}; make room")
        try:
            with copy.open("xb") as taking:
                while block := giving.read(min(_BLOCK, file.size - taking.tell())):
                    taking.write(block)
                    report(f"copy {file.place}", taking.tell(), file.size)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    return copy


def _is_right(path: Path, file: _Remote, report: ReportBytes) -> bool:
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            report(f"check {file.place}", stream.tell(), file.size)
    return digest.hexdigest() == file.sha256


def examine(folder: Path) -> Weights:
    """The files of a folder. Raises WeightsError where one of them is missing, unreadable or truncated."""
    if not folder.is_dir():
        raise WeightsError(f"{folder} is no folder; name the folder of the weights in engine.f5.weights")
    if (folder / "model.yaml").exists():
        found = Weights(
            folder,
            model=folder / "model.safetensors",
            vocab=folder / "vocab.txt",
            vocoder=folder / "vocos" / "model.safetensors",
            vocoder_config=folder / "vocos" / "config.yaml",
            architecture=folder / "model.yaml",
        )
    else:
        found = _official(folder)
    for path in (found.model, found.vocab, found.vocoder, found.vocoder_config):
        _present(path)
    for path in (found.model, found.vocoder):
        if path.suffix == ".safetensors":
            _whole(path)
    return found


def _official(folder: Path) -> Weights:
    """The official files as `fetch` lays them, or as the hub's repositories hold them."""
    home = folder / "F5TTS_v1_Base" if (folder / "F5TTS_v1_Base").is_dir() else folder
    if not (home / _OFFICIAL).exists():
        raise WeightsError(
            f"{folder} holds neither model.yaml nor {_OFFICIAL}; `ishowtts fetch` gets the official weights"
        )
    vocos = next((folder / name for name in ("vocos", "vocos-mel-24khz") if (folder / name).is_dir()), folder)
    return Weights(
        folder,
        model=home / _OFFICIAL,
        vocab=home / "vocab.txt",
        vocoder=vocos / "pytorch_model.bin",
        vocoder_config=vocos / "config.yaml",
        licence=LICENCE,
    )


def _present(path: Path) -> None:
    try:
        if not path.is_file():
            raise WeightsError(f"{path} is missing; {_MEND}")
        with open_regular(path) as stream:
            if not stream.read(1):
                raise WeightsError(f"{path} is empty; {_MEND}")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); let the service's user read it") from error


def _whole(path: Path) -> None:
    """Compare what the head of a safetensors file promises with the file."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            promised = promised_bytes(stream.read(8 + _MOST_HEAD_BYTES))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); let the service's user read it") from error
    except ValueError as error:
        raise WeightsError(f"{path} is no safetensors file, or its head is damaged ({error}); {_MEND}") from error
    if size != promised:
        raise WeightsError(f"{path} has {size} bytes in place of {promised}: it is truncated; {_MEND}")


def promised_bytes(head: bytes) -> int:
    """The size that a safetensors file must have by its head.

    Args:
        head: the file's beginning, or all of it.

    Raises:
        ValueError: this is no head of a safetensors file, in a clause. Nothing else comes out, whatever the bytes are.
    """
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or not 2 <= length <= _MOST_HEAD_BYTES or len(head) < 8 + length:
        raise ValueError("an impossible length of the head")
    try:
        entries = json.loads(head[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(entries, dict):
        raise ValueError("no table of tensors")
    entries.pop("__metadata__", None)
    end = 0
    for begin, after in sorted(_offsets(entry) for entry in entries.values()):
        if begin != end:
            raise ValueError("tensors with holes between them, or that overlap")
        end = after
    if not entries:
        raise ValueError("no tensors")
    return 8 + length + end


def _offsets(entry: object) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    # By its exact type: true is no number here, nor is 1e999.
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise ValueError("a tensor without its place in the file")
    begin, end = offsets
    if not 0 <= begin <= end <= _MOST_FILE_BYTES:
        raise ValueError("a tensor at an impossible place")
    return begin, end
