"""A task as its author writes it: a command and what it needs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from merismos.protocol.v1 import mesos

_NANOSECONDS: Final = 1_000_000_000
_ID_BYTES: Final = 4


class Task(msgspec.Struct, kw_only=True):
    """A command to run, and the resources it takes.

    Shapes: `command` is a line for the shell, or a list: a program and its arguments. `ports` is how many ports it wants; the
    task finds them in PORT0, PORT1 ... `others` are scalar resources of any other name. `template` is a TaskInfo whose further fields (container, health_check, discovery ...)
    are taken as they are.
    `image` is the name of a container image; with one, an empty `command` is what the image runs by itself, and `volumes` are PATH:TARGET or
    PATH:TARGET:ro, where PATH is the machine's, or the sandbox's where it is relative.
    `rootfs` is the name or the directory of a root filesystem of LXC, in place of an image.
    `networks` are names of networks of CNI that the container joins.
    Units: `cpus` and `gpus` in cores and devices, `mem` and `disk` in MB.
    """

    name: str
    command: str | Sequence[str]
    cpus: float = 0.1
    mem: float = 32.0
    disk: float = 0.0
    gpus: float = 0.0
    ports: int = 0
    others: Mapping[str, float] = {}
    env: Mapping[str, str] = {}
    uris: Sequence[str] = ()
    user: str | None = None
    image: str = ""
    rootfs: str = ""
    volumes: Sequence[str] = ()
    networks: Sequence[str] = ()
    labels: Mapping[str, str] = {}
    kill_grace_s: float | None = None
    time_limit_s: float | None = None
    template: mesos.TaskInfo | None = None
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            self.id = f"{self.name}-{secrets.token_hex(_ID_BYTES)}"

    @property
    def needs(self) -> dict[str, float]:
        """The scalar resources it takes, those that are not zero."""
        wanted = {"cpus": self.cpus, "mem": self.mem, "disk": self.disk, "gpus": self.gpus, **self.others}
        return {name: amount for name, amount in wanted.items() if amount > 0}

    def info(self, agent_id: str, resources: list[mesos.Resource]) -> mesos.TaskInfo:
        """Return the TaskInfo for this agent and these resources of its offer."""
        info = mesos.TaskInfo(
            name=self.name,
            task_id=mesos.TaskID(value=self.id),
            agent_id=mesos.AgentID(value=agent_id),
            resources=resources,
            command=self._command(resources),
            container=self._container(),
            labels=_labels(self.labels),
            kill_policy=None
            if self.kill_grace_s is None
            else mesos.KillPolicy(grace_period=_duration(self.kill_grace_s)),
            max_completion_time=None if self.time_limit_s is None else _duration(self.time_limit_s),
        )
        if self.template is not None:
            for field in self.template.__struct_fields__:
                if not getattr(info, field) and getattr(self.template, field):
                    setattr(info, field, getattr(self.template, field))
        return info

    def _command(self, resources: list[mesos.Resource]) -> mesos.CommandInfo:
        taken = (number for resource in resources if resource.name == "ports" for number in _numbers(resource))
        env = {f"PORT{index}": str(number) for index, number in enumerate(taken)} | dict(self.env)
        command = mesos.CommandInfo(
            uris=[mesos.CommandInfo_URI(value=uri) for uri in self.uris],
            environment=_environment(env),
            user=self.user,
        )
        if isinstance(self.command, str):
            command.value = self.command
        else:
            command.shell = False
            command.arguments = list(self.command)
            command.value = command.arguments[0] if command.arguments else None
        return command

    def _container(self) -> mesos.ContainerInfo | None:
        if not (self.image or self.rootfs or self.volumes or self.networks):
            return None
        image = None
        if self.image:
            image = mesos.Image(type=mesos.Image_Type.DOCKER, docker=mesos.Image_Docker(name=self.image))
        elif self.rootfs:
            image = mesos.Image(type=mesos.Image_Type.APPC, appc=mesos.Image_Appc(name=self.rootfs))
        return mesos.ContainerInfo(
            type=mesos.ContainerInfo_Type.MESOS,
            mesos=None if image is None else mesos.ContainerInfo_MesosInfo(image=image),
            volumes=[_volume(one) for one in self.volumes],
            network_infos=[mesos.NetworkInfo(name=name) for name in self.networks],
        )


def _numbers(resource: mesos.Resource) -> list[int]:
    ranges = resource.ranges.range if resource.ranges is not None else []
    return [number for one in ranges for number in range(one.begin, one.end + 1)]


def _environment(env: Mapping[str, str]) -> mesos.Environment | None:
    if not env:
        return None
    return mesos.Environment(variables=[mesos.Environment_Variable(name=name, value=env[name]) for name in env])


def _volume(text: str) -> mesos.Volume:
    path, _, rest = text.partition(":")
    target, colon, mode = rest.partition(":")
    if not path or not target or (colon and mode not in {"ro", "rw"}):
        raise ValueError(f"'{text}' is no volume: write PATH:TARGET or PATH:TARGET:ro")
    mode_of = mesos.Volume_Mode.RO if mode == "ro" else mesos.Volume_Mode.RW
    return mesos.Volume(mode=mode_of, container_path=target, host_path=path)


def _labels(labels: Mapping[str, str]) -> mesos.Labels | None:
    return mesos.Labels(labels=[mesos.Label(key=key, value=labels[key]) for key in labels]) if labels else None


def _duration(seconds: float) -> mesos.DurationInfo:
    return mesos.DurationInfo(nanoseconds=round(seconds * _NANOSECONDS))
