"""Containers of images by an agent that isn't root: a user namespace each, in which root is the agent's own user."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from linux.image_agent import eventually, image_agent, why_not
from linux.image_builder import BuiltImage, busybox_layer, entry, layer_of
from linux.loops import in_a_loop
from linux.test_images import volume
from merismos.adapters.linux.detection import obstacle_of_user_namespaces
from merismos.protocol import link

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
USER = 1000
# whatever directories the interpreter lies in, its owner can use it
AS_USER = ("unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--")


@pytest.fixture(autouse=True)
def _needs_a_runtime() -> None:
    reason = why_not() or obstacle_of_user_namespaces()
    if reason:
        pytest.skip(reason)


@in_a_loop
async def test_an_agent_without_root_runs_images_whose_root_is_its_own_user(tmp_path: Path) -> None:
    async with image_agent(tmp_path, launcher=AS_USER) as agent:
        line = (
            "id -u; cat /proc/self/uid_map; echo kept > file; echo $$; mkdir -p /new/dir && echo written; chmod 0 /new"
        )
        output = await agent.output_of("t", line)
        assert output.split() == ["0", "0", str(USER), "1", "1", "written"]
        assert (agent.sandbox("t") / "file").read_text() == "kept\n"
        agent.run("code", "exit 42")
        assert (await agent.end_of("code"))["message"] == "Command exited with status 42"
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_layers_hide_replace_and_close_what_is_below_them_without_root_too(tmp_path: Path) -> None:
    upper = layer_of(
        entry("etc/.wh.gone"), entry("closed/", mode=0o555), entry("closed/file", b"upper", mode=0o400),
        entry("whole/.wh..wh..opq"), entry("whole/new", b"new"),
    )  # fmt: skip
    lower = layer_of(entry("etc/gone", b"x"), entry("etc/stays", b"stays"), entry("whole/old", b"old"))
    images = tmp_path / "layers"
    BuiltImage(busybox_layer(), lower, upper, config={"Env": ["PATH=/bin"]}).save(images / "l.tar", "l:latest")
    async with image_agent(tmp_path, registry=str(images), launcher=AS_USER) as agent:
        output = await agent.output_of("t", "ls /etc /whole; cat /closed/file /etc/stays", image="l")
        assert "gone" not in output
        assert "old" not in output
        assert output.endswith("upperstays")


@in_a_loop
async def test_volumes_go_in_without_root_and_what_only_root_can_give_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "given").write_text("given\n")
    (shared / "given").chmod(0o644)
    async with image_agent(tmp_path, launcher=AS_USER) as agent:
        volumes = [
            volume("/read", "host_path", {"path": str(shared)}, "RO"),
            volume("/own", "sandbox_path", {"type": "SELF", "path": "a/b"}),
        ]
        line = "cat /read/given; touch /read/x 2>/dev/null || echo refused; touch /own/made"
        output = await agent.output_of("t", line, container={"volumes": volumes})
        assert output.split() == ["given", "refused"]
        assert stat.S_ISREG((agent.sandbox("t") / "a/b/made").stat().st_mode)
        agent.run("web", {"shell": False}, image="server")
        assert "an agent that isn't root has no user but its own to give" in (await agent.end_of("web"))["message"]


@in_a_loop
async def test_containers_without_root_outlive_a_killed_agent(tmp_path: Path) -> None:
    async with image_agent(tmp_path, launcher=AS_USER) as agent:
        agent.run("t", "trap 'exit 7' TERM; while :; do sleep 1; done")
        pid = await agent.agent.pid_of("t")
        await agent.agent.kill()
        await agent.agent.start()
        assert await agent.agent.pid_of("t") == pid
        agent.master.send(link.KillTask("F", "t"))
        assert (await agent.end_of("t"))["state"] == "TASK_KILLED"
        await eventually(lambda: agent.remains() == [], agent.remains)
