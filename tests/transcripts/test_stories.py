from __future__ import annotations

import difflib

import pytest

from transcripts.stories import AGAIN, FOLDER, STORIES, path_of, text_of

LINES_MAX = 150


@pytest.mark.parametrize("name", list(STORIES))
def test_a_story_goes_as_it_is_written(name: str) -> None:
    written = path_of(name).read_text(encoding="utf-8") if path_of(name).exists() else ""
    played = text_of(name)
    changed = "".join(difflib.unified_diff(written.splitlines(True), played.splitlines(True), "written", "played"))
    assert not changed, f"{name} goes otherwise than written; if that is meant, write it anew: {AGAIN}\n{changed}"


@pytest.mark.parametrize("name", list(STORIES))
def test_a_story_is_short_enough_to_be_read(name: str) -> None:
    assert len(path_of(name).read_text(encoding="utf-8").splitlines()) < LINES_MAX


def test_every_file_of_stories_is_one_that_is_played() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(path_of(name).name for name in STORIES)
