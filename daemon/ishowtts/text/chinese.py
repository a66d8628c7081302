"""Reading rules of Chinese, in the order in which they are applied. The grammars of wetext read the rest."""

from __future__ import annotations

import re
from decimal import Decimal

from ishowtts.limits import HAN
from ishowtts.text.chinese_times import TIME_RULES
from ishowtts.text.reading_rules import (
    ADDRESS,
    MAX_DIGITS,
    NUMBER,
    ReadingRule,
    ToWords,
    any_of,
    apply_rules,
    is_month_and_day,
    rule,
)
from ishowtts.text.units import UNITS

_DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_CURRENCIES = {"¥": "元", "￥": "元", "$": "美元", "US$": "美元", "HK$": "港元", "NT$": "新台币", "€": "欧元",
               "£": "英镑", "₩": "韩元", "CNY": "元", "RMB": "元", "USD": "美元", "EUR": "欧元"}  # fmt: skip
_CURRENCY = any_of(_CURRENCIES)
# Latin letters after figures that are seldom a unit in Chinese text: 5A景区, 4K, 10w (ten times 万).
_NOT_UNITS = ("A", "J", "K", "N", "in", "mi", "w", "d", "y", "mo", "ct", "pts", "deg")
UNITS_READ = {symbol: unit.chinese for symbol, unit in UNITS.items() if unit.chinese and symbol not in _NOT_UNITS}
"""The Chinese words of each symbol that Chinese text may have."""
_UNIT = any_of(UNITS_READ)
_UNIT_WORDS = {words for words in UNITS_READ.values() if len(words) > 1 and words[0] != "个"} | {"瓦", "伏"}
_UNIT_WORD = any_of(_UNIT_WORDS)
_PERIODS = {"天": "天", "日": "日", "周": "周", "月": "月", "年": "年", "day": "天", "month": "月", "year": "年"}
_DENOMINATORS = {
    symbol: words.removeprefix("个") for symbol, words in UNITS_READ.items() if "/" not in symbol
} | _PERIODS
_DENOMINATORS |= {"min": "分钟", "d": "天"}
_DENOMINATORS |= {word: word for word in (*_UNIT_WORDS, "平方米", "立方米", "米", "克", "升", "秒")}
_PER = rf"(?: ?/ ?(?P<count>10{{1,3}})? ?(?P<per>{any_of(_DENOMINATORS)}))?"
_SYMBOLS = {".": "点", "/": "斜杠", "-": "横杠", "_": "下划线", "@": "艾特", "?": "问号", "=": "等于", "&": "和",
          "#": "井号", "%": "百分号", ":": "冒号", "+": "加", "~": "波浪号"}  # fmt: skip
_FRACTIONS = {"½": "二分之一", "⅓": "三分之一", "⅔": "三分之二", "¼": "四分之一", "¾": "四分之三", "⅛": "八分之一"}
_POWERS = {"²": "的平方", "³": "的立方"}
# Numbers after these are identifiers, not quantities: each digit is read, and a one is yāo.
_IDENTIFIER = (
    "验证码|校验码|取件码|取货码|取餐号|邀请码|口令|密码|尾号|卡号|账号|编号|房间|房号|教室|会议室|会议号|航班|车次|邮编|学号"
    "|工号|单号|订单号|流水号|身份证号?|QQ号?|电话|手机号?码?|座机|热线|客服|端口号?|拨打|拨通|致电|呼叫"
)
_QUANTITY_FOLLOWS = r"(?! ?(?:[米平度元块人个间名次分条年月天小℃°%]|ppm|lx|[kM]?W|m))"
_LETTER_OR_END = r"""A-Za-z"\\\s{}，。！？；…、"""
# Text without letters, which ends neither inside a number nor before its measure word: at most 78 characters.
_WITHOUT_LETTERS = re.compile(
    rf"[^{_LETTER_OR_END}]{{1,40}}(?:[0-9.,:/%~+-]{{1,34}})?(?:(?<=[0-9])[^{_LETTER_OR_END}0-9]{{1,4}})?"
)
_MATH_SYMBOLS = {"÷": "除以", "×": "乘", "±": "正负", "≈": "约等于", "≠": "不等于", "≤": "小于等于", "≥": "大于等于",
                "√": "根号", "∞": "无穷大"}  # fmt: skip


def chinese(text: str, to_words: ToWords) -> str:
    """Chinese text with numbers, units, times, money and symbols in characters. What no rule knows stays."""
    text = apply_rules(_RULES, text, to_words)
    # The grammar would take letters after a number for a unit, the `m` of `3 more` for meters. So it gets no letters.
    return _WITHOUT_LETTERS.sub(lambda match: _remaining_numbers(match[0], to_words), text)


