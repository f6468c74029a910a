"""What isolates a container without an image, as steps that its process takes before it becomes the task's.

Rules: each step is a program of util-linux or a line of shell that then is the next, so that a container costs no process besides its own, but
the one that waits for the first of a pid namespace, and passes its end on. Programs are found on the agent's own path, never the task's.
Nothing of it is kept: namespaces, mounts and limits end with their processes; a secret lies in a directory of its container until it was moved to memory.
A mount's two ends are opened first and compared with what the agent saw, so that no link that was made meanwhile leads elsewhere.
Errors: OSError, LookupError that say what can't be had.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from merismos.adapters.linux import isolator_detection
from merismos.adapters.linux.seccomp_filter import LOADER_FD
from merismos.containers.oci import open_below
from merismos.containers.sandbox import find_user
from merismos.containers.seccomp import SeccompProfiles
from merismos.containers.supervisor_socket import PATH
from merismos.core.agent import effects
from merismos.core.containers.entry_plan import Rank, Step
from merismos.core.containers.image_plan import RLIMIT_INFINITY, Mount, RLimit
from merismos.core.containers.isolation import CAPABILITIES, FILES, IPC, PIDS, RLIMITS, SECCOMP
from merismos.core.containers.native_plan import NativePlan
from merismos.core.containers.oci_spec import ContainerUser
from merismos.protocol.v1 import mesos

_MODE = 0o700
_SECRET_MODE = 0o400
_SECRETS_BYTES_MAX = 8 << 20
_UNLIMITED = "unlimited"
_EVERY_CAPABILITY = tuple(one.name for one in mesos.CapabilityInfo_Capability)
_SECURE = "+noroot,+noroot_locked"
_PROC = '"$1" -t proc -o nosuid,nodev,noexec proc /proc || exit 125; shift; '
_SHM = '"$1" -t tmpfs -o "nosuid,nodev,mode=1777$2" shm /dev/shm || exit 125; shift 2; '
_MEMORY = '"$1" -t tmpfs -o "mode=0711,nosuid,nodev,size=$2" memory "$3/memory" || exit 125; shift 3; '
_MOVE = '"$1" "$2/$3" "$2/memory/$3" || exit 125; shift 3; '
_BIND = (
    'exec 3<"$4" 4<"$3" || exit 125; '
    '[ "$("$2" /proc/self/fd/3)" = "$4" ] && [ "$("$2" /proc/self/fd/4)" = "$3" ] || '
    '{ echo "the volume at $4 leads elsewhere" >&2; exit 125; }; '
    '"$1" --no-canonicalize --rbind /proc/self/fd/4 /proc/self/fd/3 || exit 125; exec 4<&-; '
)
_READ_ONLY = 'exec 3<"$4" || exit 125; "$1" --no-canonicalize -o remount,bind,ro none /proc/self/fd/3 || exit 125; '
_BOUND = "exec 3<&-; shift 4; "
# it runs as soon as it was started, and has its namespaces a moment later
_WAIT = (
    'n=0; while [ "$("$2" "/proc/$3/ns/$4")" = "$("$2" "/proc/self/ns/$4")" ]{more}; '
    'do n=$((n+1)); [ $n -lt 500 ] || {{ echo "the container is gone" >&2; exit 125; }}; "$1" 0.01; done; shift 4; '
)
_CHILDLESS = ' || {{ read -r c <"/proc/$3/task/$3/children"; [ -z "$c" ]; }}'
_OPEN_LOADER = f'exec {LOADER_FD}<"$1" || exit 125; shift; '
_ENTER_DIRECTORY = 'cd "$1" || exit 125; shift; '


class NativeEntry:
    """Makes the steps of an agent's containers; `directory` is where secrets lie until they are taken."""

    def __init__(self, directory: Path, profiles: SeccompProfiles | None) -> None:
        self._directory = directory
        self._profiles = profiles
        self._programs: dict[str, str] = {}

    def begin(self, held: Iterable[str]) -> None:
        """Remove what is left of every container but those."""
        if self._directory.is_dir():
            kept = dict.fromkeys(held)
            for one in self._directory.iterdir():
                if one.name not in kept:
                    shutil.rmtree(one, ignore_errors=True)

    def on_over(self, container_id: str) -> None:
        """Remove what is left of a container."""
        path = f"{self._directory}/{container_id}"
        if os.path.isdir(path):  # noqa: PTH112 - one system call, no Path to build
            shutil.rmtree(path, ignore_errors=True)

    def steps(self, effect: effects.LaunchContainer, *, switches: bool) -> list[Step]:
        """Return the steps of a container; where it `switches` its user, that is one of them."""
        plan = effect.native
        steps = []
        if plan is not None:
            steps += self._join(plan, effect.directory) if plan.joins else self._make(plan, effect)
            if plan.rlimits:
                steps.append(self._limit(plan.rlimits))
        rights = self._rights(plan, effect.user if switches else None, effect.user)
        if rights:
            steps.append(Step(Rank.RIGHTS, CAPABILITIES, (self.program("setpriv"), *rights, "--")))
        if plan is not None and plan.profile:
            steps += self._filter(plan, effect.user)
        return steps

    def _filter(self, plan: NativePlan, user: str | None) -> list[Step]:
        """Return the steps that take a filter on last of all; its loader is opened while that is still allowed."""
        assert self._profiles is not None, "a profile is refused where there are none"
        held = plan.bounding if plan.bounding is not None else _EVERY_CAPABILITY if _owner_of(user).uid == 0 else ()
        loader = self._profiles.loader_of(plan.profile, held)
        return [
            Step(Rank.LIMITS, SECCOMP, (str(loader),), _OPEN_LOADER),
            Step(Rank.CALLS, SECCOMP, (f"/proc/self/fd/{LOADER_FD}",)),
        ]

    def program(self, name: str) -> str:
        """Return the path of a program of the machine.

        Errors: LookupError.
        """
        path = self._programs.get(name)
        if path is None:
            path = shutil.which(name, path=PATH)
            if path is None:
                raise LookupError(isolator_detection.missing(name))
            self._programs[name] = path
        return path

    # ------------------------------------------------------------------ namespaces

    def _make(self, plan: NativePlan, effect: effects.LaunchContainer) -> list[Step]:
        words = ["--mount", "--propagation", "slave"] if plan.own_files else []
        words += ["--ipc"] if plan.own_ipc else []
        words += ["--pid"] if plan.own_pids else []
        steps = []
        if words:
            steps.append(Step(Rank.NAMESPACES, FILES, (self.program("unshare"), *words, "--")))
        if plan.own_pids:
            # who waits for the first of the namespace ends as that one did, by a signal, too
            steps.append(Step(Rank.NAMESPACES, FILES, (self.program("timeout"), "--foreground", "0")))
            steps.append(Step(Rank.FILES, PIDS, (self.program("mount"),), _PROC))
        if plan.own_shm_bytes is not None:
            size = f",size={plan.own_shm_bytes}" if plan.own_shm_bytes else ""
            steps.append(Step(Rank.FILES, IPC, (self.program("mount"), size), _SHM))
        return [*steps, *self._mounts(plan.mounts, effect)]

    def _join(self, plan: NativePlan, directory: str) -> list[Step]:
        kinds = [("pid", PIDS)] if plan.own_pids else []
        kinds += [("mnt", FILES)] if plan.own_files else []
        kinds += [("ipc", IPC)] if plan.own_ipc else []
        if not kinds:
            return []
        pid = str(plan.joins)
        seen = "pid_for_children" if plan.own_pids else kinds[0][0]
        words = {
            "pid": f"--pid=/proc/{pid}/ns/pid_for_children",
            "mnt": f"--mount=/proc/{pid}/ns/mnt",
            "ipc": f"--ipc=/proc/{pid}/ns/ipc",
        }
        wait = _WAIT.format(more=_CHILDLESS.format() if plan.own_pids else "")
        awaited = (self.program("sleep"), self.program("readlink"), pid, seen)
        return [
            Step(Rank.NAMESPACES, FILES, awaited, wait),
            Step(Rank.NAMESPACES, FILES, (self.program("nsenter"), *(words[kind] for kind, _ in kinds), "--")),
            Step(Rank.FILES, FILES, (directory,), _ENTER_DIRECTORY),
        ]

    # ------------------------------------------------------------------ volumes

    def _mounts(self, mounts: list[Mount], effect: effects.LaunchContainer) -> list[Step]:
        steps: list[Step] = []
        owner = _owner_of(effect.user)
        home = self._directory / effect.container_id
        if any(mount.kind == "secret" for mount in mounts):
            (home / "memory").mkdir(parents=True, mode=_MODE, exist_ok=True)
            words = (self.program("mount"), str(_SECRETS_BYTES_MAX), str(home))
            steps.append(Step(Rank.FILES, FILES, words, _MEMORY))
        for number, mount in enumerate(mounts):
            if mount.kind == "secret":
                _write_secret(home / str(number), mount.data, owner)
                steps.append(Step(Rank.FILES, FILES, (self.program("mv"), str(home), str(number)), _MOVE))
                source, is_file = str(home.resolve() / "memory" / str(number)), True
            else:
                source, is_file = _source_of(mount, owner)
            target = _target_of(mount, effect.directory, owner, is_file=is_file)
            script = _BIND + (_READ_ONLY if mount.read_only else "") + _BOUND
            ends = (self.program("mount"), self.program("readlink"), source, target)
            steps.append(Step(Rank.FILES, FILES, ends, script))
        return steps

    # ------------------------------------------------------------------ limits and rights

    def _limit(self, limits: list[RLimit]) -> Step:
        """Return the step that takes on limits.

        Errors: PermissionError where one is above what this agent may give.
        """
        words = []
        for limit in limits:
            number = getattr(resource, limit.name, None)
            may_raise = isolator_detection.may_raise_limits()
            hard = resource.RLIM_INFINITY if number is None else resource.getrlimit(number)[1]
            if not may_raise and hard != resource.RLIM_INFINITY and limit.hard > hard:
                asked = _text_of(limit.hard)
                what = "only an agent with CAP_SYS_RESOURCE may raise it"
                raise PermissionError(
                    f"{limit.name}: a hard limit of {asked} is above this agent's own, {hard}; {what}"
                )
            name = limit.name.removeprefix("RLIMIT_").lower()
            words.append(f"--{name}={_text_of(limit.soft)}:{_text_of(limit.hard)}")
        return Step(Rank.LIMITS, RLIMITS, (self.program("prlimit"), *words, "--"))

    def _rights(self, plan: NativePlan | None, switched: str | None, user: str | None) -> list[str]:
        words = []
        if switched is not None:
            entry = find_user(switched)
            words += [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]
        if plan is None:
            return words
        if plan.bounding is not None:
            words.append(f"--bounding-set={_set_of(plan.bounding)}")
        if plan.effective is not None:
            words += [f"--inh-caps={_set_of(plan.effective)}", f"--ambient-caps={_set_of(plan.effective)}"]
            if _owner_of(user).uid == 0 and plan.bounding != plan.effective:
                words.append(f"--securebits={_SECURE}")  # else root has all that is bounding
        if plan.no_new_privileges:
            words.append("--no-new-privs")
        return words


