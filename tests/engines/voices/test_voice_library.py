"""Voices are found by name, and a faulty voice raises an error that names the fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ishowtts.engines.voices.recordings import MAX_BYTES
from ishowtts.engines.voices.voice_library import VoiceLibrary, VoiceNames
from ishowtts.errors import VoiceError


def put(folder: Path, name: str, text: bytes | None = b"Some words.\n", clip: str = "reference.wav") -> None:
    (folder / name).mkdir()
    (folder / name / clip).write_bytes(b"RIFF")
    if text is not None:
        (folder / name / "reference.txt").write_bytes(text)


@pytest.mark.f5
def test_the_default_voice_comes_with_f5_tts() -> None:
    voice = VoiceLibrary(None).find(None)
    assert voice.name == "default"
    assert voice.audio_path.is_file()
    assert voice.text == "Some call me nature, others call me mother nature."


def test_folders_are_voices_at_once(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    assert library.names() == ["default"]
    put(tmp_path, "ann", b"\xef\xbb\xbf Hello\n there. \n")
    put(tmp_path, "bob", clip="reference.flac")
    put(tmp_path, "Not A Name")
    (tmp_path / "empty").mkdir()
    assert library.names() == ["ann", "bob", "default"]
    assert library.find("ann").text == "Hello there."
    assert library.find(None, "bob").audio_path.name == "reference.flac"


def test_a_folder_default_overrides_the_voice_of_the_package(tmp_path: Path) -> None:
    put(tmp_path, "default")
    assert VoiceLibrary(tmp_path).find(None).text == "Some words."


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "is missing"), (b"\xff\xfe", "UTF-8"), (b" \n", "is empty"), (b"a" * 5000, "larger than 4096 bytes")],
)
def test_words_that_cannot_be_read_raise(tmp_path: Path, text: bytes | None, words: str) -> None:
    put(tmp_path, "ann", text)
    with pytest.raises(VoiceError, match=words):
        VoiceLibrary(tmp_path).find("ann")


@pytest.mark.parametrize("name", ["", "../ann", "Ann", "a" * 65, "ann/..", "a\nb"])
def test_a_name_never_leads_out_of_the_voices_folder(tmp_path: Path, name: str) -> None:
    put(tmp_path, "ann")
    with pytest.raises(VoiceError, match="not a valid name of a voice"):
        VoiceLibrary(tmp_path / "ann").find(name)


def test_an_unknown_voice_raises_with_the_known_ones(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    with pytest.raises(VoiceError, match="no voice 'bob'; the voices are ann, default"):
        VoiceLibrary(tmp_path).find("bob")
    with pytest.raises(VoiceError, match="no voice 'bob'"):
        VoiceLibrary(tmp_path / "missing").find("bob")


def test_a_flood_of_unknown_names_does_not_list_the_voices_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        put(tmp_path, f"ann{number:02d}")
    library = VoiceLibrary(tmp_path)
    names = VoiceNames(library)
    folders, listings = library.names, 0

    def list_folders() -> list[str]:
        nonlocal listings
        listings += 1
        return folders()

    monkeypatch.setattr(library, "names", list_folders)
    for number in range(100):
        assert f"bob{number}" not in names
        assert "ann07" in names
        assert len(names) == 31
        with pytest.raises(VoiceError, match=r"ann19 and 11 more") as caught:
            library.find(f"bob{number}")
        assert len(str(caught.value)) < 250
    assert listings <= 2  # it takes less than two seconds
    put(tmp_path, "new")
    assert "new" in names, "a new folder is a voice at once"
    assert library.find("new").name == "new"
    assert not any(library.has(name) for name in ("", "..", "../ann00", "ann00/..", "Ann00", "a" * 100, "\0"))


def test_settings_are_part_of_a_voice(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    (tmp_path / "ann" / "voice.yaml").write_text("speed: 0.9\nnfe_step: 16\ngain_db: -6\nlanguage: de\n")
    library = VoiceLibrary(tmp_path)
    ann = library.find("ann")
    assert (ann.speed, ann.nfe_step, ann.gain_db, ann.language) == (0.9, 16, -6, "de")
    assert ann.gain == pytest.approx(0.501, abs=1e-3)
    assert library.language("ann") == "de"
    (tmp_path / "ann" / "voice.yaml").write_text("# nothing yet\n")
    assert (library.find("ann").speed, library.find("ann").gain) == (None, 1.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("speed: 3", r"voice\.yaml: speed must be a number from 0\.5 to 2\.0, but is 3"),
        ("speed: .nan", "speed must be"),
        ("speed: true", "speed must be a number"),
        ("nfe_step: 2", "nfe_step must be a whole number from 4 to 64"),
        ("nfe_step: 7.5", "nfe_step must be"),
        ("gain_db: 90", "gain_db must be a number from -24 to 12"),
        ("language: no", "language must be .*in quotes"),
        ("language: ../../etc", "language must be"),
        ("language: [en]", "but is a list"),
        ("sped: 1", "unknown key 'sped'; known here: speed, nfe_step"),
        ("- speed", "keys and values"),
        ("speed: [", "line 1, is not plain YAML"),
        ("[" * 4000, "nested deeper than 16"),
        ("a: 2001-99-99", "not plain YAML"),
        ("# " + "x" * 5000, "larger than 4096 bytes"),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "an anchor or an alias"),
        ("<<: {speed: 1.0}", "a merge key"),
        ("speed: 1.0\nspeed: 1.1", "line 2, .* the key 'speed' twice"),
        ("speed: 0x" + "f" * 4000, "a number of more than 64 characters"),
        ("? [speed]\n: 1", "a key that is not text"),
        ("!!python/object/apply:os.system ['true']", "it has a tag"),
    ],
)
def test_a_fault_of_the_settings_names_the_file_the_key_and_the_fix(tmp_path: Path, content: str, words: str) -> None:
    put(tmp_path, "ann")
    (tmp_path / "ann" / "voice.yaml").write_text(content)
    with pytest.raises(VoiceError, match=words) as caught:
        VoiceLibrary(tmp_path).find("ann")
    assert str(tmp_path / "ann" / "voice.yaml") in str(caught.value)
    assert VoiceLibrary(tmp_path).language("ann") is None


def test_a_version_changes_with_any_file_and_the_voice_with_it(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    library = VoiceLibrary(tmp_path)
    seen = [library.find("ann").version]
    assert library.versions() == {"ann": seen[0]}

    def another() -> None:
        found = library.find("ann")
        assert found.version not in seen
        assert library.versions()["ann"] == found.version
        seen.append(found.version)

    (tmp_path / "ann" / "reference.wav").write_bytes(b"RIFF and more")
    another()
    (tmp_path / "ann" / "reference.txt").write_text("Other words.")
    another()
    assert library.find("ann").text == "Other words."
    (tmp_path / "ann" / "voice.yaml").write_text("speed: 0.9")
    another()
    old = (tmp_path / "ann" / "voice.yaml").stat()
    (tmp_path / "new").write_text("speed: 0.8")
    os.utime(tmp_path / "new", ns=(old.st_atime_ns, old.st_mtime_ns))
    (tmp_path / "new").rename(tmp_path / "ann" / "voice.yaml")
    another()
    assert library.find("ann").speed == 0.8
    (tmp_path / "ann" / "voice.yaml").unlink()
    assert library.find("ann").speed is None
    (tmp_path / "ann" / "reference.wav").unlink()
    assert library.versions() == {}
    with pytest.raises(VoiceError, match="no voice 'ann'"):
        library.find("ann")


@pytest.mark.parametrize("what", ["reference.wav", "reference.txt", "voice.yaml", "folder"])
def test_a_link_that_leads_out_is_refused_and_one_within_is_followed(tmp_path: Path, what: str) -> None:
    voices_dir, outside = tmp_path / "voices", tmp_path / "outside"
    for folder in (voices_dir, outside):
        folder.mkdir()
        put(folder, "ann")
        (folder / "ann" / "voice.yaml").write_text("speed: 0.9")
    (voices_dir / "twin").symlink_to("ann")
    assert VoiceLibrary(voices_dir).find("twin").speed == 0.9
    if what == "folder":
        (voices_dir / "bob").symlink_to(outside / "ann")
    else:
        (voices_dir / "ann").rename(voices_dir / "bob")
        (voices_dir / "bob" / what).unlink()
        (voices_dir / "bob" / what).symlink_to(outside / "ann" / what)
    with pytest.raises(VoiceError, match=r"is a link that leads out of .*copy the file there"):
        VoiceLibrary(voices_dir).find("bob")


def test_a_folder_of_voices_that_is_a_link_itself_is_fine(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    put(tmp_path / "disk", "ann")
    (tmp_path / "voices").symlink_to("disk")
    assert VoiceLibrary(tmp_path / "voices").find("ann").text == "Some words."


@pytest.mark.parametrize("what", ["reference.txt", "voice.yaml"])
def test_a_pipe_does_not_block(tmp_path: Path, what: str) -> None:
    put(tmp_path, "ann")
    (tmp_path / "ann" / what).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "ann" / what)
    with pytest.raises(VoiceError, match="not a regular file"):
        VoiceLibrary(tmp_path).find("ann")


def test_a_huge_clip_is_refused_before_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    with (tmp_path / "ann" / "reference.wav").open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(VoiceError, match="larger than 50 MB"):
        VoiceLibrary(tmp_path).find("ann")


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path, VoiceLibrary]:
    """The folder of the operator, that of uploaded voices, and the library of both."""
    own, uploaded = tmp_path / "voices", tmp_path / "uploaded"
    for folder in (own, uploaded):
        folder.mkdir()
    return own, uploaded, VoiceLibrary(own, uploaded)


def test_voices_that_came_over_mqtt_stand_beside_those_of_the_operator_which_win(
    two_folders: tuple[Path, Path, VoiceLibrary],
) -> None:
    own, uploaded, library = two_folders
    put(own, "ann", b"The words of the operator.")
    put(uploaded, "ann", b"Other words.")
    put(uploaded, "bob")
    put(uploaded, ".uploads")
    assert (library.names(), library.uploaded_names()) == (["ann", "bob", "default"], ["bob"])
    assert library.find("ann").text == "The words of the operator."
    assert [library.is_uploaded(name) for name in ("ann", "bob", "default", "carl")] == [False, True, False, False]
    assert library.versions().keys() == {"ann", "bob"}
    (own / "ann").rename(own / ".ann")
    assert library.find("ann").text == "Other words."
    assert library.uploaded_names() == ["ann", "bob"]


@pytest.mark.f5
def test_a_voice_that_came_over_mqtt_is_never_the_default_one(two_folders: tuple[Path, Path, VoiceLibrary]) -> None:
    _, uploaded, library = two_folders
    put(uploaded, "default", b"Other words.")
    assert (library.names(), library.uploaded_names(), library.versions()) == (["default"], [], {})
    assert library.find(None).text.startswith("Some call me nature")


def test_a_link_among_the_uploaded_voices_leads_nowhere(two_folders: tuple[Path, Path, VoiceLibrary]) -> None:
    own, uploaded, library = two_folders
    put(own, "ann")
    (uploaded / "bob").symlink_to(own / "ann")
    with pytest.raises(VoiceError, match="is a link that leads out of"):
        library.find("bob")


def test_a_missing_folder_of_uploaded_voices_holds_none(tmp_path: Path) -> None:
    put(tmp_path, "ann")
    library = VoiceLibrary(tmp_path, tmp_path / "none")
    assert (library.names(), library.uploaded_names(), library.fault()) == (["ann", "default"], [], None)
