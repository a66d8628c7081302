"""Policies.admit: the line to speak, or why it is rejected."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import config
from ishowtts.model import Line, Priority, Reason, Rejection, ReplyTo
from ishowtts.policies import Policies, admission, merged_text
from ishowtts.policies.blocked_words import Hit, WordList

TEMPLATE = "template: '{author} says: {text}'"


def admitted(policies: Policies, text: str, **fields: object) -> Line:
    line = policies.admit(Line("a", text, **fields))
    assert isinstance(line, Line), line
    return line


def rejected(policies: Policies, text: str, **fields: object) -> Rejection:
    rejection = policies.admit(Line("a", text, **fields))
    assert isinstance(rejection, Rejection), rejection
    return rejection


def test_a_line_that_no_policy_changes_is_returned_as_it_is(make) -> None:
    line = Line("a", "Good  morning,\neverybody. It is 10:00.", "anna", Priority.HIGH, author="bob")
    assert make().admit(line) is line


def test_a_mask_leaves_no_blocked_word_that_masking_created(make) -> None:
    masking = make("{blocked: {words: [badger, 傻逼, 甲乙丙丁], action: mask, mask: ''}}")
    line = admitted(masking, "a b a d g e r傻逼 b")
    assert (line.text, line.done) == ("a b", ("blocked",))
    assert admitted(masking, "ok 甲乙甲乙甲乙丙丁丙丁丙丁").text == "ok"
    assert rejected(masking, "ok " + "甲乙" * 50 + "丙丁" * 50).reason is Reason.FILTERED


def test_done_lists_the_policies_in_the_order_of_their_use(make) -> None:
    policies = make(f"{{blocked: {{words: [bad], action: mask}}, {TEMPLATE}, author_voices: {{bob: anna}}}}")
    line = admitted(policies, "bad https://x.com/a 🎉 nooooo!", author="Bob", nfe_step=9)
    assert line.text == "Bob says: beep link nooo!"
    assert line.voice == "anna"
    assert line.nfe_step == 9
    assert line.done == ("blocked", "links", "emoji", "repeats", "voice", "template")


def test_the_text_without_the_template_is_kept_if_lines_are_merged(make) -> None:
    merging = make(f"{{{TEMPLATE}, merge_s: 10}}")
    line = admitted(merging, "nooooo", author="Bob")
    assert (line.text, line.bare_text) == ("Bob says: nooo", "nooo")
    assert admitted(merging, "nooooo").bare_text is None
    assert admitted(make(f"{{{TEMPLATE}}}"), "hi", author="Bob").bare_text is None
    assert admitted(make("{merge_s: 10}"), "nooooo", author="Bob").bare_text is None


def test_the_steps_of_a_line_name_what_each_policy_changed_and_count_against_no_limit(make) -> None:
    policies = make(f"{{blocked: {{words: [bad], action: mask}}, {TEMPLATE}, lines_per_min: 1}}")
    for _ in range(3):
        line, steps = policies.explain(Line("a", "bad https://x.com/a nooooo!", author="Bob"))
        assert isinstance(line, Line)
        assert [(step.policy, step.before, step.after) for step in steps] == [
            ("blocked", "bad https://x.com/a nooooo!", "beep https://x.com/a nooooo!"),
            ("links", "beep https://x.com/a nooooo!", "beep link nooooo!"),
            ("repeats", "beep link nooooo!", "beep link nooo!"),
            ("template", "beep link nooo!", "Bob says: beep link nooo!"),
        ]
    assert policies.admit(Line("a", "bad https://x.com/a nooooo!", author="Bob")) == line


def test_the_steps_before_a_rejection_are_kept(make) -> None:
    rejection, steps = make("{links: drop}").explain(Line("a", "www.example.org"))
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.EMPTY
    assert [(step.policy, step.after) for step in steps] == [("links", "")]


@pytest.mark.parametrize(
    ("policies", "text", "reason", "words"),
    [
        ("{blocked: {words: [bad]}}", "so BAD", Reason.FILTERED, ["'bad'", "policies.blocked", "leave it out"]),
        ("{links: drop}", "www.example.org", Reason.EMPTY, ["policies.links", "send words"]),
        ("{links: drop}", "🎉 www.example.org", Reason.EMPTY, ["policies.links and policies.emoji"]),
        ("{emoji: keep}", "🎉", Reason.EMPTY, ["no letter and no digit", "send words"]),
        ("{}", "\u3164\u115f \u200b", Reason.EMPTY, ["no letter"]),
        ("{}", "one two " * 250, Reason.TOO_LONG, ["1999", "1000", "limits.max_chars", "send less"]),
        ("{}", "one two " * 200_000, Reason.TOO_LONG, ["1600000", "1000"]),
        ("{emoji: name}", "😂🔥" * 490, Reason.TOO_LONG, ["limits.max_chars"]),
        ("{work_per_min: 20}", "abc", Reason.RATE_LIMITED, ["takes 21", "work_per_min, 20", "send less"]),
    ],
)
def test_a_rejection_names_the_cause_and_the_fix(make, policies, text, reason, words) -> None:
    reply_to = ReplyTo("ishowtts/reply/x")
    rejection = rejected(make(policies), text, reply_to=reply_to)
    assert (rejection.id, rejection.reason, rejection.reply_to) == ("a", reason, reply_to)
    for word in words:
        assert word in rejection.detail
    assert len(rejection.detail) < 300


def test_markup_is_taken_out_before_any_policy_looks_at_the_text(make) -> None:
    line = admitted(make(), "**Dinner** is `ready`.\n- see [the plan](https://example.com/a)")
    assert (line.text, line.done) == ("Dinner is ready. See the plan.", ("markup",))
    masking = make("{blocked: {words: [badger], action: mask}}")
    assert admitted(masking, "a <b>bad</b>ger &#98;adger").text == "a beep beep"
    assert admitted(make(), "Nice :smile: &lt;3").text == "Nice <3"
    assert rejected(make(), "***\n<br>").reason is Reason.EMPTY
    assert rejected(make(), "<b>" * 10 + ":smile:" + "</b>" * 10).detail == (
        "nothing is left of the text after policies.emoji; send words"
    )


def test_a_line_that_is_longer_than_its_limit_only_by_its_markup_is_spoken(make) -> None:
    assert admitted(make("{}", "{max_chars: 20}"), "<p>" * 500 + "Hello.").text == "Hello."
    assert "cut" in admitted(make("{}", "{max_chars: 20, too_long: cut}"), "one *two* " * 900).done


def test_length_is_measured_after_links_and_repeats_are_shortened(make) -> None:
    assert admitted(make("{}", "{max_chars: 20}"), "no" + "o" * 500 + "!" * 100).text == "nooo!!!"
    assert admitted(make("{}", "{max_chars: 20}"), "see https://example.com/" + "a" * 500).text == "see link"


def test_a_long_line_is_cut_at_the_end_of_a_sentence(make) -> None:
    policies = make("{}", "{max_chars: 40, too_long: cut}")
    line = admitted(policies, "One sentence here. Two sentences here. Three sentences here.")
    assert (line.text, line.done) == ("One sentence here. Two sentences here.", ("cut",))


def test_a_cut_text_without_letters_is_rejected_as_empty(make) -> None:
    assert rejected(make("{}", "{max_chars: 5, too_long: cut}"), "- ; , hello").reason is Reason.EMPTY
    rejection = rejected(make("{links: drop}", "{max_chars: 5, too_long: cut}"), "https://example.com/" + "a" * 5000)
    assert rejection.detail == "nothing is left of the text after policies.links; send words"


def test_a_megabyte_is_cut_before_the_policies_search_it(make) -> None:
    line = admitted(make("{}", "{max_chars: 40, too_long: cut}"), "a" * 1_000_000)
    assert (line.text, line.done) == ("aaa", ("cut", "repeats"))


SEARCHING = "{blocked: {words: [badger, stoat pie, bad], action: mask}, emoji: name}"


@pytest.mark.parametrize(
    "text", ["bad " * 1250, "b4d é ' " * 625, "🎉bad" * 1250, "b a d " * 830, "bad" + "\u0301" * 4997]
)
def test_a_long_text_that_is_cut_anyway_is_not_searched_to_its_end(make, monkeypatch, text) -> None:
    searched: list[int] = []
    find = WordList.find

    def counting(words: WordList, text: str) -> Iterator[Hit]:
        searched.append(len(text))
        return find(words, text)

    monkeypatch.setattr(WordList, "find", counting)
    line = admitted(make(SEARCHING, "{max_chars: 1000, too_long: cut}"), text)
    assert "bad" not in line.text
    assert max(searched) <= 1600
    assert len(searched) <= 4


def test_a_shortened_link_leaves_room_for_the_text_after_it(make) -> None:
    policies = make("{}", "{max_chars: 40, too_long: cut}")
    line = admitted(policies, "look https://example.com/" + "a" * 400 + " here and " + "\u200b" * 2000 + "there")
    assert (line.text, line.done) == ("look link here and there", ("links",))


def test_the_head_of_a_long_text_ends_between_words(make) -> None:
    policies = make("{}", "{max_chars: 1000, too_long: cut}")
    line = admitted(policies, "https://example.com/" + "a" * 900 + " " + "otter stoat " * 100)
    assert line.text.startswith("link otter stoat")
    assert set(line.text.split()) == {"link", "otter", "stoat"}
    assert "cut" in line.done


# Words that a mask or a name makes longer, or that shrink by less than the head has room for.
long_texts = st.lists(
    st.sampled_from(["otter ", "bad ", "b4d, ", "bád. ", "badger! ", "stoat pie ", "🎉 ", "傻逼", "水獺，", "b a d ",
                     "so... "]),
    min_size=1, max_size=80,
).map(lambda words: "".join(words) * 8)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(text=long_texts, max_chars=st.integers(30, 1000), mask=st.sampled_from(["beep", "***", "otter"]))
def test_a_long_text_is_cut_as_if_the_whole_text_had_been_searched(text, max_chars, mask) -> None:
    section = config.PolicySection.model_validate(
        {"blocked": {"words": ["badger", "stoat pie", "bad", "傻逼"], "action": "mask", "mask": mask},
         "emoji": "name", "repeats": None}
    )  # fmt: skip
    limits = config.LimitsSection(max_chars=max_chars, too_long="cut")
    found = Policies(section, limits, 7).admit(Line("a", text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "_EXTRA_CUT_CHARS", admission._EXTRA_CHARS)
        whole = Policies(section, limits, 7).admit(Line("a", text))
    assert isinstance(found, Line) == isinstance(whole, Line)
    if isinstance(found, Line) and isinstance(whole, Line):
        assert found.text == whole.text
        assert ("cut" in found.done) == ("cut" in whole.done)


def test_invisible_characters_above_the_limit_are_not_stored(make) -> None:
    line = admitted(make("{}", "{max_chars: 5}"), "hello" + "\u200b" * 100)
    assert (line.text, line.done) == ("hello", ())


def test_a_blocked_word_in_the_name_of_an_emoji_is_found(make) -> None:
    policies = make("{blocked: {words: [eggplant]}, emoji: name}")
    assert rejected(policies, "look 🍆").reason is Reason.FILTERED


def test_the_template_needs_an_author_and_inserts_values_as_they_are(make) -> None:
    policies = make(f"{{{TEMPLATE}}}")
    assert admitted(policies, "hi").text == "hi"
    assert admitted(policies, "hi {author} {text.__class__}", author="bob").text == (
        "bob says: hi {author} {text.__class__}"
    )
    assert admitted(policies, "hi", author="{text}{0.__class__}").text == "text 0 class says: hi"


@pytest.mark.parametrize(
    ("author", "spoken"),
    [
        ("xX_Bob_Xx", "xX Bob Xx says: hi"),
        ("𝓑𝓸𝓫", "Bob says: hi"),
        ("B\u0336\u0336\u0336o\u200bb🎉", "Bob says: hi"),
        ("B\u0302\u0302\u0302o\u200bb🎉", "B\u0302\u0302ob says: hi"),
        ("Bob. Police: evacuate!", "Bob Police evacuate says: hi"),
        ("J.R. O'Neil-Smith", "J.R O'Neil-Smith says: hi"),
        ("visit buy.com now", "visit now says: hi"),
        ("हिन्दी", "हिन्दी says: hi"),
        ("ab" * 64, "ababab says: hi"),
        ("abcdefghijklmnopqrstuvwxyz " * 4, "abcdefghijklmnopqrstuvwxyz abcdefghijklm says: hi"),
        ("🎉", "hi"),
        ("\u3164", "hi"),
    ],
)
def test_the_name_of_an_author_is_cleaned_and_shortened_before_it_is_spoken(make, author, spoken) -> None:
    assert admitted(make(f"{{{TEMPLATE}}}"), "hi", author=author).text == spoken


def test_a_blocked_word_in_the_name_of_an_author_is_not_spoken(make) -> None:
    words = f"{{blocked: {{words: [bad], action: %s}}, {TEMPLATE}}}"
    rejection = rejected(make(words % "reject"), "hi", author="b.a.d")
    assert rejection.reason is Reason.FILTERED
    assert "the author's name holds 'bad'" in rejection.detail
    assert admitted(make(words % "mask"), "hi", author="ba🔥d guy").text == "beep guy says: hi"
    assert admitted(make("{blocked: {words: [bad]}}"), "hi", author="bad").text == "hi", "a name that is not spoken"
    created_by_cleaning = rejected(make(f"{{blocked: {{words: [hahaha]}}, {TEMPLATE}}}"), "hi", author="ha" * 8)
    assert created_by_cleaning.reason is Reason.FILTERED


def test_the_voice_of_the_line_wins_over_the_voice_of_its_author(make) -> None:
    policies = make("{author_voices: {Bob: anna}}")
    assert admitted(policies, "hi", author="ｂｏｂ").voice == "anna"
    assert admitted(policies, "hi", author="bob", voice="carl").voice == "carl"
    assert admitted(policies, "hi", author="eve").voice is None
    assert admitted(policies, "hi").voice is None


def test_a_missing_voice_of_an_author_is_logged_once_and_the_line_is_spoken(make, caplog) -> None:
    existing: set[str] = set()
    policies = make("{author_voices: {bob: anna}}", voices=lambda: existing)
    with caplog.at_level(logging.WARNING):
        assert [admitted(policies, "hi", author="bob").done for _ in range(3)] == [()] * 3
    assert [record.message for record in caplog.records] == [
        "policies.author_voices: there is no voice 'anna'; the default voice speaks instead"
    ]
    existing.add("anna")
    assert admitted(policies, "hi", author="bob").voice == "anna"


def test_lines_are_counted_in_all_and_for_each_author(make, clock) -> None:
    policies = make("{lines_per_min: 3, author_lines_per_min: 2}")
    assert [isinstance(policies.admit(Line("a", "hi", author="bob")), Line) for _ in range(3)] == [True, True, False]
    clock.now_s += 10
    rejection = rejected(policies, "hi", author="B\u200bOB")
    assert rejection.reason is Reason.RATE_LIMITED
    assert rejection.detail == (
        "this author has had 2 lines within a minute (policies.author_lines_per_min); send it again in 50 s"
    )
    admitted(policies, "hi", author="eve")
    assert rejected(policies, "hi").detail == (
        "3 lines came within a minute (policies.lines_per_min); send it again in 50 s"
    )
    clock.now_s += 50
    assert admitted(policies, "hi", author="bob")


def test_urgent_lines_are_neither_counted_nor_rejected(make) -> None:
    policies = make("{lines_per_min: 1, author_lines_per_min: 1, work_per_min: 20}")
    for _ in range(5):
        admitted(policies, "evacuate the building", author="bob", priority=Priority.URGENT)
    admitted(policies, "hi", author="bob")
    assert rejected(policies, "hi", author="bob", priority=Priority.HIGH).reason is Reason.RATE_LIMITED


def test_rejected_lines_do_not_count_against_a_limit(make) -> None:
    policies = make("{lines_per_min: 1, author_lines_per_min: 1, blocked: {words: [bad]}}")
    for _ in range(5):
        assert rejected(policies, "bad", author="eve").reason is Reason.FILTERED
    assert admitted(policies, "hi", author="eve")


def test_a_rejection_holds_the_sent_line_or_above_a_rate_limit_the_line_that_would_be_spoken(make) -> None:
    policies = make("{lines_per_min: 1, blocked: {words: [bad]}}")
    sent = rejected(policies, "noooooo, bad").line
    assert sent is not None
    assert (sent.text, sent.done) == ("noooooo, bad", ())
    admitted(policies, "hi")
    changed = rejected(policies, "noooooo").line
    assert changed is not None
    assert (changed.text, changed.done) == ("nooo", ("repeats",))


def test_work_is_characters_times_nfe(make, clock) -> None:
    policies = make("{work_per_min: 100}")
    admitted(policies, "0123456789")
    rejection = rejected(policies, "01234")
    assert rejection.detail == (
        "the line takes 35 of work (characters times NFE), and 30 are left of policies.work_per_min; "
        "send it again in 60 s"
    )
    assert admitted(policies, "01234", nfe_step=6)


def test_a_merged_text_is_spoken_with_its_count() -> None:
    assert merged_text("{text}, {count} times", "GG!", 4) == "GG, 4 times"
    assert merged_text("{count} times {text}", "GG!", 4) == "4 times GG!"
    assert merged_text("{text} x{count}", "{count}", 2) == "{count} x2"
    assert merged_text("{text} x{count}", "!", 2) == "! x2"


NASTY = [
    "fool", "f.o.o.l", "傻逼", "https://x.com/", "www.", "a.com", "🎉", "🇬🇧", "1️⃣", "👨\u200d👩\u200d👧", "\u200d",
    "\ufe0f", "\u20e3", "\u0301" * 9, "{author}", "{text}", "ha ha ha ha ha ha ha", "aaaaaaa", "!!!!!!", ". ",
    "\u3164", "\ud800", "\x00", "\n", "()", "ᄀ", "ﷺ", "ß", "İ", "９", "½", "beep",
]  # fmt: skip
texts = st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()), max_size=12), max_size=30).map(
    "".join
)
lines = st.builds(
    Line,
    id=st.just("a"),
    text=texts,
    voice=st.none() | st.just("anna"),
    priority=st.sampled_from(Priority),
    nfe_step=st.none() | st.integers(4, 64),
    author=st.none() | texts,
)
some_policies = st.fixed_dictionaries(
    {},
    optional={
        "lines_per_min": st.integers(1, 3),
        "author_lines_per_min": st.integers(1, 3),
        "work_per_min": st.integers(1, 5000),
        "blocked": st.fixed_dictionaries(
            {
                "words": st.lists(st.sampled_from([part for part in NASTY if part != "\ud800"]), max_size=5),
                "action": st.sampled_from(["reject", "mask"]),
                "mask": st.sampled_from(["", "beep", "***"]),
            }
        ),
        "links": st.sampled_from(["keep", "drop", "word"]),
        "emoji": st.sampled_from(["keep", "drop", "name"]),
        "emoji_language": st.sampled_from(["auto", "de", "zh"]),
        "repeats": st.none() | st.integers(2, 5),
        "template": st.sampled_from(["{author} says: {text}", "so: {text}"]),
        "author_voices": st.just({"bob": "anna"}),
    },
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(policies=some_policies, max_chars=st.integers(1, 60), too_long=st.sampled_from(["reject", "cut"]),
       arrivals=st.lists(lines, min_size=1, max_size=4))  # fmt: skip
def test_any_line_becomes_a_line_within_bounds_or_a_rejection(policies, max_chars, too_long, arrivals) -> None:
    section = config.PolicySection.model_validate(policies)
    limits = config.LimitsSection(max_chars=max_chars, too_long=too_long)
    made = Policies(section, limits, 7, lambda: 0.0)
    for line in arrivals:
        found = made.admit(line)
        if isinstance(found, Rejection):
            assert found.id == line.id
            assert found.detail.isprintable()
            continue
        assert len(found.text) <= max_chars + 60
        assert any(char.isalnum() for char in found.text)
        assert (found.text == line.text) or found.done or len(line.text) > max_chars
        assert not found.done or set(found.done) <= {
            "markup", "blocked", "links", "emoji", "repeats", "cut", "voice", "template"
        }  # fmt: skip
