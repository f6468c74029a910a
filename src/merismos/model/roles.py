"""Roles are paths: `eng/web` is a strict subrole of `eng`; `*` is the default role and stands outside the tree."""

from __future__ import annotations

import re
from typing import Final

from merismos.model.rejection import Rejection

DEFAULT_ROLE: Final = "*"

_find_blank = re.compile(r"[\t\n\v\f\r \x7f]").search


def validate_role(role: str) -> Rejection | None:
    """Return why `role` can't be a role's name, None when it can.

    Errors: reason `role_invalid`, Mesos' messages.
    """
    if role == DEFAULT_ROLE:
        return None
    message = _path_fault(role)
    if message is None:
        for component in role.split("/"):
            message = _component_fault(role, component)
            if message is not None:
                break
    return None if message is None else Rejection("role_invalid", message)


def _path_fault(role: str) -> str | None:
    if role.startswith("/"):
        return f"Role '{role}' cannot start with a slash"
    if role.endswith("/"):
        return f"Role '{role}' cannot end with a slash"
    if "//" in role:
        return f"Role '{role}' cannot contain two adjacent slashes"
    if not role:
        return "Role names cannot be the empty string"
    return None


def _component_fault(role: str, component: str) -> str | None:
    if component in {".", "..", "*"}:
        return f"Role '{role}' cannot include '{component}' as a component"
    if component.startswith("-"):
        return f"Role component '{component}' is invalid because it starts with a dash"
    if _find_blank(component) is not None:
        return f"Role component '{component}' is invalid because it contains backspace or whitespace"
    return None


def ancestors(role: str) -> list[str]:
    """Return the roles above `role`, the nearest first: `a/b/c` gives `a/b`, `a`."""
    found: list[str] = []
    end = role.rfind("/")
    while end > 0:
        found.append(role[:end])
        end = role.rfind("/", 0, end)
    return found


def is_strict_subrole(role: str, ancestor: str) -> bool:
    """Return whether `role` lies below `ancestor` in the tree."""
    return len(role) > len(ancestor) and role[len(ancestor)] == "/" and role.startswith(ancestor)


def is_in_subtree(role: str, root: str) -> bool:
    """Return whether `role` is `root` or lies below it."""
    return role == root or is_strict_subrole(role, root)
