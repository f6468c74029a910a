"""Containers in networks of CNI, for real: what they reach, what is told of them, and that nothing of them is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from linux.cni_agent import bridge, cni_agent, why_not
from linux.loops import in_a_loop

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SERVE = 'python3 -c \'import socket; s=socket.create_server(("", 80)); [s.accept()[0].sendall(b"served") for _ in iter(int, 1)]\''


@pytest.fixture(autouse=True)
def _needs_plugins() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@in_a_loop
async def test_a_task_joins_a_network_and_its_status_names_its_address(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.run("t", "exec sleep 600", "net")
        (info,) = await agent.infos_of("t")
        assert info["name"] == "net"
        ip = info["ip_addresses"][0]["ip_address"]
        assert ip.startswith("10.201.0.")
        line = "ip -4 -o addr show eth0; cat /etc/hosts /etc/resolv.conf; hostname; cat /etc/hostname"
        output = await agent.output_of("u", line, "net")
        assert "inet 10.201.0." in output
        assert agent.machine.leases()
