"""A loopback door by which a program drives a handheld without a screen: JSON in, JSON out.

Commands are those of `device.core.commands`, by class name; READERS says how each field is read. Nothing is decided
here. Only this machine may knock: the address is loopback, and a request that names another host or comes from a web
page (it has an Origin) is turned away, or any page open in a browser here could collect money.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, get_args

from aiohttp import web

from device.app import App
from device.core.commands import Command, OpenLogIn, OverrideHold, Which
from device.core.effects import Answer, Done, PaperState, Refused
from device.core.stops import MARK_BYTES, StopWork
from device.core.work import Work
from device.paper_words import paper_words
from device.stop_index import StopIndex
from protocol import codec
from protocol.codec import FieldError
from protocol.fields import Code, CustomerId, DateText, Index, M3Signed, OptionalText, VndPositive
from protocol.reasons import words
from protocol.records import ContactOutcome, Denominations, PaperKind, Record, Seq, UserCode, VoidReason

BODY_BYTES_MAX = 16 * 2**10  # The longest command is a count of cash: some hundred bytes.
BODY_TIMEOUT_S = 10
QUIET_TIMEOUT_S = 30
QUIET_TIMEOUT_MAX_S = 600
LAST_ANSWER_S = 5  # How long a clean end waits for answers under way; a ticket may want a new roll for minutes.
STOPS_PAGE = 500  # About 100 kB of JSON.

Json = dict[str, Any]
Reader = Callable[[Any, str], Any]
_REQUEST_HOSTS = ("127.0.0.1", "localhost")


class BadRequestError(Exception):
    """The request cannot be understood; the sentence says what is wrong with it."""


def _hex(size: int) -> Reader:
    def read(content: Any, path: str) -> bytes:
        if not isinstance(content, str) or len(content) != 2 * size:
            raise FieldError(path, f"must be {size} bytes in hex")
        try:
            return bytes.fromhex(content)
        except ValueError as error:
            raise FieldError(path, f"must be {size} bytes in hex") from error

    return read


def _member(cls: type[Enum]) -> Reader:
    def read(content: Any, path: str) -> Enum:
        if not isinstance(content, str) or content not in cls.__members__:
            raise FieldError(path, f"must be one of {', '.join(cls.__members__)}")
        return cls[content]

    return read


def _flag(content: Any, path: str) -> bool:
    if not isinstance(content, bool):
        raise FieldError(path, "must be true or false")
    return content


# Field of a command: how its JSON is read. One name means one thing in all commands; members of enums go by name.
READERS: dict[str, Reader] = {
    "intent": _hex(16),
    "collector": codec.reader(UserCode),
    "business_date": codec.reader(DateText),
    "customer": codec.reader(CustomerId),
    "code": codec.reader(Code),
    "index": codec.reader(Index),
    "removed_index": codec.reader(Index),
    "installed_index": codec.reader(Index),
    "confirmed": _flag,
    "confirms_m3": codec.reader(M3Signed),
    "amount_vnd": codec.reader(VndPositive),
    "which": _member(Which),
    "receipt_no": codec.reader(Seq),
    "reason": _member(VoidReason),
    "note": codec.reader(OptionalText),
    "kind": _member(PaperKind),
    "notes": codec.reader(Denominations),
    "photo": _hex(32),
    "seen": _hex(MARK_BYTES),
    "outcome": _member(ContactOutcome),
    "come_back": codec.reader(DateText),
}
# What rests on a supervisor's code comes through `device.access` alone, which checks the code.
COMMANDS: dict[str, type[Any]] = {
    cls.__name__: cls for cls in get_args(Command) if cls not in (OverrideHold, OpenLogIn)
}
DOUBTFUL = "doubtful"  # Beside the states of jobs: its job is over, and the question open.
# What of a record a program may want to see at once.
RECORD_FIELDS = ("customer", "period", "amount_vnd", "receipt_no", "code", "index", "use_m3", "hold", "total_vnd")


def command_of(given: object) -> Command:
    """The command that a JSON object asks for. Raises BadRequestError."""
    if not isinstance(given, dict) or not isinstance(given.get("command"), str):
        raise BadRequestError('a command is an object with the name of the command under "command"')
    cls = COMMANDS.get(given["command"])
    if cls is None:
        raise BadRequestError(f"there is no such command; there are {', '.join(COMMANDS)}")
    known = {field.name: field for field in fields(cls)}
    content = {name: value for name, value in given.items() if name != "command"}
    if unknown := content.keys() - known:
        raise BadRequestError(f"{cls.__name__} has no field {min(unknown)}")
    arguments: Json = {}
    for name, field in known.items():
        if content.get(name) is None:
            if field.default is MISSING:
                raise BadRequestError(f"{cls.__name__} needs {name}")
            continue
        try:
            arguments[name] = READERS[name](content[name], name)
        except FieldError as error:
            raise BadRequestError(str(error)) from error
    command: Command = cls(**arguments)
    return command


def answer_json(answer: Answer) -> Json:
    """What a command came to."""
    match answer.outcome:
        case Done(sealed=sealed, again=again):
            record = None if sealed is None else record_json(sealed.record)
            head = {} if sealed is None else {"seq": sealed.header.seq, "digest": sealed.digest.hex()}
            return {"done": True, "again": again, "seq": None, "digest": None, **head, "record": record}
        case Refused(reason=reason, warnings=warnings, detail=detail):
            return {
                "done": False,
                "reason": reason.value,
                "words": words(reason),
                "warnings": [warning.value for warning in warnings],
                "detail": detail,
            }


def record_json(record: Record) -> Json:
    """The main fields of a record; null where its kind has no such field."""
    content = {name: getattr(record, name, None) for name in RECORD_FIELDS}
    if (bill := getattr(record, "bill", None)) is not None:
        content["total_vnd"] = bill.total_vnd
    return {"kind": type(record).__name__, **content}


def state_json(app: App) -> Json:
    """The handheld at a glance."""
    session, work = app.session, app.session.work
    progress, shift, states = work.progress(), work.shift, list(work.papers.values())
    return {
        "device": session.identity.device,
        "collector": shift.collector if shift is not None else None,
        "period": shift.period if shift is not None else None,
        "head": {"seq": work.tip.seq, "digest": work.tip.digest.hex()},
        "unsent": session.outbox.unsent,
        "acked": session.outbox.acked,
        "progress": {
            "stops": progress.stops,
            "read": progress.read,
            "cash_customers": progress.cash_customers,
            "cash_paid": progress.cash_paid,
            "read_per_myriad": progress.read_per_myriad,
            "collect_per_myriad": progress.collect_per_myriad,
        },
        "shift": None if shift is None else {"business_date": shift.business_date, "open": shift.is_open},
        "cash_vnd": shift.cash_vnd if shift is not None else 0,
        "papers": {state.value: states.count(state) for state in PaperState},
        "waiting_papers": waiting_papers(work),
        "doubtful_papers": doubtful_papers(work),
        "printer": {"trouble": app.printer_trouble, "words": printer_sentence(app.printer_trouble)},
        "trouble": session.outbox.trouble or session.exchange.trouble,
        "last_contact_ms": session.exchange.last_contact_ms,
        "busy": app.under_way,
        "routes": [
            {
                "route": package.route,
                "version": package.version,
                "period": package.period,
                "collector": package.collector,
                "stops": len(package.stops),
                "changes": work.changes_version.get(package.route, 0),
            }
            for package in work.packages.values()
        ],
    }


def waiting_papers(work: Work) -> list[Json]:
    """Papers that have not come out yet, of the oldest record first, with why they did not at the last try."""
    jobs = sorted(work.papers, key=lambda job: work.by_digest[job.about].header.seq)
    return [
        paper_json(work, job.kind, job.about, job.print_no, job.customer, work.papers[job].value, work.why_not(job))
        for job in jobs
    ]


def doubtful_papers(work: Work) -> list[Json]:
    """Papers that the collector has to look for, of the oldest record first, with why nobody else can say."""
    doubts = sorted(work.doubts.values(), key=lambda end: work.by_digest[end.about].header.seq)
    return [
        paper_json(work, end.paper, end.about, end.print_no, end.customer, DOUBTFUL, end.reason) for end in doubts
    ]


def paper_json(
    work: Work, kind: PaperKind, about: bytes, print_no: int, customer: str | None, state: str, reason: str | None
) -> Json:
    """One paper; kind, customer and receipt_no are what PrintPaper and ConfirmPaper know it by."""
    return {
        "kind": kind.name,
        "customer": customer,
        "receipt_no": getattr(work.by_digest[about].record, "receipt_no", None),
        "print_no": print_no,
        "state": state,
        "reason": reason,
        "words": printer_sentence(reason),
    }


def printer_sentence(reason: str | None) -> str | None:
    """What a collector is told of a printer."""
    return None if reason is None else paper_words(reason)[0]


def stop_line(work: StopWork) -> Json:
    """One line of the list of stops."""
    stop = work.stop
    return {
        "customer": stop.customer,
        "walk_seq": stop.walk_seq,
        "route_day": stop.route_day,
        "name": stop.name,
        "read": work.is_read,
        "due_vnd": {which.name: work.due(which).amount_vnd for which in Which},
    }


def stop_json(work: StopWork) -> Json:
    """All of a stop that a round needs."""
    stop, bill, hold = work.stop, work.bill(), work.hold()
    dues = {which.name: work.due(which) for which in Which}
    return stop_line(work) | {
        "route": work.package.route,
        "period": work.package.period,
        "address": stop.address,
        "register_no": stop.register_no,
        "meter": stop.meter.serial,
        "payment_method": work.facts_now.payment_method,
        "previous_index": stop.history[-1].index,
        "paid": work.is_paid(),
        "hold": None if hold is None else hold.value,
        "hold_words": None if hold is None else words(hold),
        "bill_no": work.bill_no,
        "bill_total_vnd": None if bill is None else bill.total_vnd,
        "taken": None if work.taken is None else record_json(work.taken.record),
        "skipped": None if work.skipped is None else record_json(work.skipped.record),
        "known": None if stop.known is None else {"index": stop.known.index, "open_vnd": stop.known.open_vnd},
        "dues": {
            name: {
                "amount_vnd": due.amount_vnd,
                "credit_vnd": due.credit_vnd,
                "rounding_vnd": due.rounding_vnd,
                "bills": [[one.bill_no, one.amount_vnd] for one in due.bills],
            }
            for name, due in dues.items()
        },
        "collections": [
            {"receipt_no": one.record.receipt_no, "amount_vnd": one.record.amount_vnd, "voided": one.voided}
            for one in work.collections
        ],
    }


class Drive:
    """The door itself. `stopped` is set when a program has asked the handheld to end. routes: what else there is."""

    def __init__(
        self, app: App, routes: Iterable[web.AbstractRouteDef] = (), stopped: asyncio.Event | None = None
    ) -> None:
        self._app = app
        self._more = tuple(routes)
        self._index = StopIndex(app.session.work)
        self._runner: web.AppRunner | None = None
        self._hosts: frozenset[str] = frozenset()
        self.stopped = stopped if stopped is not None else asyncio.Event()

    async def listen(self, port: int) -> int:
        """Open the door on 127.0.0.1 and say on which port; 0 lets the system choose."""
        site_app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._guard])
        site_app.add_routes(
            [
                web.post("/commands", self._commands),
                web.get("/state", self._state),
                web.get("/stops", self._stops),
                web.get("/stops/{customer}", self._stop),
                web.get("/search", self._search),
                web.get("/quiet", self._quiet),
                web.post("/stop", self._end),
                *self._more,
            ]
        )
        self._runner = web.AppRunner(
            site_app, access_log=None, auto_decompress=False, keepalive_timeout=75, shutdown_timeout=LAST_ANSWER_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        _, bound, *_ = self._runner.addresses[0]
        self._hosts = frozenset(f"{host}:{bound}" for host in _REQUEST_HOSTS)
        return int(bound)

    async def close(self) -> None:
        """Shut the door; answers under way are given first."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.headers.get("Host") not in self._hosts or "Origin" in request.headers:
            return refusal(403, "only programs on this machine may drive this handheld")
        try:
            return await handler(request)
        except BadRequestError as error:
            return refusal(400, str(error))
        except web.HTTPException as error:
            return refusal(error.status, error.reason)

    async def _commands(self, request: web.Request) -> web.Response:
        answer = await self._app.dispatch(command_of(await body_of(request)))
        assert answer is not None, "every command has an answer"
        return web.json_response(answer_json(answer))

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(state_json(self._app))

    async def _stops(self, request: web.Request) -> web.Response:
        start = number(request, "cursor", 0, 10**6)
        works = self._index.in_walking_order()
        after = start + STOPS_PAGE
        page = {
            "stops": [stop_line(work) for work in works[start:after]],
            "next": after if after < len(works) else None,
        }
        return web.json_response(page)

    async def _stop(self, request: web.Request) -> web.Response:
        work = self._app.session.work.stops.get(request.match_info["customer"])
        if work is None:
            return refusal(404, "there is no such customer on this handheld")
        return web.json_response(stop_json(work))

    async def _search(self, request: web.Request) -> web.Response:
        found = self._index.search(request.query.get("q", ""))
        return web.json_response({"stops": [stop_line(work) for work in found]})

    async def _quiet(self, request: web.Request) -> web.Response:
        timeout_s = number(request, "timeout_s", QUIET_TIMEOUT_S, QUIET_TIMEOUT_MAX_S)
        try:
            async with asyncio.timeout(timeout_s):
                await self._app.quiet()
        except TimeoutError:
            return web.json_response({"quiet": False})
        return web.json_response({"quiet": True})

    async def _end(self, _request: web.Request) -> web.Response:
        self.stopped.set()
        return web.json_response({"stopping": True})


async def body_of(request: web.Request) -> object:
    """The JSON of a body. Raises BadRequestError."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            given: object = json.loads(await request.read())
    except TimeoutError as error:
        raise BadRequestError("the body did not come") from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the body is not JSON") from error
    return given


def number(request: web.Request, name: str, default: int, high: int) -> int:
    """A number of the query. Raises BadRequestError."""
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > high:
        raise BadRequestError(f"{name} must be a whole number from 0 to {high}")
    return int(text)


def refusal(status: int, sentence: str) -> web.Response:
    """What was asked is not done, and why."""
    return web.json_response({"error": sentence}, status=status)
