"""Supervisor codes: the next one is shown to whoever says what for, and each handheld has the hashes of some ready.

The hashes are slow on purpose, so a handheld's sheet of them is made beforehand, beside everything else, and kept.
Numbers are never given twice; a handheld whose hundred are used up is enrolled anew and has a hundred fresh ones.
"""

import asyncio
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from hub.app import Hub, post
from hub.books import Books
from hub.core.codes import NUMBERS
from hub.intake import ACTIVE
from hub.office import OfficeError, require_person
from hub.store.facts import uses_of_codes
from hub.store.schema import code_sheet, customer, handheld
from protocol.codes import (
    CODES_MAX,
    SALT_BYTES,
    CodeHash,
    SupervisorCodes,
    code_hash,
    open_codes,
    seal_codes,
)
from protocol.envelope import SigningKey, VerifyKey
from protocol.records import CodeGiven

READY = 10  # Not yet given, on a sheet: what a handheld without a network can be helped with.
READY_MIN = 5  # Below this a sheet is made anew, so that a handheld which calls home seldom never runs dry.
GIVEN_KEPT = CODES_MAX - READY  # Given and not yet seen used: somebody may be on the way with one in hand.
REASON_LENGTH_MAX = 300  # Of a record's reason.
GIVERS = ("supervisor", "it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A code for a supervisor's eyes. left: how many this handheld can still be given."""

    code: str
    number: int
    left: int


async def give_code(hub: Hub, *, device: int, reason: str, by: str, customer_id: str | None = None) -> Shown:
    """The next code of a handheld, shown once and recorded with what it is for. Raises OfficeError."""
    shown = await hub.write(
        lambda connection: give(connection, hub, device=device, reason=reason, by=by, customer_id=customer_id)
    )
    await keep_ready(hub, device)
    return shown


def give(
    connection: Connection, hub: Hub, *, device: int, reason: str, by: str, customer_id: str | None = None
) -> Shown:
    """What `give_code` does inside its transaction."""
    books = hub.books
    require_person(connection, books.unit, by, GIVERS)
    if not 1 <= len(reason.strip()) <= REASON_LENGTH_MAX:
        raise OfficeError(f"say what the code is for, in at most {REASON_LENGTH_MAX} letters")
    row = connection.execute(
        select(handheld.c.status, handheld.c.next_code)
        .where(handheld.c.unit == books.unit, handheld.c.device == device)
        .with_for_update()
    ).first()
    if row is None or row.status != ACTIVE:
        raise OfficeError(f"handheld {device} does not work for this branch: look at `python -m hub device list`")
    if row.next_code >= NUMBERS:
        raise OfficeError(f"all {NUMBERS} codes of handheld {device} were given: enrol it anew, then it has fresh ones")
    if customer_id is not None:
        known = select(customer.c.customer).where(customer.c.unit == books.unit, customer.c.customer == customer_id)
        if connection.execute(known).first() is None:
            raise OfficeError(f"there is no customer {customer_id!r}")
    number: int = row.next_code
    made = CodeGiven(device=device, code_no=number, reason=reason.strip(), by=by, customer=customer_id)
    post(connection, books, made, hub.clock())
    return Shown(code=books.code(device, number), number=number, left=NUMBERS - number - 1)


def sheet_of(connection: Connection, books: Books, device: int) -> bytes | None:
    """The signed codes of a handheld, if there are any ready."""
    query = select(code_sheet.c.message).where(code_sheet.c.unit == books.unit, code_sheet.c.device == device)
    message: bytes | None = connection.execute(query).scalar_one_or_none()
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A sheet to make. kept: hashes that stay as they are. fresh: codes to hash."""

    version: int
    kept: tuple[CodeHash, ...]
    fresh: tuple[str, ...]


async def keep_ready(hub: Hub, device: int) -> None:
    """Make a handheld's sheet anew if too few of it are left; usually one look and nothing to do.

    The hashing runs on a thread, one sheet at a time: twenty handhelds that ask at once must not fill the memory.
    """
    if await hub.read(lambda connection: _plan(connection, hub.books, device)) is None:
        return
    async with hub.making_codes:
        plan = await hub.read(lambda connection: _plan(connection, hub.books, device))
        if plan is None:
            return
        message = await asyncio.to_thread(_make, plan, hub.books.unit, device, hub.books.key)
        last = max(code.number for code in open_codes(message, VerifyKey.of(hub.books.key.public)).codes)
        row = {"unit": hub.books.unit, "device": device, "version": plan.version, "last_code": last}

        def keep(connection: Connection) -> None:
            where = (code_sheet.c.unit == hub.books.unit, code_sheet.c.device == device)
            connection.execute(delete(code_sheet).where(*where))
            connection.execute(insert(code_sheet).values(**row, message=message))

        await hub.write(keep)


def _plan(connection: Connection, books: Books, device: int) -> _Plan | None:
    """What a handheld's next sheet holds; None while the one that is there will do, or nothing is left to offer."""
    where = (handheld.c.unit == books.unit, handheld.c.device == device)
    next_code = connection.execute(select(handheld.c.next_code).where(*where)).scalar_one_or_none()
    if next_code is None:
        return None
    sheet = (code_sheet.c.unit == books.unit, code_sheet.c.device == device)
    row = connection.execute(select(code_sheet).where(*sheet)).first()
    last = row.last_code if row is not None else next_code - 1
    if last + 1 - next_code >= READY_MIN or last == NUMBERS - 1 or next_code >= NUMBERS:
        return None
    known = open_codes(row.message, VerifyKey.of(books.key.public)).codes if row is not None else ()
    used = {use.number for use in uses_of_codes(connection, books.unit, device, books.parsed, quarantined=True)}
    in_hand = [code for code in known if code.number < next_code and code.number not in used]
    ready = [code for code in known if code.number >= next_code]
    # The first sheet also bears what was given before it: somebody may have one in hand.
    first = max(next_code, last + 1) if row is not None else max(0, next_code - GIVEN_KEPT)
    numbers = range(first, min(next_code + READY, NUMBERS))
    return _Plan(
        version=row.version + 1 if row is not None else 1,
        kept=(*in_hand[-GIVEN_KEPT:], *ready),
        fresh=tuple(books.code(device, number) for number in numbers),
    )


def _make(plan: _Plan, unit: str, device: int, key: SigningKey) -> bytes:
    """The signed sheet: some 40 ms for each fresh code."""
    made = [_hashed(code) for code in plan.fresh]
    codes = SupervisorCodes(unit=unit, device=device, version=plan.version, codes=(*plan.kept, *made))
    return seal_codes(codes, key)


def _hashed(code: str) -> CodeHash:
    salt = secrets.token_bytes(SALT_BYTES)
    return CodeHash(int(code[:2]), salt, code_hash(code, salt))
