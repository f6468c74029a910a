"""Small samples of our own in the form of a real Mesos, for where no recordings are at hand."""

from __future__ import annotations

import pytest

from merismos.protocol import json, protobuf
from merismos.protocol.v1 import agent, executor, master, scheduler
from merismos.protocol.v1.message import Message

SAMPLES: list[tuple[type[Message], str]] = [
    (
        scheduler.Event,
        (
            '{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"M-0000"},"heartbeat_interval_seconds":15.0,'
            '"master_info":{"id":"M","ip":16777343,"port":5050,"pid":"master@127.0.0.1:5050","hostname":"h","version":"1.12.0",'
            '"address":{"hostname":"h","ip":"127.0.0.1","port":5050},"capabilities":[{"type":"AGENT_UPDATE"}]}}}'
        ),
    ),
    (scheduler.Event, '{"type":"HEARTBEAT"}'),
    (
        scheduler.Event,
        (
            '{"type":"OFFERS","offers":{"offers":[{"id":{"value":"M-O0"},"framework_id":{"value":"M-0000"},"agent_id":'
            '{"value":"M-S0"},"hostname":"h","resources":[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,'
            '"end":32000}]},"allocation_info":{"role":"r"}},{"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"role":"*"}],'
            '"attributes":[{"name":"rack","type":"TEXT","text":{"value":"r1"}}]}]}}'
        ),
    ),
    (
        scheduler.Event,
        (
            '{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_RUNNING","source":"SOURCE_EXECUTOR",'
            '"agent_id":{"value":"M-S0"},"timestamp":1795428609.5,"uuid":"mj7tkBlpRNmGZzPFCzcEkQ==","container_status":'
            '{"container_id":{"value":"c","parent":{"value":"p"}},"network_infos":[{"ip_addresses":[{"protocol":"IPv4",'
            '"ip_address":"10.0.0.1"}]}]}}}}'
        ),
    ),
    (
        executor.Event,
        (
            '{"type":"LAUNCH","launch":{"task":{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"command":{"uris":'
            '[{"value":"http://h/f","extract":true}],"shell":true,"value":"exit 3"},"health_check":{"delay_seconds":15.0,'
            '"interval_seconds":10.0,"timeout_seconds":20.0,"consecutive_failures":3,"grace_period_seconds":10.0}}}}'
        ),
    ),
    (
        master.Response,
        '{"type":"GET_TASKS","get_tasks":{"tasks":[],"unreachable_tasks":[],"completed_tasks":[]}}',
    ),
    (master.Response, '{"type":"GET_VERSION","get_version":{"version_info":{"version":"1.12.0","build_time":0.0}}}'),
    (master.Event, '{"type":"AGENT_REMOVED","agent_removed":{"agent_id":{"value":"M-S0"}}}'),
    (agent.ProcessIO, '{"type":"DATA","data":{"type":"STDOUT","data":"aGVsbG8K"}}'),
    (agent.Response, '{"type":"WAIT_CONTAINER","wait_container":{"exit_status":768}}'),
]


@pytest.mark.parametrize(("message", "text"), SAMPLES)
def test_a_sample_is_written_as_it_was_read(message: type[Message], text: str) -> None:
    decoded = json.decode(message, text.encode())
    assert json.encode(decoded).decode() == text
    assert json.encode(protobuf.decode(message, protobuf.encode(decoded))).decode() == text
