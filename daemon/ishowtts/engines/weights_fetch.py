"""Fetches a model of the catalogue into a folder: downloads or copies its files, verifies, converts and installs them.

What arrives lies in `.arriving` until it is verified. `model.yaml`, or the model itself for the official weights, is
installed last: an interrupted fetch is not taken for a complete one, and the next one goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from ishowtts.engines import fetch_sources, hub_client, weights_record
from ishowtts.engines.weights import Weights, examine
from ishowtts.engines.weights_catalogue import CatalogueModel, HubFile
from ishowtts.engines.weights_record import ReportBytes, WeightsRecord, git_sha1_of, read_record, sha256_of
from ishowtts.errors import WeightsError
from ishowtts.util.child_process import command
from ishowtts.util.file_lock import lock_file
from ishowtts.util.files import make_folder, open_regular

_ARRIVING = ".arriving"
_CONVERTED = "converted.safetensors"
_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 50_000_000  # for the queue and the history of a daemon on the same disk
_MAX_CONVERSION_S = 1800  # 2.6 GB take 10 s from an SSD; a slow card reads 10 MB/s
_MAX_ANSWER_CHARS = 1000


@dataclass(frozen=True)
class _Fetch:
    """One fetch: what, into which folder, from which folder (`None`: the hub), and where Vocos may lie already."""

    model: CatalogueModel
    target: Path
    source: Path | None
    others: Sequence[Path]
    report: ReportBytes

    @property
    def arriving(self) -> Path:
        return self.target / _ARRIVING


def fetch(
    model: CatalogueModel,
    target_dir: Path,
    from_dir: Path | None = None,
    progress: ReportBytes | None = None,
    others: Sequence[Path] = (),
) -> Weights:
    """Downloads or copies a model into a folder, verifies each file and converts what is pickled.

    Files that are already there and correct stay. The caller must show `model.licence_note` first.

    Args:
        model: an entry of the catalogue.
        target_dir: created if it is missing.
        from_dir: a folder or a mounted USB stick with the files, in the layout of the hub; `None`: from the hub.
        progress: called with the name of a step, the bytes done and the total bytes.
        others: folders of other fetched models, whose Vocos is copied instead of downloaded.

    Raises:
        WeightsError: there is no network, a file is missing in `from_dir`, a size or checksum is wrong, the disk has
            not enough space, the folder holds other weights, or what arrived is not of this model.
    """
    job = _Fetch(model, target_dir, from_dir, others, progress or (lambda name, done, total: None))
    try:
        with _only_fetch(target_dir):
            _refuse_other_weights(job)
            if model.is_pinned:
                _install_pinned(job)
            elif not _is_installed(job):
                _install_unpinned(job)
            shutil.rmtree(job.arriving, ignore_errors=True)
    except OSError as error:
        raise WeightsError(
            f"{target_dir} cannot be written ({error.strerror or error}); check free space and permissions"
        ) from error
    return examine(target_dir)


@contextmanager
def _only_fetch(target: Path) -> Iterator[None]:
    """Refuses a second fetch into a folder: both would write into the same unfinished files."""
    make_folder(target)
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock_file(descriptor):
            raise WeightsError(f"another fetch into {target} is under way; wait for its end")
        yield
    finally:
        os.close(descriptor)


def _refuse_other_weights(job: _Fetch) -> None:
    """Refuses a folder with the description of another checkpoint, whose files would be overwritten."""
    record = read_record(job.target)
    if (job.target / "model.yaml").exists() and (record is None or record.model != job.model.name):
        raise WeightsError(f"{job.target} holds other weights; name another folder with --to")


def _install_pinned(job: _Fetch) -> None:
    missing = _missing_pinned(job)
    _check_space(job, missing)
    for file in missing:
        _place(_receive(job, file), job.target / file.local_path)


def _install_unpinned(job: _Fetch) -> None:
    model, target, arriving = job.model, job.target, job.arriving
    found, verified_by = _unpinned_files(job)
    missing = _missing_pinned(job)
    _check_space(job, [*missing, *found], model.disk_bytes if model.is_pickled else 0)
    for file in missing:
        _place(_receive(job, file), target / file.local_path)
    vocab, weights = (_receive(job, file) for file in found)
    description = arriving / "model.yaml"
    _write_description(model, description)
    weights = _checked_weights(job, weights)
    sums = {file.local_path: file.sha256 or "" for file in model.pinned}
    sums["vocab.txt"] = sha256_of(vocab, "check vocab.txt", job.report)
    sums["model.safetensors"] = sha256_of(weights, "check model.safetensors", job.report)
    record = arriving / weights_record.NAME
    weights_record.write_record(
        record, WeightsRecord(model.name, model.repo, found[0].revision or None, verified_by, sums)
    )
    (target / "model.yaml").unlink(missing_ok=True)  # until all files are of one revision, the folder is not complete
    _place(vocab, target / "vocab.txt")
    _place(weights, target / "model.safetensors")
    _place(record, target / weights_record.NAME)
    _place(description, target / "model.yaml")


def _is_installed(job: _Fetch) -> bool:
    """Whether everything is there and unchanged. The description is then written as this version has it."""
    record = read_record(job.target)
    if record is None or record.model != job.model.name:
        return False
    names = ("vocab.txt", "model.safetensors", *(file.local_path for file in job.model.pinned))
    for name in names:
        path = job.target / name
        if not path.is_file() or sha256_of(path, f"check {name}", job.report) != record.sha256.get(name):
            return False
    make_folder(job.arriving)
    _write_description(job.model, job.arriving / "model.yaml")
    _place(job.arriving / "model.yaml", job.target / "model.yaml")
    return True


def _missing_pinned(job: _Fetch) -> list[HubFile]:
    """Returns the files with a known checksum that the folder lacks, or has with another content."""
    paths = {file: job.target / file.local_path for file in job.model.pinned}
    return [file for file, path in paths.items() if not (path.is_file() and _is_correct(path, file, job.report))]


def _unpinned_files(job: _Fetch) -> tuple[tuple[HubFile, ...], str]:
    """Returns the files whose checksums are not known here, with what the source tells about them, and who tells it."""
    if job.source is None:
        return hub_client.resolve(job.model.unpinned), "hub"
    described = tuple(fetch_sources.described(file, job.source) for file in job.model.unpinned)
    known = all(file.sha256 or file.git_sha1 for file in described)
    return described, "download" if known else "nothing"


def _check_space(job: _Fetch, files: Sequence[HubFile], more_bytes: int = 0) -> None:
    """Compares the free space with what will be written. Nothing is written before: a full disk costs the history."""
    if not files:
        return
    expected = {path for file in files for path in (_received_path(job, file), _partial_path(job, file))}
    for path in job.arriving.iterdir() if job.arriving.is_dir() else ():
        if path in expected:
            continue
        # Of an earlier revision, of an interrupted conversion, or a folder of the hub's client by an earlier version.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    arrived = sum(path.stat().st_size for path in expected if path.is_file())
    needed = max(0, sum(file.size for file in files) - arrived) + more_bytes + _SPARE_BYTES
    if (free := shutil.disk_usage(job.target).free) < needed:
        converted = ", with room for the conversion" if more_bytes else ""
        raise WeightsError(
            f"{job.target} needs {needed / 1e6:.0f} MB{converted}, and its disk has {free / 1e6:.0f} MB free; "
            "free some space, or name a folder on a larger disk with --to"
        )


def _received_path(job: _Fetch, file: HubFile) -> Path:
    return job.arriving / Path(file.path).name


def _partial_path(job: _Fetch, file: HubFile) -> Path:
    """Returns the unfinished file. Its name belongs to the content: bytes of another revision are not continued."""
    return job.arriving / f"{(file.sha256 or file.git_sha1 or 'copy')[:16]}-{Path(file.path).name}.part"


def _receive(job: _Fetch, file: HubFile) -> Path:
    """Returns a verified file in `.arriving`. What an earlier fetch left there is used."""
    make_folder(job.arriving)
    received, partial = _received_path(job, file), _partial_path(job, file)
    has_checksum = file.sha256 is not None or file.git_sha1 is not None
    if has_checksum and received.is_file() and _is_correct(received, file, job.report):
        return received
    if source := _local_source(job, file):
        _copy(source, file, partial, job.report)
    else:
        hub_client.download(file, partial, job.report)
    if not _is_correct(partial, file, job.report):
        partial.unlink()
        raise WeightsError(f"{file.path} arrived with a wrong size or checksum; try again, or use another source")
    _place(partial, received)
    return received


def _local_source(job: _Fetch, file: HubFile) -> Path | None:
    """Returns a file that can be copied; `None` if the hub must give it."""
    if job.source is not None and (given := fetch_sources.source_of(file, job.source)):
        return given
    if copy := fetch_sources.installed_copy(file, job.others):
        return copy
    if job.source is not None:
        raise WeightsError(f"{job.source} lacks {Path(file.path).name} of {file.repo}; put it there")
    return None


def _copy(source: Path, file: HubFile, partial: Path, report: ReportBytes) -> None:
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as writer:
            for block in _blocks(source, file):
                writer.write(block)
                report(f"copy {file.local_path}", writer.tell(), file.size)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _blocks(source: Path, file: HubFile) -> Iterator[bytes]:
    """Yields the content of a file on a stick, which may be pulled out."""
    left = file.size
    try:
        with open_regular(source) as reader:
            if (size := os.fstat(reader.fileno()).st_size) != file.size:
                raise WeightsError(f"{source} has {size} bytes instead of {file.size}; copy it again from {file.repo}")
            while left and (block := reader.read(min(_BLOCK_BYTES, left))):
                left -= len(block)
                yield block
    except OSError as error:
        raise WeightsError(f"{source} cannot be read ({error.strerror}); try again, or use another source") from error


def _is_correct(path: Path, file: HubFile, report: ReportBytes) -> bool:
    if path.stat().st_size != file.size:
        return False
    label = f"check {file.local_path}"
    if file.sha256 is not None:
        return sha256_of(path, label, report) == file.sha256
    return file.git_sha1 is None or git_sha1_of(path, label, report) == file.git_sha1


def _write_description(model: CatalogueModel, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_text(yaml.safe_dump(model.model_yaml(), sort_keys=False), encoding="utf-8")


def _checked_weights(job: _Fetch, weights: Path) -> Path:
    """Returns weights in `.arriving` that F5 loads, as safetensors. Another process reads them, which imports torch."""
    options = [weights.name, "--vocoder", "../vocos"]
    converted = job.arriving / _CONVERTED
    if job.model.is_pickled:
        converted.unlink(missing_ok=True)
        options += ["--convert-to", _CONVERTED, *(["--ema"] if job.model.use_ema else [])]
    job.report("convert" if job.model.is_pickled else "load", 0, 1)
    try:
        done = subprocess.run(
            command("ishowtts.engines.f5.checkpoint_conversion", *options),
            cwd=job.arriving, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_MAX_CONVERSION_S, check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"the weights of {job.model.repo} took more than {_MAX_CONVERSION_S} s to read") from error
    if done.returncode != 0:
        lines = (done.stdout or done.stderr).strip().splitlines() or [f"the reader ended with {done.returncode}"]
        why, _, _ = lines[-1][:_MAX_ANSWER_CHARS].partition("; fetch the weights again")
        raise WeightsError(
            f"the weights of {job.model.repo} cannot be used: {why}; `ishowtts fetch --list` shows others"
        )
    job.report("convert" if job.model.is_pickled else "load", 1, 1)
    return converted if job.model.is_pickled else weights


def _place(path: Path, target: Path) -> None:
    make_folder(target.parent)
    path.chmod(0o644)  # the service's user reads it, whatever root's umask is
    with path.open("rb") as file:
        os.fsync(file.fileno())  # otherwise a power cut may leave the name without the content
    path.replace(target)
