"""Voices that come over MQTT: one answer for each upload, whatever happens. The test runs the steps of the thread."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ishowtts.config import Config
from ishowtts.engines.build import Engines
from ishowtts.engines.voices import upload_spool
from ishowtts.engines.voices.upload_check import AddedClip
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.errors import VoiceError
from ishowtts.inbox import Inbox
from ishowtts.model import BadVoiceRequest, Event, VoiceAbout, VoicePart, VoiceRemoval, VoiceRequest
from ishowtts.speech import voice_uploads
from ishowtts.speech.voice_uploads import VoiceUploads


class UploadHarness:
    """The thread's work, without the thread and without the child. `refusal` is what the check says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uploaded = folder / "uploaded-voices"
        self.answers: list[dict[str, Any]] = []
        self.acknowledged = 0
        self.changes = 0
        self.checked: list[bytes] = []
        self.refusal: str | None = None
        self.library = VoiceLibrary(folder / "voices", self.uploaded)
        engine = {"f5": {"voices_over_mqtt": True, "default_voice": "chosen"}}
        config = Config.model_validate({"state_dir": folder, "engine": engine})
        engines = SimpleNamespace(voice_library=self.library, cloned_voice_problem=lambda _: "engine.kind is espeak")
        inbox = SimpleNamespace(record=self._record)
        self.uploads = VoiceUploads(config, cast(Engines, engines), cast(Inbox, inbox), on_change=self._change)
        monkeypatch.setattr(voice_uploads, "add_checked", self._check)

    def put(self, folder: str, name: str) -> None:
        voice = self.uploaded.parent / folder / name
        voice.mkdir(parents=True)
        (voice / "reference.wav").touch()

    def offer(self, *requests: VoiceRequest) -> list[dict[str, Any]]:
        """Take requests; return the answers to them."""
        before = len(self.answers)
        on_request = self.uploads.on_request
        assert on_request is not None
        for request in requests:
            on_request(request, self._acknowledge)
        self.uploads.run_once(last=False)
        return self.answers[before:]

    def _check(self, uploaded: Path, name: str, folder: Path, about: VoiceAbout, _cancelled: object) -> AddedClip:
        self.checked.append((folder / "recording").read_bytes())
        if self.refusal is not None:
            raise VoiceError(self.refusal)
        if not (about.replace and (uploaded / name).exists()):
            self.put("uploaded-voices", name)
        return AddedClip(3.21, ["the recording is noisy"])

    def _record(self, event: Event) -> None:
        self.answers.append(event.data)

    def _acknowledge(self) -> None:
        self.acknowledged += 1

    def _change(self) -> None:
        self.changes += 1


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadHarness]:
    return UploadHarness(tmp_path, monkeypatch)


def part(number: int = 0, parts: int = 1, name: str = "anna", upload: str = "u", **about: Any) -> VoicePart:
    described = VoiceAbout("Some words.", **about) if number == 0 else None
    return VoicePart(name, upload, number, parts, b"sound", described)


def test_a_complete_recording_is_checked_and_answered(harness: UploadHarness) -> None:
    assert harness.offer(part(0, 2)) == []
    (answer,) = harness.offer(part(1, 2))
    assert answer == {
        "command": "voice_add", "ok": True, "transaction": "u", "voice": "anna",
        "detail": "the voice anna was added, with a clip of 3.2 s; the recording is noisy; "
        "another engine speaks in its place: engine.kind is espeak",
    }  # fmt: skip
    assert (harness.checked, harness.acknowledged, harness.changes) == ([b"soundsound"], 2, 1)
    assert list((harness.uploaded / ".uploads").iterdir()) == []


def test_a_repeated_upload_is_answered_again_and_not_stored_again(harness: UploadHarness) -> None:
    first = harness.offer(part(0, 2), part(1, 2))
    assert harness.offer(part(0, 2), part(1, 2)) == first
    assert len(harness.checked) == 1
    (other,) = harness.offer(part(0, 2, replace=True), part(1, 2))
    assert (other["ok"], len(harness.checked)) == (True, 2), "the same id with other content is another upload"


def test_what_was_removed_since_is_added_again(harness: UploadHarness) -> None:
    harness.offer(part())
    (voice,) = (path for path in harness.uploaded.iterdir() if path.name == "anna")
    shutil.rmtree(voice)
    assert harness.offer(part())[0]["ok"]
    assert len(harness.checked) == 2


