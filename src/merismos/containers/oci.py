"""Containers with a root of their own: a bundle each, run by runc or crun, whose process the supervisor holds.

Shapes: `DIR/bundles/CONTAINER` holds `config.json`, the mounts and the writable layer of a container; `DIR/state` is the runtime's own.
Rules: a bundle is whole before its process is asked for, and goes when the container is over, with its mounts, its cgroups and its hold on the layers. A bundle of which nobody
holds a container is an orphan's, and is removed at the start. Nothing is deleted from a directory in which something is still mounted.
An agent that isn't root runs them in a user namespace each, in which root is the agent's own user and there is nobody else.
Errors: OSError, LookupError; ImageError where the layers are gone.
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
from collections.abc import Container, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import structlog

from merismos.adapters.linux.mounts import bind, mount_memory, unmount_below
from merismos.containers.images.documents import ImageError
from merismos.containers.images.rootfs import Provision, find_image_user
from merismos.containers.images.store import ImageStore
from merismos.containers.network_records import FILES, NAMESPACE
from merismos.containers.networks import ContainerNetworks
from merismos.containers.oci_runtimes import Runtime
from merismos.containers.removal import remove_tree
from merismos.containers.sandbox import find_user
from merismos.containers.seccomp import SeccompProfiles
from merismos.containers.supervisor import MARKER
from merismos.containers.supervisor_socket import PATH
from merismos.core.agent import effects
from merismos.core.containers.device_plan import entries_of
from merismos.core.containers.image_plan import Mount, RootPlan
from merismos.core.containers.oci_spec import BoundMount, ContainerUser, Surroundings, build_spec

DELETE_S_MAX = 30.0
_SECRETS_BYTES_MAX = 8 << 20
_MODE = 0o700
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_THE_MACHINE = ("/etc/resolv.conf", "/etc/hosts")


class OciRuntime:
    """The bundles of one agent, and what runs them: the first of `runtimes`; others may have run what an earlier agent started."""

    def __init__(
        self,
        runtimes: Sequence[Runtime],
        directory: Path,
        store: ImageStore | None,
        provision: Provision,
        networks: ContainerNetworks | None = None,
        profiles: SeccompProfiles | None = None,
    ) -> None:
        self._profiles = profiles
        self._runtimes = runtimes
        self._bundles = directory / "bundles"
        self._store = store
        self._provision = provision
        self._root_is = None if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        self._networks = networks
        self._cleaning: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Make the directories."""
        for one in (self._bundles, *(one.state for one in self._runtimes[:1])):
            one.mkdir(parents=True, exist_ok=True, mode=_MODE)

    def has(self, container_id: str) -> bool:
        """Say whether a container has a bundle."""
        return (self._bundles / container_id).is_dir()

    def prepare(self, effect: effects.LaunchContainer) -> list[str]:
        """Make the bundle of a container; return the command that runs it. What is half made is removed again."""
        assert effect.root is not None
        bundle = self._bundles / effect.container_id
        if bundle.exists():
            self.remove(effect.container_id, release=False)
        bundle.mkdir(mode=_MODE)
        try:
            self._make(effect, effect.root, bundle)
        except Exception:
            self.remove(effect.container_id)
            raise
        return self._command(effect, bundle)

    def enter(self, effect: effects.LaunchContainer) -> None:
        """Make the launch of a process in a container one of the command that gets it there.

        Errors: LookupError where its user is none of the agent's.
        """
        user = []
        if effect.user is not None and self._root_is is None:
            entry = find_user(effect.user)
            user = ["--user", f"{entry.pw_uid}:{entry.pw_gid}"]
        extra = [word for variable in effect.environment for word in ("--env", variable)]
        terminal = ["--tty"] if effect.streams is not None and effect.streams.tty is not None else []
        container_id = effect.inside
        runtime = next((one for one in self._runtimes if one.has(container_id)), self._runtimes[0])
        effect.arguments = runtime.execute(container_id, *terminal, *user, *extra, container_id, *effect.arguments)
        effect.argv0, effect.environment, effect.user, effect.inside = effect.arguments[0], [f"PATH={PATH}"], None, ""

    async def settle(self, effect: effects.LaunchContainer) -> None:
        """Wait until nothing is left of an earlier container of this id, which took the hold on the layers with it.

        Errors: ImageError where they are gone with it.
        """
        assert effect.root is not None
        cleaning = self._cleaning.get(effect.container_id)
        if cleaning is not None:
            await cleaning
            if self._store is not None and not await asyncio.to_thread(
                self._store.lease, effect.container_id, effect.root.every_layer()
            ):
                raise ImageError("the layers of its image were removed meanwhile; try again")

    def clean(self, container_id: str) -> None:
        """Remove what is left of a container that is over, beside the loop."""
        if self.has(container_id) and container_id not in self._cleaning:
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._remove_or_say, container_id))
            self._cleaning[container_id] = task
            task.add_done_callback(lambda _: self._cleaning.pop(container_id, None))

    def clean_all(self, but: Container[str]) -> None:
        """Remove what is left of every container but those, beside the loop."""
        for bundle in sorted(self._bundles.iterdir()):
            if bundle.name not in but:
                self.clean(bundle.name)

    async def cleaned(self) -> None:
        """Wait until everything is removed that is being removed."""
        await asyncio.gather(*self._cleaning.values())

    def sweep(self, held: Iterable[str]) -> None:
        """Remove every bundle and every hold on layers but those of `held`."""
        kept = dict.fromkeys(held)
        for bundle in sorted(self._bundles.iterdir()):
            if bundle.name not in kept:
                structlog.get_logger().info("removing what is left of a container", container=bundle.name)
                self._remove_or_say(bundle.name)
        for holder in () if self._store is None else self._store.holders():
            if holder not in kept:
                self._release(holder)

    def remove(self, container_id: str, *, release: bool = True) -> None:
        """Remove what is left of a container, whatever of it runs."""
        bundle = self._bundles / container_id
        self._end(container_id)
        unmount_below(bundle)
        if bundle.exists():
            remove_tree(bundle)
        if release:
            self._release(container_id)

    def _release(self, holder: str) -> None:
        if self._store is not None:
            self._store.release(holder)

    def _end(self, container_id: str) -> None:
        for runtime in self._runtimes:
            runtime.delete(container_id, DELETE_S_MAX)

    def _command(self, effect: effects.LaunchContainer, bundle: Path) -> list[str]:
        assert effect.root is not None
        # its cgroups outlast it, so that it can be seen there why it ended
        keep = effect.cgroup is not None and not effect.cgroup.joins
        return self._runtimes[0].run(effect.container_id, bundle, keep=keep, devices=entries_of(effect.root.devices))

    def _remove_or_say(self, container_id: str) -> None:
        try:
            self.remove(container_id)
        except (OSError, subprocess.TimeoutExpired) as error:
            what = "the next start of the agent tries again"
            structlog.get_logger().error("a container's files stay", container=container_id, why=str(error), what=what)

    def _make(self, effect: effects.LaunchContainer, plan: RootPlan, bundle: Path) -> None:
        root = self._provision(self._layers_of(plan), bundle)
        user = self._user_of(effect, plan, root)
        if user.uid and self._root_is is not None:
            what = f"the image runs as user {user.uid}, and an agent that isn't root has no user but its own to give"
            raise PermissionError(f"{what}: name a user of the machine, or start the agent as root")
        if user.uid and effect.streams is None:  # a session's is its parent's
            os.chown(effect.directory, user.uid, user.gid)
        mounts = [
            *self._files_of(effect),
            BoundMount(plan.sandbox_directory, effect.directory),
            *(self._bound(number, mount, bundle, user, effect.directory) for number, mount in enumerate(plan.mounts)),
        ]
        place = Surroundings(
            rootfs=str(root),
            hostname=platform.node() if effect.network is None else effect.network.hostname,
            machine=platform.machine(),
            cgroup=self._runtimes[0].cgroups_path(effect.container_id) if self._runtimes else "",
            mounts=tuple(mounts),
            root_is=self._root_is,
            network=self._namespace_of(effect),
            calls=self._calls_of(plan),
        )
        environment = [*effect.environment, f"{MARKER.decode()}={effect.container_id}"]
        self._configure(effect, user, environment, place, bundle)

    def _calls_of(self, plan: RootPlan) -> dict[str, Any] | None:
        """Return the filter of the profile that a container names, None where it has ours.

        Errors: ProfileError.
        """
        if not plan.profile:
            return None
        assert self._profiles is not None, "a profile is refused where there are none"
        return self._profiles.rules_of(plan.profile, plan.bounding)

    def _layers_of(self, plan: RootPlan) -> list[Path]:
        return self._paths_of(plan.layers)

    def _paths_of(self, layers: Sequence[str]) -> list[Path]:
        assert self._store is not None, "layers are of images"
        return [self._store.rootfs_of(layer) for layer in layers]

    def _configure(
        self,
        effect: effects.LaunchContainer,
        user: ContainerUser,
        environment: list[str],
        place: Surroundings,
        bundle: Path,
    ) -> None:
        """Write down how the runtime shall run a container."""
        assert effect.root is not None
        has_terminal = effect.streams is not None and effect.streams.tty is not None
        spec = build_spec(effect.root, user, effect.arguments, environment, place, has_terminal=has_terminal)
        (bundle / "config.json").write_bytes(msgspec.json.encode(spec))

    def _files_of(self, effect: effects.LaunchContainer) -> list[BoundMount]:
        """Return the files of /etc that tell a container of its network: the machine's, or its own."""
        if effect.network is None or self._networks is None:
            return [BoundMount(path, path, read_only=True) for path in _OF_THE_MACHINE if os.path.exists(path)]  # noqa: PTH110 - one system call
        owner = effect.network.owner
        return [BoundMount(f"/etc/{name}", str(self._networks.file_of(owner, name))) for name in FILES]

    def _namespace_of(self, effect: effects.LaunchContainer) -> str:
        if effect.network is None or self._networks is None:
            return ""
        return str(self._networks.file_of(effect.network.owner, NAMESPACE))

    def _user_of(self, effect: effects.LaunchContainer, plan: RootPlan, root: Path) -> ContainerUser:
        if plan.image_user:
            return find_image_user(root, plan.image_user)
        if self._root_is is not None:
            return ContainerUser()
        if effect.user is None:
            return ContainerUser(os.geteuid(), os.getegid())
        entry = find_user(effect.user)
        groups = os.getgrouplist(effect.user, entry.pw_gid)
        return ContainerUser(entry.pw_uid, entry.pw_gid, tuple(one for one in groups if one != entry.pw_gid))

    def _bound(self, number: int, mount: Mount, bundle: Path, user: ContainerUser, own: str) -> BoundMount:
        """Return a mount whose source is there."""
        if mount.kind == "host":
            if not os.path.exists(mount.source):  # noqa: PTH110 - one system call
                raise FileNotFoundError(f"the volume's host path {mount.source} does not exist on this agent")
            return BoundMount(mount.target, mount.source, mount.read_only)
        owner = user if self._root_is is None else ContainerUser(*self._root_is)
        if mount.kind == "secret":
            path = _write_secret(bundle / "secrets", number, mount.data, owner)
            return BoundMount(mount.target, str(path), read_only=True)
        if mount.kind == "image":
            place = bundle / "images" / str(number)
            place.mkdir(parents=True, mode=_MODE)
            return BoundMount(mount.target, str(self._provision(self._paths_of(mount.layers), place)), mount.read_only)
        target = bundle / "volumes" / str(number)
        target.mkdir(parents=True)
        fd = open_below(mount.below, mount.source, owner)
        try:
            if self._root_is is not None:
                if mount.below != own:
                    # others write to it while we look, and only root can bind what it looked at
                    raise PermissionError("a volume of another's sandbox needs an agent that is root")
                return BoundMount(mount.target, os.readlink(f"/proc/self/fd/{fd}"), mount.read_only)  # noqa: PTH115 - one system call
            bind(fd, target)
        finally:
            os.close(fd)
        return BoundMount(mount.target, str(target), mount.read_only)


