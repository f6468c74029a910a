"""Containers that are played: what an agent's effects on them lead to, by chance.

Rules: where `life_s` is given, every container starts and ends well after that long. Otherwise chance rules: each launch is answered once, by a start or a failure; what started exits once. A TERM may be ignored, a KILL is not. A signal
that comes before the start counts from the start on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import effects, events

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.kernel import Effect, Event
    from merismos.simulation.network import Agenda, Dice

SIGKILL = 9
NO_CHANCE = 100
OF_CONTAINERS = (
    effects.FetchUris,
    effects.AbortFetch,
    effects.CollectContainer,
    effects.LaunchContainer,
    effects.SignalContainer,
)
EXITS = (0, 0, 0, 0, 1 << 8, 3 << 8, 9, 11)


class Container:
    """One container, from its launch or its fetch on; until its launch is asked for, only its agent knows of it (`is_fetching`)."""

    __slots__ = ("executor", "id", "is_fetching", "is_over", "is_running", "pid", "signals", "status", "stubborn")

    def __init__(self, container_id: str, *, stubborn: bool) -> None:
        self.id = container_id
        self.executor: tuple[str, str] | None = None
        self.is_fetching = False
        self.is_running = False
        self.is_over = False
        self.stubborn = stubborn
        self.pid = 0
        self.status: int | None = None
        self.signals: list[int] = []


class Containers:
    """All containers of one host, and what holds them; `post` says whether an agent heard."""

    def __init__(
        self,
        agenda: Agenda,
        dice: Dice,
        post: Callable[[Event], bool],
        start_executor: Callable[[Container, str, str], None],
        life_s: float | None = None,
    ) -> None:
        self._agenda = agenda
        self._life_s = life_s
        self._dice = dice
        self._post = post
        self._start_executor = start_executor
        self._containers: dict[str, Container] = {}
        self._next_pid = 100
        self._holders = 1

    @property
    def holder(self) -> str:
        """The name of what holds the containers."""
        return f"holder-{self._holders}"

    def held(self) -> tuple[events.HeldContainer, ...]:
        """Return what is held, ended or not."""
        return tuple(
            events.HeldContainer(one.id, one.pid, one.status, one.signals[-1] if one.signals else 0)
            for one in self._containers.values()
            if not one.is_fetching
        )

    def perform(self, effect: Effect) -> None:
        """Do what an agent asks for; what doesn't concern containers is nothing here."""
        match effect:
            case effects.FetchUris():
                container = self._make(effect.container_id)
                container.is_fetching = True
                self._agenda.after(self._dice.uniform(0.01, 5.0), lambda: self._fetched(container))
            case effects.AbortFetch():
                if (aborted := self._containers.pop(effect.container_id, None)) is not None:
                    aborted.is_over = True
            case effects.CollectContainer():
                self._containers.pop(effect.container_id, None)
            case effects.LaunchContainer():
                container = self._containers.get(effect.container_id) or self._make(effect.container_id)
                container.is_fetching = False
                container.executor = effect.executor
                self._agenda.after(self._dice.uniform(0.001, 2.0), lambda: self._start(container))
            case effects.SignalContainer():
                self._signal(effect.container_id, effect.signal)
            case _:
                pass

    def lose_all(self) -> None:
        """Let what holds the containers die, and another take its place; the agent itself fetches, so that goes on."""
        self._holders += 1
        for container in list(self._containers.values()):
            if not container.is_fetching:
                container.is_over = True
                del self._containers[container.id]
        self._post(events.ContainersLost("the supervisor was killed"))
        self._post(events.ContainersRecovered(self.holder, self.held()))

    def end_fetches(self) -> None:
        """The agent is gone, and its fetches with it."""
        for container in list(self._containers.values()):
            if container.is_fetching:
                container.is_over = True
                del self._containers[container.id]

    def forget(self) -> None:
        """End everything without a word: the machine itself is gone."""
        self._holders += 1
        for container in self._containers.values():
            container.is_over = True
        self._containers.clear()

    def _make(self, container_id: str) -> Container:
        container = self._containers[container_id] = Container(container_id, stubborn=self._dice.chance(20))
        return container

    def _fetched(self, container: Container) -> None:
        if container.is_over:
            return
        if self._dice.chance(85):
            self._post(events.UrisFetched(container.id))
        else:
            self._over(container, events.FetchFailed(container.id, "404 Not Found"))

    def _start(self, container: Container) -> None:
        if container.is_over:
            return
        draw = self._dice.below(100) if self._life_s is None else NO_CHANCE
        if draw < 4:  # noqa: PLR2004 - percents
            self._over(container, events.ContainerLaunchFailed(container.id, "no space left on device"))
            return
        if draw < 8:  # noqa: PLR2004 - odds of a hundred or a thousand
            self._over(container, events.ContainerLaunchFailed(container.id, "not found", exec_failed=True))
            return
        container.is_running = True
        self._next_pid += 1
        container.pid = self._next_pid
        self._post(events.ContainerLaunched(container.id, container.pid))
        for signal in container.signals:
            self._react(container, signal)
        if container.executor is not None:
            self._start_executor(container, *container.executor)
            if draw < 20:  # noqa: PLR2004 - odds of a hundred or a thousand
                self._end_after(container, self._dice.uniform(0.1, 100.0), self._dice.pick(EXITS))
        elif draw < 60:  # noqa: PLR2004 - odds of a hundred or a thousand
            self._end_after(container, self._dice.uniform(0.001, 5.0), self._dice.pick(EXITS))
        elif self._life_s is not None:
            self._end_after(container, self._life_s, 0)
        elif draw < 85:  # noqa: PLR2004 - odds of a hundred or a thousand
            self._end_after(container, self._dice.uniform(5.0, 200.0), self._dice.pick(EXITS))

    def _signal(self, container_id: str, signal: int) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return  # it exited, and the agent hears of it soon
        container.signals.append(signal)
        if container.is_running:
            self._react(container, signal)

    def _react(self, container: Container, signal: int) -> None:
        if signal == SIGKILL or not container.stubborn:
            self._end_after(container, self._dice.uniform(0.001, 0.5), signal)

    def _end_after(self, container: Container, delay_s: float, status: int) -> None:
        self._agenda.after(delay_s, lambda: self.end(container, status))

    def end(self, container: Container, status: int) -> None:
        """Let a container exit of its own accord."""
        if not container.is_over:
            container.is_over = True
            container.status = status  # until it is collected
            self._post(events.ContainerExited(container.id, status))

    def _over(self, container: Container, event: Event) -> None:
        """Let a container that never ran be no more."""
        if not container.is_over and self._post(event):
            container.is_over = True
            self._containers.pop(container.id, None)
        elif not container.is_over:
            self._agenda.after(1.0, lambda: self._over(container, event))
