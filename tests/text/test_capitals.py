"""lower_capitals: shouted words are said as words, initialisms stay letters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.text.capitals import lower_capitals
from ishowtts.text.reader import TextReader

WORDS = [
    ("WARNING! THE FREEZER IN THE CELLAR IS TOO WARM.", "Warning! The freezer in the cellar is too warm."),
    ("Please STOP the NASA video on the TV.", "Please stop the Nasa video on the TV."),
    ("PLEASE STOP THE NASA VIDEO ON THE TV.", "Please stop the Nasa video on the TV."),
    ("do NOT open ALL of them", "do not open all of them"),
    ("FIRE", "Fire"),
    ("GO GO GO", "Go go go"),
    ("GOAL!!! WE WON", "Goal!!! We won"),
    ("Error: FILE NOT FOUND", "Error: file not found"),
    ("MOTION DETECTED AT THE FRONT DOOR", "Motion detected at the front door"),
    ("HELP ME. WHY IS IT SO COLD?", "Help me. Why is it so cold?"),
    ("STRENGTHS THROUGH RHYTHM", "Strengths through rhythm"),
    ("SHH QUIET", "Shh quiet"),
    ("I'M SURE YOU'RE OK, DON'T GO", "I'm sure you're OK, don't go"),
    ("LET'S MEET AT NINE O'CLOCK", "Let's meet at nine o'clock"),
    ("DON'T FORGET the USB-C cable", "Don't forget the USB-C cable"),
    ("You CAN’T, WON'T and DIDN'T", "You can’t, won't and didn't"),
    ("I'LL go and WE'RE late, Y'ALL", "I'll go and we're late, y'all"),
    ("Mr. O'BRIEN and D'ANGELO at ten O'CLOCK", "Mr. O'Brien and D'Angelo at ten o'clock"),
    ("the TV'LL work", "the TV'll work"),
    ("the ICE 1234 is late, the ICE melts", "the ICE 1234 is late, the ice melts"),
    ("ICE 5 cm thick, ICE 10 cm", "Ice 5 cm thick, ice 10 cm"),
    ("US PRESIDENT MEETS THE PM. TELL US.", "US president meets the PM. Tell us."),
    ("MR SMITH AND DR. JONES ARE HERE", "Mr Smith and Dr. Jones are here"),
    ("GPS, GLONASS", "GPS, glonass"),
    ("NHS, WHO, CDC", "NHS, WHO, CDC"),
    ("AM/FM", "AM/FM"),
    ("NYC, FYI", "NYC, FYI"),
    ("X-RAY", "X-ray"),
    ("TAKE A BREAK", "Take a break"),
    ("MRS. JONES IS HERE", "Mrs. Jones is here"),
    ("X-RAY AND T-SHIRT BY E-MAIL", "X-ray and T-shirt by E-mail"),
    ("“COME IN!”", "“Come in!”"),
    ("ÜBER ALLES", "Über alles"),
]
ACRONYMS = [
    ("NATO and UNESCO met", "Nato and Unesco met"),
    ("8 GB of RAM", "8 GB of ram"),
    ("your PIN and your SIM", "your pin and your sim"),
    ("the LAN is down", "the lan is down"),
    ("COVID-19", "Covid-19"),
    ("reply ASAP", "reply asap"),
    ("the IKEA shelf", "the Ikea shelf"),
    ("NASA'S PLAN IS GOOD", "Nasa's plan is good"),
]
LETTERS = [
    "TV", "USB", "GPU", "CPU", "HTTP", "LED", "USA", "UK", "EU", "FBI", "BBC", "DJ", "PC", "ID", "MQTT", "HTML",
    "DNS", "PLA", "the TVs and CPUs", "an RTX 3090 or RTX3090", "A4, K9, H2O", "AAA battery", "AA batteries",
    "AAAA battery", "World War II", "Henry VIII", "Chapter XIV", "U.S.A. and N.A.S.A.", "AT&T and R&D",
    "$AAPL is up", "ASP.NET", "I am OK", "7 AM to 9 PM", "5 GB", "5 MB/s", "USD 5", "5 EUR", "100 CHF", "PM2.5",
    "UV index", "2.4 GHz and 5 kWh", "a B and an A", "the IT department", "the US and the WHO", "the KDE desktop",
    "WWII", "https://example.com/ABC", "iPhone and GmbH", "GMT-5", "UTC+2", "T-Mobile", "N/A", "AC/DC", "WLAN",
]  # fmt: skip
MIXED = [
    ("THE TVS AND CPUS ARE HOT", "The TVs and CPUs are hot"),
    ("DO IT NOW", "Do it now"),
    ("TELL US", "Tell us"),
    ("WHO IS THERE", "Who is there"),
    ("THE US ARMY AND THE WHO AND THE IT ROOM", "The US army and the WHO and the IT room"),
    ("I AM HERE AT 7 AM", "I am here at 7 AM"),
    ("VITAMIN A IS IN PLAN B", "Vitamin A is in plan B"),
    ("HENRY VIII IS HERE", "Henry VIII is here"),
    ("THE GPU IS AT 80 DEGREES", "The GPU is at 80 degrees"),
    ("THE USB LED IS ON", "The USB LED is on"),
    ("PLUG IN THE RTX3090 AND THE A4", "Plug in the RTX3090 and the A4"),
    ("CO2 IS AT 850 PPM", "CO2 is at 850 ppm"),
    ("5 KG, 5KG, 100 KM/H, 20 MHZ, 3 KWH", "5 kg, 5kg, 100 km/h, 20 MHz, 3 kWh"),
    ("MAX 5 MM, 10 MIN", "Max 5 mm, 10 min"),
    ("MAY THE 4TH AND THE 1990S", "May the 4th and the 1990s"),
    ("CO DETECTED IN THE GARAGE", "CO detected in the garage"),
    ("CLOSED ON MON AND TUE", "Closed on Mon and Tue"),
    ("PAY USD 5 NOW", "Pay USD 5 now"),
    ("SEE HTTPS://EXAMPLE.COM/A NOW PLEASE", "See https://example.com/a now please"),
    ("SENSOR_OUTSIDE_TEMP", "Sensor_outside_temp"),
    ("benchy_PLA_v2", "benchy_PLA_v2"),
]


@pytest.mark.parametrize(("text", "expected"), [*WORDS, *ACRONYMS, *MIXED])
def test_shouted_words_become_words(text: str, expected: str) -> None:
    assert lower_capitals(text) == expected


@pytest.mark.parametrize("text", LETTERS)
def test_initialisms_letters_and_codes_stay(text: str) -> None:
    assert lower_capitals(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WARNUNG! DER KELLER IST ZU WARM.", "Warnung! Der keller ist zu warm."),
        ("ÄRGER IM BÜRO", "Ärger im büro"),
        ("ATTENTION: LA PORTE EST OUVERTE", "Attention: la porte est ouverte"),
        ("DAS USB KABEL IST AM PC", "Das USB kabel ist am PC"),
        ("ENTRÉE INTERDITE", "Entrée interdite"),
        ("Die SPD und der ADAC in der EU", "Die SPD und der ADAC in der EU"),
        ("Das ist WICHTIG", "Das ist WICHTIG"),
    ],
)
def test_other_languages_lose_only_whole_sentences_in_capitals(text: str, expected: str) -> None:
    assert lower_capitals(text, english=False) == expected


@settings(deadline=None)
@given(st.text(st.sampled_from("AEITNSBCXQÄİßIVX abé.!?'’-_/&$5 °:@,"), max_size=60) | st.text(max_size=60))
def test_the_length_and_everything_except_case_stay(text: str) -> None:
    lowered = lower_capitals(text)
    assert len(lowered) == len(text)
    assert lowered.casefold() == text.casefold()


@settings(deadline=None)
@given(st.text(st.sampled_from("abcxyzäéß .,!?'-5"), max_size=60))
def test_text_in_lower_case_does_not_change(text: str) -> None:
    assert lower_capitals(text) == text


SPOKEN = [
    (WORDS[0][0], WORDS[0][1]),
    (WORDS[1][0], WORDS[1][1]),
    ("THE BOX HAS 5 KG", "The box has five kilograms"),
    ("THE LED IS ON", "The L E D is on"),
    ("PLA, ETA and FAQs", "P L A, E T A and F A Qs"),
    ("the IT of the WHO", "the IT of the W H O"),
    ("GPU, USB and HTTP", "GPU, USB and HTTP"),
    ("it is -5 °C OUTSIDE", "it is minus five degrees Celsius outside"),
    ("MEET AT 7 AM ON MAY 3", "Meet at seven AM on May third"),
    ("AFTER WORLD WAR II", "After World War two"),
    ("OPEN CHAPTER IV", "Open Chapter four"),
    ("SEE YOU ON DEC. 24", "See you on December twenty fourth"),
    ("YOU MAY GO", "You may go"),
    ("WORLD WAR II IS OVER", "World War two is over"),
]


@pytest.mark.parametrize(("text", "spoken"), SPOKEN)
def test_capitals_are_read_with_the_rules_of_english(text: str, spoken: str) -> None:
    assert TextReader(None, lambda _: "en").read(text, None) == spoken


def test_a_chinese_voice_reads_shouted_english_too() -> None:
    assert TextReader(None, lambda _: "zh").read("请注意 STOP THE CAR NOW", None) == "请注意 Stop the car now"


def test_a_pronunciation_sees_the_capitals_as_they_were_written(tmp_path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text('- {pattern: "STOP", as: "halt"}\n- {say: "nasa", as: "nassau"}\n', encoding="utf-8")
    reader = TextReader(file, lambda _: "en")
    assert reader.read("STOP the NASA VIDEO", None) == "halt the nassau video"


def test_without_normalisation_capitals_stay() -> None:
    assert TextReader(None, lambda _: "en", normalise=False).read("STOP NOW", None) == "STOP NOW"
