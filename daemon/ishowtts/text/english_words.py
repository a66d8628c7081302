"""English words for digits, currencies and symbols."""

from __future__ import annotations

from collections.abc import Callable

from ishowtts.text.reading_rules import any_of

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {str(figure): word for figure, word in enumerate(_DIGIT_WORDS)}

# Singular and plural of each currency and of its hundredth part.
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "NZ$": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HK$": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "", ""),
    "₺": ("lira", "lira", "", ""),
    "₴": ("hryvnia", "hryvnias", "", ""),
    "₪": ("shekel", "shekels", "", ""),
    "฿": ("baht", "baht", "", ""),
    "₫": ("dong", "dong", "", ""),
    "₱": ("peso", "pesos", "", ""),
    "₦": ("naira", "naira", "", ""),
    "₸": ("tenge", "tenge", "", ""),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "R$": ("real", "reais", "", ""),
    "S$": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "kr": ("krone", "kroner", "", ""),
    "zł": ("zloty", "zlotys", "", ""),
    "Kč": ("koruna", "korunas", "", ""),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "KRW": ("won", "won", "", ""),
    "SEK": ("Swedish krona", "Swedish kronor", "", ""),
    "NOK": ("Norwegian krone", "Norwegian kroner", "", ""),
    "DKK": ("Danish krone", "Danish kroner", "", ""),
    "PLN": ("zloty", "zlotys", "", ""),
    "CZK": ("koruna", "korunas", "", ""),
    "HUF": ("forint", "forints", "", ""),
    "BTC": ("bitcoin", "bitcoins", "", ""),
    "USD": ("US dollar", "US dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "", ""),
    "CNY": ("yuan", "yuan", "", ""),
    "RMB": ("yuan", "yuan", "", ""),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
}
CURRENCY = any_of(CURRENCIES)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
SHORT_MONTHS = {name[:3]: name for name in MONTHS if name != "May"} | {"Sept": "September"}

SYMBOLS = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "?": "question mark", "=": "equals",
           "&": "and", "#": "hash", "%": "percent", ":": "colon", "+": "plus", "~": "tilde", ",": "comma"}  # fmt: skip
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}
MATH_SYMBOLS = {"÷": "divided by", "×": "times", "±": "plus or minus", "≈": "is about", "≠": "is not equal to",
                 "≤": "is at most", "≥": "is at least", "√": "the square root of", "∞": "infinity"}  # fmt: skip


def digit_by_digit(figures: str) -> str:
    """Each digit as a word, such as `one two three`."""
    return " ".join(_DIGITS[figure] for figure in figures if figure in _DIGITS)


def ordinal(number: int, to_words: Callable[[str], str]) -> str:
    """The words of an ordinal number, such as `twenty first`."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return to_words(f"{number}{ending}")
