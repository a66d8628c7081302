"""The table of units: how each symbol is written, and its words in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """The words of one unit.

    Attributes:
        singular: English words after a one and after "per".
        plural: English words after every other number.
        chinese: Chinese words; empty if Chinese speakers say the symbol.
    """

    singular: str
    plural: str
    chinese: str


_PREFIXES = {
    "p": ("pico", "皮"), "n": ("nano", "纳"), "µ": ("micro", "微"), "m": ("milli", "毫"), "c": ("centi", "厘"),
    "d": ("deci", "分"), "h": ("hecto", "百"), "k": ("kilo", "千"), "M": ("mega", "兆"), "G": ("giga", "吉"),
    "T": ("tera", "太"), "Ki": ("kibi", ""), "Mi": ("mebi", ""), "Gi": ("gibi", ""), "Ti": ("tebi", ""),
}  # fmt: skip
_MICRO = ("µ", "\u03bc", "u")  # the sign, the Greek letter, and what a keyboard has

# Symbols (`-` before one that is never alone) | English, with the plural if it is not one with an s | Chinese, with the
# word after a prefix if it is another | prefixes. Picometers are left out: `5 pm` is a time.
_ROWS = """
m | meter | 米 | n µ m c d
km, Km, KM, kms | kilometer | 公里 |
in, inch | inch, inches | 英寸 |
ft | foot, feet | 英尺 |
yd, yds | yard | 码 |
mi | mile | 英里 |
nmi | nautical mile | 海里 |
ha | hectare | 公顷 |
sqm | square meter | 平方米 |
sqft | square foot, square feet | 平方英尺 |
cbm | cubic meter | 立方米 |
cc, ccm | cubic centimeter | 立方厘米 |
l, L, ℓ | liter | 升 | µ m c d h
gal | gallon | 加仑 |
qt | quart | 夸脱 |
fl oz, fl. oz | fluid ounce | 液盎司 |
tsp | teaspoon | 茶匙 |
tbsp | tablespoon | 汤匙 |
g | gram | 克 | n µ m
kg, kgs, Kg, KG | kilogram | 公斤 |
mcg | microgram | 微克 |
t | ton | 吨 |
lb, lbs | pound | 磅 |
oz | ounce | 盎司 |
mol | mole | 摩尔 | n µ m
IU | international unit | 国际单位 |
-Eq | equivalent | 当量 | µ m
s, sec, secs | second | 秒 |
ms, msec | millisecond | 毫秒 |
µs, \u03bcs | microsecond | 微秒 |
ns | nanosecond | 纳秒 |
ps | picosecond | 皮秒 |
min, mins | minute | 分钟 |
h, hr, hrs | hour | 小时 |
d | day | 天 |
w, wk, wks | week | 周 |
mo, mos | month | 个月 |
y, yr, yrs | year | 年 |
mph | mile per hour, miles per hour | 英里每小时 |
kph, kmh | kilometer per hour, kilometers per hour | 公里每小时 |
mpg | mile per gallon, miles per gallon | 英里每加仑 |
fps | frame per second, frames per second | 帧每秒 |
rpm | revolution per minute, revolutions per minute | 转每分钟 |
bpm | beat per minute, beats per minute | 次每分钟 |
cpm | count per minute, counts per minute | 计数每分钟 |
cfm | cubic foot per minute, cubic feet per minute | 立方英尺每分钟 |
gpm | gallon per minute, gallons per minute | 加仑每分钟 |
lpm | liter per minute, liters per minute | 升每分钟 |
kt, kts, kn | knot | 节 |
Hz | hertz, hertz | 赫兹, 赫 | k M G T
V | volt | 伏 | n µ m k M
VAC | volt A C, volts A C | 伏交流 |
VDC | volt D C, volts D C | 伏直流 |
A | amp | 安 | n µ m k
Ω, \u2126, ohm | ohm | 欧姆, 欧 | m k M G
Ah | amp hour | 安时 | m
-F | farad | 法 | p n µ m
-H | henry, henries | 亨 | n µ m
-S | siemens, siemens | 西门子, 西 | µ m
VA | volt amp | 伏安 | k M
var | reactive volt amp | 乏 | k M
-T | tesla | 特斯拉, 特 | n µ m
eV | electron volt | 电子伏 | k M G
W | watt | 瓦 | n µ m k M G T
Wh | watt hour | 瓦时 | m k M G T
Wp | watt peak, watts peak | 峰瓦 | k M
W/m²K, W/(m²K), W/(m²·K) | watt per square meter kelvin, watts per square meter kelvin | 瓦每平方米开尔文 |
hp, bhp | horsepower, horsepower | 马力 |
ft-lb, ft lb, lb-ft, lb ft | foot pound | 英尺磅 |
J | joule | 焦耳, 焦 | m k M G
cal | calorie | 卡路里, 卡 | k
BTU, Btu | B T U, B T Us | 英热单位 |
Pa | pascal | 帕 | m h k M G
bar | bar | 巴 | m
psi | pound per square inch, pounds per square inch | 磅每平方英寸 |
mmHg | millimeter of mercury, millimeters of mercury | 毫米汞柱 |
inHg | inch of mercury, inches of mercury | 英寸汞柱 |
cmH2O | centimeter of water, centimeters of water | 厘米水柱 |
atm | atmosphere | 个大气压 |
Torr | torr, torr | 托 |
N | newton | 牛顿, 牛 | µ m k M
Nm, N·m, N m | newton meter | 牛米 | m k
K | kelvin | 开尔文, 开 | m
°C, ° C, ℃, ºC, ˚C, °c, deg C, degC | degree Celsius, degrees Celsius | 摄氏度 |
°F, ° F, ℉, ºF, ˚F, °f, deg F, degF | degree Fahrenheit, degrees Fahrenheit | 华氏度 |
°, deg | degree | 度 |
%, | percent, percent | |
%RH, % RH, %rH, % rH | percent relative humidity, percent relative humidity | |
‰ | per mille, per mille | |
lx, lux | lux, lux | 勒克斯 | m k
lm | lumen | 流明 | m k
cd | candela | 坎德拉 | m
nits | nit | 尼特 |
dB | decibel | 分贝 |
dBm | decibel milliwatt | 分贝毫瓦 |
dBA, dB(A), db(A) | A-weighted decibel | A加权分贝 |
dBi | decibel isotropic, decibels isotropic | |
Sv | sievert | 西弗 | n µ m
Gy | gray | 戈瑞 | µ m
Bq | becquerel | 贝克勒尔, 贝克 | m k M G T
-B | byte | | k M G T Ki Mi Gi Ti
-bit | bit | 比特 | k M G T
-b | bit | | M G T
kbps | kilobit per second, kilobits per second | |
Mbps | megabit per second, megabits per second | |
Gbps | gigabit per second, gigabits per second | |
MBps | megabyte per second, megabytes per second | |
px | pixel | 像素 |
MP, Mpx | megapixel | 百万像素 |
dpi | dot per inch, dots per inch | |
ppi | pixel per inch, pixels per inch | |
ppm | part per million, parts per million | |
ppb | part per billion, parts per billion | |
ppt | part per trillion, parts per trillion | |
ct | cent | 分 |
pts | point | 分 |
"""
_POWERS = (("²", "2", "square", "平方"), ("³", "3", "cubic", "立方"))
_WITH_POWERS = ("nm", "µm", "\u03bcm", "um", "mm", "cm", "dm", "m", "km", "in", "ft", "yd", "mi")
_AFTER_SQ = ("mm", "cm", "m", "km", "in", "ft", "yd", "mi")
# People write these in any case. Others differ by it: mW and MW, Mb and MB, 5 mm and 5 MM, 5 atm and 5 ATM.
_ANY_CASE = (
    *("cm", "lb", "lbs", "oz", "ft", "yd", "ml", "kW", "kWh", "mAh", "Hz", "kHz", "MHz", "GHz", "hPa", "kPa", "mbar"),
    *(
        "mph",
        "kph",
        "kmh",
        "rpm",
        "bpm",
        "fps",
        "ppm",
        "ppb",
        "psi",
        "dpi",
        "dB",
        "kB",
        "MB",
        "GB",
        "TB",
        "kbps",
        "Mbps",
    ),
    *("Gbps", "kcal", "kVA", "kWp", "mmHg", "inHg", "sqm", "gal", "tbsp", "tsp", "mcg", "secs", "mins", "hrs", "lux"),
    *("nits", "iu", "kJ", "cfm", "min", "mA", "kV"),
)


def _table() -> Iterator[tuple[str, Unit]]:
    """Each symbol with its words. The first pair of a symbol counts."""
    for row in _ROWS.strip().splitlines():
        symbols, english, chinese, prefixes = ([part.strip() for part in cell.split(",")] for cell in row.split("|"))
        unit = Unit(english[0], english[-1] if len(english) > 1 else f"{english[0]}s", chinese[0])
        for symbol in filter(None, symbols):
            if symbol[0] != "-":
                yield symbol, unit
            for prefix in prefixes[0].split():
                for letter in _MICRO if prefix == "µ" else (prefix,):
                    yield letter + symbol.lstrip("-"), _with_prefix(unit, prefix, chinese[-1])


def _with_prefix(unit: Unit, prefix: str, chinese_after_prefix: str) -> Unit:
    english, chinese = _PREFIXES[prefix]
    return Unit(
        english + unit.singular,
        english + unit.plural,
        chinese + chinese_after_prefix if chinese and chinese_after_prefix else "",
    )


def _powers(units: dict[str, Unit]) -> Iterator[tuple[str, Unit]]:
    """The squares and cubes of lengths, and the square of a second."""
    for sign, figure, english, chinese in _POWERS:
        for symbol in _WITH_POWERS:
            length = units[symbol]
            power = Unit(f"{english} {length.singular}", f"{english} {length.plural}", chinese + length.chinese)
            yield from ((symbol + written, power) for written in (sign, figure, f"^{figure}"))
            if symbol in _AFTER_SQ:
                short = "sq" if figure == "2" else "cu"
                yield from ((before + symbol, power) for before in (f"{short} ", f"{short}. "))
    yield "㎡", units["sqm"]
    yield from ((f"s{two}", Unit("second squared", "seconds squared", "平方秒")) for two in ("²", "2", "^2"))


def _any_case(units: dict[str, Unit]) -> Iterator[tuple[str, Unit]]:
    for symbol in _ANY_CASE:
        if symbol in units:
            first, rest = symbol[0], symbol[1:]
            forms = (symbol.lower(), symbol.upper(), symbol.capitalize(), first.upper() + rest, first + rest.upper())
            yield from ((form, units[symbol]) for form in forms)


def _first_of_each(*tables: Iterable[tuple[str, Unit]]) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for table in tables:
        for symbol, unit in table:
            units.setdefault(symbol, unit)
    return units


_PLAIN = _first_of_each(_table())
UNITS = _first_of_each(_PLAIN.items(), _powers(_PLAIN), _any_case(_PLAIN))
"""The words of each symbol, such as `kWh`, `µg`, `m²` and `sq ft`."""
