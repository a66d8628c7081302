"""English words for digits, currencies, units, symbols and abbreviations."""

from __future__ import annotations

import re

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {str(figure): word for figure, word in enumerate(_DIGIT_WORDS)}
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X",
         "XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII", "XIX", "XX")  # fmt: skip

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
CURRENCY = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
MULTIPLES = {"K": "thousand", "k": "thousand", "M": "million", "mn": "million", "B": "billion", "bn": "billion"}

# Singular and plural of each unit. `/` and a unit of time after one is read as "per".
UNITS = {
    "mm": ("millimeter", "millimeters"), "cm": ("centimeter", "centimeters"), "m": ("meter", "meters"),
    "km": ("kilometer", "kilometers"), "µm": ("micrometer", "micrometers"), "nm": ("nanometer", "nanometers"),
    "mm²": ("square millimeter", "square millimeters"), "cm²": ("square centimeter", "square centimeters"),
    "m²": ("square meter", "square meters"), "km²": ("square kilometer", "square kilometers"),
    "cm³": ("cubic centimeter", "cubic centimeters"), "m³": ("cubic meter", "cubic meters"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "mi": ("mile", "miles"), "inch": ("inch", "inches"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "kg": ("kilogram", "kilograms"),
    "µg": ("microgram", "micrograms"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"),
    "cl": ("centiliter", "centiliters"), "L": ("liter", "liters"), "l": ("liter", "liters"),
    "gal": ("gallon", "gallons"), "ha": ("hectare", "hectares"),
    "ns": ("nanosecond", "nanoseconds"), "µs": ("microsecond", "microseconds"), "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"), "sec": ("second", "seconds"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "mph": ("mile per hour", "miles per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "rpm": ("revolution per minute", "revolutions per minute"), "bpm": ("beat per minute", "beats per minute"),
    "fps": ("frame per second", "frames per second"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "V": ("volt", "volts"), "mV": ("millivolt", "millivolts"),
    "kV": ("kilovolt", "kilovolts"), "A": ("amp", "amps"), "mA": ("milliamp", "milliamps"),
    "mAh": ("milliamp hour", "milliamp hours"), "W": ("watt", "watts"), "mW": ("milliwatt", "milliwatts"),
    "kW": ("kilowatt", "kilowatts"), "MW": ("megawatt", "megawatts"), "Wh": ("watt hour", "watt hours"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "Ω": ("ohm", "ohms"), "kΩ": ("kiloohm", "kiloohms"),
    "dB": ("decibel", "decibels"), "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"),
    "KiB": ("kibibyte", "kibibytes"), "MiB": ("mebibyte", "mebibytes"), "GiB": ("gibibyte", "gibibytes"),
    "kbps": ("kilobit per second", "kilobits per second"), "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"), "Mbit": ("megabit", "megabits"),
    "Pa": ("pascal", "pascals"), "hPa": ("hectopascal", "hectopascals"), "kPa": ("kilopascal", "kilopascals"),
    "psi": ("pound per square inch", "pounds per square inch"), "kcal": ("kilocalorie", "kilocalories"),
    "kJ": ("kilojoule", "kilojoules"), "°C": ("degree Celsius", "degrees Celsius"),
    "℃": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
    "%": ("percent", "percent"), "‰": ("per mille", "per mille"),
}  # fmt: skip
_ATTACHED_ONLY = ("A",)  # "3A" is a current, "team 3 A" is not
UNITS |= {"μ" + unit[1:]: words for unit, words in UNITS.items() if unit[0] == "µ"}
UNITS |= {unit[:-1] + power: UNITS[unit] for unit in list(UNITS) for mark, power in (("²", "2"), ("³", "3"))
           if unit[-1] == mark}  # fmt: skip
SPACED_UNITS = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True) if unit not in _ATTACHED_ONLY)
ATTACHED_UNITS = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
PER = {"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "day": "day", "kg": "kilogram",
       "m³": "cubic meter", "m3": "cubic meter", "L": "liter", "l": "liter"}  # fmt: skip

SYMBOLS = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "?": "question mark", "=": "equals",
           "&": "and", "#": "hash", "%": "percent", ":": "colon", "+": "plus", "~": "tilde", ",": "comma"}  # fmt: skip
ABBREVIATIONS = {
    r"e\.g\.,?": "for example,", r"i\.e\.,?": "that is,", r"etc\.(?=$|\s+[A-Z])": "et cetera.", r"etc\.": "et cetera",
    r"vs\.?": "versus", r"approx\.": "approximately", r"a\.k\.a\.": "also known as", r"w/o": "without", r"w/": "with",
    r"and/or": "and or",
}  # fmt: skip
TITLES = {"Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus", "Prof.": "Professor", "St.": "Saint", "Gen.": "General",
           "Capt.": "Captain", "Lt.": "Lieutenant", "Sgt.": "Sergeant", "Rev.": "Reverend"}  # fmt: skip
BEFORE_NUMBERS = {"No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure",
                   "Vol.": "volume", "vol.": "volume", "Ch.": "chapter", "p.": "page", "pp.": "pages"}  # fmt: skip
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}
MATH_SYMBOLS = {"÷": "divided by", "×": "times", "±": "plus or minus", "≈": "is about", "≠": "is not equal to",
                 "≤": "is at most", "≥": "is at least", "√": "the square root of", "∞": "infinity"}  # fmt: skip


def digit_by_digit(figures: str) -> str:
    """Each digit as a word, such as `one two three`."""
    return " ".join(DIGITS[figure] for figure in figures if figure in DIGITS)
