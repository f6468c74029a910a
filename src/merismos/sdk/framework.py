"""A framework: handlers for what the master says, and calls to it.

Rules: handlers run one at a time, in the order of the events; a handler may be a plain or an async function. An offer is accepted
or declined when its handlers have returned, with what they launched on it. An update is acknowledged when its handlers have
returned, so what a handler did not finish comes again. After a lost connection the framework subscribes again under its id and
asks for the state of every task that it knows to be alive. An exception out of a handler ends `run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from merismos.protocol.v1 import mesos, scheduler
from merismos.sdk import local_cluster
from merismos.sdk.offer import Offer
from merismos.sdk.session import NotSubscribedError, RefusedError, Session
from merismos.sdk.update import Update

if TYPE_CHECKING:
    from types import TracebackType

CAPABILITIES: Final = ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "TASK_KILLING_STATE")
_TEARDOWN_S_MAX: Final = 5.0

Later = Awaitable[None] | None
OnOffer = TypeVar("OnOffer", bound=Callable[[Offer], Later])
OnUpdate = TypeVar("OnUpdate", bound=Callable[[Update], Later])
OnText = TypeVar("OnText", bound=Callable[[str], Later])
OnFailure = TypeVar("OnFailure", bound=Callable[[scheduler.Event_Failure], Later])
OnMessage = TypeVar("OnMessage", bound=Callable[[scheduler.Event_Message], Later])
Handler = TypeVar("Handler", bound=Callable[..., Any])
Call = scheduler.Call
Type = scheduler.Call_Type


class FrameworkError(Exception):
    """The master won't have this framework; the text says why."""


