"""Which OCI runtime runs containers of images on this machine, and the words by which it is called.

Rules: crun is preferred, since it takes a third of the CPU time that runc does, but only where a container of it has ended well when the agent started;
else runc, then what there is. With cgroups of version 1 crun leaves them alone: a container enters ours before crun becomes it,
one for devices among them, so that what counts and limits is ours, and outlasts the container. crun 1.8 refuses machines on which
version 2 has a controller beside version 1: there it begins in a mount namespace of its own in which version 2 can't be seen.
Errors: LookupError, with what to do.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from merismos.adapters.linux import cgroup_detection, device_cgroups
from merismos.adapters.linux.detection import obstacle_of_user_namespaces
from merismos.containers.prologue import ENTER_CGROUPS, with_steps
from merismos.core.containers.entry_plan import Rank, Step
from merismos.core.containers.image_plan import RootPlan
from merismos.core.containers.oci_spec import BoundMount, ContainerUser, Surroundings, build_spec

CRUN, RUNC = "crun", "runc"
RUNTIMES = (CRUN, RUNC)
_HIERARCHY = Path("/sys/fs/cgroup")
_UNIFIED = _HIERARCHY / "unified"
_TRIAL_S_MAX = 10.0
# a container whose runtime was just started can be entered a little later
_WHEN_MADE = 'n=0; while [ ! -e "$0" ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.05; done; exec "$@"'
_TRIAL_MOUNTS = ("/bin", "/lib", "/lib64", "/usr")


class Runtime:
    """A runtime of this machine, with its state below `directory`; `root_is` are the user and group that root in a container is, None where it is root."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.name = os.path.basename(program)  # noqa: PTH119 - no Path to build
        self.state = directory / ("state" if self.name == RUNC else f"state-{self.name}")
        self._is_crun = self.name == CRUN
        self.root_is = None if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        version = cgroup_detection.version_of(_HIERARCHY)
        self._leaves_cgroups_alone = self._is_crun and (version == 1 or self.root_is is not None)
        # without root nobody makes devices, and nothing but a user namespace is needed
        self._keeps_devices = self._leaves_cgroups_alone and self.root_is is None

    def why_not(self) -> str:
        """Return what keeps it from running anything here, as far as that can be seen; empty where nothing does."""
        if self._keeps_devices and not device_cgroups.is_writable():
            return f"{device_cgroups.HIERARCHY} can't be written"
        if self._is_covered() and (self.root_is is not None or shutil.which("unshare") is None):
            return "cgroups of version 2 have a controller beside version 1, and hiding them takes root and unshare"
        return ""

    def call(self, *words: str) -> list[str]:
        """Return the command that asks it for something."""
        manager = ["--cgroup-manager=disabled"] if self._leaves_cgroups_alone else []
        return [self.program, *manager, "--root", str(self.state), *words]

    def run(self, container_id: str, bundle: Path, *, keep: bool, devices: Sequence[str] = ()) -> list[str]:
        """Return the command that runs the bundle of a container; `keep`: what tells why it ended outlasts it; `devices` are entries of its own.

        Errors: OSError.
        """
        if not self._is_crun:
            return self.call("run", *(["--keep"] if keep else []), "--bundle", str(bundle), container_id)
        command = self.call("run", "--bundle", str(bundle), container_id)
        if self._is_covered():
            command = ["unshare", f"--mount-proc={_UNIFIED}", *command]
        if not self._keeps_devices:
            return command
        return _enter(device_cgroups.create(container_id, devices), command)

    def execute(self, container_id: str, *words: str) -> list[str]:
        """Return the command that starts a process in a container that runs."""
        command = self.call("exec", *words)
        made = self.state / container_id / ("status" if self._is_crun else "state.json")
        if not made.exists():
            command = ["/bin/sh", "-c", _WHEN_MADE, str(made), *command]
        if not self._keeps_devices:
            return command
        return _enter(device_cgroups.entrance(container_id), command)

    def cgroups_path(self, container_id: str) -> str:
        """Return what its configuration says of a container's cgroup: below the one in which the runtime begins; empty for that one."""
        if self.root_is is not None:
            return ""
        if not self._is_crun or self._leaves_cgroups_alone:
            return container_id
        own = Path("/proc/self/cgroup").read_text(encoding="ascii").rpartition(":")[2].strip()
        return os.path.join(own, container_id)  # noqa: PTH118 - no Path to build

    def has(self, container_id: str) -> bool:
        """Say whether it knows a container."""
        return (self.state / container_id).exists()

    def delete(self, container_id: str, timeout_s: float) -> None:
        """Have it forget a container, whatever of it runs.

        Errors: OSError, subprocess.TimeoutExpired.
        """
        if self.has(container_id):
            command = self.call("delete", "--force", container_id)
            subprocess.run(command, check=False, capture_output=True, timeout=timeout_s)  # noqa: S603 - our own words and an id of ours
        if self._keeps_devices:
            device_cgroups.remove(container_id)

    def _is_covered(self) -> bool:
        """Say whether version 2 must be hidden."""
        try:
            controllers = (_UNIFIED / "cgroup.controllers").read_text(encoding="ascii")
        except OSError:
            return False
        return self._leaves_cgroups_alone and bool(controllers.strip())


