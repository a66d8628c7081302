"""Converts a pickled checkpoint to safetensors, and checks that a checkpoint can be loaded. `ishowtts fetch` runs this.

A process of its own, because it imports torch. If root starts it, it becomes `nobody` before it reads the file: the
restricted reader of torch has had holes (CVE-2025-32434).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pwd
import struct
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from ishowtts.engines.f5.checkpoint import load, read_pickled, without_ema
from ishowtts.engines.weights import Weights
from ishowtts.errors import WeightsError

_TABLES = ("model_state_dict", "ema_model_state_dict")
_DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def main() -> int:
    """Converts and checks the files in the current folder. Prints one sentence if they cannot be used."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path, help="the weights that arrived")
    parser.add_argument("--convert-to", type=Path, help="the file for the converted weights")
    parser.add_argument("--ema", action="store_true", help="prefer the averaged weights")
    parser.add_argument("--vocoder", type=Path, required=True, help="the folder of Vocos")
    arguments = parser.parse_args()
    # Opened by root: nobody cannot write in this folder.
    with arguments.convert_to.open("wb") if arguments.convert_to else nullcontext() as target:
        _become_nobody()
        try:
            if target is not None:
                convert(arguments.model, target, use_ema=arguments.ema)
            load(
                Weights(
                    Path(),
                    model=arguments.convert_to or arguments.model,
                    vocab=Path("vocab.txt"),
                    vocoder=arguments.vocoder / "pytorch_model.bin",
                    vocoder_config=arguments.vocoder / "config.yaml",
                    architecture=Path("model.yaml"),
                )
            )
        except (WeightsError, OSError) as error:
            print(error)
            return 1
    return 0


def _become_nobody() -> None:
    """Gives up the rights of root, for good."""
    if os.geteuid() == 0:
        # torch imports more at its first load, and `nobody` cannot read packages in a folder of root's own.
        buffer = io.BytesIO()
        torch.save({}, buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def convert(pickled: Path, target: BinaryIO, *, use_ema: bool) -> None:
    """Writes the tensors of a pickled checkpoint as safetensors, and compares what was written.

    Args:
        pickled: a table of tensors, or what upstream's training saves, which holds such tables.
        target: an empty file with a name.
        use_ema: whether the averaged weights are preferred, if the file has both.

    Raises:
        WeightsError: the file holds no such table, or more than tensors.
        OSError: the result cannot be written.
    """
    tensors = _plain_table(pickled, use_ema)
    _write_safetensors(tensors, target)
    # Tensor by tensor: both copies together are too much for a board with 8 GB.
    with safe_open(target.name, "pt") as written:
        if not all(torch.equal(written.get_tensor(name), tensor) for name, tensor in tensors.items()):
            raise WeightsError(f"{target.name} was written, but differs from {pickled}; check the disk")


def _write_safetensors(tensors: dict[str, Tensor], target: BinaryIO) -> None:
    """Writes tensor by tensor. The library's own function needs all of them twice in memory, and a folder to write."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        offsets = [end, end + tensor.nbytes]
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8 bytes
    target.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        target.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    target.flush()
    os.fsync(target.fileno())


def _plain_table(path: Path, use_ema: bool) -> dict[str, Tensor]:
    """Returns the tensors of the model by upstream's names, of a file that is larger than all of them."""
    content = read_pickled(path, mapped=True)
    if isinstance(content, dict):
        names = reversed(_TABLES) if use_ema else _TABLES
        content = next((content[name] for name in names if name in content), content)
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{path} holds no table of tensors")
    table: dict[str, Tensor] = {}
    for name, value in without_ema({str(name): value for name, value in content.items()}).items():
        if not _is_plain(value) or name == "__metadata__":  # in the header of safetensors, that is no tensor
            raise WeightsError(f"{path} holds {name[:80]!r}, which is not a tensor of numbers with a point")
        table[name] = value
    # A view can repeat one number, so a file of 5 kB could become gigabytes.
    if sum(tensor.nbytes for tensor in table.values()) > path.stat().st_size:
        raise WeightsError(f"{path} describes more numbers than it holds")
    return table


def _is_plain(value: object) -> bool:
    """Whether it is a tensor whose bytes can be written as they are: in memory, without a pending change of sign."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.dtype in _DTYPES
        and value.device.type == "cpu"
        and not value.is_neg()
    )


if __name__ == "__main__":
    sys.exit(main())
