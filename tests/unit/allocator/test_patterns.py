from __future__ import annotations

import pytest

from merismos.core.allocator.patterns import Pattern, PatternError


@pytest.mark.parametrize(
    ("source", "matching", "others"),
    [
        ("r[12]", ["r1", "r2"], ["r3", "r", "r12", "xr1"]),
        ("", [""], ["a"]),
        ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
        ("(ab)*c?", ["", "abab", "ababc", "c"], ["ba", "cc"]),
        ("a{2,3}", ["aa", "aaa"], ["a", "aaaa"]),
        ("a{2}", ["aa"], ["a", "aaa"]),
        ("a{2,}", ["aa", "aaaaa"], ["a"]),
        ("x{,2}", ["x{,2}"], ["x", "xx"]),
        (r"\d+\.\w", ["12.a", "1._"], ["a.a", "12a"]),
        (r"[^\d\s]", ["a", "_"], ["1", " "]),
        ("[]a-]", ["]", "a", "-"], ["b"]),
        ("[[:alpha:]_]+", ["ab_"], ["a1"]),
        ("[[:^digit:]]", ["a"], ["1"]),
        (".", ["a", "é"], ["\n", ""]),
        ("(?s).", ["\n"], [""]),
        ("(?i)ab[c]", ["ABC", "abc"], ["abd"]),
        ("(?i)[^a]", ["b"], ["a", "A"]),
        ("a(?i:b)c", ["abc", "aBc"], ["Abc", "abC"]),
        ("(?P<rack>r1)", ["r1"], ["r2"]),
        (r"\Qa.b\E+", ["a.b", "a.bb"], ["axb"]),
        (r"^a\b.\B.b$", ["a .b"], ["a .a", "ab.b"]),
        ("(?m)a$\n^b", ["a\nb"], ["a b"]),
        (r"\x41\x{e9}\101\t", ["AéA\t"], ["AeA\t"]),
        ("a+?b*?", ["aab"], ["b"]),
        ("((a)*)*", ["", "aaa"], ["b"]),
        ("(|a){3}", ["", "aaa"], ["aaaa"]),
    ],
)
def test_a_pattern_matches_whole_texts(source: str, matching: list[str], others: list[str]) -> None:
    pattern = Pattern(source)
    assert [text for text in matching if not pattern.matches(text)] == []
    assert [text for text in others if pattern.matches(text)] == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[", "missing ]: ["),
        ("x[ab", "missing ]: [ab"),
        ("(a", "missing ): (a"),
        ("a)", "unexpected ): a)"),
        ("*", "no argument for repetition operator: *"),
        ("a|+", "no argument for repetition operator: +"),
        ("a**", "bad repetition operator: **"),
        ("a{3,2}", "invalid repetition size: {3,2}"),
        ("a{1001}", "invalid repetition size: {1001}"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        (r"\q", r"invalid escape sequence: \q"),
        (r"\pL", r"invalid escape sequence: \p"),
        ("\\", "trailing \\"),
        ("(?=a)", "invalid perl operator: (?="),
        ("(?<!a)", "invalid named capture group"),
        ("[z-a]", "invalid character class range: z-a"),
        ("[[:foo:]]", "invalid character class range: [:foo:]"),
        ("(" * 101 + ")" * 101, "expression nests too deeply"),
        ("a" * 5000, "pattern too large"),
        ("a" * 101, "pattern too large - compile failed"),
        ("(((a{30}){30}){30}){30}", "pattern too large - compile failed"),
    ],
)
def test_what_is_no_pattern_is_refused_with_a_reason(source: str, message: str) -> None:
    with pytest.raises(PatternError) as refused:
        Pattern(source)
    assert message in str(refused.value)


@pytest.mark.parametrize("source", ["(a*)*b", "(a|a)*b", "(a+)+b", "((((a*)*)*)*)*b", "(a?){9}a{9}a*b"])
def test_no_pattern_takes_more_than_linear_time(source: str) -> None:
    pattern = Pattern(source)
    counted = CountedText("a" * 500)
    assert not pattern.matches(counted)
    assert counted.asked == 500


class CountedText(str):
    """A text that counts how often its characters are taken."""

    __slots__ = ("asked",)

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - the fake of an untyped class
        self.asked = 0
        for character in super().__iter__():
            self.asked += 1
            yield character