def _remaining_numbers(part: str, to_words: ToWords) -> str:
    if not re.search("[0-9]", part):
        return part
    return to_words(part).replace('\\"', '"')


def _digit_by_digit(figures: str, one: str = "一") -> str:
    return "".join(one if figure == "1" else _DIGITS[figure] for figure in figures if figure in _DIGITS)


def _address(match: re.Match[str], _: ToWords) -> str:
    bare = re.sub(r"^https?://", "", match[0]).rstrip("/")
    spelled = re.sub(r"[^A-Za-z0-9]", lambda symbol: f" {_SYMBOLS.get(symbol[0], '')} ", bare)
    return re.sub(r"\d+", lambda figures: _digit_by_digit(figures[0]), spelled)


def _phone(match: re.Match[str], _: ToWords) -> str:
    plus = "加" if match[0].startswith("+") else ""
    groups = re.findall(r"\d+", match[0])
    if len(groups) > 1 and not plus:
        return "，".join(_digit_by_digit(group, "幺") for group in groups)
    country = _digit_by_digit(groups[0], "幺") if len(groups) > 1 else ""
    rest = _digit_by_digit("".join(groups[1:] or groups), "幺")
    return f"{plus}{country}，{rest}" if country else plus + rest


def _identifier(match: re.Match[str], _: ToWords) -> str:
    return match[1] + "，".join(_digit_by_digit(group, "幺") for group in re.findall(r"\d+", match[2]))


def _money(match: re.Match[str], _: ToWords) -> str:
    return f"{_without_zeros(match['number'])}{match['multiple'] or ''}{_CURRENCIES[match['currency']]}"


def _without_zeros(number: str) -> str:
    """The number without the last zeros of 4.80 or 1,299.00, which nobody speaks."""
    whole, _, rest = number.replace(",", "").partition(".")
    return f"{whole}.{rest.rstrip('0')}" if rest.rstrip("0") else whole


def _measure(match: re.Match[str], to_words: ToWords) -> str:
    unit = UNITS_READ.get(match["unit"], match["unit"])
    numbers = [_quantity(number, to_words) for number in (match["from"], match["number"]) if number]
    per = f"每{to_words(match['count']) if match['count'] else ''}{_DENOMINATORS[match['per']]}" if match["per"] else ""
    return f"{per}{'到'.join(numbers)}{unit}"


def _quantity(number: str, to_words: ToWords) -> str:
    """The words of a number before a unit. Without one, 110 would be a telephone number and 2 would be 二."""
    if number == "2":
        return "两"
    return to_words(f"{number}米").removesuffix("米")


def _blood_pressure(match: re.Match[str], to_words: ToWords) -> str:
    return f"{match[1]}{_quantity(match[2], to_words)}比"


def _thousands(match: re.Match[str], to_words: ToWords) -> str:
    """`15k` in full: 一万五千."""
    return to_words(f"{Decimal(match[1]) * 1000:f}".partition(".")[0] + "元").removesuffix("元")


def _day(match: re.Match[str], _: ToWords) -> str:
    if not is_month_and_day(match[3], match[4]):
        return match[0]
    return f"{match[1]}{match[2]}{int(match[3])}月{int(match[4])}日"


def _each_time(match: re.Match[str], to_words: ToWords) -> str:
    """`2片/次` is 每次两片."""
    return f"每{match[3]}{_quantity(match[1], to_words)}{match[2]}"


def _decimal(match: re.Match[str], to_words: ToWords) -> str:
    """A decimal number that the grammar would take for a date, such as 11.11."""
    if not is_month_and_day(match[1], match[2]):
        return match[0]
    return f"{to_words(match[1])}点{_digit_by_digit(match[2])}"


