from __future__ import annotations

import pytest

from ishowtts.policies.emoji_names import emoji_edits
from ishowtts.policies.text_edits import apply_edits


def edited(text: str, action: str, language: str = "auto", *, collapse_runs: bool = True) -> str:
    return apply_edits(text, emoji_edits(text, action, language, collapse_runs=collapse_runs))


@pytest.mark.parametrize(
    ("text", "dropped", "named"),
    [
        ("I ❤️ NY 🎉!", "I NY!", "I red heart NY party popper!"),
        ("😂😂 😂😂 yes 😂", "yes", "face with tears of joy yes face with tears of joy"),
        ("👍🏽👍🏽", "", "thumbs up"),
        ("go 1️⃣2️⃣", "go 1 2", "go 1 2"),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f🇬🇧", "", "England United Kingdom"),
        ("👨\u200d👩\u200d👧", "", "family man woman girl"),
        ("你好😂", "你好", "你好 笑哭了"),
        ("これは😂一つ", "これは 一つ", "これは face with tears of joy 一つ"),
        ("50 € ™ © # * 1", "50 € ™ © # * 1", "50 € ™ © # * 1"),
        ("plain", "plain", "plain"),
    ],
)
def test_emoji_are_dropped_or_named(text, dropped, named) -> None:
    assert edited(text, "drop") == dropped
    assert edited(text, "name") == named


def test_a_run_of_the_same_emoji_collapses_to_one() -> None:
    assert edited("🔥🔥 🔥 x 🔥", "keep") == "🔥 x 🔥"
    assert edited("1️⃣1️⃣2️⃣", "keep") == "1️⃣1️⃣2️⃣", "11 is another number than 1"
    assert edited("1️⃣1️⃣2️⃣", "drop") == "1 1 2"
    assert edited("🔥🔥", "keep", collapse_runs=False) == "🔥🔥"
    assert edited("🎉", "name", language="de") == "konfettibombe"
