"""Examines the files and folders that a configuration names. The part of each finding is the key that names it."""

from __future__ import annotations

import ipaddress
import logging
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ishowtts.cli import engine_findings
from ishowtts.cli.findings import Finding, fault
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.config.gateway_section import is_loopback, split_listen
from ishowtts.config.schema import SERVICE_DIR, missing_secret
from ishowtts.errors import OperatorFileError
from ishowtts.util import files, named_pipe
from ishowtts.util.user_rights import as_user

_FREE_MB = 500
_SERVICE_USER = "ishowtts"


def examine_files(settings: Config) -> Iterator[Finding]:
    """Examine every file and folder. What the configuration does not name and what is as usual is left out."""
    yield from examine_secrets(settings)
    yield from engine_findings.examine_engines(settings)
    for key, device in (("audio.device", settings.audio.device), ("audio.when_lost", settings.audio.when_lost)):
        if device.startswith("wav:"):
            yield examine_wav(key, device)
        if device.startswith("pipe:"):
            yield examine_pipe(key, device, settings)
    if settings.audio.chime is not False or settings.audio.chimes_dir is not None:
        yield from examine_chime(settings)
    yield from examine_words(settings)
    yield from examine_folders(settings)
    yield from examine_wyoming_address(settings)


def examine_wyoming_address(settings: Config) -> Iterator[Finding]:
    """Whether this machine has what `gateway.wyoming.listen` names. A note, since a network may come up later."""
    if (listen := settings.gateway.wyoming.listen) is None:
        return
    import psutil  # it takes 16 ms or more, and few configurations need it

    host, _ = split_listen(listen)
    try:
        host = str(ipaddress.ip_address(host))  # IPv6 has several spellings
        what = f"address {host}"
    except ValueError:
        if "." in host:
            return  # the name of a host
        what = f"network interface {host}"
    interfaces = psutil.net_if_addrs()
    known = {*interfaces, *(each.address for found in interfaces.values() for each in found)}
    if not is_loopback(host) and host not in known:
        detail = f"this machine has no {what} now, and the gateway does not start without it"
        yield Finding("gateway.wyoming.listen", "note", detail, "`ip address` lists both kinds")


def examine_secrets(settings: Config) -> Iterator[Finding]:
    """Files of passwords, token and TLS: whether they can be read, and whether other users can read the secret ones."""
    mqtt, http = settings.mqtt, settings.gateway.http
    named = {
        **secret_files(settings),
        "mqtt.tls.ca": mqtt.tls.ca,
        "mqtt.tls.cert": mqtt.tls.cert,
        "mqtt.tls.key": mqtt.tls.key,
        "gateway.http.tls.cert": http.tls.cert,
        "gateway.http.tls.key": http.tls.key,
    }
    secret = {*secret_files(settings), "mqtt.tls.key", "gateway.http.tls.key"}
    for key, path in named.items():
        if path is None:
            continue
        try:
            with files.open_regular(path):
                pass
        except OSError as error:
            problem = f"{path} cannot be read ({error.strerror})", _file_fix(key, path, error)
            if key in secret_files(settings) and isinstance(error, FileNotFoundError):
                problem = missing_secret(key, path)
            yield Finding(key, "fault", *problem)
        else:
            yield _secret(key, path) if key in secret else Finding(key, "ok", str(path))
    # systemd hands these files over as credentials: see the drop-ins in systemd/.
    for name in ("mqtt-password", "mqtt-tls-key", "gateway-mqtt-password", "gateway-token"):
        path = DEFAULT_PATH.with_name(name)
        if path.exists():
            yield _secret(name, path)


def secret_files(settings: Config) -> dict[str, Path | None]:
    """The keys that name the file of a secret. By mistake, a value without a / may be the secret itself."""
    return {
        "mqtt.password_file": settings.mqtt.password_file,
        "gateway.mqtt.password_file": settings.gateway.mqtt.password_file,
        "gateway.http.token_file": settings.gateway.http.token_file,
    }


def _secret(key: str, path: Path) -> Finding:
    if path.stat().st_mode & stat.S_IRWXO:
        refused = key == "gateway.http.token_file"  # the gateway does not start with it
        shown = f"{path} is readable by every user of this machine"
        return Finding(key, "fault" if refused else "note", shown, f"chmod o= {path}")
    return Finding(key, "ok", str(path))


