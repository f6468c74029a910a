from __future__ import annotations

import pytest

from merismos.model.rejection import Rejection
from merismos.model.roles import ancestors, is_in_subtree, is_strict_subrole, validate_role


@pytest.mark.parametrize("role", ["*", "golden", "eng/web", "a-b", "a*", ".a", "ünï"])
def test_an_ordinary_role_is_accepted(role: str) -> None:
    assert validate_role(role) is None


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("", "Role names cannot be the empty string"),
        ("/a", "Role '/a' cannot start with a slash"),
        ("/", "Role '/' cannot start with a slash"),
        ("a/", "Role 'a/' cannot end with a slash"),
        ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
        ("..", "Role '..' cannot include '..' as a component"),
        ("a/.", "Role 'a/.' cannot include '.' as a component"),
        ("a/*", "Role 'a/*' cannot include '*' as a component"),
        ("a/-b", "Role component '-b' is invalid because it starts with a dash"),
        ("a b", "Role component 'a b' is invalid because it contains backspace or whitespace"),
        ("a\x7f", "Role component 'a\x7f' is invalid because it contains backspace or whitespace"),
    ],
)
def test_a_bad_role_is_refused_in_the_words_of_mesos(role: str, message: str) -> None:
    assert validate_role(role) == Rejection("role_invalid", message)


def test_the_ancestors_of_a_role_come_nearest_first() -> None:
    assert ancestors("a/b/c") == ["a/b", "a"]
    assert ancestors("a") == []
    assert ancestors("*") == []


def test_a_strict_subrole_lies_below_a_whole_component() -> None:
    assert is_strict_subrole("eng/web", "eng")
    assert not is_strict_subrole("engine", "eng")
    assert not is_strict_subrole("eng", "eng")
    assert not is_strict_subrole("eng", "eng/web")


def test_a_subtree_includes_its_root() -> None:
    assert is_in_subtree("eng", "eng")
    assert is_in_subtree("eng/web", "eng")
    assert not is_in_subtree("ops", "eng")