def _enter(entrance: str, command: list[str]) -> list[str]:
    step = Step(Rank.CGROUP, "cgroups", (entrance, "--"), ENTER_CGROUPS)
    return with_steps([step], command, command[0]).arguments


def find_runtimes(which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """Return the paths of the OCI runtimes of this machine, the preferred one first."""
    return [found for name in RUNTIMES if (found := which(name)) is not None]


def obstacle_of_images() -> str | None:
    """Return why containers of images can't be run here, and what to do; None where they can, as far as that can be seen."""
    if not find_runtimes():
        return "there is no OCI runtime; apt-get install crun, or runc"
    return None if os.geteuid() == 0 else obstacle_of_user_namespaces()


@functools.cache
def can_run_images() -> bool:
    """Say whether containers of images run here, by a trial."""
    if obstacle_of_images() is not None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            choose(Path(folder))
        except LookupError:
            return False
    return True


def choose(directory: Path, wanted: str = "", which: Callable[[str], str | None] = shutil.which) -> Runtime:
    """Return the runtime to use: the one that is wanted, else the first that works here; its state is kept below `directory`.

    Errors: LookupError where there is none.
    """
    if wanted and wanted not in RUNTIMES:
        raise LookupError(f"the runtime {wanted} is not known; give one of {', '.join(RUNTIMES)}")
    found = find_runtimes(which)
    programs = [one for one in found if not wanted or os.path.basename(one) == wanted]  # noqa: PTH119 - no Path to build
    whys = []
    for program in programs:
        runtime = Runtime(program, directory)
        why = runtime.why_not() or try_out(runtime, directory)
        if not why:
            return runtime
        whys.append(f"{program}: {why}")
    if not whys:
        raise LookupError(f"there is no OCI runtime; install one of {', '.join([wanted] if wanted else RUNTIMES)}")
    raise LookupError(f"no OCI runtime works here ({'; '.join(whys)})")


def try_out(runtime: Runtime, directory: Path) -> str:
    """Run a container that does nothing; return why that can't be done."""
    # always the same one for an agent: what one that was killed meanwhile has left goes with the next trial
    container_id = f"merismos-trial-{sha256(os.fsencode(directory.absolute())).hexdigest()[:16]}"
    bundle = directory / "trial"
    try:
        bundle.mkdir(parents=True, exist_ok=True, mode=0o700)
        runtime.state.mkdir(exist_ok=True, mode=0o700)
        runtime.delete(container_id, _TRIAL_S_MAX)
        (bundle / "rootfs").mkdir(exist_ok=True)
        mounts = [BoundMount(path, path, read_only=True) for path in _TRIAL_MOUNTS if os.path.exists(path)]  # noqa: PTH110 - one system call
        place = Surroundings(
            str(bundle / "rootfs"),
            "trial",
            platform.machine(),
            runtime.cgroups_path(container_id),
            tuple(mounts),
            runtime.root_is,
        )
        spec = build_spec(RootPlan([], "/", "/"), ContainerUser(), ["/bin/true"], ["PATH=/bin:/usr/bin"], place)
        (bundle / "config.json").write_bytes(msgspec.json.encode(spec))
        command = runtime.run(container_id, bundle, keep=False)
        ended = subprocess.run(  # noqa: S603 - our own words
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRIAL_S_MAX
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            runtime.delete(container_id, _TRIAL_S_MAX)
        shutil.rmtree(bundle, ignore_errors=True)
    return (ended.stderr.strip() or f"it ended with {ended.returncode}") if ended.returncode else ""
