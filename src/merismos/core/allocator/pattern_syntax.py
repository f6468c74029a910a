"""The syntax of RE2, parsed: expressions of characters, sequences, alternatives, repeats and assertions.

Errors: ValueError, with the words that RE2 uses where it has some.
"""

from __future__ import annotations

import re
from typing import Final

LENGTH_MAX: Final = 4096
DEPTH_MAX: Final = 100
REPEAT_MAX: Final = 1000
_CODE_MAX: Final = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]

_DIGIT: Final[Ranges] = ((48, 57),)
_SPACE: Final[Ranges] = ((9, 10), (12, 13), (32, 32))
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_PERL: Final = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: Final[dict[str, Ranges]] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": _WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_SIGNS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CONTROL: Final = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_match_hexadecimal = re.compile(r"([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,8})\}").match
_match_braces = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}").match
_match_octal = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}").match


class Characters:
    """One character out of some ranges."""

    __slots__ = ("_fold", "_ranges")

    def __init__(self, ranges: Ranges, *, fold: bool = False) -> None:
        self._ranges = ranges
        self._fold = fold

    def contains(self, code: int) -> bool:
        """Return whether a code point is one of them."""
        if any(low <= code <= high for low, high in self._ranges):
            return True
        if not self._fold:
            return False
        character = chr(code)
        others = (character.lower(), character.upper())
        return any(low <= ord(other) <= high for other in others if len(other) == 1 for low, high in self._ranges)


class Assertion:
    """A condition on the place between two characters: `A` text start, `z` text end, `^` and `$` of a line, `b`, `B`."""

    __slots__ = ("_kind",)

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def holds(self, text: str, position: int) -> bool:
        """Return whether it holds before the character at `position`."""
        before = text[position - 1] if position else ""
        after = text[position] if position < len(text) else ""
        if self._kind in "A^":
            return not before or (self._kind == "^" and before == "\n")
        if self._kind in "z$":
            return not after or (self._kind == "$" and after == "\n")
        return (_is_word(before) != _is_word(after)) == (self._kind == "b")


