"""Every reason and state that the cores write is one that the wire knows."""

from __future__ import annotations

import re

import pytest

from house.repository import PACKAGE, python_files
from merismos.protocol.v1 import mesos

KNOWN = {str(reason) for reason in mesos.TaskStatus_Reason} | {str(state) for state in mesos.TaskState}
WRITTEN = re.compile(r'"((?:REASON|TASK)_[A-Z_]+)"')
OTHERS = {"TASK_ADDED", "TASK_UPDATED", "TASK_KILLING_STATE", "TASK_RESOURCE_LIMITS"}  # events and capabilities


@pytest.mark.parametrize("core", ["core/agent", "core/master", "core/containers"])
def test_no_reason_or_state_is_made_up(core: str) -> None:
    found = {
        name
        for path in python_files(PACKAGE / core)
        for name in WRITTEN.findall(path.read_text(encoding="utf-8"))
        if name not in KNOWN | OTHERS
    }
    assert not found, f"{core} writes what no client can read: {sorted(found)}"


def test_a_reason_of_the_old_wire_is_found() -> None:
    assert "REASON_SLAVE_DISCONNECTED" not in KNOWN
    assert WRITTEN.findall('reason="REASON_SLAVE_DISCONNECTED"') == ["REASON_SLAVE_DISCONNECTED"]
