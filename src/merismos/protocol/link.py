"""Every message of the link between an agent and its master.

An agent opens `GET /link` with `Upgrade: merismos-link/1` on the master's HTTP port. After the 101 both sides send frames:
a 4-byte big-endian length, the frame's 8-byte number, then a msgpack array of messages (a batch, in order). The first frame each
way is one `Hello`. Frames are numbered from 0 each way: one that comes again is dropped, one that comes too early ends the link.
Rules: messages are msgspec Structs encoded as tagged arrays, new fields are appended with a default; a payload that a client
or an agent wrote (TaskInfo, TaskStatus, FrameworkInfo ...) travels as the JSON bytes of its v1 form and is not decoded on the way.
"""

from __future__ import annotations

import struct

import msgspec

VERSION_MIN = 1
VERSION_MAX = 1
UPGRADE_PROTOCOL = "merismos-link/1"
FRAME_BYTES_MAX = 64 * 1024 * 1024
_HEADER = struct.Struct(">IQ")
HEADER_BYTES = _HEADER.size


class Message(msgspec.Struct, array_like=True, tag=True, gc=False):
    """A message of the link."""


class Hello(Message):
    """First on a link, both ways: the versions spoken, capabilities, and (from a master) the leader's epoch and id.

    Units: `window_s` is the time over which agents that followed another leader before spread their re-registrations.
    """

    version_min: int = VERSION_MIN
    version_max: int = VERSION_MAX
    capabilities: list[str] = []
    epoch: int = 0
    master_id: str = ""
    window_s: float = 0.0


# agent -> master


class RegisterAgent(Message):
    """A new agent asks for an id."""

    info: bytes  # JSON of mesos.v1.AgentInfo without id, resources included
    version: str
    pid: str  # slave(1)@ip:port
    capabilities: list[str] = []


class TaskRecord(Message):
    """A task as its agent knows it; enough for a new master to rebuild its own record."""

    framework_id: str
    task: bytes  # JSON of TaskInfo
    role: str
    state: str  # the latest state, e.g. TASK_RUNNING
    status: bytes = b""  # JSON of the latest TaskStatus


class ReregisterAgent(Message):
    """An agent that has an id is back: after a lost link, a restart, or with another master."""

    agent_id: str
    info: bytes
    version: str
    pid: str
    capabilities: list[str] = []
    tasks: list[TaskRecord] = []
    frameworks: list[bytes] = []  # JSON of FrameworkInfo of those that have tasks or executors here
    executors: list[ExecutorRecord] = []


class ExecutorRecord(Message):
    """A custom or default executor that runs on the agent."""

    framework_id: str
    executor: bytes  # JSON of ExecutorInfo
    container_id: str = ""


class UpdateStatus(Message):
    """A task changed state; sent again until acknowledged (unless `uuid` is empty)."""

    framework_id: str
    task_id: str
    state: str
    latest_state: str
    uuid: bytes  # 16 bytes, or empty: no acknowledgement is wanted
    status: bytes  # JSON of TaskStatus exactly as the scheduler shall see it


class ExitedExecutor(Message):
    """An executor (custom or default) ended."""

    framework_id: str
    executor_id: str
    status: int  # wait(2) form


class MessageFramework(Message):
    """An executor sends bytes to its scheduler."""

    framework_id: str
    executor_id: str
    data: bytes


class Pong(Message):
    """The answer to a Ping."""

    sequence: int


class UnregisterAgent(Message):
    """The agent leaves in good order: its tasks are over."""

    reason: str = ""


# master -> agent


class AgentRegistered(Message):
    """The agent is admitted under this id; also the answer to a re-registration."""

    agent_id: str
    ping_timeout_s: float = 15.0
    pings_missed_max: int = 5


class RefuseAgent(Message):
    """The agent may not join; it exits (`shutdown`) or tries again later."""

    reason: str
    shutdown: bool = False


class RunTasks(Message):
    """Launch these tasks of one framework and role, in order."""

    framework_id: str
    framework: bytes  # JSON of FrameworkInfo
    role: str
    tasks: list[bytes]  # JSON of TaskInfo each
    task_ids: list[str] = []
    executors: list[str] = []  # ids of those that the agent shall start for them


