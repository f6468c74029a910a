"""Manifests, configurations and logins: what they say, and what is refused."""

from __future__ import annotations

import base64
import json

import pytest

from merismos.containers.images.credentials import Login, login_for, parse_docker_config
from merismos.containers.images.documents import (
    ImageError,
    choose,
    decode_configuration,
    decode_manifest,
)
from merismos.model.image_reference import HUB

DIGEST = "sha256:" + "ab" * 32


def manifest(**fields: object) -> bytes:
    config = {"digest": DIGEST, "size": 1}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [], **fields}).encode()


def index(*platforms: tuple[str, str]) -> bytes:
    rows = [
        {"digest": f"sha256:{number:064x}", "size": 1, "platform": {"os": system, "architecture": architecture}}
        for number, (system, architecture) in enumerate(platforms)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": rows}).encode()


def test_an_index_gives_the_manifest_for_the_machine() -> None:
    found = decode_manifest(index(("windows", "amd64"), ("linux", "arm64"), ("linux", "amd64")), "it")
    assert choose(found, "it", "amd64").digest.endswith("2")
    assert choose(found, "it", "arm64").digest.endswith("1")


def test_an_index_without_this_machine_says_for_which_there_are_images() -> None:
    found = decode_manifest(index(("linux", "s390x"), ("windows", "amd64")), "it")
    with pytest.raises(ImageError, match="it has no image for linux/amd64, only for linux/s390x, windows/amd64"):
        choose(found, "it", "amd64")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "does not decode"),
        (b"\xff", "does not decode"),
        (b"[]", "does not decode"),
        (manifest(schemaVersion=1), "of schema 1"),
        (b'{"schemaVersion": 2}', "neither a manifest nor an index"),
        (manifest(layers=[{"digest": "sha256:../../etc", "size": 1}]), "no digest"),
        (manifest(layers=[{"digest": DIGEST, "size": -1}]), "negative"),
        (manifest(layers=[{"digest": DIGEST, "size": 1}] * 300), "300 layers"),
        (manifest(config={"digest": "md5:1", "size": 1}), "no digest"),
    ],
)
def test_a_manifest_that_is_none_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        decode_manifest(raw, "it")


def test_a_configuration_says_how_to_run_the_image() -> None:
    raw = json.dumps({
        "os": "linux",
        "config": {"Entrypoint": ["/e"], "Cmd": "one", "Env": ["A=1", "broken"], "WorkingDir": "/w", "User": "web"},
        "rootfs": {"diff_ids": [DIGEST]},
    }).encode()  # fmt: skip
    layers, config = decode_configuration(raw, 1, "it")
    assert layers == [DIGEST]
    assert (config.entrypoint, config.cmd, config.env, config.working_dir, config.user) == (
        ["/e"], ["one"], ["A=1"], "/w", "web",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"os": "windows", "rootfs": {"diff_ids": [DIGEST]}}, "an image for windows"),
        ({"rootfs": {"diff_ids": []}}, "has 1 layers, and its configuration names 0"),
        ({"rootfs": {"diff_ids": ["sha256:/"]}}, "no digest"),
        ({"config": {"Cmd": ["a\0b"]}, "rootfs": {"diff_ids": [DIGEST]}}, "NUL"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(document: dict[str, object], why: str) -> None:
    with pytest.raises(ImageError, match=why):
        decode_configuration(json.dumps(document).encode(), 1, "it")


def test_logins_are_found_by_host_however_the_key_is_written() -> None:
    auth = base64.b64encode(b"me:pass:word").decode()
    logins = parse_docker_config(
        json.dumps(
            {
                "auths": {
                    "https://index.docker.io/v1/": {"auth": auth},
                    "quay.io": {"username": "you", "password": "secret"},
                    "http://127.0.0.1:5000/v2/": {"auth": auth},
                    "empty.example": {},
                }
            }
        )
    )
    assert login_for(logins, HUB) == Login("me", "pass:word")
    assert login_for(logins, "quay.io") == Login("you", "secret")
    assert login_for(logins, "127.0.0.1:5000") == Login("me", "pass:word")
    assert login_for(logins, "empty.example") is None
    assert login_for(logins, "elsewhere.example") is None


def test_the_older_form_of_the_configuration_is_taken_too() -> None:
    auth = base64.b64encode(b"me:word").decode()
    assert parse_docker_config(json.dumps({"quay.io": {"auth": auth}})) == {"quay.io": Login("me", "word")}
    assert parse_docker_config("{}") == {}


@pytest.mark.parametrize("text", ["", "x", "[]", '{"auths": {"h": {"auth": "%%%"}}}', '{"auths": 3}'])
def test_a_broken_configuration_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_docker_config(text)
    assert "%%%" not in str(caught.value)
