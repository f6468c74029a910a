"""What can be said of the page without a browser."""

from __future__ import annotations

import re
from importlib import resources

import pytest

PAGE = resources.files("merismos.web") / "static" / "index.html"
BYTES_MAX = 60_000
CONTRAST_MIN = 4.5  # WCAG 2.2, 1.4.3, level AA
TEXT_ON = [
    ("ink", "ground"), ("ink", "card"), ("ink", "sunk"), ("soft", "ground"), ("soft", "card"), ("soft", "sunk"),
    ("accent", "card"), ("accent", "ground"), ("accent", "accent-soft"), ("wait", "wait-soft"), ("wait", "card"),
    ("done", "done-soft"), ("bad", "bad-soft"), ("ground", "ink"),
]  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) < BYTES_MAX


def test_the_page_asks_nobody_but_its_master_for_anything(page: str) -> None:
    assert set(re.findall(r"https?://[\w.]+", page)) == {"http://www.w3.org"}, "an SVG namespace is a name, not a place"
    assert not re.search(r"@import|url\(|<link[^>]+stylesheet|<script[^>]+src", page)


def test_text_of_others_never_becomes_markup(page: str) -> None:
    for made in re.findall(r"innerHTML = (.*)", page):
        assert "${" not in made, "only constants are markup"
    assert not re.search(r"insertAdjacentHTML|outerHTML|document\.write|eval\(", page)


def test_the_page_has_landmarks_and_speaks_up(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert '<html lang="en">' in page
    for mark in ("<header", "<main", "<footer", 'class="skip"', 'aria-live="polite"', "prefers-reduced-motion"):
        assert mark in page
    for name in re.findall(r'aria-labelledby="([\w-]+)"', page):
        assert f'id="{name}"' in page or f'id: "{name}"' in page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_can_be_read(theme: str, text: str, ground: str, page: str) -> None:
    light, dark = re.findall(r":root(?:\[data-theme=\"dark\"\])? \{(.*?)\n\}", page, re.DOTALL)[:2]
    colors = dict(re.findall(r"--([\w-]+):(#[0-9a-f]+)", light if theme == "light" else dark))
    assert contrast(colors[text], colors[ground]) >= CONTRAST_MIN


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
