"""Finds and checks the weights of F5-TTS, and records which of the fetched ones are used. Imports no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ishowtts.engines.f5 import architecture
from ishowtts.engines.weights_catalogue import CATALOGUE, OFFICIAL, OFFICIAL_MODEL_FILE
from ishowtts.errors import WeightsError
from ishowtts.util.files import make_folder, open_regular, read_bounded

_FETCH = "`sudo ishowtts fetch` gets the weights"
_OWN_FOLDER = (
    "engine.f5.weights names this folder: put the right files there, set engine.f5.weights to another one, or remove "
    "the key and run `sudo ishowtts fetch`"
)
_FOLDER = "weights"  # in the data folder
_USED = "used"  # in the folder of the weights
_MAX_NAME_BYTES = 100
_MAX_FILE_BYTES = 1 << 40
_MAX_HEADER_BYTES = 1_000_000  # the official one has about 60,000 for 364 tensors


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
        licence: licence of the weights; `None` if it is not known.
        languages: base languages that they speak; `None` if they are not known.
        name: name in the catalogue of `ishowtts fetch`, or the one that `model.yaml` gives.
    """

    folder: Path
    model: Path
    vocab: Path
    vocoder: Path
    vocoder_config: Path
    architecture: Path | None = None
    licence: str | None = None
    languages: tuple[str, ...] | None = None
    name: str = "unnamed"


def locate(weights: Path | None, data_dir: Path | None = None) -> Weights | None:
    """Finds the weights that F5 loads.

    Args:
        weights: a folder with a checkpoint (`model.yaml`, `model.safetensors`, `vocab.txt`, `vocos/`) or with the
            official files. `None`: those that `ishowtts fetch` got the last time.
        data_dir: the data folder, which holds the fetched weights.

    Returns:
        `None` if no folder was named and nothing was fetched.

    Raises:
        WeightsError: a file is missing, unreadable or truncated.
    """
    if weights is not None:
        return examine(weights, _OWN_FOLDER)
    if data_dir is None or (name := used_name(data_dir)) is None:
        return None
    return examine(fetched_folder(data_dir, name))


def fetched_folder(data_dir: Path, name: str = OFFICIAL.name) -> Path:
    """Returns the folder of fetched weights: the official ones lie directly in `weights`, as they always did."""
    folder = data_dir / _FOLDER
    return folder if name == OFFICIAL.name else folder / name


def used_name(data_dir: Path) -> str | None:
    """Returns the name of the fetched weights that are used; `None` if there are none.

    Raises:
        WeightsError: the file that records the name is damaged.
    """
    path = data_dir / _FOLDER / _USED
    try:
        name = read_bounded(path, _MAX_NAME_BYTES).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        # Earlier versions fetched the official weights only, and recorded nothing.
        return OFFICIAL.name if (data_dir / _FOLDER / OFFICIAL_MODEL_FILE).exists() else None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); let the service's user read it") from error
    if name not in CATALOGUE:
        raise WeightsError(f"{path} does not name weights that this version knows; {_FETCH}")
    return name


def use(data_dir: Path, name: str) -> None:
    """Records which fetched weights `locate` finds from now on. A crash leaves the old or the new name.

    Raises:
        WeightsError: the file cannot be written.
    """
    path = data_dir / _FOLDER / _USED
    draft = path.with_suffix(".new")
    try:
        make_folder(path.parent)
        draft.unlink(missing_ok=True)
        with draft.open("x", encoding="ascii") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)  # the service's user reads it, whatever root's umask is
        draft.replace(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be written ({error.strerror}); check free space and permissions") from error


def examine(folder: Path, fix: str = _FETCH) -> Weights:
    """Returns the files of a folder. Raises WeightsError if one of them is missing, unreadable or truncated.

    Args:
        folder: the folder.
        fix: what to do about a missing or truncated file, for the error.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; {fix}")
    if (folder / "model.yaml").exists():
        found = Weights(
            folder,
            model=folder / "model.safetensors",
            vocab=folder / "vocab.txt",
            vocoder=_vocoder(folder / "vocos"),
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
    if found.architecture is None:
        return found
    described = architecture.read_model(found.architecture)
    return replace(found, licence=described.licence, languages=described.languages, name=described.name)


def _vocoder(folder: Path) -> Path:
    """Returns the weights of Vocos: our own format, or the official file if only that is there."""
    own, official = folder / "model.safetensors", folder / "pytorch_model.bin"
    return official if official.exists() and not own.exists() else own


def _official(folder: Path, fix: str) -> Weights:
    """Returns the official files, in the layout of `fetch` or of the hub's repositories."""
    model_dir = folder / "F5TTS_v1_Base" if (folder / "F5TTS_v1_Base").is_dir() else folder
    if not (model_dir / OFFICIAL_MODEL_FILE).exists():
        raise WeightsError(f"{folder} holds neither model.yaml nor {OFFICIAL_MODEL_FILE}; {fix}")
    vocos_dir = next((folder / name for name in ("vocos", "vocos-mel-24khz") if (folder / name).is_dir()), folder)
    return Weights(
        folder,
        model=model_dir / OFFICIAL_MODEL_FILE,
        vocab=model_dir / "vocab.txt",
        vocoder=vocos_dir / "pytorch_model.bin",
        vocoder_config=vocos_dir / "config.yaml",
        licence=OFFICIAL.licence,
        languages=OFFICIAL.languages,
        name=OFFICIAL.name,
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
