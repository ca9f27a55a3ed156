"""The calls of a handheld (records.md, API between handheld and hub)."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy import Connection, case, select, update

from hub.api.bodies import Claims, read_body, refusal
from hub.app import Hub
from hub.codes import keep_ready, sheet_of
from hub.core.verify import RefusedError
from hub.enrolment import Enrolments, enrol
from hub.intake import ACTIVE, PENDING, Sender
from hub.photos import Photos
from hub.store.schema import account, handheld, package, route, unit
from protocol.codec import decode, unpack
from protocol.wire import (
    BODY_TYPE,
    CHANGES_MAX,
    Changes,
    HubTime,
    Packages,
    RefusalCode,
    RequestClaim,
    StopChange,
    body,
)

ACK_TYPE = "application/cose"
COUNTER_DIGITS_MAX = 10  # Counters have 31 bits; longer numbers do not fit the database's.
Handler = Callable[[web.Request], Awaitable[web.Response]]


class DeviceApi:
    """Handlers for one hub; each is thin: read, ask the hub, answer."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._claims = Claims(hub.intake)
        self._enrolments = Enrolments()
        self._photos = Photos(hub.home.folder)

    def add_to(self, app: web.Application) -> None:
        """Register the calls."""
        app.router.add_get("/v1/time", self._answered(self.get_time))
        app.router.add_post("/v1/enrol", self._answered(self.post_enrol))
        app.router.add_post("/v1/records", self._answered(self.post_records))
        app.router.add_get("/v1/records/head", self._answered(self.get_head))
        app.router.add_get("/v1/packages", self._answered(self.get_packages))
        app.router.add_get("/v1/policy", self._answered(self.get_policy))
        app.router.add_get("/v1/changes", self._answered(self.get_changes))
        app.router.add_put("/v1/photos/{name}", self._answered(self.put_photo))

    def _answered(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except RefusedError as error:
                return refusal(error, self._hub.clock())

        return answer

    async def get_time(self, request: web.Request) -> web.Response:
        """The hub's clock, with a nonce for an enrolment."""
        answer = HubTime(hub_ms=self._hub.clock(), nonce=self._enrolments.nonce())
        return web.Response(body=body(answer), content_type=BODY_TYPE)

    async def post_enrol(self, request: web.Request) -> web.Response:
        """A handheld asks in with a one-time code."""
        answer = await enrol(self._hub, self._enrolments, await read_body(request))
        return web.Response(body=body(answer), content_type=BODY_TYPE)

    async def post_records(self, request: web.Request) -> web.Response:
        """An upload: ack of what is durably stored, or why not, with the head and an ack of the kept prefix.

        No claim is asked for: the records prove themselves, and a revoked handheld's money must still arrive.
        """
        taken = await self._hub.intake.take(await read_body(request))
        if taken.refused is not None or taken.ack is None:
            error = taken.refused or RefusedError(RefusalCode.NOT_A_RECORD, "an upload has at least one record")
            return refusal(error, self._hub.clock(), taken.head, taken.ack)
        return web.Response(body=taken.ack, content_type=ACK_TYPE)

    async def get_head(self, request: web.Request) -> web.Response:
        """The signed ack of all that the hub has of this handheld."""
        sender, _ = await self._asking(request)
        _, ack = await self._hub.intake.head(sender.device)
        return web.Response(body=ack, content_type=ACK_TYPE)

    async def get_packages(self, request: web.Request) -> web.Response:
        """Policy, route packages for this handheld's collector, and the handheld's codes."""
        return await self._signed_down(request, with_routes=True)

    async def get_policy(self, request: web.Request) -> web.Response:
        """The same without the routes: a log-in that waits for it must not wait for ten thousand customers."""
        return await self._signed_down(request, with_routes=False)

    async def _signed_down(self, request: web.Request, *, with_routes: bool) -> web.Response:
        sender, _ = await self._asking(request)
        self._require_active(sender)
        await keep_ready(self._hub, sender.device)

        def read(connection: Connection) -> Packages:
            return Packages(
                policy=self._hub.books.policy_message(connection),
                packages=self._routes(connection, sender.collector) if with_routes else (),
                codes=sheet_of(connection, self._hub.books, sender.device),
            )

        return web.Response(body=body(await self._hub.read(read)), content_type=BODY_TYPE)

    def _routes(self, connection: Connection, collector: str) -> tuple[bytes, ...]:
        """The newest package of each route that a collector walks."""
        unit_code = self._hub.books.unit
        query = (
            select(package.c.message)
            .join(
                route,
                (route.c.unit == package.c.unit)
                & (route.c.route == package.c.route)
                & (route.c.version == package.c.version),
            )
            .where(route.c.unit == unit_code, route.c.collector == collector)
            .order_by(package.c.route)
        )
        return tuple(connection.execute(query).scalars())

    async def put_photo(self, request: web.Request) -> web.Response:
        """A piece of a photo. Who sends it is checked and not noted: photos leave the database to the records."""
        content = await read_body(request)
        sender, _ = await self._claims.check(request, content, self._hub.clock())
        self._require_active(sender)
        have = await self._photos.take(
            sender.device,
            request.match_info["name"],
            offset=_number(request, "offset"),
            size=_number(request, "size"),
            content=content,
        )
        return web.Response(body=body(have), content_type=BODY_TYPE)

    async def get_changes(self, request: web.Request) -> web.Response:
        """What changed on a route since a counter."""
        sender, _ = await self._asking(request)
        self._require_active(sender)
        name, after = request.query.get("route", ""), _number(request, "after")
        answer = await self._hub.read(lambda connection: self._changes(connection, sender, name, after))
        return web.Response(body=body(answer), content_type=BODY_TYPE)

    def _changes(self, connection: Connection, sender: Sender, name: str, after: int) -> Changes:
        unit_code = self._hub.books.unit
        where = (route.c.unit == unit_code, route.c.route == name, route.c.collector == sender.collector)
        if connection.execute(select(route.c.route).where(*where)).first() is None:
            raise RefusedError(RefusalCode.BAD_REQUEST, f"the route {name!r} is not this collector's")
        version: int = connection.execute(select(unit.c.changes).where(unit.c.unit == unit_code)).scalar_one()
        query = (
            select(account.c.change)
            .where(account.c.unit == unit_code, account.c.route == name, account.c.version > after)
            .order_by(account.c.version, account.c.customer)
            .limit(CHANGES_MAX)
        )
        stops = tuple(unpack(StopChange, decode(content)) for content in connection.execute(query).scalars())
        return Changes(route=name, version=version, stops=stops)

    async def _asking(self, request: web.Request) -> tuple[Sender, RequestClaim]:
        """Who asks; what it says it has made is noted, so that the hub knows what it has not received."""
        content = await read_body(request)
        now_ms = self._hub.clock()
        sender, claim = await self._claims.check(request, content, now_ms)
        await self._hub.write(lambda connection: self._note_contact(connection, sender, claim, now_ms))
        return sender, claim

    def _note_contact(self, connection: Connection, sender: Sender, claim: RequestClaim, now_ms: int) -> None:
        connection.execute(
            update(handheld)
            .where(handheld.c.unit == self._hub.books.unit, handheld.c.device == sender.device)
            .values(made=case((handheld.c.made < claim.made, claim.made), else_=handheld.c.made), contact_ms=now_ms)
        )

    @staticmethod
    def _require_active(sender: Sender) -> None:
        if sender.status not in (ACTIVE, PENDING):
            raise RefusedError(RefusalCode.REVOKED, "this handheld was revoked: it may send its records, nothing else")
        if sender.status != ACTIVE:
            sentence = "the branch has not confirmed this handheld yet: ask them to look at its IMEI"
            raise RefusedError(RefusalCode.NOT_CONFIRMED, sentence)


def _number(request: web.Request, name: str) -> int:
    """A number of the query. Raises RefusedError."""
    text = request.query.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > COUNTER_DIGITS_MAX:
        raise RefusedError(RefusalCode.BAD_REQUEST, f"`{name}` must be a number")
    return int(text)
