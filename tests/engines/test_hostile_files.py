"""Untrusted files, random and crafted, are read or refused. Every input that broke a reader is a case here."""

from __future__ import annotations

import io
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.engines import weights
from ishowtts.engines.voices import clips
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.recordings import open_recording
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.engines.weights import expected_bytes
from ishowtts.errors import OperatorFileError, VoiceError, WeightsError
from ishowtts.text import pronunciation_file
from ishowtts.util import strict_yaml
from ishowtts.util.files import open_regular, read_bounded
from ishowtts.util.strict_yaml import StrictYamlError
from support.hostile_files import check_clip, check_weights_head, check_yaml

SHORT = settings(max_examples=100, deadline=None)


def sound(kind: str, subtype: str, channels: int = 1, seconds: float = 0.05, rate_hz: int = 8_000) -> bytes:
    samples = np.zeros((round(seconds * rate_hz), channels))
    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format=kind, subtype=subtype)
    return out.getvalue()


SOUNDS = [
    sound("WAV", "PCM_16"), sound("WAV", "FLOAT", 2), sound("WAV", "MS_ADPCM"), sound("FLAC", "PCM_24"),
    sound("OGG", "VORBIS"), sound("MP3", "MPEG_LAYER_III"), sound("AIFF", "PCM_16"),
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Draws a good file with some bytes changed, removed or inserted."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, min(len(data), 200)))
        put = draw(st.binary(max_size=8))
        data[at : at + draw(st.sampled_from([0, len(put), 100]))] = put
    return bytes(data)


@SHORT
@given(st.one_of(st.binary(max_size=200), damaged(SOUNDS)))
def test_any_bytes_as_a_clip_are_read_or_refused(data: bytes) -> None:
    check_clip(data)


YAML_PIECES = st.sampled_from(
    ["a", "speed", ": ", "- ", "? ", "[", "]", "{", "}", ", ", "\n", "\n  ", "&a ", "*a", "<<: ", "!!int ", "'", '"',
     "|\n", ">\n", "# ", "---\n", "...\n", "%YAML 1.1\n", "0x", "1", ":1", "1e999", ".nan", "2001-99-99", "~", "=",
     "\t", "é", "\ufeff", "\0"]
)  # fmt: skip
YAML = st.lists(YAML_PIECES, max_size=40).map(lambda parts: "".join(parts).encode())


@SHORT
@given(
    st.one_of(st.binary(max_size=100), st.lists(YAML_PIECES, max_size=40).map(lambda parts: "".join(parts).encode()))
)
def test_any_bytes_as_yaml_are_read_or_refused(data: bytes) -> None:
    check_yaml(data)


def head(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
HEADS = st.dictionaries(
    st.text(max_size=5), st.fixed_dictionaries({"data_offsets": st.lists(st.integers(-1, 9), max_size=3)}), max_size=4
)


@SHORT
@given(st.one_of(st.binary(max_size=100), (JSON_VALUES | HEADS).map(lambda value: head(json.dumps(value)))))
def test_any_bytes_as_a_header_of_weights_are_read_or_refused(data: bytes) -> None:
    check_weights_head(data)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its length is impossible"),
        (struct.pack("<Q", 1 << 63) + b"{}", "its length is impossible"),
        (head(b" " * 1_000_001), "its length is impossible"),
        (head("[" * 200_000), "not JSON"),
        (head('{"a":' * 100_000), "not JSON"),
        (head('{"a":{"data_offsets":[0,' + "9" * 5000 + "]}}"), "not JSON|impossible offsets"),
        (head(b"\xff{}"), "not JSON"),
        (head('{"a":{"data_offsets":[0,1e999]}}'), "no valid offsets"),
        (head('{"a":{"data_offsets":[0,NaN]}}'), "no valid offsets"),
        (head('{"a":{"data_offsets":[0,1.5]}}'), "no valid offsets"),
        (head('{"a":{"data_offsets":[false,true]}}'), "no valid offsets"),
        (head('{"a":{"data_offsets":{"0":0,"1":1}}}'), "no valid offsets"),
        (head('{"a":[0,1]}'), "no valid offsets"),
        (head('{"a":{"data_offsets":[-1,1]}}'), "impossible offsets"),
        (head('{"a":{"data_offsets":[2,1]}}'), "impossible offsets"),
        (head('{"a":{"data_offsets":[0,4398046511104]}}'), "impossible offsets"),
        (head('{"a":{"data_offsets":[1,2]}}'), "overlap or have gaps"),
        (head('{"a":{"data_offsets":[0,2]},"b":{"data_offsets":[1,3]}}'), "overlap or have gaps"),
        (head('{"__metadata__":{"format":"pt"}}'), "no tensors"),
        (head("[]"), "not a table"),
    ],
)
def test_a_false_header_is_reported_as_damage(tmp_path: Path, content: bytes, says: str) -> None:
    for name in ("vocab.txt", "vocos/config.yaml", "model.yaml", "vocos/model.safetensors", "model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content or b"-")
    with pytest.raises(WeightsError, match=f"header is damaged .*({says})"):
        weights.locate(tmp_path)


def test_a_correct_header_gives_the_size_of_the_file() -> None:
    true = head(
        '{"__metadata__":{"a":"b"},"b":{"data_offsets":[4,9]},"a":{"data_offsets":[0,4]},"c":{"data_offsets":[4,4]}}'
    )
    assert expected_bytes(true) == len(true) + 9


NINE = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 10))
"""382 bytes that become 9^9 pairs in a loader that follows merge keys."""