class Framework:
    """A scheduler of tasks on a cluster.

    Shapes: `master` is HOST:PORT, several of them with commas between, or zk://HOST:PORT,HOST:PORT/PATH to find the leader there; without it the one of MERISMOS_MASTER, of a running `merismos up`, or 127.0.0.1:5050.
    With `framework_id`, it takes over from an earlier scheduler of that id, or comes back after it.
    Units: tasks outlive a framework that is away for at most `failover_timeout_s`.
    Errors: FrameworkError out of `run` when the master refuses it.
    """

    def __init__(
        self,
        name: str,
        *,
        master: str | None = None,
        framework_id: str = "",
        roles: Sequence[str] = ("*",),
        user: str | None = None,
        capabilities: Iterable[str] = CAPABILITIES,
        failover_timeout_s: float = 60.0,
        refuse_s: float = 5.0,
        principal: str | None = None,
        secret: str | None = None,
        offer_constraints: scheduler.OfferConstraints | None = None,
        teardown_at_end: bool = True,
    ) -> None:
        self.info = mesos.FrameworkInfo(
            name=name,
            id=mesos.FrameworkID(value=framework_id) if framework_id else None,
            user=user if user is not None else user_name(),
            roles=list(roles),
            failover_timeout=failover_timeout_s,
            checkpoint=True,
            principal=principal,
            capabilities=[
                mesos.FrameworkInfo_Capability(type=mesos.FrameworkInfo_Capability_Type(one)) for one in capabilities
            ],
        )
        subscribe = scheduler.Call_Subscribe(framework_info=self.info, offer_constraints=offer_constraints)
        self._session = Session(local_cluster.find_master(master), subscribe, secret=secret)
        self._refuse_s = refuse_s
        self._teardown_at_end = teardown_at_end
        self._handlers: dict[str, list[Callable[..., Any]]] = {}
        self._alive: dict[str, str] = {}
        self._stopping = asyncio.Event()
        self._background: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ what happens
    def on_offer(self, handler: OnOffer) -> OnOffer:
        """Call `handler(offer)` for each offer; what it doesn't launch on is declined."""
        return self._on("offer", handler)

    def on_update(self, handler: OnUpdate) -> OnUpdate:
        """Call `handler(update)` for each status update of a task."""
        return self._on("update", handler)

    def on_subscribed(self, handler: OnText) -> OnText:
        """Call `handler(framework_id)` each time the framework is subscribed."""
        return self._on("subscribed", handler)

    def on_disconnected(self, handler: OnText) -> OnText:
        """Call `handler(reason)` each time the subscription, or an attempt at one, is lost."""
        return self._on("disconnected", handler)

    def on_rescind(self, handler: OnText) -> OnText:
        """Call `handler(offer_id)` when the master takes an offer back."""
        return self._on("rescind", handler)

    def on_failure(self, handler: OnFailure) -> OnFailure:
        """Call `handler(failure)` when an agent is lost or an executor ends."""
        return self._on("failure", handler)

    def on_message(self, handler: OnMessage) -> OnMessage:
        """Call `handler(message)` when an executor sends bytes."""
        return self._on("message", handler)

    # ------------------------------------------------------------ what to do
    @property
    def id(self) -> str:
        """The framework's id, empty before it is subscribed for the first time."""
        return self._session.framework_id

    @property
    def master(self) -> str:
        """HOST:PORT of the master that it is subscribed to, or tries to be."""
        return str(self._session.master or "no leading master yet")

    async def kill(self, task_id: str, *, grace_s: float | None = None) -> None:
        """End a task, with this much grace instead of its own."""
        policy = None
        if grace_s is not None:
            policy = mesos.KillPolicy(grace_period=mesos.DurationInfo(nanoseconds=round(grace_s * 1e9)))
        agent_id = self._alive.get(task_id, "")
        kill = scheduler.Call_Kill(
            task_id=mesos.TaskID(value=task_id),
            agent_id=mesos.AgentID(value=agent_id) if agent_id else None,
            kill_policy=policy,
        )
        await self.call(Call(type=Type.KILL, kill=kill))

    async def suppress(self, *roles: str) -> None:
        """Ask for no more offers, in these roles or in all."""
        await self.call(Call(type=Type.SUPPRESS, suppress=scheduler.Call_Suppress(roles=list(roles))))

    async def revive(self, *roles: str) -> None:
        """Ask for offers again, also for those declined."""
        await self.call(Call(type=Type.REVIVE, revive=scheduler.Call_Revive(roles=list(roles))))

    async def request(self, needs: Mapping[str, float]) -> None:
        """Say which scalar resources are waited for, so that `merismos why` and the page can say what they lack."""
        resources = [
            mesos.Resource(name=name, type=mesos.Value_Type.SCALAR, scalar=mesos.Value_Scalar(value=amount))
            for name, amount in needs.items()
        ]
        request = scheduler.Call_Request(requests=[mesos.Request(resources=resources)])
        await self.call(Call(type=Type.REQUEST, request=request))

    async def reconcile(self, *task_ids: str) -> None:
        """Ask for the state of these tasks, or of all that the master knows of this framework."""
        tasks = [_reconciled(task_id, self._alive.get(task_id, "")) for task_id in task_ids]
        await self.call(Call(type=Type.RECONCILE, reconcile=scheduler.Call_Reconcile(tasks=tasks)))

    async def send(self, agent_id: str, executor_id: str, data: bytes) -> None:
        """Send bytes to an executor."""
        message = scheduler.Call_Message(
            agent_id=mesos.AgentID(value=agent_id), executor_id=mesos.ExecutorID(value=executor_id), data=data
        )
        await self.call(Call(type=Type.MESSAGE, message=message))

    async def call(self, call: Call) -> None:
        """Send any call, as soon as the framework is subscribed.

        Errors: RefusedError when the master refuses it.
        """
        while True:
            await self._session.subscribed.wait()
            with contextlib.suppress(NotSubscribedError):
                return await self._session.call(call)

    def stop(self) -> None:
        """Let `run` return; with it the framework is torn down, unless `teardown_at_end` says otherwise."""
        self._stopping.set()

    # ------------------------------------------------------------ running
    async def run(self) -> None:
        """Be subscribed until `stop` is called.

        Errors: FrameworkError; whatever a handler raises.
        """
        following = asyncio.create_task(self._session.run(self._on_event, self._on_lost))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        except RefusedError as error:
            raise FrameworkError(
                f"{self.master} refuses the framework {self.info.name!r} or a call of it: {error}"
            ) from error
        finally:
            if self._teardown_at_end:
                await self._teardown()
            for task in (following, stopping):
                task.cancel()
            await asyncio.gather(following, stopping, return_exceptions=True)

    def run_forever(self) -> None:
        """Run in an event loop of its own until `stop` or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self.run())

    async def __aenter__(self) -> Self:
        """Run in the background; return once subscribed."""
        self._background = asyncio.create_task(self.run())
        subscribed = asyncio.create_task(self._session.subscribed.wait())
        await asyncio.wait({self._background, subscribed}, return_when=asyncio.FIRST_COMPLETED)
        subscribed.cancel()
        if self._background.done():
            self._background.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and raise what ended the run."""
        self.stop()
        if self._background is not None:
            await self._background

    async def _teardown(self) -> None:
        if self._session.subscribed.is_set():
            with contextlib.suppress(NotSubscribedError, RefusedError, TimeoutError):
                async with asyncio.timeout(_TEARDOWN_S_MAX):
                    await self._session.call(Call(type=Type.TEARDOWN))

    # ------------------------------------------------------------ events
    def _on(self, what: str, handler: Handler) -> Handler:
        self._handlers.setdefault(what, []).append(handler)
        return handler

    async def _tell(self, what: str, *arguments: object) -> None:
        for handler in self._handlers.get(what, []):
            result = handler(*arguments)
            if inspect.isawaitable(result):
                await result

    async def _on_lost(self, reason: str) -> None:
        await self._tell("disconnected", reason)

    async def _on_event(self, event: scheduler.Event) -> None:
        if event.offers is not None:
            await self._on_offers([Offer(one) for one in event.offers.offers])
        elif event.update is not None:
            await self._on_status(event.update.status)
        elif event.subscribed is not None:
            if self._alive:
                await self._best_effort(self.reconcile(*self._alive))
            await self._tell("subscribed", self.id)
        elif event.rescind is not None:
            await self._tell("rescind", event.rescind.offer_id.value)
        elif event.failure is not None:
            await self._tell("failure", event.failure)
        elif event.message is not None:
            await self._tell("message", event.message)
        elif event.error is not None:
            raise FrameworkError(f"{self.master} ends the framework {self.info.name!r}: {event.error.message}")

    async def _on_offers(self, offers: list[Offer]) -> None:
        declined: dict[float, list[mesos.OfferID]] = {}
        for offer in offers:
            await self._tell("offer", offer)
            refuse_s = self._refuse_s if offer.refuse_s is None else offer.refuse_s
            if offer.task_infos:
                await self._accept(offer, refuse_s)
            else:
                declined.setdefault(refuse_s, []).append(offer.info.id)
        for refuse_s, ids in declined.items():
            decline = scheduler.Call_Decline(offer_ids=ids, filters=mesos.Filters(refuse_seconds=refuse_s))
            await self._best_effort(self._session.call(Call(type=Type.DECLINE, decline=decline)))

    async def _accept(self, offer: Offer, refuse_s: float) -> None:
        launch = mesos.Offer_Operation_Launch(task_infos=offer.task_infos)
        accept = scheduler.Call_Accept(
            offer_ids=[offer.info.id],
            operations=[mesos.Offer_Operation(type=mesos.Offer_Operation_Type.LAUNCH, launch=launch)],
            filters=mesos.Filters(refuse_seconds=refuse_s),
        )
        self._alive.update((task.id, offer.agent_id) for task in offer.tasks)
        # After an error the launch may or may not have reached the master: reconciliation on the next subscription tells.
        await self._best_effort(self._session.call(Call(type=Type.ACCEPT, accept=accept)))

    async def _on_status(self, status: mesos.TaskStatus) -> None:
        update = Update(status)
        if update.is_terminal:
            self._alive.pop(update.task_id, None)
        else:
            self._alive[update.task_id] = update.agent_id
        await self._tell("update", update)
        if status.uuid and status.agent_id is not None:
            acknowledge = scheduler.Call_Acknowledge(agent_id=status.agent_id, task_id=status.task_id, uuid=status.uuid)
            await self._best_effort(self._session.call(Call(type=Type.ACKNOWLEDGE, acknowledge=acknowledge)))

    @staticmethod
    async def _best_effort(call: Awaitable[None]) -> None:
        with contextlib.suppress(NotSubscribedError):
            await call


def user_name() -> str:
    """Return the name of the user that runs this process, or its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _reconciled(task_id: str, agent_id: str) -> scheduler.Call_Reconcile_Task:
    return scheduler.Call_Reconcile_Task(
        task_id=mesos.TaskID(value=task_id), agent_id=mesos.AgentID(value=agent_id) if agent_id else None
    )
