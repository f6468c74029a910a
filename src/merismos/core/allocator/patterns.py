r"""Regular expressions of offer constraints: RE2's syntax, matched in time linear in the text.

Rules:
- A scheduler may send any expression, so matching must not depend on good will: the expression becomes a program of bounded size,
  and all its states are followed at once. There is no backtracking, hence no expression that takes exponential time.
- The whole text must match, as Mesos asks of RE2. Groups capture nothing; greedy or not makes no difference then.
- Left out of RE2's syntax: Unicode classes (`\p{..}`) and `\C`. What RE2 refuses (look-around, back references) is refused.
Decided in docs/decisions/0010-offer-constraint-patterns.md.
"""

from __future__ import annotations

from typing import Final

from merismos.core.allocator.pattern_syntax import (
    Alternatives,
    Assertion,
    Characters,
    Expression,
    Repeat,
    Sequence,
    parse,
)

PROGRAM_SIZE_MAX: Final = 100
_MATCH: Final = -1


class PatternError(ValueError):
    """An expression that can't be used, with RE2's words where it has some."""


class Pattern:
    """A compiled expression.

    Shapes: states are numbers; `steps[state]` says which characters lead to which state, `forks[state]` which states it stands for
    and under which condition.
    """

    __slots__ = ("_forks", "_size_max", "_start", "_steps", "source")

    def __init__(self, source: str, size_max: int = PROGRAM_SIZE_MAX) -> None:
        self.source = source
        self._size_max = size_max
        self._steps: list[tuple[Characters, int] | None] = []
        self._forks: list[list[tuple[Assertion | None, int]]] = []
        try:
            expression = parse(source)
        except ValueError as error:
            raise PatternError(str(error)) from None
        self._start = self._compile(expression, _MATCH)

    @property
    def size(self) -> int:
        """How many states the program has."""
        return len(self._steps)

    def _state(self, step: tuple[Characters, int] | None = None) -> int:
        if len(self._steps) >= self._size_max:
            raise PatternError("pattern too large - compile failed")
        self._steps.append(step)
        self._forks.append([])
        return len(self._steps) - 1

    def _compile(self, expression: Expression, following: int) -> int:
        if isinstance(expression, Characters):
            return self._state((expression, following))
        if isinstance(expression, Assertion):
            state = self._state()
            self._forks[state].append((expression, following))
            return state
        if isinstance(expression, Alternatives):
            starts = [self._compile(branch, following) for branch in expression.branches]
            state = self._state()
            self._forks[state] = [(None, start) for start in starts]
            return state
        if isinstance(expression, Repeat):
            return self._compile_repeat(expression, following)
        assert isinstance(expression, Sequence)
        for part in reversed(expression.parts):
            following = self._compile(part, following)
        return following

    def _compile_repeat(self, repeat: Repeat, following: int) -> int:
        end = following
        if repeat.most is None:
            loop = self._state()
            self._forks[loop] = [(None, self._compile(repeat.body, loop)), (None, following)]
            end = loop
        else:
            for _ in range(repeat.most - repeat.least):
                state = self._state()
                self._forks[state] = [(None, self._compile(repeat.body, end)), (None, following)]
                end = state
        for _ in range(repeat.least):
            before = self.size
            end = self._compile(repeat.body, end)
            if self.size == before:
                break  # the body is empty: once is as good as often
        return end

    def matches(self, text: str) -> bool:
        """Return whether the whole of `text` matches."""
        states = self._closure([self._start], text, 0)
        for position, character in enumerate(text, 1):
            code = ord(character)
            reached: list[int] = []
            for state in states:
                step = self._steps[state] if state != _MATCH else None
                if step is not None and step[0].contains(code):
                    reached.append(step[1])
            if not reached:
                return False
            states = self._closure(reached, text, position)
        return _MATCH in states

    def _closure(self, states: list[int], text: str, position: int) -> dict[int, None]:
        seen: dict[int, None] = {}
        todo = states
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen[state] = None
            if state != _MATCH:
                todo.extend(
                    to for assertion, to in self._forks[state] if assertion is None or assertion.holds(text, position)
                )
        return seen