@pytest.mark.parametrize(
    "content", [NINE, "[" * 4000, "{" * 4000, "- " * 2000, "speed: 0x" + "f" * 4000, "1:1:" * 1000]
)
def test_yaml_that_would_grow_is_refused_at_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "voice.yaml"
    path.write_text(content)
    started = time.process_time()
    with pytest.raises(VoiceError):
        voice_settings.read(path)
    if content.startswith(("a0", "[", "{", "- ")):
        with pytest.raises(OperatorFileError):
            pronunciation_file.read(path)
    assert time.process_time() - started < 2


def test_yaml_is_bounded_in_size() -> None:
    assert strict_yaml.load("a: " + "x" * (strict_yaml.MOST_BYTES - 3)) == {"a": "x" * (strict_yaml.MOST_BYTES - 3)}
    with pytest.raises(StrictYamlError, match="larger than 65536 bytes"):
        strict_yaml.load("a: " + "é" * (strict_yaml.MOST_BYTES // 2))


@pytest.mark.f5
@pytest.mark.parametrize("content", [NINE, "x" * 70_000, "[" * 60_000, "name: \udcff"])
def test_the_configuration_of_a_model_is_read_as_carefully(tmp_path: Path, content: str) -> None:
    from ishowtts.engines.f5 import architecture

    path = tmp_path / "model.yaml"
    path.write_text(content, errors="surrogateescape")
    for read in (architecture.read_model, architecture.read_vocoder):
        with pytest.raises(WeightsError, match=f"^{path} .*; fetch the weights again"):
            read(path)


@pytest.mark.f5
def test_a_vocabulary_is_bounded(tmp_path: Path) -> None:
    from ishowtts.engines.f5.vocabulary import read_vocab

    (tmp_path / "vocab.txt").write_text(" \n" + "a\n" * 500_000)
    with pytest.raises(WeightsError, match="cannot be read as a list of tokens"):
        read_vocab(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b" \r\na\r\nb")
    assert read_vocab(tmp_path / "vocab.txt") == {" ": 0, "a": 1, "": 2}, "as upstream reads it"


@pytest.mark.f5
def test_compressed_tensors_are_refused(tmp_path: Path) -> None:
    import zipfile

    import torch

    from ishowtts.engines.f5.checkpoint import _read_pickle

    plain, packed = tmp_path / "plain.bin", tmp_path / "packed.bin"
    torch.save({"a": torch.zeros(1_000_000)}, plain)
    assert _read_pickle(plain)["a"].shape == (1_000_000,)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert packed.stat().st_size < 50_000, "4 MB unpacked"
    with pytest.raises(WeightsError, match="holds more than tensors"):
        _read_pickle(packed)


@pytest.mark.f5
def test_a_file_that_only_ends_like_a_zip_does_not_reach_the_legacy_reader_of_torch(tmp_path: Path) -> None:
    import io
    import tarfile
    import zipfile

    from ishowtts.engines.f5.checkpoint import _refuse_packed

    both = tmp_path / "both.bin"
    with tarfile.open(both, "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    with both.open("ab") as file, zipfile.ZipFile(file, "w"):
        pass
    assert zipfile.is_zipfile(both)
    with pytest.raises(ValueError, match="not a zip"):
        _refuse_packed(both)


@pytest.mark.f5
def test_an_expanded_tensor_is_refused(tmp_path: Path) -> None:
    import torch

    from ishowtts.engines.f5.checkpoint import _expect, _read_pickle

    torch.save({"a": torch.zeros(1).expand(100_000_000)}, tmp_path / "view.bin")
    assert (tmp_path / "view.bin").stat().st_size < 5_000
    with pytest.raises(WeightsError, match="without all of its numbers"):
        _expect({"a": (100_000_000,)}, _read_pickle(tmp_path / "view.bin"), tmp_path / "view.bin")


def irregular_files(folder: Path) -> dict[str, Path]:
    """Creates files that are not regular: a reader would block on them or never reach their end."""
    os.mkfifo(folder / "pipe")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "terminal").symlink_to("/dev/ptmx")
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    with (folder / "sparse").open("wb") as file:
        file.truncate(100 << 30)
    return {name: folder / name for name in ("pipe", "zero", "terminal", "folder", "loop", "sparse")}


def test_every_reader_refuses_a_file_that_is_not_regular(tmp_path: Path) -> None:
    for path in irregular_files(tmp_path).values():
        with pytest.raises(OSError, match=r"regular|larger|symbolic"):
            read_bounded(path, 100)
        with pytest.raises(VoiceError), open_recording(path):
            pass
        with pytest.raises(VoiceError):
            clips.make_clip(path)
        with pytest.raises(VoiceError):
            voice_settings.read(path)
        with pytest.raises(OperatorFileError):
            pronunciation_file.read(path)
        with pytest.raises(WeightsError):
            weights._check_size(path)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    # /proc reports 0 bytes for this file, as for a file that is being written.
    with open_regular(Path("/proc/self/maps"), 10):
        pass
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_bounded(Path("/proc/self/maps"), 10)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"channels": 9}, "9 channels"),
        ({"rate_hz": 4_000}, "4000 Hz"),
        ({"rate_hz": 400_000}, "400000 Hz"),
        ({"channels": 8, "seconds": 40, "rate_hz": 96_000}, "longer than 31.25 s"),
        ({"seconds": 130}, "longer than 120 s"),
    ],
)
def test_a_small_file_that_decodes_to_a_large_sound_is_refused(tmp_path: Path, how: dict[str, Any], says: str) -> None:
    path = tmp_path / "bomb.wav"
    flac = how.get("channels", 1) <= 8 and how.get("rate_hz", 0) <= 192_000
    path.write_bytes(sound("FLAC" if flac else "WAV", "PCM_16", **how))
    with pytest.raises(VoiceError, match=says):
        clips.make_clip(path)


def test_a_voice_with_hostile_settings_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "reference.wav").write_bytes(SOUNDS[0])
    (folder / "reference.txt").write_text("Hello.")
    (folder / "voice.yaml").write_text(NINE)
    with pytest.raises(VoiceError, match=r"voice\.yaml, line 1, is not plain YAML: it has an anchor"):
        VoiceLibrary(tmp_path).find("anna")
