"""Checks that what is read from files and settings of an operator, or of a damaged disk, is used or refused.

Nothing here trusts who wrote them: each reader returns a value or raises the error that its callers expect.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ishowtts import config
from ishowtts.archive.speech_cache import pack, unpack
from ishowtts.backup.replacement import unfinished
from ishowtts.board import BoardIdentity
from ishowtts.engines.f5.architecture import read_model, read_vocoder
from ishowtts.engines.f5.vocabulary import read_vocab
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.weights_record import read_record
from ishowtts.errors import BackupError, ConfigError, IShowError, VoiceError, WeightsError
from ishowtts.inbox.rejection_limit import counts_from_text, counts_to_text
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.discovery import stored_topics
from ishowtts.mqtt.discovery_message import DiscoveryFacts, discovery_message
from ishowtts.stored_state import stored_volume


def check_config(data: bytes) -> None:
    """Checks that the configuration of an operator is one, or that each fault is a sentence that can be printed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    try:
        settings = config.parse(text, "c.yaml")
    except ConfigError as error:
        str(error).encode("utf-8", "replace")
        return
    root = f"{settings.mqtt.prefix}/{settings.device.name}"
    facts = DiscoveryFacts.from_config(settings, root, BoardIdentity(), ["anna"])
    strict_json.dumps(discovery_message(facts))


def check_discovery(data: bytes) -> None:
    """Checks that the message for Home Assistant is JSON of a bounded size, whatever board and voices are called."""
    model, jetpack, serial, *voices = [*data.decode("utf-8", "surrogateescape").split("\0"), "", "", ""]
    facts = DiscoveryFacts("ishowtts/t", BoardIdentity(model or None, jetpack or None, serial or None), voices)
    message = strict_json.dumps(discovery_message(facts))
    assert len(message) < 200_000
    assert strict_json.loads(message.decode("utf-8"))["components"]


def check_checkpoint(data: bytes) -> None:
    """Checks that the description, the tokens and the record of a checkpoint are used or refused."""
    file = _scratch() / "source.json"
    file.write_bytes(data)
    for read in (read_model, read_vocoder, read_vocab):
        _refused(read, file, WeightsError)
    _refused(voice_settings.read, file, VoiceError)
    read_record(_scratch())


def check_stored(data: bytes) -> None:
    """Checks that a damaged setting of the queue's file, an entry of the cache or a journal is used or refused."""
    text = data.decode("utf-8", "surrogateescape")
    assert all(isinstance(topic, str) for topic in stored_topics(text))
    assert counts_from_text(counts_to_text(counts_from_text(text))) == counts_from_text(text)
    volume = stored_volume(text)
    assert volume is None or 0 <= volume <= 100
    whole = pack({}, b"").split(b"\n", 1)[0] + b"\n"
    for entry in (data, whole + hashlib.sha256(data).hexdigest().encode("ascii") + b"\n" + data):
        with suppress(ValueError, RecursionError):
            unpack(entry)
    journal = _scratch() / "journal"
    journal.write_bytes(data)
    _refused(unfinished, journal, BackupError)


def _refused(read: Callable[[Path], object], path: Path, error: type[IShowError]) -> None:
    """Reads a file, which may only be refused by this error."""
    with suppress(error):
        read(path)


@lru_cache
def _scratch() -> Path:
    """A folder in memory, if the machine has one."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-fuzz-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
