"""Names of files, paths and entities are taken apart; comparison signs are words."""

from __future__ import annotations

import pytest

from ishowtts.text.reader import TextReader

NAMES = [
    ("Print benchy_0.2mm_PLA_1h32m.gcode is done. binary_sensor.front_door is on.",
     "Print benchy, zero point two millimeters, P L A, one hour thirty two minutes dot gcode is done. "
     "Binary sensor front door is on."),
    ("sensor.outside_temp is 5 °C", "sensor outside temp is five degrees Celsius"),
    ("light.kitchen and media_player.living_room", "light kitchen and media player living room"),
    ("switch.pump_2", "switch pump two"),
    ("snake_case and a_b", "snake case and a b"),
    ("_private and name_", "private and name"),
    ("__init__.py", "init dot P Y"),
    ("camelCase and getOutsideTemp", "camel Case and get Outside Temp"),
    ("IMG_2041.jpg", "I M G twenty forty one dot JPG"),
    ("IMG_1.HEIC", "I M G one dot heic"),
    ("Print vase_mode_0.6mm_PETG.gcode", "Print vase mode, zero point six millimeters, P E T G dot gcode"),
    ("switch.3d_printer is off", "switch three d printer is off"),
    ("set_temp=-5 and temp_-5", "set temp equals minus five and temp minus five"),
    ("(my_file.txt)", "(my file dot TXT)"),
    ("report-final.pdf", "report final dot PDF"),
    ("report_final_v2.pdf.", "report final, version two dot PDF."),
    ("/home/pi/x.log", "slash home slash pi slash x dot log"),
    ("see ~/notes/todo.md now", "see tilde slash notes slash todo dot MD now"),
    ("./run_me.sh", "dot slash run me dot SH"),
    ("C:\\Users\\pi\\x.txt", "C colon backslash Users backslash pi backslash x dot TXT"),
    ("home/living_room/temp", "home slash living room slash temp"),
    ("backup_20261121.tar.gz", "backup the twenty first of November twenty twenty six dot tar dot GZ"),
    ("log_2026-11-21.txt", "log the twenty first of November twenty twenty six dot TXT"),
    ("backup-2026-11-29_03-00.tar.gz",
     "backup the twenty ninth of November twenty twenty six, zero three zero zero dot tar dot GZ"),
    ("video_153000.mp4", "video one five three zero zero zero dot MP four"),
    ("app_v1.2.3.zip", "app, version one point two point three dot zip"),
    ("README.md", "Readme dot MD"),
    ("nginx.service has failed", "nginx dot service has failed"),
    ("self.my_var", "self dot my var"),
    ("wohnzimmer_lampe_küche", "wohnzimmer lampe küche"),
    ("@user_name", "at user name"),
    ("#tag_name", "hashtag tag name"),
    ("5_000_000", "five million"),
    ("x_1", "x one"),
    # No names
    ("iPhone, YouTube and McDonald", "iPhone, YouTube and McDonald"),
    ("he/she and A/B", "he she and A B"),
    ("Dinner is ready.Log in", "Dinner is ready. Log in"),
    ("well-known 5-year-old", "well-known five-year-old"),
    ("3.14 and 2026-11-21", "three point one four and the twenty first of November twenty twenty six"),
    ("o_o", "o_o"),
    ("C++ and C#", "C plus plus and C sharp"),
    ("it ends here...", "it ends here..."),
]  # fmt: skip

COMPARISONS = [
    ("Tom & Jerry's bill is < 5 €", "Tom and Jerry's bill is less than five euros"),
    ("x < 5", "x is less than five"),
    ("5 > 3", "five is greater than three"),
    ("5<6", "five is less than six"),
    ("> 5", "greater than five"),
    ("<5 min", "less than five minutes"),
    ("it takes < 5 min", "it takes less than five minutes"),
    ("in <5 min", "in less than five minutes"),
    ("n <= 3", "n is at most three"),
    ("speed>=50 km/h", "speed is at least fifty kilometers per hour"),
    ("temp < -5 °C", "temp is less than minus five degrees Celsius"),
    ("-5 < x", "minus five is less than x"),
    ("x == y", "x is equal to y"),
    ("n != 0", "n is not equal to zero"),
    ("a < b > c", "a is less than b is greater than c"),
    ("humidity > 70 %", "humidity is greater than seventy percent"),
    ("Settings > Display", "Settings, Display"),
    ("Berlin -> Munich", "Berlin to Munich"),
    ("off → on", "off to on"),
    ("20 °C -> 22 °C", "twenty degrees Celsius to twenty two degrees Celsius"),
    ("x = 2*y", "x equals two times y"),
    ("2 ** 3 = 8 and 2**n", "two to the power of three equals eight and two to the power of n"),
    ("a * b", "a times b"),
    ("a 4* hotel, rated 5*.", "a four star hotel, rated five star."),
    ("f*ck and s**t", "f ck and s t"),
    ("love you <3", "love you heart"),
    ("I <3 you", "I love you"),
    ("Tom <3 Jerry", "Tom loves Jerry"),
    ("we <3 pizza", "we love pizza"),
    ("I love it <3", "I love it heart"),
    ("count <3", "count is less than three"),
    ("<-5 °C", "less than minus five degrees Celsius"),
    ("(>500ms)", "(greater than five hundred milliseconds)"),
    ("<3", "heart"),
    ("<3 <3", "heart heart"),
    ("n <3", "n is less than three"),
    ("<3.5 V", "less than three point five volts"),
]


@pytest.mark.parametrize(("text", "spoken"), [*NAMES, *COMPARISONS])
def test_names_and_comparisons_are_read(text: str, spoken: str) -> None:
    assert TextReader(None, lambda _: "en").read(text, None) == spoken


@pytest.mark.parametrize(
    "text", ["a_" * 50_000, "a/b_" * 25_000, "x.log." * 15_000, "aB" * 50_000, "<3 " * 30_000, "A " * 50_000]
)
def test_hostile_names_take_time_in_proportion_to_their_length(text: str) -> None:
    TextReader(None, lambda _: "en").read(text, None)
