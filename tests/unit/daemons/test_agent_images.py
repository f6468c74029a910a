"""What an agent's flags say about images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merismos.containers.images.credentials import Login
from merismos.containers.images.provider import ImageSettings
from merismos.daemons.agent_images import image_settings, images_of
from merismos.daemons.agent_settings import EFFECTIVE
from merismos.shell.flag_tables import AGENT
from merismos.shell.flags import FlagError, Flags, parse


def flags(*arguments: str) -> Flags:
    return parse(AGENT, list(arguments), {}, effective=EFFECTIVE)


def settings(*arguments: str) -> ImageSettings:
    return image_settings(flags(*arguments))


def test_an_agent_has_no_images_unless_its_providers_are_named() -> None:
    assert images_of(flags(), "/w", print) is None


def test_images_of_appc_are_refused() -> None:
    with pytest.raises(FlagError, match="images of kind appc are not supported"):
        images_of(flags("--image_providers=docker,appc"), "/w", print)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://registry.example", "https://registry.example"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("/images", "/images"),
        ("file:///images", "/images"),
    ],
)
def test_a_registry_is_an_address_or_a_directory(given: str, expected: str) -> None:
    assert settings(f"--docker_registry={given}").registry == expected


@pytest.mark.parametrize("given", ["registry.example", "images", "ftp://x", "https://", "https://x/below", "http://[x"])
def test_a_registry_that_is_neither_is_refused(given: str) -> None:
    with pytest.raises(FlagError, match="neither a registry nor a directory"):
        settings(f"--docker_registry={given}")


def test_logins_come_from_the_flag_or_its_file_and_are_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"quay.io": {"username": "me", "password": "secret"}}}))
    given = flags(f"--docker_config=file://{file}")
    assert image_settings(given).logins == {"quay.io": Login("me", "secret")}
    assert given.printed()["docker_config"] == "****"
    with pytest.raises(FlagError, match="--docker_config"):
        settings("--docker_config=x")


def test_a_filling_disk_removes_images_only_where_that_is_configured() -> None:
    assert settings().gc_headroom is None
    config = {
        "image_disk_headroom": 0.2,
        "image_disk_watch_interval": {"nanoseconds": 5_000_000_000},
        "excluded_images": [{"type": "DOCKER", "docker": {"name": "alpine"}}],
    }
    found = settings(f"--image_gc_config={json.dumps(config)}")
    assert (found.gc_headroom, found.gc_interval_s, found.gc_excluded) == (0.2, 5.0, ("alpine",))


@pytest.mark.parametrize(
    "text", ["x", '{"image_disk_headroom": 2}', '{"image_disk_watch_interval": {"nanoseconds": 0}}']
)
def test_a_configuration_of_the_removal_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FlagError, match="--image_gc_config"):
        settings(f"--image_gc_config={text}")
