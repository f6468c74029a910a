"""`merismos drain` on a real cluster."""

from __future__ import annotations

import pytest

from process.cli.commands import Commands
from process.sessions.cluster import Cluster
from process.sessions.scheduler import until
from process.sessions.streams import Json

pytestmark = pytest.mark.process


def state_of(merismos: Commands, agent_id: str) -> str:
    return next(str(one["state"]) for one in merismos("--output", "json", "agents").json() if one["id"] == agent_id)


def _is_drained(found: Json, agent_id: str) -> bool:
    return any(one["id"] == agent_id and one.get("drain_info", {}).get("state") == "DRAINED" for one in found["slaves"])


def test_a_drained_agent_ends_its_tasks_and_is_offered_again_once_it_is_reactivated(
    merismos: Commands, cluster: Cluster
) -> None:
    with merismos.going("run", "--name", "drained", "--", "echo up; exec sleep 600") as run:
        run.out("up\n")
        (task,) = (one for one in merismos("--output", "json", "ps").json() if one["name"].startswith("drained"))
        agent_id = str(task["agent_id"])
        asked = merismos("drain", "--grace", "2s", agent_id)
        assert asked.code == 0, asked.err
        assert "its tasks are being ended" in asked.err
        assert run.ended() == 143
    until(cluster.port, "/slaves", lambda found: _is_drained(found, agent_id))
    assert state_of(merismos, agent_id) == "drained"
    assert merismos("drain", "--reactivate", agent_id).code == 0
    assert state_of(merismos, agent_id) == "active"
    assert merismos("drain", "--deactivate", agent_id).code == 0
    assert state_of(merismos, agent_id) == "deactivated"
    assert merismos("drain", "--reactivate", agent_id).code == 0
    again = merismos("drain", "--reactivate", agent_id)
    assert again.code == 1
    assert "Agent is not deactivated" in again.err
