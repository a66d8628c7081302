"""Reading rules of Chinese times of day, durations and scores."""

from __future__ import annotations

import re

from ishowtts.text.reading_rules import DIGITS, ReadingRule, ToWords, only_with, rule

# Figures with a colon after these words are a score or a ratio, even if they could be a time: 比分21:15.
_SCORE_WORDS = "比分|比例|比率|比值|比为|成绩|赛果|比赛结果"
_RESULTS = "的比分|的比例|战胜|击败|获胜|取胜|领先|落后|大胜|险胜|胜出|逆转|战平|不敌"
_SCORE_BEFORE = re.compile(rf"(?:{_SCORE_WORDS})[^\d，。！？；]{{0,4}}$")
_SCORE_FOLLOWS = re.compile(rf" ?(?:{_RESULTS})")
_DURATION_BEFORE = re.compile(
    r"(?:用时|耗时|时长|历时|倒计时|剩余|还剩|持续|倒数|距离?[^\d，。！？；]{1,8}还有)[^\d，。！？；]{0,3}$"
)
_HALF_OF_DAY = re.compile(r"(?:上午|下午|晚上|早上|早晨|清晨|凌晨|中午|傍晚|今晚|明早|夜里|半夜) ?$")
_DURATION_UNITS = {"天": "[dD]", "小时": "[hH]", "分": "(?:[mM]|min)", "秒": "[sS]"}
_DURATION = "".join(rf"(?:(?P<{name}>\d{{1,4}}){letters} ?)?" for name, letters in _DURATION_UNITS.items())
_CLOCK = r"(?<![\d:.])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?!:?\d|\.\d)"
_AM_PM = r" ?(?P<half>[AaPp])\.?[Mm](?![A-Za-z])\.?"


def _number(figures: str, to_words: ToWords) -> str:
    """The words of a number of hours, minutes or seconds, with 两 before a measure word."""
    return "两" if int(figures) == 2 else to_words(str(int(figures)))


def _time(match: re.Match[str], to_words: ToWords) -> str:
    before, after = match.string[max(0, match.start() - 16) : match.start()], match.string[match.end() :]
    hour, minute, second = match[1], match[2], match[3]
    seconds = f"{'零' if second[0] == '0' else ''}{to_words(str(int(second)))}秒" if second and int(second) else ""
    if int(hour) > 24 or (not second and (_SCORE_BEFORE.search(before) or _SCORE_FOLLOWS.match(after))):
        return "比".join(to_words(str(int(number))) for number in (hour, minute, second) if number)
    if _DURATION_BEFORE.search(before):
        return _duration_of(match, to_words)
    words = f"{_number(hour, to_words)}点"
    if int(minute) or seconds:
        words += f"{'零' if minute[0] == '0' and minute != '00' else ''}{to_words(str(int(minute)))}分"
    return words + seconds


def _duration_of(match: re.Match[str], to_words: ToWords) -> str:
    names = ("小时", "分", "秒") if match[3] else ("分", "秒")
    numbers = [number for number in match.group(1, 2, 3) if number]
    if len(numbers) == 3 and numbers[2] == "00" and numbers[:2] != ["00", "00"]:
        numbers, names = numbers[:2], names[:2]
    return "".join(f"{_number(number, to_words)}{name}" for number, name in zip(numbers, names, strict=True))


def _half_of_day(match: re.Match[str], _: ToWords) -> str:
    """`10:30am` with the half of the day first, as Chinese has it."""
    clock, hour = match["clock"], int(match["hour"])
    if not 0 <= hour <= 12 or _HALF_OF_DAY.search(match.string[max(0, match.start() - 4) : match.start()]):
        return clock
    if match["half"] in "Aa":
        half = "凌晨" if hour < 6 or hour == 12 else "上午"
    else:
        half = "晚上" if 6 <= hour < 12 else "中午" if hour == 12 else "下午"
    return half + clock


def _duration(match: re.Match[str], _: ToWords) -> str:
    parts = [(number, name) for name in _DURATION_UNITS if (number := match[name])]
    if len(parts) < 2:
        return match[0]
    words = "".join(f"{'两' if number == '2' else number}{name}" for number, name in parts)
    ending = "钟" if parts[-1][1] == "分" else ""
    return f"{'负' if match['minus'] else ''}{words}{ending}"


TIME_RULES: tuple[ReadingRule, ...] = only_with(
    DIGITS,
    rule(rf"((?:{_SCORE_WORDS})[^\d，。！？；]{{0,4}}\d{{1,3}})[-–—](?=\d{{1,3}}(?![\d.:%-]))", r"\1比"),
    rule(rf"(?<![\d.:-])(\d{{1,3}})[-–—](?=\d{{1,3}} ?(?:{_RESULTS}))", r"\1比"),
    rule(
        rf"(?P<clock>(?<![\d:.])(?P<hour>\d{{1,2}})(?::[0-5]\d){{1,2}})(?![\d:]){_AM_PM}",
        _half_of_day,
    ),
    rule(
        rf"(?<![\w:.])(?P<hour>\d{{1,2}})(?P<clock>){_AM_PM}",
        lambda match, words: _half_of_day(match, words) + f"{int(match['hour'])}点",
    ),
    rule(r"(?<![\d:.])(\d{1,2}:[0-5]\d)(?::[0-5]\d)? ?[-–—~～] ?(?=\d{1,2}:[0-5]\d(?![\d:]))", r"\1到"),
    rule(rf"{_CLOCK}(?:分(?!钟))?", _time),
    rule(rf"(?<![\w.:-])(?P<minus>-)?(?=\d){_DURATION}(?<=[A-Za-z])(?![A-Za-z0-9])", _duration),
)