def _file_fix(key: str, path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"create {path}, or fix {key}"
    if isinstance(error, PermissionError):
        return f"run this with sudo, or let this user read {path}"
    return f"fix {key}, which must name a regular file"


def examine_wav(key: str, device: str) -> Finding:
    """Look whether a device `wav:PATH` can be written. Nothing is created."""
    path = Path(device.removeprefix("wav:"))
    fix = f"create that folder for the user of the daemon, or fix {key}"
    if path.suffix != ".wav":
        return _folder(key, path, fix)
    if path.is_dir():
        return Finding(
            key, "fault", f"{path} is a folder, and no file", f"name a file in it, or another folder, in {key}"
        )
    if not path.parent.is_dir():
        return Finding(key, "fault", f"the folder {path.parent} of {path.name} does not exist", fix)
    return _folder(key, path.parent, fix, shown=path)


def examine_pipe(key: str, device: str, settings: Config) -> Finding:
    """Look whether a device `pipe:PATH` is a FIFO that the daemon may write. It is not opened."""
    path = Path(device.removeprefix("pipe:"))
    is_service = settings.state_dir.is_relative_to(SERVICE_DIR)
    if is_service and (folder := named_pipe.private_tmp(path)) is not None:
        hidden = f"the service cannot see {path}: it has its own {folder}"
        return Finding(key, "fault", hidden, "make the pipe in another folder: see Snapcast in docs/sound.md")
    if (problem := named_pipe.fifo_problem(path)) is not None:
        return Finding(key, "fault", *problem)
    with _service_rights(is_service) as user:
        usable = os.access(path, os.R_OK | os.W_OK, effective_ids=True)
    if not usable:
        return Finding(key, "fault", f"{path} cannot be written by {user}", f"let {user} read and write that pipe")
    return Finding(key, "ok", f"{path}, a named pipe")


def examine_chime(settings: Config) -> Iterator[Finding]:
    """The chimes: the one that is wanted, and files of the folder that cannot be used."""
    if settings.audio.chime is False and settings.audio.chimes_dir is None and not settings.chimes_folder.is_dir():
        return
    # Imported here: it loads numpy and soundfile.
    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # the caller prints the faults, once
    from ishowtts.playback.chime_files import DEFAULT, ChimeFiles

    chimes = ChimeFiles(settings.chimes_folder)
    wanted = settings.audio.chime
    name = DEFAULT if isinstance(wanted, bool) else wanted
    key = "audio.chimes_dir" if wanted is False else "audio.chime"
    try:
        ignored = chimes.ignored()
    except OperatorFileError as error:
        yield fault(key, error)
        return
    names, usable = chimes.names(), []
    for each in sorted({name, *names}):
        try:
            chimes.find(each)
            usable.append(each)
        except OperatorFileError as error:
            if each != name or wanted is False:
                yield replace(fault("audio.chimes_dir", error), verdict="note")
            elif each in names:
                yield fault("audio.chime", error)
            else:
                yield fault("audio.chime", error, f"put {name}.wav there, or set audio.chime to {' or '.join(names)}")
    for file, (why, fix) in ignored.items():
        yield Finding("audio.chimes_dir", "note", f"{chimes.folder / file} is not a chime: {why}", fix)
    if wanted is not False and name in usable:
        yield Finding("audio.chime", "ok", f"{name}; chimes that can be used: {', '.join(usable)}")


def examine_words(settings: Config) -> Iterator[Finding]:
    """The file of pronunciations and that of blocked words, with every fault in them."""
    named = {
        "policies.blocked.file": settings.policies.blocked.file,
        "text.pronunciations": settings.text.pronunciations,
    }
    for key, path in named.items():
        if path is None:
            continue
        faults, size = _pronunciations(path) if key == "text.pronunciations" else _blocked_words(settings)
        for sentence in faults:
            yield fault(key, sentence)
        if not faults:
            yield Finding(key, "ok", f"{path}, {size} {'entry' if size == 1 else 'entries'}")


def _pronunciations(path: Path) -> tuple[list[str], int]:
    """The faults of the file, and the number of its entries if there are none."""
    from ishowtts.text import pronunciation_file

    faults = pronunciation_file.faults(path)
    return faults, 0 if faults else pronunciation_file.read(path).size


def _blocked_words(settings: Config) -> tuple[list[str], int]:
    """The faults of the file, and the number of words in it and in the configuration."""
    from ishowtts.policies.blocked_words import BlockedWords

    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # the caller prints the fault, once
    words = BlockedWords(settings.policies.blocked, time.monotonic)
    return [] if words.fault is None else [words.fault.removeprefix("policies.blocked.file: ")], words.size


def examine_folders(settings: Config) -> Iterator[Finding]:
    """The folders of state, data, cache and recordings: whether they can be written, and are on a disk with room."""
    try:
        files.refuse_foreign(settings.data_folder)
    except OSError as error:
        yield Finding("data_dir", "note", str(error.strerror), "run install.sh again, or give that folder to root")
    folders = {
        "state_dir": settings.state_dir,
        "cache_dir": settings.cache_dir,
        "audio.record_dir": settings.audio.record_dir,
        "engine.f5.voices_dir": settings.engine.f5.voices_dir,
    }
    for key, path in folders.items():
        if path is None:
            continue
        if key == "engine.f5.voices_dir":
            yield _read_folder(key, path)
        else:
            least_mb = max(_FREE_MB, settings.limits.min_free_mb) if key == "state_dir" else _FREE_MB
            yield _folder(key, path, f"name a folder that the daemon may write in {key}", least_mb=least_mb)
    for key, path in (*folders.items(), ("data_dir", settings.data_dir)):
        if path is not None and not path.is_absolute():
            where = f"{path} is relative: here it is {path.absolute()}, and elsewhere another folder"
            yield Finding(key, "note", where, f"write {key}: {path.absolute()}")


def _read_folder(key: str, path: Path) -> Finding:
    if path.is_dir():
        return Finding(key, "ok", str(path))
    problem = "is not a folder" if path.exists() else "does not exist"
    return Finding(key, "fault", f"{path} {problem}", f"create it, or fix {key}")


def _folder(key: str, path: Path, fix: str, shown: Path | None = None, least_mb: int = _FREE_MB) -> Finding:
    """Whether files can be written to a folder, or to the one in which it will be created."""
    existing = _first_existing(path)
    shown = shown or path
    if not existing.is_dir():
        return Finding(key, "fault", f"{existing} is not a folder", fix)
    disk = os.statvfs(existing)
    if disk.f_blocks == 0:  # /proc, /sys and others that the kernel makes up
        cannot = "hold files" if existing == path else "be created"
        why = f"{_mount_point(existing)} is not a disk, and takes no new folders and files"
        return Finding(key, "fault", f"{shown} cannot {cannot}: {why}", f"name another folder in {key}")
    if disk.f_flag & os.ST_RDONLY:
        mount = _mount_point(existing)
        return Finding(
            key,
            "fault",
            f"{shown} cannot be written: {mount} is a read-only file system",
            f"sudo mount -o remount,rw {mount}; if that fails, dmesg shows whether the disk is failing",
        )
    with _as_service(existing) as user:
        writable = os.access(existing, os.W_OK | os.X_OK, effective_ids=True)
    if not writable:
        give = f"sudo chown {_SERVICE_USER} {existing}" if user == _SERVICE_USER else f"run this with sudo, or {fix}"
        return Finding(key, "fault", f"{shown} cannot be written by {user}", give)
    free_mb = shutil.disk_usage(existing).free / 1e6
    if free_mb <= least_mb:
        return Finding(key, "fault", f"{shown}: only {free_mb:.0f} MB free", "make room on that disk")
    return Finding(key, "ok", f"{shown}, {free_mb:.0f} MB free")


@contextmanager
def _as_service(folder: Path) -> Iterator[str]:
    """For root, take the rights of the service's user in the service's folders: root itself may write everywhere."""
    ours = any(folder.is_relative_to(each) for each in (SERVICE_DIR / "state", Path("/var/cache/ishowtts")))
    with _service_rights(ours) as user:
        yield user


@contextmanager
def _service_rights(ours: bool) -> Iterator[str]:
    """For root, take the rights of the service's user if the file is for the service. Gives the name of the user."""
    try:
        service = pwd.getpwnam(_SERVICE_USER) if ours and os.geteuid() == 0 else None
    except KeyError:
        service = None
    if service is None:
        yield "this user"
        return
    with as_user(service.pw_uid, service.pw_gid, os.getgrouplist(_SERVICE_USER, service.pw_gid)):
        yield _SERVICE_USER


def _first_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _mount_point(path: Path) -> Path:
    path = path.resolve()
    while not os.path.ismount(path):
        path = path.parent
    return path
