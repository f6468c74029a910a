"""The variables of a task that would change what runs before it: kept aside until its rights have been taken on.

Rules: what a process does before it becomes the task it does with the agent's rights, so the loader and the shell must not do then what the task's
environment says. Such variables travel under other names, and a last line of shell, which has the task's rights already, gives them back.
Errors: ValueError for one that can't be given back.
"""

from __future__ import annotations

from collections.abc import Sequence

from merismos.core.containers.entry_plan import Rank, Step

_HELD = "MERISMOS_HELD_"
_PREFIXES = ("LD_", "LIBMOUNT_", "MALLOC_", "BASH_", "GLIBC_")
_NAMES = frozenset({"BASHOPTS", "CDPATH", "ENV", "GCONV_PATH", "IFS", "LOCPATH", "NLSPATH", "PS4", "SHELLOPTS"})


def hold(environment: Sequence[str]) -> tuple[list[str], list[Step]]:
    """Return an environment in which nothing concerns the loader or a shell, and the step that gives the rest back."""
    kept: list[str] = []
    held: dict[str, str] = {}
    for variable in environment:
        name, _, value = variable.partition("=")
        if name.startswith(_PREFIXES) or name in _NAMES:
            held[name] = value
        else:
            kept.append(variable)
    if not held:
        return kept, []
    if any(not name.isidentifier() or not name.isascii() for name in held):
        raise ValueError("functions of a shell can't be given to a task whose rights are others than its agent's")
    lines = []
    for number, (name, value) in enumerate(held.items()):
        kept.append(f"{_HELD}{number}={value}")
        lines.append(f'export {name}="${_HELD}{number}"; unset {_HELD}{number}; ')
    return kept, [Step(Rank.TASK, "posix", (), "".join(lines))]
