"""How the findings of `doctor` are printed."""

from __future__ import annotations

from ishowtts.cli.findings import Finding, fault, finding_lines

ROW = Finding("sound", "fault", "the sound device hw:[/x] is not there", "set audio.device to silent or wav:PATH")
WORDS = "sound fault the sound device hw:[/x] is not there fix: set audio.device to silent or wav:PATH"


def test_in_a_pipe_a_finding_is_one_plain_line() -> None:
    [line] = finding_lines(ROW, None, colour=False)
    assert line == (
        "sound               fault  the sound device hw:[/x] is not there; fix: set audio.device to silent or wav:PATH"
    )


def test_in_a_terminal_the_texts_are_wrapped_in_their_column() -> None:
    for width in (60, 80, 120):
        first, *rest = finding_lines(ROW, width, colour=False)
        assert first.startswith("sound               fault  the sound")
        assert all(line.startswith(" " * 27) for line in rest)
        assert all(len(line) <= width for line in (first, *rest))
        text = " ".join(" ".join((first, *rest)).split())
        assert text == WORDS
    coloured, *_ = finding_lines(ROW, 80, colour=True)
    assert "\x1b[31mfault\x1b[0m" in coloured


def test_in_a_narrow_terminal_the_texts_stand_below_the_part() -> None:
    for width in (30, 40, 56):
        first, *rest = finding_lines(ROW, width, colour=False)
        assert first == "sound               fault"
        assert rest[0].startswith("  the sound device")
        assert all(len(line) <= width for line in (first, *rest))
        assert " ".join(" ".join((first, *rest)).split()) == WORDS


def test_text_from_outside_cannot_drive_the_terminal() -> None:
    [line] = finding_lines(Finding("daemon", "ok", "online: \x1b[2J\n"), None, colour=False)
    assert line.endswith(r"online: \x1b[2J\n")


def test_the_fix_is_taken_from_the_sentence_and_never_missing() -> None:
    assert fault("x", "it is broken; replace it") == Finding("x", "fault", "it is broken", "replace it")
    assert fault("x", "a; b; replace it").detail == "a; b"
    assert fault("x", "it is broken; replace it", "buy one") == Finding("x", "fault", "it is broken", "buy one")
    assert fault("x", "it is broken").fix
