"""What a command says when it can't do what was asked."""

from __future__ import annotations

FAILED = 1
USAGE = 2


class CommandError(Exception):
    """The command failed: what happened and why, and what to do about it."""

    def __init__(self, what: str, todo: str = "", *, code: int = FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo
        self.code = code

    def text(self) -> str:
        """Return what the person is told."""
        return f"merismos: {self.what}" + (f"\n  {self.todo}" if self.todo else "")


def nearest(name: str, known: list[str]) -> str:
    """Return a sentence that proposes what was probably meant, or nothing."""
    import difflib  # noqa: PLC0415 - only wanted once something went wrong

    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else ""
