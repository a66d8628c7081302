"""English numbers, times and dates in words, in the same form as the text normalisation of `ishowtts.text`."""

from __future__ import annotations

import random

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def cardinal(number: int) -> str:
    """Convert a number up to 999,999,999, such as 110234 to `one hundred ten thousand two hundred and thirty four`."""
    for size, name in ((1_000_000, "million"), (1_000, "thousand")):
        if number >= size:
            above, rest = divmod(number, size)
            joint = " and " if 0 < rest < 100 else " "
            return f"{cardinal(above).replace(' and ', ' ')} {name}" + (f"{joint}{cardinal(rest)}" if rest else "")
    if number >= 100:
        return f"{DIGITS[number // 100]} hundred" + (f" and {cardinal(number % 100)}" if number % 100 else "")
    if number >= 20:
        return _TENS[number // 10] + (f" {DIGITS[number % 10]}" if number % 10 else "")
    return _TEENS[number - 10] if number >= 10 else DIGITS[number]


def ordinal(number: int) -> str:
    """Convert a number to its ordinal, such as 22 to `twenty second`."""
    before, space, last = cardinal(number).rpartition(" ")
    ordinal_word = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return before + space + ordinal_word


def any_number(rng: random.Random) -> str:
    """A random number, more often a small one."""
    return cardinal(rng.randrange(rng.choice((10, 20, 100, 100, 1000, 10_000, 1_000_000))))


def several(rng: random.Random) -> str:
    """A random number of two or more things."""
    return cardinal(rng.randint(2, rng.choice((12, 12, 20, 99, 500))))


def below_hundred(rng: random.Random) -> str:
    """A random number from one to ninety nine."""
    return cardinal(rng.randint(1, 99))


def digit(rng: random.Random) -> str:
    """A random digit."""
    return rng.choice(DIGITS)


def digits(rng: random.Random) -> str:
    """Random digits in groups, as in a telephone number."""
    groups = [[rng.choice(DIGITS) for _ in range(rng.randint(2, 4))] for _ in range(rng.randint(1, 3))]
    return ", ".join(" ".join(group) for group in groups)


def decimal(rng: random.Random) -> str:
    """A random decimal, such as `three point one four`."""
    rest = " ".join(rng.choice(DIGITS) for _ in range(rng.randint(1, 3)))
    return f"{cardinal(rng.randint(0, 99))} point {rest}"


def clock(rng: random.Random) -> str:
    """A random time of day."""
    hour, minute = rng.randint(1, 12), rng.choice((0, 5, 10, 15, 20, 30, 40, 45, 50, 55, rng.randint(1, 59)))
    shown = cardinal(hour) + (f" {'oh ' if minute < 10 else ''}{cardinal(minute)}" if minute else "")
    named = cardinal(hour)
    spoken = (
        f"half past {named}",
        f"quarter to {named}",
        f"quarter past {named}",
        f"{named} o'clock",
        "noon",
        "midnight",
    )
    return rng.choice((shown if minute else f"{shown} o'clock", f"{shown} {rng.choice('AP')}M", rng.choice(spoken)))


def date(rng: random.Random) -> str:
    """A random date, sometimes with the year."""
    month, day = rng.choice(MONTHS), ordinal(rng.randint(1, 31))
    text = rng.choice((f"{month} {day}", f"the {day} of {month}"))
    return text + rng.choice(("", "", f", {year(rng)}" if text.startswith(month) else f" {year(rng)}"))


def year(rng: random.Random) -> str:
    """A random year, such as `nineteen ninety nine`, `two thousand and five` or `twenty twenty six`."""
    number = rng.randint(1800, 2049)
    century, rest = divmod(number, 100)
    if number // 10 == 200:
        return cardinal(number)
    return f"{cardinal(century)} " + ("hundred" if not rest else f"{'oh ' if rest < 10 else ''}{cardinal(rest)}")


def money(rng: random.Random) -> str:
    """A random amount in dollars, pounds or euros."""
    amount = rng.randint(1, rng.choice((20, 100, 2000)))
    one, more, cent = rng.choice(
        (("dollar", "dollars", "cents"), ("pound", "pounds", "pence"), ("euro", "euros", "cents"))
    )
    cents = f" and {cardinal(rng.randint(2, 99))} {cent}" if rng.random() < 0.4 else ""
    return f"{cardinal(amount)} {one if amount == 1 else more}{cents}"


def ordinal_number(rng: random.Random) -> str:
    """A random ordinal up to ninety ninth."""
    return ordinal(rng.randint(1, rng.choice((10, 31, 99))))


def letters(rng: random.Random) -> str:
    """Two to four random letters, spelled."""
    return " ".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 4)))


def letter(rng: random.Random) -> str:
    """A random letter."""
    return rng.choice(_LETTERS)
