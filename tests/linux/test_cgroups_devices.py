"""Devices that a container may use and those that it may not: on the machine's own hierarchies, whichever they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linux.cgroup_agent import cgroup_agent, why_not

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def needs(isolator: str) -> None:
    reason = why_not(isolator)
    if reason:
        pytest.skip(reason)


def test_a_device_that_is_not_allowed_can_be_made_and_not_opened(tmp_path: Path) -> None:
    needs("devices")

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/devices") as agent:
            agent.run("t", "mknod kmsg c 1 11; head -c 8 /dev/zero | wc -c; echo seen > /dev/null; dd if=kmsg count=1")
            assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
            assert agent.output("t").splitlines()[0] == "8"
            assert "Operation not permitted" in agent.output("t")

    asyncio.run(scenario())


def test_a_device_that_the_operator_allowed_can_be_opened(tmp_path: Path) -> None:
    needs("devices")
    allowed = '{"allowed_devices":[{"device":{"path":"/dev/kmsg"},"access":{"read":true}}]}'

    async def scenario() -> None:
        async with cgroup_agent(tmp_path / "w", "cgroups/devices", f"--allowed_devices={allowed}") as agent:
            agent.run("t", "dd if=/dev/kmsg of=/dev/null count=1 bs=8192 && dd if=/dev/zero of=/dev/kmsg count=1")
            await agent.end_of("t")
            assert agent.output("t").count("Operation not permitted") == 1, "it may be read, and not written"

    asyncio.run(scenario())