_RULES: tuple[ReadingRule, ...] = (
    ReadingRule(ADDRESS, _address),
    rule(r"−(?=\d)|(?<![\w月日号点年时分周期）)\]])–(?=\d)|(?<=^)–(?=\d)", "-"),
    rule(r"零下 ?-(?=\d)", "零下"),
    rule(r"(?:(?<=^)|(?<=[：:])) ?- (?=\d)", "-"),
    rule(r"(?<!\w)(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?(?!\w)", r"\1，\2"),
    rule(r"(?<!\w)\+\d{1,3}[ -]?\d{2,4}[ -]?\d{3,4}[ -]?\d{0,4}(?![\d-])", _phone),
    rule(
        r"(?<![\w.-])1\d{2}[ -]\d{4}[ -]\d{4}(?![\w-])|(?<![\w.-])(?:0\d{2,3}|400|800)-\d{3,8}(?:-\d{3,4})?(?![\w-])",
        _phone,
    ),
    rule(
        rf"((?:{_IDENTIFIER})[^\d，。！？；\n]{{0,3}})"
        r"(\d{2,5}(?:[- ]\d{2,5}){1,4}(?!\d)|\d{1,5}(?:-\d{1,5}){2,4}|\d{3,20})"
        rf"(?![\d.:-]){_QUANTITY_FOLLOWS}",
        _identifier,
    ),
    rule(r"((?:打|呼|报)(?:了|过|个)? ?)(110|119|120|122|112|911|999)(?![\d.:])" + _QUANTITY_FOLLOWS, _identifier),
    rule(r"(?<![A-Za-z])([A-Z]{1,2})(\d{2,4})(?=次|航班|号?列车)", _identifier),
    rule(rf"(?<!\d)\d{{12,{MAX_DIGITS}}}(?!\d)", lambda match, _: _digit_by_digit(match[0])),
    rule(r"(?<![\w.])[vV](?=\d)", "版本"),
    rule(r"(?<![\w.])\d{1,6}(?:\.\d{1,6}){2,5}(?!\.?\d)", lambda match, to_words: _dotted(match[0], to_words)),
    rule(r"(?<![\d.,])\d{1,3}(?:,\d{3}){1,5}(?![\d,])", lambda match, _: match[0].replace(",", "")),
    rule(r"(?<!\w)[Nn][Oo]\. ?(?=\d)|(?<!\w)#(?=\d)", "第"),
    rule(r"(?<=[A-Za-z])-(?=\d)", " "),
    *TIME_RULES,
    rule(r" ?([<＜>＞]) ?(?=-?\.?\d)", lambda match, _: "小于" if match[1] in "<＜" else "大于"),
    rule(r" ?↑ ?", "上升"),
    rule(r" ?↓ ?", "下降"),
    rule(rf"(?<=[{HAN}\w℃%]) ?(?:->|=>|→) ?(?=[{HAN}\w-])", "到"),
    rule(r"第 ?(\d{1,4}) ?/ ?(\d{1,4}) ?([页集步章层题关部期张])", r"第\1\3，共\2\3"),
    rule(rf"(?<![\w/.])({NUMBER}) ?/ ?({NUMBER}) ?([KMGT]i?B)(?![A-Za-z])", r"\2\3中的\1"),
    rule(rf"(?<![\w/.])(-?{NUMBER}) ?/ ?(?=-?{NUMBER} ?(?:°|℃|℉))", r"\1，"),
    rule(
        rf"(?<![\w/.])(\d{{1,2}}/\d{{1,2}})(?= ?(?:{_UNIT_WORD}|茶匙|汤匙))", lambda match, to_words: to_words(match[1])
    ),
    rule(r"(?<![\d.])(\d)米(\d\d)(?!\d)", lambda match, _: f"{match[1]}米{_digit_by_digit(match[2])}"),
    rule(r"((?:周|星期)[一二三四五六日天]|今天|明天|昨天|日期)([，, ：:是]{0,2})(\d{1,2})/(\d{1,2})(?![\d/])", _day),
    rule(r"^(6{3,12}|23{2,12})(?=$|[！!~。，])", lambda match, _: _digit_by_digit(match[1])),
    rule(rf"(?<=[{HAN}：:（，])\+(?=\d)", "加"),
    # Ranges
    rule(rf"(?<![\w.-])({NUMBER}) ?- ?(?={NUMBER} ?=)", r"\1减"),
    rule(r"(?<![\d.-])(\d{4})[-–—~](\d{4})(?=年)", r"\1-\2"),
    rule(rf"(?<![\w./:-])(-?{NUMBER})%?[-–—~～](-?{NUMBER})%", r"\1%到\2%"),
    rule(rf"(?<![\d./:-])(-?{NUMBER}(?:[A-Za-z]{{1,3}}|°C|℃)?)[-–—~～](?=-?{NUMBER}(?![\d/:-]|年))", r"\1到"),
    # Quantities
    rule(r"(?<=\d) ?[x×*] ?(?=\d)", "乘"),
    rule(
        rf"(?P<currency>{_CURRENCY}) ?(?P<from>{NUMBER})[-–—~～到](?P<number>{NUMBER})(?![\d.]|{_CURRENCY})",
        lambda match, _: f"{match['from']}到{_without_zeros(match['number'])}{_CURRENCIES[match['currency']]}",
    ),
    rule(rf"(?P<currency>{_CURRENCY}) ?(?P<number>{NUMBER})(?P<multiple>万亿|亿|千万|百万|万|千)?", _money),
    rule(rf"(?<![\d.])(?P<number>{NUMBER})(?P<multiple>) ?(?P<currency>{_CURRENCY})", _money),
    rule(r"(?<=\d)w(?= ?(?:灯|快充|充电|的灯|电源|功率))", "W"),
    rule(r"(?<![\w.])(\d{1,4}(?:\.\d{1,2})?)(?:w(?!\w)|W(?=\+|播放|粉丝|阅读|点赞|用户|人))", r"\1万"),
    rule(r"(?<=[万亿])\+", "加"),
    rule(r"(?<![\w.])(-?\d{1,3}(?:\.\d{1,3})?(?=k)|-?\d{2,3}(?=K))[kK](?![\wΩ\u2126])", _thousands),
    rule(r"(血压[^\d，。]{0,4})(\d{2,3})/(?=\d{2,3}(?![\d/]))", _blood_pressure),
    rule(r"(?<![\d./])()(\d{2,3})/(?=\d{2,3} ?(?:mmHg|毫米汞柱))", _blood_pressure),
    rule(rf"({NUMBER}) ?% ?R[Hh](?!\w)", r"\1%的相对湿度"),
    rule(
        rf"(?<![A-Za-z0-9.,])(?:(?P<from>-?{NUMBER})到)?(?P<number>-?{NUMBER}) ?(?P<unit>{_UNIT}|{_UNIT_WORD}){_PER}"
        r"(?![A-Za-z0-9])",
        _measure,
    ),
    rule(rf"({NUMBER})‰", r"千分之\1"),
    rule(rf"({NUMBER})(?=元)", lambda match, _: _without_zeros(match[1])),
    rule(
        rf"({NUMBER})元/(?P<per>{any_of(_DENOMINATORS)})(?![A-Za-z0-9])",
        lambda match, _: f"每{_DENOMINATORS[match['per']]}{match[1]}元",
    ),
    rule(rf"({NUMBER})元/(公斤|千克|平方米|小时|分钟|[一-鿿])", r"每\2\1元"),
    rule(r"(?<![\d-])2(?=[点倍](?!\d))", "两"),
    rule(r"(?<=[楼栋幢座])2(?=单元)", "二"),
    rule(r"(?<![\w.])(\d{1,4}[0])\+(?=[个人名位条家件次只台元块分页步公米])", r"\1多"),
    rule(rf"(?<![\w.])({NUMBER})(片|粒|滴|毫升|次|支|袋|包|勺)/([次日天周月])(?![一-鿿]?\d)", _each_time),
    rule(r"(?<![\d/])24/7(?![\d/])", "全天候"),
    rule(r"(?<![\d.-])2(?=点\d{1,2}分)", "两"),
    rule(r"(?<=点)2(?=分)|(?<=[A-Za-z])2(?=[层楼号栋区座])", "二"),
    rule(r"(?<=月)2(?=[日号])", "二"),
    rule(r"第2(?![\d.])", "第二"),  # the grammar would give 第两名 and 二台
    rule(r"(?<![\d.-])2(?=[台份包间部项晚栋次](?!方))", "两"),
    rule(r"(?<![\d.:/-])(\d{1,2})\.(\d{1,2})(?![\d.%])", _decimal),
    # Symbols
    rule(r"(\d{1,15})\^(\d{1,15})", r"\1的\2次方"),
    rule(r"(?<=\d) ?= ?(?=[\d-])", "等于"),
    rule(r"(?<=\d)\+(?!\w)", "加"),
    rule(r"(?<![\w)])~(?=\d)", "约"),
    rule(r"(?<=[一-鿿]) ?= ?(?=[一-鿿\d])", "等于"),
    *(rule(f"(?<=\\d){symbol}", words) for symbol, words in _POWERS.items()),
    *(rule(symbol, words) for symbol, words in (_MATH_SYMBOLS | _FRACTIONS).items()),
)


def _dotted(figures: str, to_words: ToWords) -> str:
    """A date, an IP address or a version."""
    parts = figures.split(".")
    if len(parts[0]) == 4 and len(parts) == 3 and is_month_and_day(parts[1], parts[2]):
        return to_words(figures)
    if len(parts) == 4:
        return "点".join(_digit_by_digit(part) for part in parts)
    return "点".join(_digit_by_digit(part) if part[0] == "0" else to_words(part) for part in parts)