class Sequence:
    """One expression after the other."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Expression]) -> None:
        self.parts = parts


class Alternatives:
    """Any one of several expressions."""

    __slots__ = ("branches",)

    def __init__(self, branches: list[Expression]) -> None:
        self.branches = branches


class Repeat:
    """An expression `least` to `most` times; None for no end."""

    __slots__ = ("body", "least", "most")

    def __init__(self, body: Expression, least: int, most: int | None) -> None:
        self.body = body
        self.least = least
        self.most = most


Expression = Characters | Assertion | Sequence | Alternatives | Repeat


def parse(source: str) -> Expression:
    """Return the expression that `source` writes down."""
    if len(source) > LENGTH_MAX:
        raise ValueError(f"pattern too large - it has {len(source)} characters, at most {LENGTH_MAX} are taken")
    parser = _Parser(source)
    expression = parser.alternatives(0, "")
    if parser.position < len(source):
        raise ValueError(f"unexpected ): {source}")
    return expression


def _is_word(character: str) -> bool:
    return character != "" and any(low <= ord(character) <= high for low, high in _WORD)


def _complement(ranges: Ranges) -> Ranges:
    kept: list[tuple[int, int]] = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            kept.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _CODE_MAX:
        kept.append((start, _CODE_MAX))
    return tuple(kept)


class _Parser:
    """Recursive descent; `flags` are the letters in force."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0

    def _peek(self) -> str:
        return self.source[self.position] if self.position < len(self.source) else ""

    def _take(self, prefix: str) -> bool:
        if self.source.startswith(prefix, self.position):
            self.position += len(prefix)
            return True
        return False

    def alternatives(self, depth: int, flags: str) -> Expression:
        if depth > DEPTH_MAX:
            raise ValueError("expression nests too deeply")
        branches: list[Expression] = []
        parts: list[Expression] = []
        while (character := self._peek()) not in {"", ")"}:
            if self._take("|"):
                branches.append(Sequence(parts))
                parts = []
            elif character == "(" and (changed := self._flags_for_the_rest(flags)) is not None:
                flags = changed
            else:
                atoms = self._quoted(flags) if self._take("\\Q") else [self._atom(depth, flags)]
                if atoms:
                    parts.extend(atoms[:-1])
                    parts.append(self._repeated(atoms[-1]))
        branches.append(Sequence(parts))
        return branches[0] if len(branches) == 1 else Alternatives(branches)

    def _flags_for_the_rest(self, flags: str) -> str | None:
        """Read `(?flags)`, which holds until the group ends."""
        begin = self.position
        if self._take("(?"):
            changed = self._flags(flags, begin)
            if changed is not None and self._take(")"):
                return changed
        self.position = begin
        return None

    def _flags(self, flags: str, begin: int) -> str | None:
        """Read flag letters, `-` before those that are taken away; None where something else follows."""
        off, any_read = False, False
        while (letter := self._peek()) not in {"", ":", ")"}:
            if letter == "-" and not off:
                off, any_read = True, False
            elif letter in "imsU":
                flags = flags.replace(letter, "") + ("" if off else letter)
                any_read = True
            else:
                return None
            self.position += 1
        if off and not any_read:
            raise ValueError(f"invalid perl operator: {self.source[begin : self.position + 1]}")
        return flags

    def _atom(self, depth: int, flags: str) -> Expression:
        begin = self.position
        if self._quantifier() is not None:
            raise ValueError(f"no argument for repetition operator: {self.source[begin : self.position]}")
        character = self.source[begin]
        self.position += 1
        if character == "(":
            return self._group(depth, flags)
        if character == "[":
            return self._class(flags)
        if character == ".":
            return Characters(((0, _CODE_MAX),) if "s" in flags else ((0, 9), (11, _CODE_MAX)))
        if character == "^":
            return Assertion("^" if "m" in flags else "A")
        if character == "$":
            return Assertion("$" if "m" in flags else "z")
        if character == "\\":
            return self._escape(flags)
        return _literal(character, flags)

    def _group(self, depth: int, flags: str) -> Expression:
        begin = self.position - 1
        if self._take("?P<") or self._take("?<"):
            name, bracket, _ = self.source[self.position :].partition(">")
            if not bracket or not name.isidentifier():
                raise ValueError(
                    f"invalid named capture group: {self.source[begin : self.position + len(name) + len(bracket)]}"
                )
            self.position += len(name) + 1
        elif self._take("?"):
            changed = self._flags(flags, begin)
            if changed is None or not self._take(":"):
                raise ValueError(f"invalid perl operator: {self.source[begin : self.position + 1]}")
            flags = changed
        inner = self.alternatives(depth + 1, flags)
        if not self._take(")"):
            raise ValueError(f"missing ): {self.source}")
        return inner

    def _repeated(self, body: Expression) -> Expression:
        begin = self.position
        bounds = self._quantifier()
        if bounds is None:
            return body
        if self._quantifier() is not None:
            raise ValueError(f"bad repetition operator: {self.source[begin : self.position]}")
        return Repeat(body, *bounds)

    def _quantifier(self) -> tuple[int, int | None] | None:
        """Read one repetition operator, with the `?` that makes it lazy; None where there is none."""
        sign = self._peek()
        bounds = _SIGNS.get(sign)
        if bounds is not None:
            self.position += 1
        else:
            found = _match_braces(self.source, self.position)
            if found is None:
                return None
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
            if least > REPEAT_MAX or (most is not None and (most > REPEAT_MAX or most < least)):
                raise ValueError(f"invalid repetition size: {found[0]}")
            self.position = found.end()
            bounds = (least, most)
        self._take("?")
        return bounds

    def _escape(self, flags: str) -> Expression:
        letter = self._peek()
        if letter in {"b", "B", "A", "z"} and letter:
            self.position += 1
            return Assertion(letter)
        if letter.lower() in _PERL and letter:
            self.position += 1
            return Characters(_perl(letter))
        return _literal(chr(self._escaped_code()), flags)

    def _escaped_code(self) -> int:
        begin = self.position - 1
        letter = self._peek()
        self.position += 1
        if not letter:
            raise ValueError("trailing \\")
        if letter in _CONTROL:
            return _CONTROL[letter]
        if letter == "x":
            return self._hexadecimal(begin)
        octal = _match_octal(self.source, self.position - 1)
        if octal is not None:
            self.position = octal.end()
            return int(octal[0], 8)
        if letter.isalnum() or not letter.isascii():
            raise ValueError(f"invalid escape sequence: {self.source[begin : self.position]}")
        return ord(letter)

    def _hexadecimal(self, begin: int) -> int:
        found = _match_hexadecimal(self.source, self.position)
        code = -1 if found is None else int(found[1] or found[2], 16)
        if found is None or code > _CODE_MAX:
            raise ValueError(f"invalid escape sequence: {self.source[begin : self.position + 1]}")
        self.position = found.end()
        return code

    def _quoted(self, flags: str) -> list[Expression]:
        text, end, _ = self.source[self.position :].partition("\\E")
        self.position += len(text) + len(end)
        return [_literal(character, flags) for character in text]

    def _class(self, flags: str) -> Characters:
        begin = self.position - 1
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            if not self._peek():
                raise ValueError(f"missing ]: {self.source[begin:]}")
            first = False
            ranges.extend(self._class_item(begin))
        self.position += 1
        if "i" in flags:
            return Characters(_complement(_folded(ranges)) if negated else tuple(ranges), fold=not negated)
        return Characters(_complement(tuple(ranges)) if negated else tuple(ranges))

    def _class_item(self, begin: int) -> Ranges:
        if self.source.startswith("[:", self.position) and (end := self.source.find(":]", self.position)) > 0:
            name = self.source[self.position + 2 : end]
            ranges = _POSIX.get(name.removeprefix("^"))
            if ranges is None:
                raise ValueError(f"invalid character class range: [:{name}:]")
            self.position = end + 2
            return _complement(ranges) if name.startswith("^") else ranges
        start = self.position
        if self._take("\\"):
            if self._peek() and self._peek().lower() in _PERL:
                self.position += 1
                return _perl(self.source[self.position - 1])
            low = self._escaped_code()
        else:
            low = ord(self._peek())
            self.position += 1
        if self._peek() != "-" or self.source.startswith("-]", self.position):
            return ((low, low),)
        self.position += 1
        if not self._peek():
            raise ValueError(f"missing ]: {self.source[begin:]}")
        if self._take("\\"):
            high = self._escaped_code()
        else:
            high = ord(self._peek())
            self.position += 1
        if high < low:
            raise ValueError(f"invalid character class range: {self.source[start : self.position]}")
        return ((low, high),)


def _literal(character: str, flags: str) -> Characters:
    code = ord(character)
    return Characters(((code, code),), fold="i" in flags)


def _perl(letter: str) -> Ranges:
    ranges = _PERL[letter.lower()]
    return _complement(ranges) if letter.isupper() else ranges


def _folded(ranges: list[tuple[int, int]]) -> Ranges:
    """Return ASCII ranges with both cases of each letter."""
    folded = list(ranges)
    for low, high in ranges:
        for first, shift in ((65, 32), (97, -32)):
            start, end = max(low, first), min(high, first + 25)
            if start <= end:
                folded.append((start + shift, end + shift))
    return tuple(folded)
