"""The generated types: complete, up to date, light to import."""

from __future__ import annotations

import importlib
import subprocess
import sys

import msgspec
import pytest

from merismos.protocol import generate
from merismos.protocol.schema import Kind, Label, fields_of
from merismos.protocol.v1 import duration, master, mesos, scheduler
from merismos.protocol.v1.message import Message

PARTS = [
    "mesos_cluster", "mesos_containers", "mesos_ids", "mesos_offers", "mesos_resources", "mesos_statistics", "mesos_tasks",
    "mesos_values",
]  # fmt: skip
MODULES = [
    "agent", "allocator", "duration", "executor", "maintenance", "master", "mesos", *PARTS, "quota", "resource_provider",
    "scheduler",
]  # fmt: skip


def structs(module_name: str) -> list[type[Message]]:
    module = importlib.import_module(f"merismos.protocol.v1.{module_name}")
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Message) and value.__module__ == module.__name__
    ]


def test_the_committed_files_are_what_the_proto_files_make() -> None:
    assert generate.main(["--check"]) == 0


def test_every_file_of_the_schema_has_a_module() -> None:
    assert sorted(path.stem for path in generate.outputs() if path.suffix == ".py") == MODULES


@pytest.mark.parametrize("module_name", MODULES)
def test_every_message_can_be_decoded(module_name: str) -> None:
    for message in structs(module_name):
        msgspec.json.Decoder(message, strict=False)
        assert [field.name for field in fields_of(message)] == [
            field.encode_name for field in msgspec.structs.fields(message)
        ]


def test_the_schema_has_all_its_messages() -> None:
    counts = {module_name: len(structs(module_name)) for module_name in MODULES}
    assert sum(counts[part] for part in PARTS) == 170
    assert counts["scheduler"] == 45
    assert sum(counts.values()) == 352


def test_the_shared_messages_are_all_in_one_module() -> None:
    for part in PARTS:
        for message in structs(part):
            assert getattr(mesos, message.__name__) is message


def test_the_states_of_a_task_are_those_of_mesos() -> None:
    assert len(mesos.TaskState) == 14
    assert len(mesos.TaskStatus_Source) == 3
    assert mesos.TaskState.TASK_GONE_BY_OPERATOR == "TASK_GONE_BY_OPERATOR"


def test_a_field_knows_what_it_is() -> None:
    fields = {field.name: field for field in fields_of(mesos.TaskInfo)}
    assert fields["name"].label is Label.REQUIRED
    assert fields["resources"].label is Label.REPEATED
    assert fields["resources"].message is mesos.Resource
    assert fields["limits"].label is Label.MAP
    assert fields["limits"].message is mesos.Value_Scalar
    assert fields["data"].kind is Kind.BYTES
    (port,) = (field for field in fields_of(mesos.Port) if field.name == "number")
    assert (port.low, port.high) == (0, (1 << 32) - 1)
    (maximum,) = (field for field in fields_of(mesos.Value_Range) if field.name == "end")
    assert (maximum.low, maximum.high) == (0, (1 << 64) - 1)


def test_a_field_of_another_file_has_that_files_type() -> None:
    (grace,) = (field for field in fields_of(master.Call_DrainAgent) if field.name == "max_grace_period")
    assert grace.message is duration.Duration


def test_a_message_may_hold_itself() -> None:
    container_id = mesos.ContainerID(value="c", parent=mesos.ContainerID(value="p"))
    assert msgspec.json.decode(msgspec.json.encode(container_id), type=mesos.ContainerID) == container_id


def test_lists_are_not_shared_between_messages() -> None:
    first, second = scheduler.Call_Accept(), scheduler.Call_Accept()
    first.offer_ids.append(mesos.OfferID(value="o"))
    assert second.offer_ids == []
    tasks, others = master.Response_GetTasks(), master.Response_GetTasks()
    assert tasks.tasks is not others.tasks


def test_the_types_and_the_json_codecs_import_no_protobuf() -> None:
    program = (
        "import sys\n"
        "import merismos.protocol.v1.scheduler, merismos.protocol.json, merismos.protocol.thin, merismos.protocol.recordio\n"
        "sys.stdout.write(' '.join(name for name in sys.modules if name.startswith(('google', 'aiohttp', 'asyncio'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("", "")
