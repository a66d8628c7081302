"""Takes the markup out of a text: Markdown, HTML, SSML, entities, and the codes of chats and terminals.

Nobody says which markup a text has, and most texts have none: a star may be a bullet, a product or a footnote. So this
is no parser of one language. Each sign is dropped only where its surroundings show that it is markup.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from ishowtts.limits import HAN, KANA, MAIL, WEB_START
from ishowtts.text.literals import PAUSE, Literals, spoken_pauses, without_marks
from ishowtts.text.markup_lines import join_lines
from ishowtts.text.markup_tags import decode_entities, name_of_emoji, replace_tags

_ANY_SIGN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029*_`~|#<>&\[\]\\§=•◦▪▫‣⁃·●○■□►▶➤➢✦]|:[\w+-]|^\s*[-+–—−0-9(]")
_NEW_LINES = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Colours and styles of terminals and of IRC, and what an escape looks like if a program has written it out.
_ANSI = re.compile(
    r"(?:\x1b|\x9b|\\(?:e|x1[bB]|033|u001[bB])(?=\[))\[?[0-?]{0,40}[ -/]{0,4}[@-~]"
    r"|\x1b\][^\x07\x1b]{0,300}(?:\x07|\x1b\\)?"
)
_IRC = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6})?|[\x02\x0f\x11\x16\x1d\x1e\x1f]")
# §c is a colour of Minecraft. §5 is one only before a word: `§5 BGB` and `§5a UWG` are laws.
_MINECRAFT = re.compile(r"§(?:[a-fk-orA-FK-OR](?![\w.])|[a-fk-orA-FK-OR](?=\w{2}|[A-Z]|§)|[0-9](?=[A-Z]|[a-z]{2}|§))")
_ESCAPED_LINE = re.compile(r"\\{1,2}r\\{1,2}n|\\{1,2}[nt]")
_PATH_BEFORE = re.compile(
    r"(?:^|[^A-Za-z0-9])[A-Za-z]:(?:\\[^\n,;!?\"]{0,60})?$|(?:^|\s)(?:\\\\|\.{1,2}\\|~\\|%)[^\s]{0,60}$|(?:^|\s)(?:\.{1,2}|~)$"
)
_SHARE = re.compile(r"(?<!\S)\\\\[\w.-]{1,40}\\[\w.]")
_PATH_CHARS = 64
_FENCE = re.compile(r"[ \t>]{0,12}(```+|~~~+)[ \t]*[\w+#.-]{0,30}[ \t]*")
_CODE = re.compile(r"(?<![\w`])(`{1,3})(?!`)([^`\n]{1,1000})(?<!`)\1(?![\w`])")
_QUOTED_LETTER = re.compile(r"(?<=[^\W\d_])`(?=[^\W\d_])")

_TARGET = r"<?(?:[a-z][a-z0-9+.-]{1,20}:|www\.|[/.#?]|[\w-]{0,64}[./])(?:[^\s()]|\([^\s()]{0,200}\)){0,1500}>?"
_LABEL = r"[^\[\]\n]{0,500}"
_IMAGE = re.compile(
    rf"!\[({_LABEL})\](?:\({_TARGET}(?:\s{{1,9}}[\"'(][^\"'()\n]{{0,200}}[\"')])?\)|\[[^\[\]\n]{{0,100}}\])", re.I
)
_LINK = re.compile(
    rf"(?<![\w)])\[({_LABEL})\]\(({_TARGET})(?:\s{{1,9}}[\"'(][^\"'()\n]{{0,200}}[\"')])?\)", re.IGNORECASE
)
_REFERENCE = re.compile(rf"\[({_LABEL})\]\[([^\[\]\n]{{0,100}})\]")
_DEFINITION = re.compile(r"^[ \t]{0,3}\[([^\[\]\n]{1,100})\]:[ \t]{0,9}\S{1,1500}[^\n]{0,200}$", re.MULTILINE)
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,40}\]:?")
_BBCODE = re.compile(
    r"\[(/?)(b|i|u|s|code|quote|url|img|email|color|colour|size|font|center|left|right|list|spoiler|sub|sup|table|tr|td|th|"
    r"youtube|justify|indent|pre|h[1-6]|user|mention|emoji|br|hr)(=[^\[\]\n]{1,300})?\]",
    re.IGNORECASE,
)
_ADDRESS = re.compile(rf"(?:{WEB_START}|ftp://)[!-;=?-~]{{1,2000}}|(?<![A-Za-z0-9_.+-]){MAIL}", re.IGNORECASE)
_ADDRESS_END = re.compile(r"(?:[.,;:!?)\]}'\"*_~]|\|\|)+$")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_HARD_BREAK = re.compile(r"\\[ \t]*$", re.MULTILINE)
_SHORTCODE = re.compile(r":([A-Za-z0-9_+-]{2,40}):", re.ASCII)
_SHORTCODES = re.compile(r"(?<![\w:])(?::[A-Za-z0-9_+-]{2,40}:){1,100}(?![\w:])", re.ASCII)
# Pandoc's H~2~O and x^2^
_SUBSCRIPT = re.compile(r"(?<=[A-Za-z])~(\d{1,3})~")
_SUPERSCRIPT = re.compile(r"(?<=\w)(\^\d{1,3})\^|(?<=\d)\^(st|nd|rd|th)\^")

_EAST_ASIAN = f"{HAN}{KANA}，。！？：；、（）「」『』《》"
_RUN = re.compile(r"\*{1,3}(?!\*)|_{1,3}(?!_)|~~?(?!~)|\|\|(?!\|)|==(?!=)|\n[ \t]*\n")
_BEFORE_OPENING = re.compile(rf"[\s(\[{{\"'“‘«„>—–|:*_~=€$£#-]|[{_EAST_ASIAN}]")
_AFTER_CLOSING = re.compile(rf"[\s.,;:!?)\]}}\"'”’»…—–|<*_~=/°%€-]|[{_EAST_ASIAN}]")
_STRONG = ("**", "***", "~~", "||")
_LEFT_OVER = re.compile(
    r"`+|(?<![\w)*])\*+(?=[^\W\d_])|(?<=[^\W\d_]{2})\*+(?![\w*(])|(?<=[€$£%°])\*+(?=\s|$)|(?<=\d)\*{2,}(?!\S)|(?<!\S)\*{3,}(?!\S)|^\*\*(?=\s)|(?<=\s)\*\*$"
)
_CENSORED = re.compile(r"(?<=[^\W\d_])\*{2,}(?=[\s.,;:!?)\"'”’]|$)")
_TILDES = re.compile(r"~~+|(?<!\S)\|\|(?!\S)")
_CELL = re.compile(r"(?<=\S)[ \t]+\|[ \t]+(?=\S)")
_BLANKS = re.compile(r"[ \t]{2,}")


def plain_text(text: str) -> str:
    """The words of a text without its markup, in one line. Never raises; takes time in proportion to the text.

    It is applied once, to the text as it was sent: `&amp;lt;` means `&lt;`. Text without markup does not change.
    Signs with a meaning stay: `2*3`, `snake_case`, `C#`, `5 > 3`, `#1`, a minus before a number.
    """
    if not _ANY_SIGN.search(text):
        return text
    literals = Literals()
    text = without_marks(_NEW_LINES.sub("\n", text))
    text = _MINECRAFT.sub("", _IRC.sub("", _ANSI.sub("", text)))
    text = _split_escaped_lines(text)
    text = _keep_code(text, literals)
    text = _replace_links(text, literals)
    text = decode_entities(replace_tags(text, literals), literals)
    text = _keep_addresses(text, literals)
    text = _ESCAPE.sub(lambda match: _unescaped(match, literals), text)
    text = _name_shortcodes(_HARD_BREAK.sub("", text))
    text = _without_emphasis(_SUPERSCRIPT.sub(r"\1\2", _SUBSCRIPT.sub(r"\1", text)))
    text = join_lines(spoken_pauses(text))
    text = _without_left_over(text)
    return _BLANKS.sub(" ", literals.restore(text)).strip()


def _split_escaped_lines(text: str) -> str:
    """The text with `\\n` and `\\t` as two characters replaced by what they mean, except in paths such as `C:\\new`."""
    if "\\" not in text:
        return text
    parts, end = [], 0
    for match in _ESCAPED_LINE.finditer(text):
        if _is_in_path(text, match.start(), end) or _SHARE.match(text, match.start()):
            continue
        parts += [text[end : match.start()], "\t" if match[0][-1] == "t" else "\n"]
        end = match.end()
    return "".join([*parts, text[end:]])


def _is_in_path(text: str, at: int, earliest: int = 0) -> bool:
    return _PATH_BEFORE.search(text[max(earliest, at - _PATH_CHARS) : at]) is not None


def _unescaped(match: re.Match[str], literals: Literals) -> str:
    server = match[1] == "\\" and match.string[match.end() : match.end() + 1].isalnum()
    if server and not match.string[max(0, match.start() - 1) : match.start()].strip():
        return literals.keep(match[0])
    return match[0] if _is_in_path(match.string, match.start()) else literals.keep(match[1])


def _keep_code(text: str, literals: Literals) -> str:
    """Code keeps its signs: fences with their lines, then spans in a line."""
    if "```" in text or "~~~" in text:
        lines, fence = [], ""
        for line in text.split("\n"):
            mark = _FENCE.fullmatch(line)
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence):
                fence = ""
            elif fence and line.strip():
                code = line.strip().rstrip(".,;:")
                lines.append(literals.keep(code) + line.strip()[len(code) :])
            else:
                lines.append(line)
        text = "\n".join(lines)
    if "`" in text:
        text = _CODE.sub(lambda match: literals.keep(match[2].strip()), text)
        text = _QUOTED_LETTER.sub("'", text)
    return text


def _replace_links(text: str, literals: Literals) -> str:
    """Links and images become their words; footnotes and the codes of forums go."""
    if "[" not in text:
        return text
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(lambda match: match[1] if match[1].strip() else literals.keep(match[2].strip("<>")), text)
    defined = {match[1] for match in _DEFINITION.finditer(text)}
    used = {match[2] or match[1] for match in _REFERENCE.finditer(text)} & defined
    if used:
        text = _DEFINITION.sub(lambda match: "" if match[1] in used else match[0], text)
        text = _REFERENCE.sub(lambda match: match[1] if (match[2] or match[1]) in used else match[0], text)
    text = _FOOTNOTE.sub("", text)
    codes = list(_BBCODE.finditer(text))
    if not codes:
        return text
    closed = {code[2].lower() for code in codes if code[1]}
    in_list = "list" in closed

    def replaced(code: re.Match[str]) -> str:
        name = code[2].lower()
        if name in ("br", "hr", "tr", "quote", "list") and (name in closed or name in ("br", "hr")):
            return "\n"
        if name in ("td", "th") and name in closed:
            return "" if code[1] else PAUSE
        return "" if name in closed or code[3] else code[0]

    text = _BBCODE.sub(replaced, text)
    return text.replace("[*]", "\n• ") if in_list else text


def _keep_addresses(text: str, literals: Literals) -> str:
    def kept(match: re.Match[str]) -> str:
        end = _ADDRESS_END.search(match[0])
        address = match[0][: end.start()] if end else match[0]
        return literals.keep(address) + match[0][len(address) :]

    return _ADDRESS.sub(kept, text)


def _name_shortcodes(text: str) -> str:
    """Each `:smile:` becomes its emoji, for the policy of emoji; an unknown one becomes its name."""
    if ":" not in text or not _SHORTCODES.search(text):
        return text
    import emoji

    def named(match: re.Match[str]) -> str:
        found = emoji.emojize(match[0], language="alias")
        if found != match[0]:
            return found
        return match[0] if match[1].isdigit() else f" {name_of_emoji(match[1])} "

    return _SHORTCODES.sub(lambda run: _SHORTCODE.sub(named, run[0]).strip(), text)


@dataclass
class _Delimiter:
    """A run of signs that may open emphasis: `left` of them are not matched yet."""

    start: int
    left: int


def _without_emphasis(text: str) -> str:
    """The text without the signs around emphasis, strong, deleted, hidden and highlighted words.

    A sign opens only before a word and after a blank or an opening mark, and closes only the other way around. So
    `2*3*4`, `snake_case` and a lone star stay.
    """
    dropped: list[tuple[int, int]] = []
    open_runs: dict[str, list[_Delimiter]] = defaultdict(list)
    for run in _RUN.finditer(text):
        if run[0][0] == "\n":
            open_runs.clear()
            continue
        start, end, sign = run.start(), run.end(), run[0][0]
        left = end - start
        before, after = text[start - 1 : start] if start else " ", text[end : end + 1] or " "
        opens = not after.isspace() and _opens(run[0], before, after)
        if not before.isspace() and _closes(run[0], after):
            opened = open_runs[sign]
            while left and opened:
                used = min(left, opened[-1].left)
                if sign in "~|=" and used != opened[-1].left:
                    break
                first = opened[-1].start + opened[-1].left - used
                dropped += [(first, first + used), (end - left, end - left + used)]
                left -= used
                opened[-1].left -= used
                if not opened[-1].left:
                    opened.pop()
        if left and opens:
            open_runs[sign].append(_Delimiter(end - left, left))
    parts, at = [], 0
    for first, last in sorted(dropped):
        parts.append(text[at:first])
        at = last
    return "".join([*parts, text[at:]])


def _opens(run: str, before: str, after: str) -> bool:
    if run == "~" and after.isdigit():  # about five
        return False
    return _BEFORE_OPENING.match(before) is not None and after not in ".,;:!?)]}"


def _closes(run: str, after: str) -> bool:
    return _AFTER_CLOSING.match(after) is not None or (run in _STRONG and after.isalpha())


def _without_left_over(text: str) -> str:
    """Drop signs that open or close nothing and that an engine would name, such as the stars of `**kwargs`."""
    text = _TILDES.sub("", _LEFT_OVER.sub("", _CENSORED.sub("", text)))
    return _CELL.sub(", ", text)
