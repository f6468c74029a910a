"""An agent's images: pulls answered by events, and removal when the disk fills up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linux.image_builder import BuiltImage, entry, layer_of
from linux.loops import in_a_loop
from merismos.containers.images.provider import Images, ImageSettings
from merismos.core.agent import effects, events
from merismos.core.kernel import Event

LIMIT_S = 30.0
IMAGE = BuiltImage(layer_of(entry("a", b"1")), config={"Cmd": ["/a"]})


class Provided:
    """Images of archives in a folder, and what was heard of them; the disk is as full as `used` says."""

    def __init__(self, folder: Path, *, headroom: float | None = None, excluded: tuple[str, ...] = ()) -> None:
        self.heard: asyncio.Queue[Event] = asyncio.Queue()
        self.used = 0.0
        for name in ("one", "two"):
            IMAGE.save(folder / f"{name}.tar", f"{name}:latest")
        settings = ImageSettings(str(folder), {}, str(folder / "store"), 5.0, headroom, 0.01, excluded)
        self.images = Images(self.heard.put_nowait, settings, str(folder), self._disk_used)

    def _disk_used(self, _folder: str) -> float:
        return self.used

    async def pull(self, name: str, container_id: str) -> Event:
        return await self.hear(effects.PullImage(container_id, effects.WantedImage(name)))

    async def hear(self, effect: effects.PullImage) -> Event:
        self.images.pull(effect)
        async with asyncio.timeout(LIMIT_S):
            return await self.heard.get()


@in_a_loop
async def test_a_pull_is_answered_and_held_until_it_is_let_go(tmp_path: Path) -> None:
    provided = Provided(tmp_path)
    await provided.images.open()
    pulled = await provided.pull("one", "c")
    assert isinstance(pulled, events.ImagePulled)
    assert (pulled.image.layers, pulled.image.config.cmd) == (IMAGE.diff_ids, ["/a"])
    assert provided.images.store.holders() == ["c"]
    provided.images.abort(effects.AbortFetch("c"))
    assert provided.images.store.holders() == []
    failed = await provided.pull("absent", "d")
    assert isinstance(failed, events.ImagePullFailed)
    assert failed.message.startswith("Failed to pull image 'absent': there is no image absent:latest")
    await provided.images.close()


@in_a_loop
async def test_a_container_holds_its_own_image_and_those_of_its_volumes(tmp_path: Path) -> None:
    other = BuiltImage(layer_of(entry("b", b"2")))
    other.save(tmp_path / "other.tar", "other:latest")
    provided = Provided(tmp_path)
    await provided.images.open()
    wanted = [effects.WantedImage(name) for name in ("one", "other", "two")]
    pulled = await provided.hear(effects.PullImage("c", wanted[0], wanted[1:]))
    assert isinstance(pulled, events.ImagePulled)
    assert pulled.image.volumes == [other.diff_ids, IMAGE.diff_ids]
    store = provided.images.store
    assert store.holders() == ["c"]
    assert store.prune(()) == []
    failed = await provided.hear(effects.PullImage("d", wanted[0], [wanted[1], effects.WantedImage("absent")]))
    assert isinstance(failed, events.ImagePullFailed)
    assert failed.message.startswith("Failed to pull image 'absent': there is no image absent:latest")
    for holder in ("c", "d"):
        provided.images.abort(effects.AbortFetch(holder))
    assert store.holders() == []
    assert sorted(store.prune(())) == ["one:latest", "other:latest", "two:latest"]
    assert not list((tmp_path / "store/layers").iterdir())
    await provided.images.close()


@in_a_loop
async def test_a_pull_that_was_given_up_is_not_answered(tmp_path: Path) -> None:
    provided = Provided(tmp_path)
    await provided.images.open()
    provided.images.pull(effects.PullImage("c", effects.WantedImage("one")))
    provided.images.abort(effects.AbortFetch("c"))
    assert isinstance(await provided.pull("two", "d"), events.ImagePulled)
    assert provided.heard.empty()
    assert provided.images.store.holders() == ["d"]
    await provided.images.close()


@pytest.mark.parametrize("excluded", [(), ("one",)])
@in_a_loop
async def test_a_full_disk_removes_what_nobody_holds_and_nothing_that_is_excluded(
    tmp_path: Path, excluded: tuple[str, ...]
) -> None:
    provided = Provided(tmp_path, headroom=0.1, excluded=excluded)
    await provided.images.open()
    for name in ("one", "two"):
        await provided.pull(name, name)
        provided.images.abort(effects.AbortFetch(name))
    store = provided.images.store
    assert store.find("two:latest") is not None, "the disk has room"
    provided.used = 0.95
    async with asyncio.timeout(LIMIT_S):
        while store.find("two:latest") is not None:
            await asyncio.sleep(0)
    assert (store.find("one:latest") is not None) == bool(excluded)
    await provided.images.close()