def open_below(directory: str, path: str, user: ContainerUser) -> int:
    """Open a directory below a sandbox, made for `user` where it is missing; no step of the way is a link.

    Errors: OSError.
    """
    fd = os.open(directory, _OPEN_DIRECTORY)
    for part in PurePosixPath(path).parts:
        try:
            try:
                os.mkdir(part, 0o755, dir_fd=fd)
                os.chown(part, user.uid, user.gid, dir_fd=fd, follow_symlinks=False)
            except FileExistsError:
                pass
            below = os.open(part, _OPEN_DIRECTORY, dir_fd=fd)
        except OSError as error:
            raise OSError(
                error.errno, f"the volume's path {path} leads out of the sandbox: {error.strerror}"
            ) from error
        finally:
            os.close(fd)
        fd = below
    return fd


def _write_secret(directory: Path, number: int, data: bytes, user: ContainerUser) -> Path:
    """Write a secret for its container's user to read: to memory where we may mount that."""
    if not directory.is_dir():
        directory.mkdir(mode=_MODE)
        if os.geteuid() == 0:
            mount_memory(directory, _SECRETS_BYTES_MAX)
    path = directory / str(number)
    path.write_bytes(data)
    os.chown(path, user.uid, user.gid)
    path.chmod(0o400)
    return path
