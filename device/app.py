"""The one loop of a handheld: an input is decided on, its effects are performed, and their ends come back as inputs.

Deciding and committing are one turn, and turns never overlap: what a decision saw is what it is committed on. Durable
effects come first and each is on disk before the next begins. Printing and the network run beside the turns. What
cannot be committed, or was not foreseen, ends the process: it starts again from its store, where nothing is half done.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, assert_never

from device.checkpoints import checkpoint
from device.clock import Clock
from device.core.effects import (
    Answer,
    Append,
    AskHead,
    Done,
    Effect,
    FetchChanges,
    FetchPackages,
    FetchPolicy,
    KeepAck,
    KeepChange,
    KeepCodes,
    KeepPackage,
    KeepPolicy,
    Print,
    QueuePaper,
    Refused,
    Upload,
    in_order,
)
from device.core.events import Event, FetchFailed, PrintEnded, Tick, UploadLost, UploadRefused
from device.core.session import CollectorSession, Input
from device.store import DeviceStore
from device.uplink import NetworkEffect

EXIT_FATAL = 70  # sysexits.h EX_SOFTWARE: the supervisor starts the program again.
TICK_S = 1.0

log = logging.getLogger(__name__)
Die = Callable[[BaseException], NoReturn]


class Network(Protocol):
    """Performs a network effect. An event says how it ended; no event says that a person has seen anything."""

    async def perform(self, effect: NetworkEffect) -> Event: ...


class Press(Protocol):
    """Prints a paper, after committing that it has begun. trouble: why none comes out now, as a short code."""

    @property
    def trouble(self) -> str | None: ...

    async def print(self, effect: Print) -> PrintEnded: ...


def die(error: BaseException) -> NoReturn:
    """Leave at once, without the clean-up that would write more. The store holds all that was promised."""
    log.critical("this process cannot go on and ends: %s", error, exc_info=error)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EXIT_FATAL)


class App:
    """A session with its store, printer and network around it."""

    def __init__(
        self,
        session: CollectorSession,
        *,
        store: DeviceStore,
        press: Press,
        network: Network,
        clock: Clock,
        die: Die = die,
    ) -> None:
        self.session = session
        self._store = store
        self._press = press
        self._network = network
        self._clock = clock
        self._die = die
        self._dead = False
        self._trouble = ""
        self._turn = asyncio.Lock()
        self._turns: set[asyncio.Task[Answer | None]] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()

    async def start(self, tick_s: float | None = TICK_S) -> None:
        """Settle what a restart left open, then let time pass. tick_s: None where someone else dispatches Tick."""
        await self._in_turn(lambda: self.session.recover(self._clock.now()))
        if tick_s is not None:
            self._ticker = asyncio.create_task(self._tick(tick_s))

    async def close(self) -> None:
        """Let turns end and stop the rest. A print under way is not waited for: at the next start it is UNKNOWN."""
        running = [*self._under_way, *([self._ticker] if self._ticker is not None else [])]
        while running or self._turns:
            for task in running:
                task.cancel()
            await asyncio.wait([*running, *self._turns])
            self._under_way.difference_update(running)
            running = [*self._under_way]  # A turn that was being played may have begun another call.

    async def dispatch(self, given: Input) -> Answer | None:
        """Decide and commit; the answer of a command comes back when all that it rests on is on disk."""
        return await self._in_turn(lambda: self.session.handle(given, self._clock.now()))

    async def quiet(self) -> None:
        """Wait until no print and no call is under way."""
        while self._turns or self._under_way:
            await asyncio.wait([*self._turns, *self._under_way], return_when=asyncio.FIRST_COMPLETED)

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds, looking after each turn; whether it came to hold in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    await self._turned.wait()
        except TimeoutError:
            return holds()
        return True

    @property
    def under_way(self) -> bool:
        """Whether a print or a call has not ended yet."""
        return bool(self._under_way) or self.session.busy

    @property
    def printer_trouble(self) -> str | None:
        """Why no paper comes out at this moment, as a short code."""
        return self._press.trouble

    async def _in_turn(self, decide: Callable[[], tuple[Effect, ...]]) -> Answer | None:
        # Whoever asked may go away; the turn is played to its end all the same, or the next would see half of it.
        turn = asyncio.create_task(self._play(decide))
        self._turns.add(turn)
        turn.add_done_callback(self._turns.discard)
        return await asyncio.shield(turn)

    async def _play(self, decide: Callable[[], tuple[Effect, ...]]) -> Answer | None:
        async with self._turn:
            assert not self._dead, "a process that could not go on went on"
            try:
                effects = decide()
                assert in_order(effects), "a visible effect must not come before a durable one"
                answer = await self._perform(effects)
            except Exception as error:  # noqa: BLE001 -- The core may hold what is not on disk: believe the store alone.
                self._fatal(error)
            self._turned.set()  # Wakes all who wait; the next turn has an event of its own.
            self._turned = asyncio.Event()
            return answer

    async def _perform(self, effects: tuple[Effect, ...]) -> Answer | None:
        answer = None
        for effect in effects:
            checkpoint(f"before {type(effect).__name__}")
            match effect:
                case Append():
                    await self._store.append(effect)
                    log.info("record %d %s", effect.sealed.header.seq, type(effect.sealed.record).__name__)
                case QueuePaper():
                    await self._store.queue_paper(effect)
                case KeepPolicy():
                    await self._store.keep_policy(effect)
                    log.info("policy %d", effect.version)
                case KeepCodes():
                    await self._store.keep_codes(effect)
                case KeepPackage():
                    await self._store.keep_package(effect)
                    log.info("package of route %s, version %d", effect.route, effect.version)
                case KeepChange():
                    await self._store.keep_change(effect)
                case KeepAck():
                    await self._store.acknowledge(effect)
                    log.info("the hub has everything up to record %d", effect.seq)
                case Print():
                    self._begin(self._press.print(effect))
                case Upload() | AskHead() | FetchPackages() | FetchPolicy() | FetchChanges():
                    self._begin(self._network.perform(effect))
                case Answer():
                    answer = effect
                    _note(effect.outcome)
                case never:
                    assert_never(never)
            checkpoint(f"after {type(effect).__name__}")
        return answer

    def _begin(self, work: Awaitable[Event]) -> None:
        task = asyncio.create_task(self._follow(work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _follow(self, work: Awaitable[Event]) -> None:
        """Wait for a print or a call, and take in how it ended."""
        try:
            event = await work
        except Exception as error:  # noqa: BLE001 -- The session would wait for ever for how this ended.
            self._fatal(error)
        if isinstance(event, PrintEnded):
            log.info("paper %s: %s", event.job.kind.name, event.result.outcome.name)
        elif isinstance(event, UploadLost | UploadRefused | FetchFailed) and event.sentence != self._trouble:
            self._trouble = event.sentence  # Said once: a day without network is a thousand tries.
            log.warning("%s: %s", type(event).__name__, event.sentence)
        await self.dispatch(event)

    async def _tick(self, tick_s: float) -> None:
        while True:
            await asyncio.sleep(tick_s)
            await self.dispatch(Tick(printer=self._press.trouble))

    def _fatal(self, error: BaseException) -> NoReturn:
        self._dead = True
        self._die(error)


def _note(outcome: Done | Refused) -> None:
    match outcome:
        case Refused():
            log.info("refused: %s", outcome.reason)
        case Done(again=True):
            log.info("the same intent again")
        case Done():
            pass
