"""What tables show, how wide they are, and how `merismos up` says that a daemon ended."""

from __future__ import annotations

import pytest

from merismos.cli.cluster import agent_rows
from merismos.cli.output import table_lines
from merismos.daemons import local_text

HEADS = ["STATE", "FINDING"]
LONG = "an agent may have --isolation=cgroups/cpu and more"


@pytest.mark.parametrize(("code", "said"), [(75, "ended with code 75"), (-9, "was ended by SIGKILL")])
def test_an_end_by_a_signal_is_named(code: int, said: str) -> None:
    assert local_text.said_end(code) == said


def test_a_last_column_that_is_too_wide_is_broken_between_words() -> None:
    assert table_lines(HEADS, [["ok", LONG], ["ok", ""]], 36, coloured=False) == [
        "STATE   FINDING",
        "ok      an agent may have",
        "        --isolation=cgroups/cpu and",
        "        more",
        "ok",
    ]


@pytest.mark.parametrize("columns", [0, 20, 200])
def test_a_table_is_left_alone_in_a_pipe_where_it_fits_and_where_nothing_would(columns: int) -> None:
    assert table_lines(HEADS, [["ok", LONG]], columns, coloured=False)[1] == f"ok      {LONG}"


def test_agents_that_a_new_leader_awaits_are_listed_as_recovered() -> None:
    registered = {
        "agent_info": {"hostname": "a", "id": {"value": "S0"}},
        "active": True,
        "pid": "slave(1)@10.0.0.1:5051",
    }
    awaited = {"hostname": "b", "port": 5052, "id": {"value": "S1"}}
    rows = agent_rows({"agents": [registered], "recovered_agents": [awaited]})
    assert [(row["id"], row["address"], row["state"]) for row in rows] == [
        ("S0", "10.0.0.1:5051", "active"),
        ("S1", "b:5052", "recovered"),
    ]