def test_a_slow_check_costs_other_uploads_no_time(harness: UploadHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.offer(part(0, 2, name="bob", upload="v"))
    extended: list[float] = []
    monkeypatch.setattr(upload_spool.UploadSpool, "extend", lambda _, waited_s: extended.append(waited_s))
    harness.refusal = "the words are too few"
    harness.offer(part())
    assert len(extended) == 1


def test_a_refused_upload_has_one_answer_and_may_be_sent_again(harness: UploadHarness) -> None:
    (late,) = harness.offer(part(2, 3), part(1, 3), part(2, 3))
    assert "part 0 of this upload is not here" in late["detail"]
    harness.refusal = "the words are too few"
    (refused,) = harness.offer(part(0, 2), part(1, 2), part(1, 2))
    assert (refused["ok"], refused["detail"]) == (False, "the words are too few")
    harness.refusal = None
    assert [answer["ok"] for answer in harness.offer(part(0, 2), part(1, 2))] == [True]


def test_a_message_that_cannot_be_read_ends_its_upload(harness: UploadHarness) -> None:
    harness.offer(part(0, 3))
    bad = BadVoiceRequest("voice_add", "anna", "data: is not base64", "u")
    (answer,) = harness.offer(bad, part(1, 3), part(2, 3))
    assert (answer["detail"], answer["transaction"], answer["voice"]) == ("data: is not base64", "u", "anna")
    (nameless,) = harness.offer(BadVoiceRequest("voice_add", None, "not a name"))
    assert "voice" not in nameless


def test_an_upload_whose_parts_do_not_come_is_answered(harness: UploadHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.offer(part(0, 3))
    monkeypatch.setattr(upload_spool, "PART_TIMEOUT_S", -1.0)
    (answer,) = harness.offer()
    assert answer["detail"].startswith("1 of 3 parts came")
    assert list((harness.uploaded / ".uploads").iterdir()) == []


def test_a_voice_that_comes_twice_at_once_is_added_once(harness: UploadHarness) -> None:
    answers = harness.offer(part(0, 2), part(0, 2, upload="v"), part(1, 2), part(1, 2, upload="v"))
    assert [(answer["transaction"], answer["ok"]) for answer in answers] == [("u", True), ("v", False)]
    assert "there is already a voice 'anna'" in answers[1]["detail"]
    assert len(harness.checked) == 1


def test_what_belongs_to_the_operator_stays(harness: UploadHarness) -> None:
    harness.put("voices", "anna")
    harness.put("uploaded-voices", "chosen")
    for name in ("anna", "default"):
        added, removed = harness.offer(part(name=name, upload=name, replace=True), VoiceRemoval(name, "t"))
        assert f"the voice '{name}' is the operator's, and cannot be replaced" in added["detail"]
        assert f"the voice '{name}' is the operator's, and cannot be removed" in removed["detail"]
    (kept,) = harness.offer(VoiceRemoval("chosen"))
    assert "engine.f5.default_voice names the voice 'chosen'" in kept["detail"]
    assert (harness.checked, harness.changes) == ([], 0)


def test_a_link_in_the_folder_of_uploaded_voices_is_left_alone(harness: UploadHarness, tmp_path: Path) -> None:
    harness.put("elsewhere", "anna")
    harness.uploaded.mkdir()
    (harness.uploaded / "anna").symlink_to(tmp_path / "elsewhere/anna")
    (answer,) = harness.offer(VoiceRemoval("anna", "t"))
    assert (answer["ok"], "is a link or not a folder" in answer["detail"]) == (False, True)
    assert (tmp_path / "elsewhere/anna/reference.wav").exists()


def test_only_so_many_voices_may_come(harness: UploadHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_uploads, "_MAX_VOICES", 2)
    answers = harness.offer(*(part(name=name, upload=name) for name in ("a", "b", "c")))
    assert [answer["ok"] for answer in answers] == [True, True, False]
    assert "2 voices have come over MQTT, which is the limit" in answers[2]["detail"]
    assert harness.offer(part(name="b", upload="again", replace=True))[0]["ok"], "replacing one makes none more"
    harness.offer(VoiceRemoval("a"))
    assert harness.offer(part(name="c", upload="later"))[0]["ok"]


def test_a_short_disk_takes_no_voices(harness: UploadHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts.util.disk_space._free_mb", lambda _: 5.0)
    (answer,) = harness.offer(part())
    assert "limits.min_free_mb" in answer["detail"]
    assert not harness.uploaded.exists()


def test_a_flood_of_requests_is_bounded(harness: UploadHarness) -> None:
    answers = harness.offer(*(VoiceRemoval(f"v{number}") for number in range(1000)))
    assert (harness.acknowledged, len(answers)) == (1000, 100)
    assert "too many parts of voices wait" in answers[0]["detail"], "the first answers are those of what does not fit"


def test_nothing_is_taken_unless_the_operator_wants_it(tmp_path: Path) -> None:
    (tmp_path / "uploaded-voices/.uploads/1").mkdir(parents=True)
    engines = SimpleNamespace(voice_library=VoiceLibrary(None), cloned_voice_problem=None)
    config = Config.model_validate({"state_dir": tmp_path})
    uploads = VoiceUploads(config, cast(Engines, engines), cast(Inbox, None), on_change=lambda: None)
    uploads.start()
    assert (uploads.on_request, uploads.alive()) == (None, False)
    assert list((tmp_path / "uploaded-voices").iterdir()) == [], "what an earlier run has left is deleted all the same"
    uploads.close(1.0)
