"""The parent of every task on an agent: spawns, signals whole trees, reaps and reports.

Run as a script (`python -I -S supervisor.py SECONDS PATH`) with a listening socket, bound to PATH, as file descriptor 0, in its own
session. One agent at a time is served: the one that connected last; an earlier one is told so and cut off, and what it said and
wasn't read yet counts no more. Each is told first what is held. Without an agent all goes on: exit statuses are kept until an
agent has collected them. Without an agent it ends a little after its last container, and everything with it after SECONDS.
Rules: standard library only and few imports, so that it starts in about 20 ms and a fork of it stays cheap; one thread, so
that `chdir` before `posix_spawn` gives the child its directory without a shell in between; no decisions: the agent's core
says what to start and which signal to send when. Each container leads its own session, its id is in its environment, and
the supervisor is a child subreaper: double forks come home and are ended with their container.
An exit is reported once nothing of the container is left.
Frames: a 4-byte big-endian length, a kind byte, fields joined by NUL (no argument, path or variable can hold a NUL).
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SPAWN = b"S"  # container id, directory, stdout, stderr, number of what follows up to K=V, program, argv ..., K=V ...
SPAWN_BOXED = b"B"  # the same; the program runs a container of its own, and the signals are for what is in it
SIGNAL = b"K"  # container id, signal number
COLLECT = b"C"  # container id: its exit status is written down elsewhere
END = b"E"  # end everything
HELLO = b"H"  # who this is, anew with each process; its pid
HELD = b"R"  # container id, pid (0: not started yet), wait status (empty: it runs), last signal sent (0: none)
READY = b"Y"  # all that is held has been named
FENCED = b"O"  # another agent has connected
STARTED = b"P"  # container id, pid
FAILED = b"F"  # container id, errno, text, directory
EXITED = b"X"  # container id, wait status
MARKER = b"MERISMOS_CONTAINER_ID"

_LENGTH = struct.Struct(">I")
_PR_SET_CHILD_SUBREAPER = 36
_SPAWNS_A_TURN = 8
_CLOSING_S_MAX = 2.0
_CLOSING_POLL_MS = 5
_END_S_MAX = 5.0
_FIRST_S_MAX = 10.0
_IDLE_S_MAX = 3.0
_NONE = -1
_STANDARD_FILES = 3
_READ_BYTES = 1 << 18
_CAN_PEEK = hasattr(os, "waitid")


def encode_frame(kind: bytes, joined: bytes, count: int) -> bytes:
    """Return one frame of `count` fields that are joined by NUL already.

    Errors: ValueError where a field holds a NUL itself.
    """
    if joined.count(b"\0") != count - 1:
        raise ValueError("a field of a supervisor message holds a NUL byte")
    return _LENGTH.pack(len(joined) + 1) + kind + joined


def encode_reply(kind: bytes, *fields: bytes) -> bytes:
    """Return one frame of these fields."""
    return encode_frame(kind, b"\0".join(fields), len(fields))


class FrameReader:
    """Cuts a byte stream into (kind, fields), pieces of any size."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, list[bytes]]]:
        """Return the frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(buffer, start)[0]
            if len(buffer) < end:
                break
            body = bytes(buffer[start + _LENGTH.size : end])
            frames.append((body[:1], body[1:].split(b"\0")))
            start = end
        del buffer[:start]
        return frames


class Container:
    """One spawned process, the leader of its session, and what is known of its descendants."""

    __slots__ = ("closing_until", "container_id", "pid", "signal", "status")

    def __init__(self, container_id: bytes, pid: int) -> None:
        self.container_id = container_id
        self.pid = pid
        self.signal = 0
        self.status: int | None = None
        self.closing_until = 0.0


class Proc:
    """One row of the process table."""

    __slots__ = ("pid", "ppid", "session")

    def __init__(self, pid: int, ppid: int, session: int) -> None:
        self.pid = pid
        self.ppid = ppid
        self.session = session


def read_proc(pid: int) -> Proc | None:
    """Return the row of `pid`, None where it is gone or already a zombie."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        raw = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    state, ppid, _pgrp, session = raw[raw.rindex(b")") + 2 :].split(b" ", 4)[:4]
    return None if state in (b"Z", b"X") else Proc(pid, int(ppid), int(session))


