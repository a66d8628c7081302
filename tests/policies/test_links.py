"""What is a link, and what only looks like one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.model import Line
from ishowtts.policies.links import link_edits
from ishowtts.policies.text_edits import apply_edits

LINKS = [
    ("see https://example.com/a?b=c#d.", "see link."),
    ("see HTTP://EXAMPLE.COM, please", "see link, please"),
    ("hxxps://example.com/a and hxxp://10.0.0.1/x", "link and link"),
    ("ftp://files.example.org/a.txt", "link"),
    ("(www.example.org/a)", "(link)"),
    ("WWW.EXAMPLE.ORG", "link"),
    ("Https://Example.Com/Path", "link"),
    ("look: example.com!", "look: link!"),
    ("go to twitch.tv", "go to link"),
    ("example.com", "link"),
    ("See more. example.com. Bye", "See more. link. Bye"),
    ("visit buy.com now", "visit link now"),
    ("Read more on heise.de today", "Read more on link today"),
    ("subscribe to example.org please", "subscribe to link please"),
    ("more (example.com) here", "more (link) here"),
    ("our site: example.com", "our site: link"),
    ("see EXAMPLE.COM:80 now", "see link now"),
    ("Siehe example.de heute", "Siehe link heute"),
    ("请访问example.cn了解", "请访问 link 了解"),
    ("“example.com”.", "“link”."),
    ("EXAMPLE.COM", "link"),
    ("Amazon.de", "link"),  # it stands alone
    ("EXAMPLE.COM/path now", "link now"),
    ("Example.Com/path now", "link now"),
    ("Amazon.de/dp/B00 is cheap", "link is cheap"),
    ("clips.twitch.tv/Abc-d and youtu.be/xyz", "link and link"),
    ("t.me/joinchat/x", "link"),
    ("discord.gg/x bit.ly/abc amzn.to/3x", "link link link"),
    ("example.com:8080 and Example.com:8080", "link and link"),
    ("example.com:8080/x.", "link."),
    ("homeassistant.local:8123 is down", "link is down"),
    ("fritz.box:49000", "link"),
    ("example[.]com and www.example(.)com", "link and link"),
    ("localhost http://10.0.0.1:8080/x", "localhost link"),
    ("看https://x.com/a吧", "看 link 吧"),
    ("see www.aaaaaa.com", "see link"),
]
NO_LINKS = [
    "The ASP.NET service has stopped.",
    "ADO.NET, VB.NET and Paint.NET",
    "Your Amazon.de parcel is here.",
    "Your Amazon.com, Booking.com and eBay.de orders",
    "Check24.de and GMX.net say so",
    "your amazon.de order",
    "booking.com confirmed it",
    "The server web01.example.com is down",
    "heise.de: Neues",
    "The ping to example.com failed",
    "ssh to sub.domain.co.uk works",
    "oversee example.com",
    "YOUR AMAZON.DE PARCEL IS HERE",
    "Dinner is ready.De kids eat first.",
    "The parcel came.Info follows",
    "He is done.Net income rose",
    "It is ready.He/she may go",
    "See Dr.Miller/Dr.Smith",
    "Node.js",
    "The Node.js server",
    "Node.js/Express and Vue.js/Nuxt",
    "e.g. this, i.e. that, z.B. das, u.a.",
    "v1.2 and v1.2.3-rc.1",
    "file.py README.md main.c setup.cfg index.html",
    "main.py:42: error in app.js:100",
    "3.5 and 10.30 and 1.5/2.0",
    "127.0.0.1:8123 and 192.168.1.1",
    "write to bob@example.com or first.last@mail.example.co.uk",
    "user@host.de",
    "BOB@EXAMPLE.COM",
    "Mr.Smith and Mrs.Jones",
    "He came.It was late at 10.30 and/or 1.5/2.0",
    "version 1.2.3.4 costs 3.50",
    "http:// and www. alone",
    "example dot com",
    "km/h and m/s and and/or",
    "a.m. p.m. U.S. U.K. Ph.D.",
    "sensor.kitchen_temperature light.hall",
    "System.out and os.path",
    "wait...what",
    "Yes.No.Maybe.",
    "12.5.2026 um 7.30",
    "/var/log/nginx.old/access.log and C:\\apps\\foo.old/x",
    "/srv/example.com/htdocs",
]


@pytest.mark.parametrize(("text", "edited"), LINKS)
def test_a_web_address_is_replaced(text: str, edited: str) -> None:
    assert apply_edits(text, link_edits(text, "link", all_hosts=False)) == edited


@pytest.mark.parametrize("text", NO_LINKS)
def test_words_with_a_dot_and_mail_addresses_stay(text: str) -> None:
    assert link_edits(text, "link", all_hosts=False) == []


@pytest.mark.parametrize("text", NO_LINKS)
def test_the_default_policies_do_not_change_words_with_a_dot(make, text: str) -> None:
    line = Line("a", text)
    assert make().admit(line) is line


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("buy at Cheap.com now", "buy at now"),
        ("cheap.com has it", "has it"),
        ("my cheap.com shop", "my shop"),
        ("BUY AT CHEAP.COM NOW", "BUY AT NOW"),
        ("T.Me/spam and Bit.Ly/spam", "and"),
        ("cheap.Com", ""),
        ("The ASP.NET service has stopped.", "The ASP.NET service has stopped."),
        ("Dinner is ready.De kids eat first.", "Dinner is ready.De kids eat first."),
        ("Node.js/Express", "Node.js/Express"),
    ],
)
def test_who_drops_links_drops_hosts_with_a_capital_too(text: str, edited: str) -> None:
    assert apply_edits(text, link_edits(text, "", all_hosts=True)) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("Hello https://x.com/y!", "Hello!"),
        ("a (https://x.com/y) b", "a b"),
        ("a, https://x.com/y, b", "a,, b"),
    ],
)
def test_a_dropped_link_leaves_no_extra_blanks_or_brackets(text: str, edited: str) -> None:
    assert apply_edits(text, link_edits(text, "", all_hosts=False)) == edited


@settings(deadline=None)
@given(st.text(alphabet="aA1.:/-[](@ e", max_size=60), st.booleans())
def test_any_text_has_links_in_order_within_it(text: str, all_hosts: bool) -> None:
    end = 0
    for edit in link_edits(text, "", all_hosts=all_hosts):
        assert end <= edit.start < edit.end <= len(text)
        end = edit.end


@pytest.mark.parametrize("part", ["a.", "a-", "a", "a[.]", "www.", "A.b/", "x.com:", "1."])
def test_a_hostile_text_takes_no_longer_than_its_length(part: str) -> None:
    began_s = time.process_time()
    link_edits(part * (5000 // len(part)), "link", all_hosts=False)
    assert time.process_time() - began_s < 2.0
