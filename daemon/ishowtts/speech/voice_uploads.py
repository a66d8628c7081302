"""Adds and removes voices that come over MQTT, and answers each upload with one `command` event."""

from __future__ import annotations

import shutil
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.config import Config
from ishowtts.engines.build import Engines
from ishowtts.engines.voices import folders
from ishowtts.engines.voices.upload_check import AddedClip, add_checked
from ishowtts.engines.voices.upload_spool import CompleteUpload, UploadKey, UploadSpool, digest_of
from ishowtts.engines.voices.voice_library import DEFAULT, entries_of, uploaded_voices_folder
from ishowtts.errors import Cancelled, VoiceError
from ishowtts.inbox import Inbox
from ishowtts.limits import VOICE_RECORDING_BYTES
from ishowtts.model import Acknowledge, VoicePart, VoiceRemoval, VoiceRequest
from ishowtts.speech.commands import CommandAnswers
from ishowtts.util.disk_space import DiskSpace
from ishowtts.util.loop_thread import LoopThread
from ishowtts.util.rate_limit import FLOOD_S

_SPOOL = ".uploads"  # no voice has such a name
_MAX_VOICES = 200
_MAX_WAITING = 800  # requests: two recordings of 12 MB. With MQTT 5 the broker sends 20 at most
_MAX_ENDED = 1000
_MAX_DETAIL_CHARS = 1000
_POLL_INTERVAL_S = 1.0  # while an upload is not complete


@dataclass(frozen=True)
class _EndedUpload:
    """How an upload ended. `first` is the digest of its part 0, which another upload with its id does not have."""

    ok: bool
    detail: str
    first: bytes