def read_procs() -> list[Proc]:
    """Return the process table without zombies; empty where there is no /proc."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib's import alone takes longer than this process' start
    except OSError:
        return []
    return [row for name in names if name.isdigit() and (row := read_proc(int(name))) is not None]


def container_id_of(pid: int) -> bytes | None:
    """Return the container id in the environment that `pid` was started with."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return None
    try:
        pieces = []
        while piece := os.read(fd, _READ_BYTES):
            pieces.append(piece)
    except OSError:
        return None
    finally:
        os.close(fd)
    for variable in b"".join(pieces).split(b"\0"):
        if variable.startswith(MARKER + b"="):
            return variable[len(MARKER) + 1 :]
    return None


def signal_pid(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except OSError:
        return


def ignores(pid: int, number: int) -> bool:
    """Say whether a process is the first of a namespace and has no handler: the kernel keeps such a signal from it."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123 - no pathlib here
            rows = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
    except OSError:
        return False
    pids = rows.get(b"NSpid", b"").split()
    return len(pids) > 1 and pids[-1] == b"1" and not int(rows.get(b"SigCgt", b"0"), 16) >> (number - 1) & 1


def signal_group(pid: int, number: int) -> bool:
    """Send a signal to a process group; False where nothing of it is left."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Supervisor:
    """The whole state: containers by id and pid, statuses to collect, orphans that came home, requests that wait, replies."""

    def __init__(self, listener: socket.socket, timeout_s: float) -> None:
        self.listener = listener
        self.timeout_s = timeout_s
        self.holder = os.urandom(16).hex().encode()
        self.agent = _NONE
        self.alone_until = time.monotonic() + _FIRST_S_MAX
        self.unsent = b""
        self.reader = FrameReader()
        self.ended: dict[bytes, Container] = {}
        self.by_id: dict[bytes, Container] = {}
        self.by_pid: dict[int, Container] = {}
        self.owner_of: dict[int, bytes] = {}
        self.closing: dict[bytes, Container] = {}
        self.waiting: deque[list[bytes]] = deque()
        self.boxed: dict[bytes, None] = {}
        self.out: list[bytes] = []
        self.ending = False
        self._children_path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"

    def on_frame(self, kind: bytes, fields: list[bytes]) -> None:
        """Take one request; spawns wait for their turn, so that a large batch doesn't delay exits and signals."""
        if kind in {SPAWN, SPAWN_BOXED}:
            self.waiting.append(fields)
            if kind == SPAWN_BOXED:
                self.boxed[fields[0]] = None
        elif kind == SIGNAL:
            self.signal_container(fields[0], int(fields[1]))
        elif kind == COLLECT:
            self.ended.pop(fields[0], None)
        elif kind == END:
            self.ending = True

    def spawn(self, fields: list[bytes]) -> None:
        """Start one container and reply with its pid, or with why not."""
        container_id, directory, stdout, stderr, count = fields[:5]
        rest = 5 + int(count)
        environment = dict(variable.split(b"=", 1) for variable in fields[rest:])
        environment[MARKER] = container_id
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            os.chdir(directory)
            pid = os.posix_spawnp(
                fields[5],
                fields[6:rest],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, stdout, append, 0o644),
                    (os.POSIX_SPAWN_OPEN, 2, stderr, append, 0o644),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_IGNORED_SIGNALS,
            )
        except (OSError, ValueError) as error:
            code = getattr(error, "errno", None) or errno.EINVAL
            text = getattr(error, "strerror", None) or str(error)
            self.out.append(encode_reply(FAILED, container_id, b"%d" % code, text.encode(), directory))
            self.boxed.pop(container_id, None)
            return
        container = Container(container_id, pid)
        self.by_id[container_id] = container
        self.by_pid[pid] = container
        self.out.append(encode_reply(STARTED, container_id, b"%d" % pid))

    def signal_container(self, container_id: bytes, number: int) -> None:
        """Send a signal to all that belongs to a container; one that still waits never starts."""
        container = self.by_id.get(container_id)
        if container is None:
            self._drop_waiting(container_id)
            return
        if container.status is not None:
            return
        container.signal = number
        members = self.members_of(container)
        if container_id in self.boxed and number != signal.SIGKILL:
            # a runtime passes signals on, so that what is in the container would get them twice
            members = [pid for pid in members if pid != container.pid] or members
            if len(members) == 1 and ignores(members[0], number):
                number = signal.SIGKILL
        for pid in members:
            self.owner_of[pid] = container_id
            signal_pid(pid, number)
        if number == signal.SIGKILL:
            # what was forked since the process table was read; any other signal may come only once
            signal_group(container.pid, number)

    def _drop_waiting(self, container_id: bytes) -> None:
        for fields in self.waiting:
            if fields[0] == container_id:
                self.waiting.remove(fields)
                self.boxed.pop(container_id, None)
                text = b"ended before it started"
                self.out.append(encode_reply(FAILED, container_id, b"%d" % errno.ECANCELED, text, fields[1]))
                return

    def members_of(self, container: Container) -> list[int]:
        """Return the live pids of a container outside its leader's own: its session, its descendants, its orphans."""
        own = os.getpid()
        members = {container.pid: None}
        rows = read_procs()
        for row in rows:
            at_home = row.ppid == own and row.pid not in self.by_pid
            if row.session == container.pid or (at_home and self.find_owner(row) == container.container_id):
                members[row.pid] = None
        grown = True
        while grown:
            grown = False
            for row in rows:
                if row.ppid in members and row.pid not in members:
                    members[row.pid] = None
                    grown = True
        return list(members)

    def find_owner(self, row: Proc) -> bytes | None:
        """Return the container that an orphan belongs to: by what was seen before, its session, its environment."""
        known = self.owner_of.get(row.pid)
        if known is None:
            leader = self.by_pid.get(row.session)
            known = container_id_of(row.pid) if leader is None else leader.container_id
            if known is not None:
                self.owner_of[row.pid] = known
        return known

    def reap(self) -> None:
        """Collect every child that has ended; close the containers whose leader did."""
        seen = False
        while (ended := self.collect()) is not None:
            seen = True
            pid, status = ended
            self.owner_of.pop(pid, None)
            container = self.by_pid.get(pid)
            if container is not None:
                container.status = status
                container.closing_until = time.monotonic() + _CLOSING_S_MAX
                self.closing[container.container_id] = container
        if seen or self.closing:
            self.close_ended()

    def collect(self) -> tuple[int, int] | None:
        """Return pid and status of a child that has ended, None where there is none."""
        try:
            if not _CAN_PEEK:
                pid, status = os.waitpid(-1, os.WNOHANG)
                return (pid, status) if pid else None
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is None:
                return None
            if info.si_pid in self.by_pid:
                # the zombie still holds the group's number: the signal can't hit a stranger
                signal_group(info.si_pid, signal.SIGKILL)
            return os.waitpid(info.si_pid, 0)
        except ChildProcessError:
            return None

    def close_ended(self) -> None:
        """Kill what ended containers left behind; report those of which nothing is left, or whose time is up."""
        orphans = self.read_orphans()
        owners = set()
        for pid in orphans:
            row = read_proc(pid)
            owner = None if row is None else self.find_owner(row)
            if owner is not None:
                owners.add(owner)
            if row is not None and (owner in self.closing or owner not in self.by_id):
                self.kill_orphan(pid, owner)
        for container in list(self.closing.values()):
            gone = container.container_id not in owners and not signal_group(container.pid, signal.SIGKILL)
            if gone or time.monotonic() >= container.closing_until:
                self.report(container)

    def kill_orphan(self, pid: int, owner: bytes | None) -> None:
        """Kill an orphan of an ended container; one without a known owner only when no container is left."""
        if owner is not None or len(self.closing) == len(self.by_id):
            signal_pid(pid, signal.SIGKILL)

    def report(self, container: Container) -> None:
        """Report a container's end; its status is kept until it is collected."""
        del self.closing[container.container_id]
        del self.by_id[container.container_id]
        del self.by_pid[container.pid]
        self.boxed.pop(container.container_id, None)
        self.ended[container.container_id] = container
        self.out.append(encode_reply(EXITED, container.container_id, b"%d" % (container.status or 0)))

    def read_orphans(self) -> list[int]:
        """Return the children that are no container's leader: they re-parented to the subreaper."""
        try:
            fd = os.open(self._children_path, os.O_RDONLY)
        except OSError:
            own = os.getpid()
            return [row.pid for row in read_procs() if row.ppid == own and row.pid not in self.by_pid]
        pieces = []
        while piece := os.read(fd, _READ_BYTES):
            pieces.append(piece)
        os.close(fd)
        by_pid = self.by_pid
        return [pid for pid in map(int, b"".join(pieces).split()) if pid not in by_pid]

    def flush(self) -> None:
        """Write what the agent takes; an agent that doesn't read never stops anything."""
        if self.agent == _NONE:
            self.out.clear()
            return
        data = self.unsent + b"".join(self.out)
        self.out.clear()
        try:
            while data:
                data = data[os.write(self.agent, data) :]
        except BlockingIOError:
            pass
        except OSError:
            self.let_go()
            return
        self.unsent = data

    def accept(self) -> None:
        """Serve a new agent; fence the one before."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        if self.agent != _NONE:
            self.out.append(encode_reply(FENCED, b""))
            self.flush()
            self.let_go()
        connection.setblocking(False)
        self.agent = connection.detach()
        self.reader = FrameReader()
        self.out = [encode_reply(HELLO, self.holder, b"%d" % os.getpid())]
        for container in (*self.by_id.values(), *self.ended.values()):
            status = b"" if container.container_id not in self.ended else b"%d" % (container.status or 0)
            fields = (container.container_id, b"%d" % container.pid, status, b"%d" % container.signal)
            self.out.append(encode_reply(HELD, *fields))
        for request in self.waiting:
            self.out.append(encode_reply(HELD, request[0], b"0", b"", b"0"))
        self.out.append(encode_reply(READY, b""))

    def let_go(self) -> None:
        """Go on without an agent."""
        os.close(self.agent)
        self.agent = _NONE
        # What an agent wrote down and had not asked for yet is asked for by the next one, of the same supervisor.
        patience_s = min(_IDLE_S_MAX, self.timeout_s) if self.is_idle() else self.timeout_s
        self.alone_until = time.monotonic() + patience_s
        self.unsent = b""
        self.out.clear()

    def is_idle(self) -> bool:
        """Say whether nothing is held for anybody."""
        return not (self.by_id or self.waiting or self.ended)

    def patience_ms(self) -> int | None:
        """Return how long to wait for something to happen; None for ever."""
        if self.waiting:
            return 0
        if self.closing:
            return _CLOSING_POLL_MS
        if self.agent != _NONE:
            return None
        return max(0, int((self.alone_until - time.monotonic()) * 1000) + 1)

    def end(self) -> None:
        """End every container and all its descendants, for at most five seconds."""
        self.waiting.clear()
        until = time.monotonic() + _END_S_MAX
        own = os.getpid()
        while time.monotonic() < until:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            for pid in descendants_of(own, read_procs()):
                signal_pid(pid, signal.SIGKILL)
            time.sleep(_CLOSING_POLL_MS / 1000)

    def run(self, wake_fd: int) -> None:
        """Serve until nothing is left to do without an agent, or until the end is asked for."""
        while not self.ending:
            poll = select.poll()
            poll.register(self.listener, select.POLLIN)
            poll.register(wake_fd, select.POLLIN)
            if self.agent != _NONE:
                poll.register(self.agent, select.POLLIN | (select.POLLOUT if self.unsent else 0))
            ready = [fd for fd, _ in poll.poll(self.patience_ms())]
            if wake_fd in ready:
                os.read(wake_fd, 4096)
            if self.agent in ready:
                self.receive()
            if self.listener.fileno() in ready:
                self.accept()
            for _ in range(min(len(self.waiting), _SPAWNS_A_TURN)):
                self.spawn(self.waiting.popleft())
            self.reap()
            if self.out or self.unsent:
                self.flush()
            if self.agent == _NONE and time.monotonic() >= self.alone_until:
                self.ending = True
        self.end()

    def receive(self) -> None:
        """Read what the agent sent."""
        try:
            data = os.read(self.agent, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.let_go()
        for kind, fields in self.reader.feed(data):
            self.on_frame(kind, fields)


_IGNORED_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD)


def descendants_of(root: int, rows: Iterable[Proc]) -> list[int]:
    """Return every pid below `root`, parents before their children."""
    children: dict[int, list[int]] = {}
    for row in rows:
        children.setdefault(row.ppid, []).append(row.pid)
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def become_subreaper() -> bool:
    """Make orphans of this process's descendants its own children; False where the system has no such thing."""
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def main() -> None:
    """Serve the agents that come to the socket at file descriptor 0."""
    timeout_s, path = float(sys.argv[1]), sys.argv[2]
    os.closerange(_STANDARD_FILES, os.sysconf("SC_OPEN_MAX"))  # whatever else who started the agent had open
    listener = socket.socket(fileno=os.dup(0))
    listener.setblocking(False)
    own = os.stat(path).st_ino  # noqa: PTH116 - no pathlib here
    os.dup2(os.open(os.devnull, os.O_RDWR), 0, inheritable=False)
    become_subreaper()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    supervisor = Supervisor(listener, timeout_s)

    def on_signal(number: int, _frame: object) -> None:
        supervisor.ending = supervisor.ending or number == signal.SIGTERM

    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    supervisor.run(wake_read)
    try:
        if os.stat(path).st_ino == own:  # noqa: PTH116 - no pathlib here
            os.unlink(path)  # noqa: PTH108 - no pathlib here
    except OSError:
        return


if __name__ == "__main__":
    main()
    sys.exit(0)
