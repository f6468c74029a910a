from __future__ import annotations

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from merismos.core.allocator.patterns import Pattern, PatternError

PIECES = st.sampled_from(
    [
        *"ab1._-é^$(|)?*+{}[]",
        *(".", "[0-9]", "[^a]", "[a-c]", "(a|b)", "(?:ab)", r"\d", r"\W", r"\s", r"\.", "[[:alpha:]]", r"\b", r"\B"),
        *(
            "{2}",
            "{1,3}",
            "{2,}",
            "{,2}",
            "(?i:A)",
            r"\Q.\E",
            "[]a]",
            "[a-]",
            r"\x41",
            r"\x{62}",
            r"\1",
            r"\101",
            "(?P<n>a)",
        ),
        *(
            "(?=a)",
            "\n",
            "(?s:.)",
            "(?m:^)",
            r"\A",
            r"\z",
            r"[\d-a]",
            r"[^\W]",
            r"\q",
            r"\0",
            r"\_",
            "[z-a]",
            "(?",
            "**",
        ),
    ]
)
TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "ba",
    "1",
    "a1",
    "a\nb",
    "A",
    "AB",
    ".",
    " ",
    "é",
    "aaa",
    "_",
    "-",
    "a b",
    "\n",
    "abab",
    "a.b",
]
QUIET = re2.Options()
QUIET.log_errors = False


@settings(max_examples=500)
@given(st.lists(PIECES, min_size=1, max_size=7).map("".join))
def test_patterns_are_taken_refused_and_matched_as_by_re2(source: str) -> None:
    try:
        reference = re2.compile(source, QUIET)
    except re2.error:
        reference = None
    try:
        pattern = Pattern(source, 5000)
    except PatternError:
        pattern = None
    assert (pattern is None) == (reference is None)
    if pattern is not None and reference is not None:
        ours = [text for text in TEXTS if pattern.matches(text)]
        assert ours == [text for text in TEXTS if reference.fullmatch(text) is not None]
