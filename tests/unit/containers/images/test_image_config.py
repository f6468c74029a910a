"""Mesos' table: what runs, of the task's command and of what its image says."""

from __future__ import annotations

import pytest

from merismos.core.containers.image_config import ImageConfig, command_in_image
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

ENTRY, CMD = ["/entry", "-e"], ["cmd", "-c"]
NOTHING = "neither the task nor its image says what to run"
NO_LINE = "the command is a shell line, and there is none"

# shell, value, arguments -> what runs with neither, with CMD only, with ENTRYPOINT only, with both
TABLE = [
    (False, None, [], [NOTHING, CMD, ENTRY, ENTRY + CMD]),
    (False, None, ["one", "two"], [NOTHING, [*CMD, "one", "two"], [*ENTRY, "one", "two"], [*ENTRY, "one", "two"]]),
    (False, "run", [], [["run"]] * 4),
    (False, "run", ["argv0", "two"], [["run", "two"]] * 4),
    (True, None, [], [NO_LINE] * 4),
    (True, None, ["one"], [NO_LINE] * 4),
    (True, "a line", [], [["/bin/sh", "-c", "a line"]] * 4),
    (True, "a line", ["ignored"], [["/bin/sh", "-c", "a line"]] * 4),
]
IMAGES = [ImageConfig(), ImageConfig(cmd=CMD), ImageConfig(ENTRY), ImageConfig(ENTRY, CMD)]


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize(("shell", "value", "arguments", "row"), TABLE)
def test_a_command_in_an_image_is_what_the_table_says(
    shell: bool, value: str | None, arguments: list[str], row: list[str | list[str]], column: int
) -> None:
    command = mesos.CommandInfo(shell=shell, value=value, arguments=arguments)
    found = command_in_image(command, IMAGES[column])
    expected = row[column]
    if isinstance(expected, str):
        assert isinstance(found, Rejection)
        assert found.message.startswith(expected)
    else:
        assert found == expected
