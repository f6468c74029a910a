from __future__ import annotations

import pytest

from merismos.model.ids import validate_id


@pytest.mark.parametrize("text", ["t-1", "a b", "ünï", "...", "x" * 255, "a.b", "-"])
def test_an_ordinary_id_is_accepted(text: str) -> None:
    assert validate_id(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ID must not be empty"),
        ("x" * 256, "ID must not be greater than 255 characters"),
        ("ü" * 128, "ID must not be greater than 255 characters"),
        (".", "'.' is disallowed"),
        ("..", "'..' is disallowed"),
        ("bad/id", "'bad/id' contains invalid characters"),
        ("bad\\id", "'bad\\id' contains invalid characters"),
        ("tab\tid", "'tab\tid' contains invalid characters"),
        ("nul\x00", "'nul\x00' contains invalid characters"),
        ("del\x7f", "'del\x7f' contains invalid characters"),
    ],
)
def test_an_id_that_could_not_be_a_file_name_is_refused_in_the_words_of_mesos(text: str, message: str) -> None:
    assert validate_id(text) == message


def test_an_id_with_half_a_surrogate_pair_is_measured_and_not_an_accident() -> None:
    assert validate_id("\ud800") is None
    assert validate_id("\ud800" * 86) == "ID must not be greater than 255 characters"