class VoiceUploads(LoopThread):
    """The thread `voice-uploads`. It stores the parts, has complete recordings checked, and removes voices.

    Without `engine.f5.voices_over_mqtt` there is no such thread.

    Args:
        engines: Their voices are looked up. Those of the operator are never changed.
        inbox: Stores the answers.
        on_change: Called when a voice was added, replaced or removed.

    Attributes:
        disk: Where uploads are stored.
    """

    def __init__(self, config: Config, engines: Engines, inbox: Inbox, *, on_change: Callable[[], None]) -> None:
        super().__init__("voice-uploads")
        self._enabled = config.engine.f5.voices_over_mqtt
        self._library = engines.voice_library
        self._default_voice = config.engine.f5.default_voice
        self._not_cloned = engines.cloned_voice_problem
        self._on_change = on_change
        self._voices_dir = uploaded_voices_folder(config)
        self.disk = DiskSpace(config.state_dir, config.limits.min_free_mb)
        self._spool = UploadSpool(self._voices_dir / _SPOOL)
        self._answers = CommandAnswers(inbox)
        self._waiting: deque[tuple[VoiceRequest, Acknowledge]] = deque()
        self._first_parts: dict[UploadKey, bytes] = {}
        self._ended: OrderedDict[UploadKey, _EndedUpload] = OrderedDict()

    @property
    def on_request(self) -> Callable[[VoiceRequest, Acknowledge], None] | None:
        """Takes each request of the link; `None` if voices may not come over MQTT."""
        return self._offer if self._enabled else None

    def start(self) -> None:
        """Delete what an earlier run has left, and start the thread."""
        self._spool.clear()
        for entry in entries_of(self._voices_dir):
            if entry.name.startswith(".") and not entry.is_symlink():  # a voice that was not stored completely
                shutil.rmtree(entry, ignore_errors=True)
        if self._enabled:
            super().start()

    def _offer(self, request: VoiceRequest, acknowledge: Acknowledge) -> None:
        """Take a request, and acknowledge it once it is dealt with. Any thread may call; it never blocks."""
        if len(self._waiting) >= _MAX_WAITING:
            acknowledge()
            self._refuse(request, "too many parts of voices wait; send each when the broker has confirmed the last")
            return
        self._waiting.append((request, acknowledge))
        self.wake()

    def run_once(self, last: bool) -> float:
        """Deal with the requests that wait, and with uploads whose parts do not come any more."""
        while self._waiting and not self._closing:
            request, acknowledge = self._waiting.popleft()
            self.progressed()
            self._handle(request)
            acknowledge()
        for key, sentence in self._spool.expired().items():
            self._end(key, False, sentence)
        self._answers.sum_up(last=last)
        if last:
            self._spool.clear()
        return _POLL_INTERVAL_S if len(self._spool) else FLOOD_S

    def _handle(self, request: VoiceRequest) -> None:
        if isinstance(request, VoicePart):
            self._take_part(request)
        elif isinstance(request, VoiceRemoval):
            self._remove(request)
        elif request.name and request.transaction and (key := (request.name, request.transaction)) in self._spool:
            self._end(key, False, request.detail)
        else:
            self._refuse(request, request.detail)

    def _take_part(self, part: VoicePart) -> None:
        key = (part.name, part.upload)
        first = digest_of(part) if part.part == 0 else b""
        if key not in self._spool and (ended := self._ended.get(key)) is not None:
            if part.part != 0:
                return  # it was on its way when the upload ended
            if ended.ok and ended.first == first and self._library.is_uploaded(part.name):
                self._answer_upload(key, True, ended.detail)  # the network has repeated it
                return
        try:
            if key not in self._spool and part.about is not None:
                self._may_be_added(part.name, part.about.replace)
                self._first_parts[key] = first
            upload = self._spool.add(part)
            if upload is not None:
                self._may_be_added(part.name, upload.about.replace)  # another upload may have been faster
                self._finish(upload)
        except VoiceError as error:
            self._end(key, False, str(error))
        except Cancelled:  # the daemon stops: nobody answers, and the sender sends it again
            self._spool.discard(key)

    def _may_be_added(self, name: str, replace: bool) -> None:
        """Raise VoiceError if there is no need to send a recording for this voice."""
        if name == DEFAULT or (self._library.has(name) and not self._library.is_uploaded(name)):
            raise VoiceError(
                f"the voice {name!r} is the operator's, and cannot be replaced over MQTT; send it under another name"
            )
        if self._library.has(name):
            if not replace:
                raise VoiceError(f"there is already a voice {name!r}; send replace: true, or another name")
        elif len(self._library.uploaded_names()) >= _MAX_VOICES:
            raise VoiceError(f"{_MAX_VOICES} voices have come over MQTT, which is the limit; remove one first")
        if problem := self.disk.shortage(VOICE_RECORDING_BYTES / 1e6):
            raise VoiceError(problem)

    def _finish(self, upload: CompleteUpload) -> None:
        """Have a complete recording checked and stored. Raises Cancelled.

        Its answer is always sent: the check takes so long that there cannot be many, and a flood must not hide it.
        """
        try:
            detail = self._check(upload)
        except VoiceError as error:
            self._end(upload.key, False, str(error), limited=False)
            return
        self._on_change()
        self._end(upload.key, True, detail, limited=False)

    def _check(self, upload: CompleteUpload) -> str:
        """Return the answer to a complete upload. Raises VoiceError, Cancelled."""
        name, began_s = upload.key[0], time.monotonic()
        try:
            added = add_checked(self._voices_dir, name, upload.folder, upload.about, lambda: self._closing)
        finally:
            self._spool.extend(time.monotonic() - began_s)
        return self._added_sentence(name, added)

    def _added_sentence(self, name: str, added: AddedClip) -> str:
        not_cloned = self._not_cloned(name)
        notes = [*added.notes, *([f"another engine speaks in its place: {not_cloned}"] if not_cloned else [])]
        return "; ".join([f"the voice {name} was added, with a clip of {added.length_s:.1f} s", *notes])

    def _remove(self, removal: VoiceRemoval) -> None:
        name = removal.name
        try:
            if not self._library.has(name):
                self._library.find(name)  # raises
            if not self._library.is_uploaded(name):
                raise VoiceError(f"the voice {name!r} is the operator's, and cannot be removed over MQTT")
            if name == self._default_voice:
                raise VoiceError(f"engine.f5.default_voice names the voice {name!r}; change that key first")
            folders.remove(self._voices_dir, name)
        except VoiceError as error:
            self._answers.send("voice_remove", None, False, str(error), removal.transaction, voice=name)
            return
        self._on_change()
        self._answers.send("voice_remove", None, True, f"the voice {name} was removed", removal.transaction, voice=name)

    def _end(self, key: UploadKey, ok: bool, detail: str, *, limited: bool = True) -> None:
        """End an upload with its answer."""
        self._spool.discard(key)
        detail = detail if len(detail) <= _MAX_DETAIL_CHARS else f"{detail[: _MAX_DETAIL_CHARS - 1]}…"
        self._ended[key] = _EndedUpload(ok, detail, self._first_parts.pop(key, b""))
        self._ended.move_to_end(key)
        if len(self._ended) > _MAX_ENDED:
            self._ended.popitem(last=False)
        self._answer_upload(key, ok, detail, limited=limited)

    def _answer_upload(self, key: UploadKey, ok: bool, detail: str, *, limited: bool = True) -> None:
        self._answers.send("voice_add", None, ok, detail, key[1], voice=key[0], limited=limited)

    def _refuse(self, request: VoiceRequest, detail: str) -> None:
        if isinstance(request, VoicePart):
            self._answer_upload((request.name, request.upload), False, detail)
            return
        command = "voice_remove" if isinstance(request, VoiceRemoval) else request.command
        self._answers.send(command, None, False, detail, request.transaction, voice=request.name)
