"""Decodes payloads, and recognises one that was meant to be a JSON object but is not, or an unrendered template.

Nobody wants to hear braces. So a brace, a quoted key and a colon make an object, whatever the quotes are:
`{'text': 'Hi'}` is refused, and `{laughs} hi` is spoken. Every pattern looks at the beginning of the payload only.
"""

from __future__ import annotations

import re
import unicodedata

from ishowtts.mqtt.strict_json import NotJson, clip

_SINGLE_QUOTES = "'`´‘’‚‛′"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f«»″＂"
_QUOTE = rf"(?:\\{{0,4}}(?:[\"{_SINGLE_QUOTES}{_DOUBLE_QUOTES}]|&quot;|&#0?3[49];)){{1,2}}"
_KEY = r"[^\"{}:\n]{1,64}?"
_OPENING = r"[\[［]?\s{0,8}[{｛][{\s\u200b\u2060\ufeff]{0,16}"
_QUOTED_KEY = re.compile(rf"{_OPENING}(?:,\s{{0,8}})?{_QUOTE}{_KEY}{_QUOTE}\s{{0,8}}[:=：]")
# A shell of Windows takes the quotes away: {text:Hi}. Without quotes a key must be one of ours, or the text an object.
_OUR_KEY = re.compile(rf"{_OPENING}(?:text|message|msg|command|id|voice|author|volume)\s{{0,8}}[:=]", re.I)
_BARE_KEY = re.compile(rf"{_OPENING}[A-Za-z_]\w{{0,63}}\s{{0,8}}:\s{{0,8}}[\w\"'\[{{]")
_COMMENT = re.compile(rf"{_OPENING}(?://|/\*)")
_PERCENT = re.compile(r"%7b(?:%20|\+|\s){0,8}(?:%22|%27|\"|')", re.I)
_ENTITY = re.compile(r"&(?:quot|#0?3[49]);")
_BASE64 = re.compile(r"eyJ[0-9A-Za-z+/_-]{12,64}(?!\S{0,64}\s)")  # of {"
_LABEL = re.compile(r"[A-Za-z_]\w{0,31}\s{0,4}[:=]\s{0,4}(?=\{)")
_JAVASCRIPT_OBJECT = "[object Object]"
_FENCE = re.compile(r"```(?:json|JSON)?\s{0,8}")
_BYTES = re.compile(r"[bB]['\"]")
_FOREIGN_CONSTANT = re.compile(r"(True|False|None|TRUE|FALSE|NULL|Null|undefined|nil)(?!\w)")
_WORD = re.compile(r"[^\W\d]\w{0,30}")
_JSON_CONSTANTS = {"true": "true", "false": "false"}
_BY_FAULT = (  # the beginning of what Python's parser says, and what to change
    ("Unterminated", 'a text has no closing quote ("), or the end of the payload is missing'),
    ("Invalid control", r"write a line break inside a text as \n, and a tab as \t"),
    ("Invalid \\", r"write a backslash inside a text as \\"),
    ("Extra data", "nothing may follow its last brace; send one object in each message"),
)
_PADDING = "\0\ufeff\u200b\u2060 \t\r\n\v\f\u00a0\u2028\u2029"


def decode(payload: bytes) -> str:
    """The text of a payload, without white space, NULs and byte order marks around it.

    C programs send the NUL that ends their string, or a whole buffer of them.

    Raises:
        ValueError: it is not UTF-8. The text completes the sentence "the payload …".
    """
    bare = payload.rstrip(b"\0")
    if bare[:2] in (b"\xff\xfe", b"\xfe\xff") or _is_utf16(bare):
        raise ValueError("is not UTF-8 but looks like UTF-16; send it as UTF-8")
    try:
        text = bare.decode("utf-8").strip(_PADDING)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start}); send it as UTF-8") from error
    # A shell does not turn the \n in '{"text": "Hi"}\n' into a line break.
    return text if text[-2:] not in (r"\n", r"\r") or text[:1] != "{" else text.removesuffix(r"\n").removesuffix(r"\r")


def looks_like_object(text: str) -> bool:
    """Whether a text was meant to be a JSON object. To be asked about a text that is not one."""
    inner = _unwrapped(text)[0]
    patterns = (_QUOTED_KEY, _OUR_KEY, _COMMENT, _PERCENT, _BASE64)
    if inner.startswith('{"') or inner == _JAVASCRIPT_OBJECT or any(pattern.match(inner) for pattern in patterns):
        return True
    return inner.endswith("}") and inner.count("}") == 1 and _BARE_KEY.match(inner) is not None


def has_template(text: str) -> bool:
    """Whether a text has an expression of a template engine that was not evaluated, as in `{{ states('x') }}`."""
    return any(closing in text.partition(opening)[2] for opening, closing in (("{{", "}}"), ("{%", "%}")))


