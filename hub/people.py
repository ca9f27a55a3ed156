"""Who works with the branch and may log in on its handhelds; the policy that tells handhelds so.

Each action is one transaction: the change, its record and, where handhelds must know, the next policy. The hub keeps
verifiers, never passwords. OfficeError carries a sentence for the person who asked.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from hub.app import Hub, issue_policy, post
from hub.office import OfficeError, refresh_policy, require_person
from hub.store.schema import person
from protocol import codec
from protocol.codec import FieldError
from protocol.package import COLLECTORS_MAX, CollectorCard, Policy
from protocol.records import PersonChange, PersonChanged
from protocol.verifier import VerifierError, parse_phc

ROLES = ("collector", "supervisor", "cashier", "accountant", "it", "auditor")
OPENERS = ("it", "supervisor")  # A collector who is locked out stands at a door; a supervisor can be reached.


async def add_person(
    hub: Hub, *, code: str, name: str, role: str, by: str, phone: str = "", verifier: str = ""
) -> None:
    """Name somebody who works with the hub. Raises OfficeError for a role, code or verifier that cannot be.

    The first person of a hub names itself.
    """
    if role not in ROLES:
        raise OfficeError(f"the role {role!r} does not exist: choose one of {', '.join(ROLES)}")
    card = CollectorCard(code=code, name=name, phone=phone, verifier=_sound(verifier) if verifier else None)
    try:
        codec.unpack(CollectorCard, codec.pack(card))
    except FieldError as error:
        raise OfficeError(f"this person cannot stand on papers: {error}") from error

    def work(connection: Connection) -> None:
        here = person.c.unit == hub.books.unit
        if connection.execute(select(person.c.code).where(here).limit(1)).first() is not None or by != code:
            require_person(connection, hub.books.unit, by, ("it",))
        if connection.execute(select(person.c.code).where(here, person.c.code == code)).first() is not None:
            raise OfficeError(f"somebody with the code {code!r} exists already")
        collectors = select(func.count()).where(here, person.c.role == "collector")
        if role == "collector" and connection.execute(collectors).scalar_one() >= COLLECTORS_MAX:
            raise OfficeError(f"a unit has at most {COLLECTORS_MAX} collectors: divide it into two units")
        row = {"unit": hub.books.unit, "code": code, "name": name, "phone": phone, "role": role, "verifier": verifier}
        connection.execute(insert(person).values(**row, opened=0))
        _recorded(connection, hub, code, PersonChange.ADDED, by)

    await hub.write(work)


async def set_password(hub: Hub, *, code: str, verifier: str, by: str) -> None:
    """Another password from now on; handhelds learn of it with their next policy. Raises OfficeError."""
    sound = _sound(verifier)
    await _change(hub, code, PersonChange.PASSWORD, by, ("it",), lambda row: {"verifier": sound})


async def unlock(hub: Hub, *, code: str, by: str) -> None:
    """Forgive a collector's wrong tries, on every handheld that hears of it. Raises OfficeError."""

    def opened(row: Any) -> dict[str, Any]:
        if row.role != "collector":
            raise OfficeError(f"{code!r} is {row.role}: only collectors log in on handhelds")
        return {"opened": row.opened + 1}

    await _change(hub, code, PersonChange.OPENED, by, OPENERS, opened)


async def close_person(hub: Hub, *, code: str, by: str) -> None:
    """Nobody logs in as this person any more; papers and records keep the name. Raises OfficeError."""
    await _change(hub, code, PersonChange.CLOSED, by, ("it",), lambda row: {"verifier": ""})


async def set_policy(
    hub: Hub, *, by: str, login_days: int | None = None, retype_from_vnd: int | None = None
) -> Policy:
    """The next policy, with other numbers where they are given. Raises OfficeError for numbers that cannot be."""
    if login_days is None and retype_from_vnd is None:
        raise OfficeError("say which number of the policy shall be another")

    def work(connection: Connection) -> Policy:
        require_person(connection, hub.books.unit, by, ("it",))
        held, now_ms = hub.books.policy(connection), hub.clock()
        fresh = replace(
            held,
            version=held.version + 1,
            issued_ms=now_ms,
            login_days=held.login_days if login_days is None else login_days,
            retype_from_vnd=held.retype_from_vnd if retype_from_vnd is None else retype_from_vnd,
        )
        try:
            codec.unpack(Policy, codec.pack(fresh))
        except FieldError as error:
            raise OfficeError(f"handhelds could not follow this policy: {error}") from error
        issue_policy(connection, hub.books, fresh, by, now_ms)
        return fresh

    return await hub.write(work)


async def _change(
    hub: Hub,
    code: str,
    change: PersonChange,
    by: str,
    roles: tuple[str, ...],
    values: Callable[[Any], dict[str, Any]],
) -> None:
    """Change somebody's log-in. values: columns that become another, from the row as it is."""

    def work(connection: Connection) -> None:
        require_person(connection, hub.books.unit, by, roles)
        where = (person.c.unit == hub.books.unit, person.c.code == code)
        row = connection.execute(select(person).where(*where)).first()
        if row is None:
            raise OfficeError(f"there is nobody with the code {code!r}: look at `python -m hub user list`")
        connection.execute(update(person).where(*where).values(values(row)))
        _recorded(connection, hub, code, change, by)

    await hub.write(work)


def _recorded(connection: Connection, hub: Hub, code: str, change: PersonChange, by: str) -> None:
    """The record of a change and, if handhelds are to know, the next policy."""
    now_ms = hub.clock()
    post(connection, hub.books, PersonChanged(person=code, change=change, by=by), now_ms)
    refresh_policy(connection, hub.books, by, now_ms)


def _sound(verifier: str) -> str:
    """The verifier itself. Raises OfficeError for one that no handheld would compute with."""
    try:
        parse_phc(verifier)
    except VerifierError as error:
        raise OfficeError(f"this is no verifier that a handheld can check a password against: {error}") from error
    return verifier
