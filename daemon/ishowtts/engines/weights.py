"""Finds, checks and fetches the weights of F5-TTS. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import logging
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

_FETCH = "`sudo ishowtts fetch` gets the official weights"
_OWN_FOLDER = (
    "engine.f5.weights names this folder: put the right files there, or remove the key and run `sudo ishowtts fetch`"
)
_FOLDER = "weights"  # in the data folder
_OFFICIAL = "model_1250000.safetensors"
_BLOCK_BYTES = 1 << 20
_MAX_FILE_BYTES = 1 << 40
_MAX_HEADER_BYTES = 1_000_000  # the official one has about 60,000 for 364 tensors

ReportBytes = Callable[[str, int, int], None]
"""Called with the name of a file, the bytes done and the total bytes."""


@dataclass(frozen=True)
class Weights:
    """The files of a checkpoint. All of them exist and have a plausible size.

    Attributes:
        folder: the folder of the checkpoint.
        model: weights of the transformer, safetensors.
        vocab: list of tokens.
        vocoder: weights of Vocos, safetensors or torch's old format.
        vocoder_config: configuration of Vocos.
        architecture: `model.yaml`; `None` for the official F5TTS_v1_Base.
        licence: licence of the official weights; `None` if it is not known.
        languages: languages that the weights speak; `None` if they are not known.
    """

    folder: Path
    model: Path
    vocab: Path
    vocoder: Path
    vocoder_config: Path
    architecture: Path | None = None
    licence: str | None = None
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class HubFile:
    """A file at a pinned revision on the Hugging Face hub, with the size and checksum that the hub shows for it."""

    repo: str
    revision: str
    path: str
    local_path: str
    size: int
    sha256: str


_F5_REVISION = "84e5a410d9cead4de2f847e7c9369a6440bdfaca"
_VOCOS_REVISION = "0feb3fdd929bcd6649e0e7c5a688cf7dd012ef21"
FILES = (
    HubFile("SWivid/F5-TTS", _F5_REVISION, "F5TTS_v1_Base/vocab.txt", "vocab.txt",
            13_800, "2a05f992e00af9b0bd3800a8d23e78d520dbd705284ed2eedb5f4bd29398fa3c"),
    HubFile("charactr/vocos-mel-24khz", _VOCOS_REVISION, "config.yaml", "vocos/config.yaml",
            461, "da9033922f969a47f0c160010226919e59f27761fd5066f3828d46de6650b0fc"),
    HubFile("charactr/vocos-mel-24khz", _VOCOS_REVISION, "pytorch_model.bin", "vocos/pytorch_model.bin",
            54_365_991, "97ec976ad1fd67a33ab2682d29c0ac7df85234fae875aefcc5fb215681a91b2a"),
    # Last, so that an interrupted fetch is not taken for a complete one.
    HubFile("SWivid/F5-TTS", _F5_REVISION, "F5TTS_v1_Base/model_1250000.safetensors", _OFFICIAL,
            1_348_435_761, "670900fd14e6c458b95da6e9ed317cdb20dbaf7a1c02ac06a05475a9d32b6a38"),
)  # fmt: skip


class DownloadError(WeightsError):
    """The hub did not give a file."""


def locate(weights: Path | None, data_dir: Path | None = None) -> Weights | None:
    """Finds the weights.

    Args:
        weights: a folder with a checkpoint (`model.yaml`, `model.safetensors`, `vocab.txt`, `vocos/`) or with the
            official files. `None`: the folder that `ishowtts fetch` fills.
        data_dir: the data folder, which holds the fetched weights.

    Returns:
        `None` if no folder was named and nothing was fetched.

    Raises:
        WeightsError: a file is missing, unreadable or truncated.
    """
    if weights is not None:
        return examine(weights, _OWN_FOLDER)
    if data_dir is None or not (data_dir / _FOLDER / _OFFICIAL).exists():
        return None
    return examine(data_dir / _FOLDER)


def fetched_folder(data_dir: Path) -> Path:
    """Returns the folder in which `locate` finds fetched weights."""
    return data_dir / _FOLDER


def fetch(target_dir: Path, from_dir: Path | None = None, progress: ReportBytes | None = None) -> Weights:
    """Downloads or copies the official weights into a folder, and verifies each file by its checksum.

    Files that are already there and correct stay. The caller must show `LICENCE_NOTE` first. The hub's client draws its
    own progress bar during a download; `progress` reports copying and checking.

    Args:
        target_dir: created if it is missing.
        from_dir: a folder or a mounted USB stick with these files; `None`: download from the hub.
        progress: called with the name of a file, the bytes done and the total bytes.

    Raises:
        WeightsError: there is no network, a file is missing in `from_dir`, a size or checksum is wrong, or the disk has
            not enough space.
    """
    report = progress or (lambda name, done, total: None)
    partial_dir = target_dir / ".arriving"
    for file in FILES:
        path = target_dir / file.local_path
        try:
            if path.is_file() and _is_correct(path, file, report):
                continue
            for folder in (path.parent, partial_dir):
                make_folder(folder)
            received = _copy(file, from_dir, partial_dir, report) if from_dir else _download(file, partial_dir)
            if not _is_correct(received, file, report):
                received.unlink()
                raise WeightsError(
                    f"{file.path} arrived with a wrong size or checksum; try again, or use another source"
                )
            received.chmod(0o644)  # the service's user reads it, whatever root's umask is
            os.replace(received, path)  # noqa: PTH105 - atomic, and the name says so
            shutil.rmtree(partial_dir)
        except OSError as error:
            raise WeightsError(
                f"{path} cannot be written ({error.strerror}); check free space and permissions"
            ) from error
    return examine(target_dir)


def _download(file: HubFile, partial_dir: Path) -> Path:
    import huggingface_hub

    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # our sentence says what it would log
    try:
        received = huggingface_hub.hf_hub_download(file.repo, file.path, revision=file.revision, local_dir=partial_dir)
    except Exception as error:  # the boundary: the client raises errors of its transport, which differ by release
        raise DownloadError(
            f"{file.path} cannot be downloaded from {file.repo}: {first_line(error)}. Without a network, fetch the "
            "files on another machine and run `ishowtts fetch --from DIR` on a folder or stick that holds them"
        ) from error
    return Path(received)


def source_of(file: HubFile, from_dir: Path) -> Path | None:
    """Returns the path of a file below a folder, in the layout of `fetch` or of the hub; `None` if it is not there."""
    folders = ("vocos", "vocos-mel-24khz", ".") if "vocos" in file.repo else ("F5TTS_v1_Base", ".")
    paths = (from_dir / folder / Path(file.path).name for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _copy(file: HubFile, from_dir: Path, partial_dir: Path, report: ReportBytes) -> Path:
    name = Path(file.path).name
    source = source_of(file, from_dir)
    if source is None:
        raise WeightsError(f"{from_dir} lacks {name} of {file.repo}; put it there")
    copy = partial_dir / name
    copy.unlink(missing_ok=True)
    with open_regular(source) as reader:
        # Checked before a byte is written: a full disk would cost the daemon its history.
        if (size := os.fstat(reader.fileno()).st_size) != file.size:
            raise WeightsError(f"{source} has {size} bytes instead of {file.size}; copy it again from {file.repo}")
        if (free := shutil.disk_usage(partial_dir).free) < file.size:
            raise WeightsError(f"{copy} needs {file.size} bytes, and its disk has {free}; free some space")
        try:
            with copy.open("xb") as writer:
                while block := reader.read(min(_BLOCK_BYTES, file.size - writer.tell())):
                    writer.write(block)
                    report(f"copy {file.local_path}", writer.tell(), file.size)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    return copy


def _is_correct(path: Path, file: HubFile, report: ReportBytes) -> bool:
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            report(f"check {file.local_path}", stream.tell(), file.size)
    return digest.hexdigest() == file.sha256


def examine(folder: Path, fix: str = _FETCH) -> Weights:
    """Returns the files of a folder. Raises WeightsError if one of them is missing, unreadable or truncated.

    Args:
        folder: the folder.
        fix: what to do about a missing or truncated file, for the error.
    """
    if not folder.is_dir():
        raise WeightsError(
            f"{folder} is not a folder; set engine.f5.weights to the folder of the weights, or remove it"
        )
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
        found = _official(folder, fix)
    for path in (found.model, found.vocab, found.vocoder, found.vocoder_config):
        _check_present(path, fix)
    for path in (found.model, found.vocoder):
        if path.suffix == ".safetensors":
            _check_size(path, fix)
    return found


def _official(folder: Path, fix: str) -> Weights:
    """Returns the official files, in the layout of `fetch` or of the hub's repositories."""
    model_dir = folder / "F5TTS_v1_Base" if (folder / "F5TTS_v1_Base").is_dir() else folder
    if not (model_dir / _OFFICIAL).exists():
        raise WeightsError(f"{folder} holds neither model.yaml nor {_OFFICIAL}; {fix}")
    vocos_dir = next((folder / name for name in ("vocos", "vocos-mel-24khz") if (folder / name).is_dir()), folder)
    return Weights(
        folder,
        model=model_dir / _OFFICIAL,
        vocab=model_dir / "vocab.txt",
        vocoder=vocos_dir / "pytorch_model.bin",
        vocoder_config=vocos_dir / "config.yaml",
        licence=LICENCE,
    )


