from __future__ import annotations

import pytest

from merismos.cli.cluster import find_agent
from merismos.cli.errors import CommandError

ROWS = [
    {"id": "aa11-S1", "hostname": "node1"},
    {"id": "aa11-S11", "hostname": "node2"},
    {"id": "bb22-S2", "hostname": "node2"},
]


@pytest.mark.parametrize(
    ("given", "found"),
    [("aa11-S1", "aa11-S1"), ("S1", "aa11-S1"), ("S11", "aa11-S11"), ("node1", "aa11-S1"), ("bb", "bb22-S2")],
)
def test_an_agent_is_found_by_what_names_it_alone(given: str, found: str) -> None:
    assert find_agent(ROWS, given)["id"] == found


@pytest.mark.parametrize(
    ("given", "said"), [("node2", "any of 2 agents"), ("aa", "any of 2 agents"), ("zz", "no agent")]
)
def test_a_name_of_several_agents_or_of_none_is_refused(given: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        find_agent(ROWS, given)