def correction(text: str, error: NotJson | None = None) -> str:
    """What to change in a text that looks like an object, so that it becomes one.

    Args:
        error: Why it is not JSON; `None` if it does not even start with a brace.
    """
    inner, wrapping = _unwrapped(text)
    if wrapping:
        return wrapping
    if inner == _JAVASCRIPT_OBJECT:
        return "send the object itself, not how JavaScript prints objects"
    for pattern, advice in (
        (r"[\[［]", "send one object, not a list"),
        (_BASE64, "send it without base64"),
        (r"｛", "write { } : , instead of ｛ ｝ ： ，"),
        (_PERCENT, "send it without percent-encoding"),
        (r"\{\{\s{0,8}\{", "it is a template that nobody rendered"),
        (r"\{\s{0,8}\{", "write each brace once"),
        (_COMMENT, "leave out the comments"),
    ):
        if re.match(pattern, inner):
            return advice
    return 'send an object such as {"text": "Hello."}' if error is None else _at_fault(text, error)


def _at_fault(text: str, error: NotJson) -> str:
    """What to change at the place where the parser stopped."""
    for beginning, advice in _BY_FAULT:
        if error.fault.startswith(beginning):
            return advice
    rest, before = text[error.position :], text[: error.position].rstrip()
    if not rest.strip():
        return "its end is missing" if before[-1:] == ":" else "its closing brace } is missing"
    plain = unicodedata.normalize("NFKC", rest[0])
    if plain != rest[0] and plain in "{}:,;[]":
        return f"write {plain} instead of {rest[0]}"
    if error.fault.startswith("Expecting ':'"):
        return "a colon must follow a key"
    if rest[0].isspace() or not rest[0].isprintable():
        return f"leave out the character U+{ord(rest[0]):04X}"
    return _wrong_quotes(rest) or _wrong_comma(rest, before) or _wrong_word(rest, before, error.fault)


def _wrong_quotes(rest: str) -> str | None:
    if rest[0] == "\\":
        return "leave out the backslashes before its quotes"
    if entity := _ENTITY.match(rest):
        return f'write a quote (") instead of {entity[0]}'
    if rest[0] in _SINGLE_QUOTES:
        return f'write double quotes (") instead of {rest[0]}'
    return f'write straight quotes (") instead of {rest[0]}' if rest[0] in _DOUBLE_QUOTES else None


def _wrong_comma(rest: str, before: str) -> str | None:
    # Python 3.13 stops at the comma, older releases stop after it.
    after = rest[1:].lstrip()[:1] if rest[0] == "," else rest[0]
    if rest[0] == "," and before[-1:] in (",", "{"):
        return "leave out one of two commas" if before.endswith(",") else "leave out the comma after {"
    if after not in ("}", "]", ","):
        return None
    if rest[0] == "," or before.endswith(","):
        return f"leave out the comma before {after}"
    return f"a value is missing before {after}"


def _wrong_word(rest: str, before: str, fault: str) -> str:
    word, constant = _WORD.match(rest), _FOREIGN_CONSTANT.match(rest)
    value, key, comma = "value" in fault, "property name" in fault, "','" in fault
    number_begins, after_quote, after_digit = rest[0] in "+-.0123456789", before.endswith('"'), before[-1:].isdigit()
    advice = (
        (value and constant, f"write {_JSON_CONSTANTS.get(constant[1].lower(), 'null')} instead of {constant[1]}")
        if constant
        else (False, ""),
        (value and number_begins, "write a number as in 0.5 or 20"),
        (value and word, f"put the value {clip(word[0])} into double quotes") if word else (False, ""),
        (value, "put the value into double quotes"),
        (key and word, f"put the key {clip(word[0])} into double quotes") if word else (False, ""),
        (key and rest[0].isdigit() and before[-2:-1].isdigit(), "write a decimal point instead of the comma"),
        (
            comma and rest[0] == '"' and after_quote,
            r"put a comma between two fields; write a quote inside a text as \"",
        ),
        (comma and after_digit and rest[0].isdigit(), "write a number without zeros before it"),
        (comma and after_digit and rest[0] == ".", "write a number as in 0.5 or 20"),
        (comma and after_digit and (word is not None or rest[0] in "%°"), "write the number without a unit"),
    )
    return next((words for holds, words in advice if holds), r"write a quote inside a text as \"")


def _unwrapped(text: str) -> tuple[str, str | None]:
    """The text without what somebody put around it, and the advice to leave that out; `None` if it has nothing."""
    if fence := _FENCE.match(text):
        return text[fence.end() :].removesuffix("```").rstrip(), "leave out the ``` around the object"
    if text.endswith("}") and (label := _LABEL.match(text)):
        return text[label.end() :], f"leave out {clip(label[0].strip())} before the object"
    if _BYTES.match(text) and text[-1:] == text[1]:
        return text[2:-1].strip(), "send the object itself, not how Python prints bytes"
    quotes = f'"{_SINGLE_QUOTES}{_DOUBLE_QUOTES}'
    if len(text) > 2 and text[0] in quotes and text[-1] in quotes:
        inner = text.strip(f"{quotes}\\").strip()
        return inner, "leave out the quotes around the object, and the backslashes in it"
    return text, None


def _is_utf16(payload: bytes) -> bool:
    """Whether every second byte is NUL, as in ASCII text in UTF-16."""
    return len(payload) > 4 and not (any(payload[1::2]) and any(payload[0::2]))
