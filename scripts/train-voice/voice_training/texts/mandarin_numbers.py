"""Mandarin numbers, times and dates in characters, in the same form as the normalisation of `ishowtts.text`."""

from __future__ import annotations

import random

DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_DAYS = "一二三四五六日"
_PARTS_OF_DAY = ("早上", "上午", "中午", "下午", "晚上", "凌晨", "", "")


def cardinal(number: int) -> str:
    """Convert a number up to 99,999,999, such as 1234 to `一千二百三十四`."""
    if number >= 10_000:
        above, rest = divmod(number, 10_000)
        return f"{cardinal(above)}万" + (f"{'零' if rest < 1000 else ''}{_below_ten_thousand(rest)}" if rest else "")
    text = _below_ten_thousand(number)
    return text.removeprefix("一") if 10 <= number < 20 else text or DIGITS[0]


def _below_ten_thousand(number: int) -> str:
    """Convert a number below 10,000. Gives nothing for 0. Several zeros inside are read as one."""
    text, gap = "", False
    for place in (3, 2, 1, 0):
        digit_value = number // 10**place % 10
        if digit_value:
            text += ("零" if gap and text else "") + DIGITS[digit_value] + _UNITS[place]
        gap = not digit_value
    return text


def quantity(number: int) -> str:
    """Convert a number of things. Two things are 两."""
    return "两" if number == 2 else cardinal(number)


def any_number(rng: random.Random) -> str:
    """A random number, more often a small one."""
    return cardinal(rng.randrange(rng.choice((10, 20, 100, 100, 1000, 10_000, 1_000_000))))


def several(rng: random.Random) -> str:
    """A random number of things."""
    return quantity(rng.randint(1, rng.choice((10, 20, 99, 500))))


def below_hundred(rng: random.Random) -> str:
    """A random number from one to ninety nine."""
    return cardinal(rng.randint(1, 99))


def digit(rng: random.Random) -> str:
    """A random digit."""
    return rng.choice(DIGITS)


def digits(rng: random.Random) -> str:
    """Three to twelve random digits, read one by one. A one is read as yāo."""
    groups = [
        "".join(rng.choice("零幺二三四五六七八九") for _ in range(rng.randint(3, 4))) for _ in range(rng.randint(1, 3))
    ]
    return rng.choice(("，", "")).join(groups)


def decimal(rng: random.Random) -> str:
    """A random decimal, such as `三点一四`."""
    return f"{cardinal(rng.randint(0, 99))}点" + "".join(rng.choice(DIGITS) for _ in range(rng.randint(1, 3)))


def clock(rng: random.Random) -> str:
    """A random time of day."""
    minute = rng.choice((0, 0, 5, 10, 20, 30, 40, 50, rng.randint(1, 59)))
    shown = f"{'零' if minute < 10 else ''}{cardinal(minute)}分" if minute else rng.choice(("", "半", "整", "一刻"))
    return f"{rng.choice(_PARTS_OF_DAY)}{quantity(rng.randint(1, 12))}点{shown}"


def date(rng: random.Random) -> str:
    """A random date, sometimes with the year."""
    shown = f"{cardinal(rng.randint(1, 12))}月{cardinal(rng.randint(1, 31))}{rng.choice('日号')}"
    return rng.choice(("", "", year(rng))) + shown


def year(rng: random.Random) -> str:
    """A random year, such as `一九九九年`."""
    return "".join(DIGITS[int(digit_value)] for digit_value in str(rng.randint(1850, 2049))) + "年"


def weekday(rng: random.Random) -> str:
    """A random day of the week."""
    return rng.choice(("星期", "周", "礼拜")) + rng.choice(_DAYS)


def money(rng: random.Random) -> str:
    """A random amount in yuan."""
    amount = quantity(rng.randint(1, rng.choice((20, 100, 5000))))
    return amount + rng.choice(("元", "块", "块钱", f"块{rng.choice(DIGITS[1:])}毛"))


def few(rng: random.Random) -> str:
    """A random number of one to ten things."""
    return quantity(rng.randint(1, 10))
