"""Joins the lines of a text into one, with a pause where a line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ishowtts.limits import HAN, KANA

_RULE = re.compile(r"(?:[-*_=~#•—–][ \t]{0,9}){3,}")
_TABLE_RULE = frozenset("|:-+= \t")
_HEADING = re.compile(r"#{1,6}[ \t]+(\S.*)|={2,40}[ \t]*(\S.*?)[ \t]*={2,40}")
_CLOSING_SIGNS = re.compile(r"[ \t]+#+$")
# `> 5` compares, `>:(` and `>.<` are faces.
_QUOTE = re.compile(r">(?=[> \t]|[^\W\d_]|$)")
_NUMBER = re.compile(r"[-–−+]?[ \t]*[.,]?\d")
_MINUS = re.compile(r"[-–−+][ \t]+(?=[.,]?\d)")
_BULLET = re.compile(r"(?:[-+*:→➔–—•◦▪▫‣⁃·●○■□►▶➤➢✦]|-#)[ \t]+(?=\S)|[•◦▪▫‣⁃●○■□►▶➤➢✦](?=\S)")
_DASHED = re.compile(r"[-–—](?=[^\W\d_])")
# A quantity that is a price or a temperature: `- 5 °C` in a list of temperatures is below zero.
_QUANTITY = re.compile(r"[.,]?\d[\d.,]{0,15} ?(?:°|℃|℉|%|€|\$|£|[KCF]\b|$)")
_NUMBERED = re.compile(r"\(?(\d{1,3})[.)][ \t]+(?=\S)")
_CHECKBOX = re.compile(r"\[([ xX✓✔-])\][ \t]+(?=\S)")
_ALERT = re.compile(r"\[!([A-Z]{3,12})\]$")
_CLOSERS = "\"'”’»)]）】》」』〉*_~"
_ENDS = ".,;:!?…。，、；：！？—–"
_SENTENCE_ENDS = ".!?…。！？"
_EAST_ASIAN = re.compile(f"[{HAN}{KANA}]")
_PLAIN_WORD = re.compile(r"[^\W\d_A-Z][^\W\d_A-Z]*(?=[\s,;:.!?…'’-]|$)")
_OPENERS = "\"'“‘(["
# A line as long as this is wrapped if the next one continues in lower case.
_WRAPPED_CHARS = 40
_UNFINISHED = re.compile(
    r"(?:a|an|the|and|or|but|of|to|with|without|from|for|than|your|my|our|their"
    r"|der|das|und|oder|ein|eine|mit|von|zu|le|les|une|et|ou|de|du|des)"
)
# In a short line these may also be the last word: `Light on`, `What it is`.
_UNFINISHED_IF_LONG = re.compile(
    r"(?:in|on|at|by|into|onto|about|around|between|under|over|after|before|until|during|through|that|this|these|those"
    r"|which|who|is|are|was|were|be|been|am|will|would|can|could|should|shall|may|might|must|has|have|had|not|no|as|if"
    r"|when|while|because|so|his|her|its|very|more|less|only|just|also|each|every|some|any|all|up|die|la|un)"
)


@dataclass(frozen=True)
class _Line:
    """One line without its signs. A line of kind `text` may continue the one before; an `item` never does."""

    kind: Literal["text", "item", "heading"]
    text: str


def join_lines(text: str) -> str:
    """The lines of a text as one. A stop or a comma ends each line that has no punctuation at its end.

    Signs of headings, lists, quotes, tables and rules are dropped. A line that only looks wrapped is joined without a
    pause. A minus before a number stays.
    """
    rows = [row.strip() for row in text.splitlines()]
    blocks = _blocks(rows)
    if not blocks:
        return ""
    joined = [blocks[0].text]
    stopped = len(blocks) > 1 and blocks[-1].kind != "text"
    for before, line in pairwise(blocks):
        mark, stop = _mark_between(before, line)
        stopped |= stop
        words = line.text
        if mark.strip() == "." or (_last_sign(before.text) in _SENTENCE_ENDS and line.kind != "text"):
            words = _capitalised(words)
        joined += [mark, words]
    if stopped and _last_sign(blocks[-1].text) not in _ENDS:
        joined.append("。" if _EAST_ASIAN.search(blocks[-1].text) else ".")
    return "".join(joined)


def _mark_between(before: _Line, line: _Line) -> tuple[str, bool]:
    """What joins two lines, and whether it is a full stop."""
    last = before.text[-1]
    if _last_sign(before.text) in _ENDS:
        return ("" if last in "。，、；：！？" else " "), False
    if _EAST_ASIAN.match(last) or (_EAST_ASIAN.search(before.text) and _EAST_ASIAN.search(line.text)):
        return "。", True
    if _is_wrapped(before, line):
        return " ", False
    if before.kind == line.kind == "text" and line.text[0].islower():
        return ", ", False
    return ". ", True


def _is_wrapped(before: _Line, line: _Line) -> bool:
    if before.kind == "heading" or line.kind != "text":
        return False
    is_long = len(before.text) >= _WRAPPED_CHARS
    if is_long and line.text[0].islower():
        return True
    _, blank, last_word = before.text.rpartition(" ")
    unfinished = _UNFINISHED.fullmatch(last_word) or (is_long and _UNFINISHED_IF_LONG.fullmatch(last_word))
    return bool(blank and unfinished)


def _last_sign(text: str) -> str:
    return text.rstrip(_CLOSERS)[-1:] or text[-1]


def _capitalised(text: str) -> str:
    """The text with a capital at its start, if it starts with a word in lower case."""
    at = len(text) - len(text.lstrip(_OPENERS))
    return text[:at] + text[at].upper() + text[at + 1 :] if _PLAIN_WORD.match(text, at) else text


def _blocks(rows: list[str]) -> list[_Line]:
    dashes = sum(1 for row in rows if row.startswith(("- ", "-\t")))
    pluses = sum(1 for row in rows if row.startswith(("+ ", "+\t")))
    dashed = sum(1 for row in rows if _DASHED.match(row))
    quoted = sum(1 for row in rows if row.startswith(">"))
    numbered = sum(1 for row in rows if _NUMBERED.match(row))
    tabular = sum(1 for row in rows if row.startswith("|") or " | " in row)
    blocks = []
    for written in rows:
        row = _without_quote(written, several=quoted > 1)
        if len(rows) > 1 and not row.strip("-*_=~#•—–|>+: "):
            continue
        if not row or _RULE.fullmatch(row) or ("--" in row and _TABLE_RULE.issuperset(row)):
            continue
        several = {"-": dashes > 1, "+": pluses > 1, "-x": dashed > 1, "1.": numbered > 1, "|": tabular > 1}
        line = _line(row, several)
        if line.text:
            blocks.append(line)
    return blocks


def _without_quote(row: str, *, several: bool) -> str:
    rest = row.lstrip("> \t")
    if _QUOTE.match(row) is None or (_NUMBER.match(rest) and not several):
        return row
    return rest


def _line(row: str, several: dict[str, bool]) -> _Line:
    """The line of a row. `several` tells which marks other rows have too: then they are a list or a table."""
    if heading := _HEADING.fullmatch(row):
        return _Line("heading", _CLOSING_SIGNS.sub("", heading[1] or heading[2]).strip())
    if alert := _ALERT.match(row):
        return _Line("heading", alert[1].capitalize())
    if several["|"] and "|" in row:
        cells = (cell.strip() for cell in row.strip("|").split("|"))
        return _Line("item", ", ".join(cell for cell in cells if cell))
    minus = _MINUS.match(row)
    if minus and not (several.get(row[0], False) and _QUANTITY.match(row[minus.end() :]) is None):
        return _Line("text", row[0] + row[minus.end() :])
    item = _item(row, several)
    if item is not None:
        return _Line("item", item)
    return _Line("text", row.strip("|").strip() if row.startswith("|") and row.endswith("|") else row)


def _item(row: str, several: dict[str, bool]) -> str | None:
    """The words of an item of a list; `None` if the row is none."""
    if bullet := _BULLET.match(row):
        words = row[bullet.end() :]
        box = _CHECKBOX.match(words)
        if box is None:
            return words
        words = words[box.end() :]
        return words if box[1] in " -" else f"{words.rstrip('.')}, done"
    if several["-x"] and (dash := _DASHED.match(row)):
        return row[dash.end() :]
    if several["1."] and (numbered := _NUMBERED.match(row)):
        return _with_number(numbered[1], row[numbered.end() :])
    return None


def _with_number(number: str, words: str) -> str:
    """A numbered item. A comma ties the number to it, except before another number, where it would be one of two."""
    if words[0].isdigit() or words[0] in "-+.,":
        return f"{number}. {words}"
    return f"{number}、{words}" if _EAST_ASIAN.match(words) else f"{number}, {words}"
