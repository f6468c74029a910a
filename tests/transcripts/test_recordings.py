from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from merismos.core.master.state import Config
from merismos.protocol import link
from transcripts.replay import AGENT, Replay
from unit.master.rig import MASTER_ID, Json, Rig, value

SAMPLES = Path(__file__).parent / "samples"


def load(path: Path) -> Json:
    recording: Json = msgspec.json.decode(path.read_bytes())
    return recording


@pytest.mark.parametrize(
    "name",
    [
        "01_basic",
        "02_task_failures",
        "09_legacy_framework",
        "10_unreachable_partition_aware",
    ],
)
def test_the_master_decides_as_the_recorded_one(recordings: Path, name: str) -> None:
    replay = Replay(load(recordings / "scheduler" / f"{name}.json"))
    replay.run()
    assert replay.answered() == replay.expected


def test_a_legacy_framework_reads_task_lost_as_recorded(recordings: Path) -> None:
    config = Config()
    config.offer_timeout_s = 0.0
    replay = Replay(load(recordings / "scheduler" / "11_unreachable_legacy.json"), Rig(config), is_alone=False)
    replay.run()
    assert replay.answered() == replay.expected


def test_an_offer_times_out_as_recorded(recordings: Path) -> None:
    config = Config()
    config.offer_timeout_s = 3.0
    replay = Replay(load(recordings / "scheduler" / "13_offer_timeout_rescind.json"), Rig(config))
    replay.run()
    assert replay.answered() == replay.expected


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_master_decides_as_the_sample_says(path: Path) -> None:
    replay = Replay(load(path))
    replay.run()
    assert replay.answered() == replay.expected
    assert replay.expected


def test_a_failed_over_scheduler_hears_what_the_recorded_one_heard(recordings: Path) -> None:
    first = Replay(load(recordings / "scheduler" / "04a_failover_first_stream.json"))
    recorded = first.recording["events"].pop()["event"]
    first.run()
    second = load(recordings / "scheduler" / "04b_failover_second_stream.json")
    second["request"]["body"]["subscribe"]["framework_info"]["id"] = value(first.scheduler.id)
    taken_over = Replay(second, first.rig, first.agent)
    assert first.scheduler.events[-1] == recorded
    taken_over.run()
    assert taken_over.answered() == taken_over.expected


def test_after_a_master_failover_the_answers_are_as_recorded(recordings: Path) -> None:
    recording = load(recordings / "scheduler" / "12d_after_master_failover.json")
    agent_id = recording["calls"][0]["request"]["body"]["reconcile"]["tasks"][0]["agent_id"]["value"]
    framework_id = recording["request"]["body"]["framework_id"]["value"]
    rig = Rig(registry=[("agents", agent_id, msgspec.json.encode(AGENT | {"id": value(agent_id)}))])
    assert not agent_id.startswith(MASTER_ID)
    absent = rig.connect()
    absent.id = agent_id
    replay = Replay(recording, rig, absent)
    assert replay.scheduler.id == framework_id
    early, later = replay.recording["calls"][:1], replay.recording["calls"][1:]
    replay.recording["calls"] = early
    events, replay.recording["events"] = replay.recording["events"], []
    replay.run()
    assert replay.answered() == []
    replay.agent = _bring_back(rig, recording, agent_id, framework_id)
    replay.recording |= {"calls": later, "events": events}
    replay.run()
    assert replay.answered() == replay.expected


def _bring_back(rig: Rig, recording: Json, agent_id: str, framework_id: str):  # noqa: ANN202 - the rig's peer
    info = {
        "name": "r-1",
        "task_id": value("r-1"),
        "agent_id": value(agent_id),
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}},
        ],
        "command": {"value": "sleep 600"},
    }
    framework = recording["request"]["body"]["subscribe"]["framework_info"]
    record = link.TaskRecord(framework_id, msgspec.json.encode(info), "golden", "TASK_RUNNING")
    peer = rig.connect()
    peer.send(
        link.ReregisterAgent(
            agent_id,
            msgspec.json.encode(AGENT),
            "1.12.0",
            "slave(1)@127.0.0.1:15051",
            tasks=[record],
            frameworks=[msgspec.json.encode(framework)],
        )
    )
    return peer