class RunTaskGroup(Message):
    """Launch these tasks, each with its executor, all or nothing; with `starts` that executor is expected to be started."""

    framework_id: str
    framework: bytes
    role: str
    executor: bytes
    tasks: list[bytes]
    starts: bool = True


class KillTask(Message):
    """End a task; `grace_s` overrides its kill policy, `reason` and `state` what is told of a task that was killed."""

    framework_id: str
    task_id: str
    grace_s: float | None = None
    reason: str = ""
    state: str = ""


class AcknowledgeStatus(Message):
    """The scheduler has seen this update."""

    framework_id: str
    task_id: str
    uuid: bytes


class ShutdownFramework(Message):
    """A framework is gone: end all that it runs here."""

    framework_id: str


class ShutdownExecutor(Message):
    """End an executor and its tasks."""

    framework_id: str
    executor_id: str


class MessageExecutor(Message):
    """A scheduler sends bytes to an executor."""

    framework_id: str
    executor_id: str
    data: bytes


class UpdateFramework(Message):
    """A framework changed its FrameworkInfo."""

    framework: bytes


class DrainAgent(Message):
    """Operators drain the agent since `started_ns` of wall time; an empty `config`: not any more. Its tasks are killed one by one."""

    config: bytes = b""  # JSON of DrainConfig
    started_ns: int = 0


class Ping(Message):
    """Are you there?"""

    sequence: int


class ShutdownAgent(Message):
    """End every task and exit: the operator marked the agent gone, or it came back after its removal."""

    reason: str


AnyMessage = (
    Hello
    | RegisterAgent
    | ReregisterAgent
    | UpdateStatus
    | ExitedExecutor
    | MessageFramework
    | Pong
    | UnregisterAgent
    | AgentRegistered
    | RefuseAgent
    | RunTasks
    | RunTaskGroup
    | KillTask
    | AcknowledgeStatus
    | ShutdownFramework
    | ShutdownExecutor
    | MessageExecutor
    | UpdateFramework
    | DrainAgent
    | Ping
    | ShutdownAgent
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[AnyMessage])


class LinkError(Exception):
    """The other side of a link broke its rules; close it."""


class FrameEncoder:
    """Makes the frames of one side of a link."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def encode(self, messages: list[Message]) -> bytes:
        """Return the next frames, which carry `messages` in order: one, unless the limit asks for more; none of a message over it."""
        body = _ENCODER.encode(messages)
        if len(body) > FRAME_BYTES_MAX:
            half = len(messages) // 2
            return b"" if not half else self.encode(messages[:half]) + self.encode(messages[half:])
        number = self._number
        self._number = number + 1
        return _HEADER.pack(len(body), number) + body


class FrameDecoder:
    """Cuts the byte stream of the other side into batches of messages, pieces of any size.

    Errors: LinkError for a frame over `bytes_max`, one that doesn't decode, or one before its turn.
    """

    __slots__ = ("_buffer", "_bytes_max", "_number")

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._bytes_max = bytes_max
        self._number = 0

    def feed(self, data: bytes) -> list[AnyMessage]:
        """Return the messages that `data` completes."""
        buffer = self._buffer
        buffer += data
        messages: list[AnyMessage] = []
        start = 0
        while len(buffer) - start >= HEADER_BYTES:
            length, number = _HEADER.unpack_from(buffer, start)
            if length > self._bytes_max:
                raise LinkError(f"a frame of {length} bytes is over the limit of {self._bytes_max}; close the link")
            end = start + HEADER_BYTES + length
            if len(buffer) < end:
                break
            if number > self._number:
                raise LinkError(
                    f"frame {number} came where {self._number} was due: what was between is lost; close the link"
                )
            if number == self._number:
                self._number = number + 1
                try:
                    messages += _DECODER.decode(memoryview(buffer)[start + HEADER_BYTES : end])
                except (msgspec.DecodeError, RecursionError) as error:
                    raise LinkError(f"a frame does not decode: {error}") from error
            start = end
        del buffer[:start]
        return messages