def _set_of(capabilities: list[str]) -> str:
    return ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])


def _text_of(limit: int) -> str:
    return _UNLIMITED if limit == RLIMIT_INFINITY else str(limit)


def _owner_of(user: str | None) -> ContainerUser:
    if user is None:
        return ContainerUser(os.geteuid(), os.getegid())
    entry = find_user(user)
    return ContainerUser(entry.pw_uid, entry.pw_gid)


def _write_secret(path: Path, data: bytes, owner: ContainerUser) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _SECRET_MODE)
    try:
        os.write(fd, data)
        os.fchown(fd, owner.uid, owner.gid)
    finally:
        os.close(fd)


def _source_of(mount: Mount, owner: ContainerUser) -> tuple[str, bool]:
    """Return the path of what is mounted, without links, and whether it is a file."""
    if mount.kind == "host":
        if not os.path.exists(mount.source):  # noqa: PTH110 - one system call
            raise FileNotFoundError(f"the volume's host path {mount.source} does not exist on this agent")
        return os.path.realpath(mount.source), not os.path.isdir(mount.source)  # noqa: PTH112 - one system call
    fd = open_below(mount.below, mount.source, owner)
    try:
        return os.readlink(f"/proc/self/fd/{fd}"), False  # noqa: PTH115 - one system call
    finally:
        os.close(fd)


def _target_of(mount: Mount, directory: str, owner: ContainerUser, *, is_file: bool) -> str:
    """Return the path that is mounted on, without links; it is made in the sandbox, and must be there elsewhere."""
    path = PurePosixPath(mount.target)
    if not path.is_relative_to(directory):
        if not os.path.exists(path):  # noqa: PTH110 - one system call
            what = "without an image, one outside of the sandbox must"
            raise FileNotFoundError(f"the volume's container path {path} does not exist on this agent; {what}")
        return os.path.realpath(path)
    below = path.relative_to(directory)
    fd = open_below(directory, str(below.parent if is_file else below), owner)
    try:
        if not is_file:
            return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - one system call
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(below.name, flags, 0o644, dir_fd=fd)
        try:
            return os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115 - one system call
        finally:
            os.close(file)
    finally:
        os.close(fd)