def _check_present(path: Path, fix: str) -> None:
    try:
        if not path.is_file():
            raise WeightsError(f"{path} is missing; {fix}")
        with open_regular(path) as stream:
            if not stream.read(1):
                raise WeightsError(f"{path} is empty; {fix}")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); let the service's user read it") from error


def _check_size(path: Path, fix: str = _FETCH) -> None:
    """Compares the size that the header of a safetensors file implies with the size of the file."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            expected = expected_bytes(stream.read(8 + _MAX_HEADER_BYTES))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); let the service's user read it") from error
    except ValueError as error:
        raise WeightsError(f"{path} is not a safetensors file, or its header is damaged ({error}); {fix}") from error
    if size != expected:
        raise WeightsError(f"{path} has {size} bytes instead of {expected}: it is truncated; {fix}")


def expected_bytes(header: bytes) -> int:
    """Returns the size that a safetensors file must have according to its header.

    Args:
        header: the beginning of the file, or all of it.

    Raises:
        ValueError: these bytes are not the header of a safetensors file; the message is a clause. No bytes cause any
            other exception.
    """
    length = int.from_bytes(header[:8], "little")
    if len(header) < 8 or not 2 <= length <= _MAX_HEADER_BYTES or len(header) < 8 + length:
        raise ValueError("its length is impossible")
    try:
        entries = json.loads(header[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(entries, dict):
        raise ValueError("it is not a table of tensors")
    entries.pop("__metadata__", None)
    end = 0
    for begin, next_begin in sorted(_offsets(entry) for entry in entries.values()):
        if begin != end:
            raise ValueError("its tensors overlap or have gaps")
        end = next_begin
    if not entries:
        raise ValueError("it has no tensors")
    return 8 + length + end


def _offsets(entry: object) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    # By exact type: `true` and 1e999 are not integers.
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise ValueError("a tensor has no valid offsets")
    begin, end = offsets
    if not 0 <= begin <= end <= _MAX_FILE_BYTES:
        raise ValueError("a tensor has impossible offsets")
    return begin, end
