"""An image's name is taken apart as docker does it."""

from __future__ import annotations

import pytest

from merismos.model.image_reference import HUB, ImageReference, parse_reference
from merismos.model.rejection import Rejection

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", ImageReference("", "alpine")),
        ("alpine:3.19", ImageReference("", "alpine", "3.19")),
        ("library/alpine", ImageReference("", "library/alpine")),
        ("localhost/alpine", ImageReference("localhost", "alpine")),
        ("localhost:5000/a/b_c/d--e:v1.0-x", ImageReference("localhost:5000", "a/b_c/d--e", "v1.0-x")),
        ("quay.io/prometheus/prometheus", ImageReference("quay.io", "prometheus/prometheus")),
        ("[::1]:5000/alpine", ImageReference("[::1]:5000", "alpine")),
        (f"alpine@{DIGEST}", ImageReference("", "alpine", "latest", DIGEST)),
        (f"quay.io/a/b:1@{DIGEST}", ImageReference("quay.io", "a/b", "1", DIGEST)),
    ],
)
def test_a_name_has_these_parts(text: str, expected: ImageReference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "Alpine", "../etc", "a/../b", "a//b", "alpine:", "alpine:-x", "alpine@sha256:12", f"alpine@md5:{'0' * 64}", "-a", "a b",
        "a..b", "x" * 256, "quay.io/", "a\0b", "/alpine", "a.b:port/x",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_in_words(text: str) -> None:
    refused = parse_reference(text)
    assert isinstance(refused, Rejection)
    assert refused.message.startswith(f"'{text}' can't be the name of an image: ")


@pytest.mark.parametrize(
    ("text", "registry", "expected"),
    [
        ("alpine", HUB, f"{HUB}/library/alpine:latest"),
        ("docker.io/alpine", "quay.io", f"{HUB}/library/alpine:latest"),
        ("grafana/grafana:9", HUB, f"{HUB}/grafana/grafana:9"),
        ("alpine", "127.0.0.1:5000", "127.0.0.1:5000/alpine:latest"),
        ("quay.io/alpine", HUB, "quay.io/alpine:latest"),
        (f"alpine:3@{DIGEST}", "", f"alpine@{DIGEST}"),
    ],
)
def test_a_name_without_a_registry_is_one_of_the_agent_s(text: str, registry: str, expected: str) -> None:
    reference = parse_reference(text)
    assert isinstance(reference, ImageReference)
    assert reference.at(registry).text == expected
