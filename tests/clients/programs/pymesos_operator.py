"""The pymesos operator client reads a master: `pymesos_operator.py HOST:PORT`; exits 0 when the answers have what it relies on."""

from __future__ import annotations

import sys

from pymesos import MesosOperatorMasterDriver


def main(master):
    driver = MesosOperatorMasterDriver(master)
    health = driver.getHealth()["get_health"]["healthy"]
    version = driver.getVersion()["get_version"]["version_info"]["version"]
    agents = driver.getAgents()["get_agents"]["agents"]
    flags = {flag["name"] for flag in driver.getFlags()["get_flags"]["flags"]}
    state = driver.getState()["get_state"]
    print(f"healthy={health} version={version} agents={len(agents)} flags={len(flags)}")
    assert health is True
    assert all(part.isdigit() for part in version.split("."))
    assert agents
    assert all(agent["active"] and agent["agent_info"]["hostname"] for agent in agents)
    assert {"get_tasks", "get_agents", "get_frameworks", "get_executors"} <= set(state)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
