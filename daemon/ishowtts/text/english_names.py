"""Takes names of files, paths and entities apart: `benchy_0.2mm_PLA.gcode`, `binary_sensor.front_door`, `camelCase`.

The parts are separated by blanks, so that the rules for units, durations and versions see each of them. No underscore
is ever named.
"""

from __future__ import annotations

import re

from ishowtts.text.english_words import digit_by_digit
from ishowtts.text.reading_rules import ReadingRule, ToWords, is_month_and_day

_EXTENSIONS = frozenset((
    "gcode", "3mf", "stl", "obj", "pdf", "txt", "log", "md", "rst", "doc", "docx", "xls", "xlsx", "ppt", "pptx",
    "odt", "csv", "json", "yaml", "yml", "toml", "ini", "cfg", "conf", "xml", "html", "htm", "css", "js", "ts",
    "py", "sh", "bat", "exe", "msi", "deb", "rpm", "apk", "iso", "img", "bin", "hex", "zip", "tar", "gz", "bz2",
    "xz", "7z", "rar", "jpg", "jpeg", "png", "gif", "bmp", "svg", "webp", "heic", "tif", "tiff", "mp3", "mp4",
    "m4a", "wav", "ogg", "flac", "opus", "aac", "mov", "mkv", "avi", "webm", "srt", "db", "sqlite", "bak",
    "tmp", "service", "epub", "ttf", "whl", "bgcode", "jar", "java", "cpp", "dll", "sql",
))  # fmt: skip
_DOMAINS = frozenset((
    "alarm_control_panel", "automation", "binary_sensor", "button", "calendar", "camera", "climate", "counter",
    "cover", "device_tracker", "event", "fan", "group", "humidifier", "image", "input_boolean", "input_button",
    "input_datetime", "input_number", "input_select", "input_text", "lawn_mower", "light", "lock",
    "media_player", "notify", "number", "person", "remote", "scene", "script", "select", "sensor", "siren",
    "sun", "switch", "text", "timer", "todo", "tts", "update", "vacuum", "valve", "water_heater", "weather",
    "zone",
))  # fmt: skip
_TOKEN = re.compile(r"(?<![\w.\\/])(?:[A-Za-z]:\\|\\\\|~/|\.{0,2}/)?[\w.+\\/-]{2,200}(?![\w\\])")
_SENTENCE_START = re.compile(r"[.!?…][\"'”’)]?\s+$")
_GROUPED_NUMBER = re.compile(r"\d{1,3}(?:_\d{3})+")
_CAMEL = re.compile(r"[a-z]{2,30}(?:[A-Z][a-z]{2,30}){1,6}")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\|~/|\.{1,2}/|/)[\w.+-]")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-+(?=\w)|(?<=\d)-+(?=[^\W\d_])")
_DATE = re.compile(r"(20\d\d)([01]\d)([0-3]\d)")
_FOLDERS = {"~": "tilde", ".": "dot", "..": "dot dot"}
_TIME = re.compile(r"\d\d(?:-\d\d){1,2}")
_PRINTS = ("gcode", "bgcode", "3mf")
_MINUTES = re.compile(r"(?<=_)(\d{1,3})m(?=_|$)")  # slicers write the time of a print into the name of its file
_SEPARATORS = {"/": "slash", "\\": "backslash"}


def _name(match: re.Match[str], _: ToWords) -> str:
    token = match[0].rstrip(".-/\\+") if not match[0].endswith("++") else match[0]
    tail = match[0][len(token) :]
    if _GROUPED_NUMBER.fullmatch(token):
        return token.replace("_", ",") + tail
    if _PATH.match(token) and (len(re.findall(r"[\\/]", token)) > 1 or _extension(token)):
        spoken = _path(token)
    elif "_" in token and any(c.isalpha() for c in token) and len(set(token)) > 2:
        spoken = _path(token) if "/" in token else _file_or_entity(token)
    elif _extension(token) and "/" not in token:
        spoken = _file_or_entity(token)
    elif _is_entity(token):
        spoken = token.replace(".", " ")
    elif _CAMEL.fullmatch(token):
        spoken = _HUMP.sub(" ", token)
    else:
        return match[0]
    spoken = " ".join(spoken.split())
    if spoken[:1].islower() and _SENTENCE_START.search(match.string[max(0, match.start() - 4) : match.start()]):
        spoken = spoken[0].upper() + spoken[1:]
    return spoken + tail


def _extension(token: str) -> str:
    """The known extension of a file name; empty if there is none."""
    stem, dot, extension = token.rpartition(".")
    last = re.split(r"[\\/]", stem)[-1]
    if not dot or not (len(last) > 3 or any(c.isalpha() for c in last)):
        return ""
    known = extension in _EXTENSIONS or (extension.isupper() and extension.lower() in _EXTENSIONS)
    return extension if known else ""  # `ready.Log in` only lacks a blank


def _is_entity(token: str) -> bool:
    domain, dot, name = token.partition(".")
    return bool(dot) and domain in _DOMAINS and re.fullmatch(r"[a-z0-9_]+", name) is not None


def _path(token: str) -> str:
    parts = re.split(r"(:\\|[\\/])", token)
    words = [_SEPARATORS.get(part, "colon backslash" if part == ":\\" else part) for part in parts]
    named = [word if i % 2 else (_FOLDERS.get(word) or _file_or_entity(word)) for i, word in enumerate(words)]
    return " ".join(word for word in named if word)


def _file_or_entity(name: str) -> str:
    if _is_entity(name) and not _extension(name):
        return name.replace(".", " ").replace("_", " ")
    extensions: list[str] = []
    while extension := _extension(name):
        name = name[: -len(extension) - 1]
        spelled = re.search("[aeiou]", extension.lower()) is None
        extensions.insert(0, extension.upper() if spelled else extension.lower())
    if extensions and extensions[-1] in _PRINTS:
        name = _MINUTES.sub(r"\1min", name)
    stem = _stem(name)
    return " dot ".join([stem, *extensions])


def _stem(name: str) -> str:
    """The parts of a name. A part such as 0.2mm gets a pause on both sides, so that figures do not run together."""
    parts = [part for part in re.split(r"_+", name) if part.strip(".-")]
    spoken = ""
    for i, part in enumerate(parts):
        pause = i > 0 and (_is_quantity(part) or _is_quantity(parts[i - 1]))
        spoken += f"{', ' if pause else ' ' if i else ''}{_part(part)}"
    return spoken


def _part(part: str) -> str:
    date = _DATE.fullmatch(part)
    if date and is_month_and_day(date[2], date[3]):
        return "-".join(date.groups())
    if part.isdigit() and (len(part) > 4 or part[0] == "0"):
        return digit_by_digit(part)
    if _TIME.fullmatch(part):
        return part.replace("-", " ")
    if re.match(r"\d", part) or "." not in part:
        return _HYPHEN.sub(" ", _HUMP.sub(" ", part))
    words = (word for word in re.split(r"(?<!\d)\.|\.(?!\d)", part) if word)
    return " dot ".join(_HYPHEN.sub(" ", _HUMP.sub(" ", word)) for word in words)


def _is_quantity(part: str) -> bool:
    return any(c.isdigit() for c in part) and not part.replace("-", "").isdigit()


NAME_RULE = ReadingRule(_TOKEN, _name)
