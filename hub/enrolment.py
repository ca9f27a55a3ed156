"""How a handheld comes to belong to a branch: a slot with a one-time code, a proof by the code, a person's yes.

The code has 100 bits, lives a day and is burnt after ten wrong tries. The IMEI is a label that a person compares with
the sticker, never a credential.
"""

import base64
import hmac
import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from hub.app import Hub
from hub.core.verify import RefusedError
from hub.intake import ACTIVE, PENDING
from hub.office import OfficeError, require_person
from hub.store.schema import handheld, slot
from protocol.chain import NO_DIGEST
from protocol.codec import CodecError, FieldError, decode, unpack
from protocol.envelope import (
    EnvelopeError,
    PublicKeyError,
    Purpose,
    SignatureError,
    VerifyKey,
    frame,
    key_id,
    open_sealed,
    require_sound_public_key,
)
from protocol.records import DeviceEnrolled
from protocol.values import Imei
from protocol.wire import Enrolled, Enrolment, RefusalCode, enrolment_proof_input

CODE_BYTES = 12  # 96 bits; in base32 four groups of five letters.
CODE_LIFE_MS = 24 * 3_600_000
TRIES_MAX = 10
NONCES_MAX = 64  # Enrolments under way at once; the oldest is forgotten.


def normal_code(text: str) -> bytes:
    """A code as typed, without the dashes and spaces that help the eye."""
    return "".join(text.split()).replace("-", "").upper().encode()


class Enrolments:
    """Nonces given out; a proof must be over one of them."""

    def __init__(self) -> None:
        self._nonces: dict[bytes, None] = {}

    def nonce(self) -> bytes:
        """A fresh nonce for one enrolment."""
        fresh = secrets.token_bytes(16)
        self._nonces[fresh] = None
        while len(self._nonces) > NONCES_MAX:
            del self._nonces[next(iter(self._nonces))]
        return fresh

    def use(self, nonce: bytes) -> bool:
        """Whether a nonce was given out and not used; it is used now."""
        return self._nonces.pop(nonce, b"") is None


async def open_slot(hub: Hub, *, collector: str, by: str) -> str:
    """A one-time code with which one handheld may ask in for a collector."""
    text = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=")
    code = "-".join(text[start : start + 5] for start in range(0, len(text), 5))

    def work(connection: Connection) -> None:
        unit_code = hub.books.unit
        require_person(connection, unit_code, collector, ("collector",))
        require_person(connection, unit_code, by, ("it",))
        last = connection.execute(select(func.max(slot.c.slot)).where(slot.c.unit == unit_code)).scalar() or 0
        connection.execute(
            insert(slot).values(
                unit=unit_code,
                slot=last + 1,
                code_key=normal_code(code),
                collector=collector,
                opened_by=by,
                expires_ms=hub.clock() + CODE_LIFE_MS,
                tries=0,
                device=0,
            )
        )

    await hub.write(work)
    return code


async def enrol(hub: Hub, enrolments: Enrolments, message: bytes) -> Enrolled:
    """A handheld's request. Raises RefusedError with words for whoever holds it."""
    try:
        part = frame(message)
        claimed = unpack(Enrolment, decode(part.payload))
        require_sound_public_key(claimed.public_key)
        open_sealed(message, VerifyKey.of(claimed.public_key), Purpose.ENROL)
    except (EnvelopeError, SignatureError, CodecError, FieldError, PublicKeyError) as error:
        raise RefusedError(RefusalCode.BAD_REQUEST, f"this enrolment cannot be read: {error}") from error
    if not enrolments.use(claimed.nonce):
        raise RefusedError(RefusalCode.BAD_REQUEST, "this enrolment took too long: start again")
    given = await hub.write(lambda connection: _admit(connection, hub, claimed))
    if given is None:
        raise RefusedError(RefusalCode.BAD_CODE, "the code is wrong, used or too old: ask the branch for a new one")
    return given


def _admit(connection: Connection, hub: Hub, claimed: Enrolment) -> Enrolled | None:
    """Find the slot whose code made the proof; every other open slot counts a wrong try. None commits the tries."""
    unit_code = hub.books.unit
    proof_input = enrolment_proof_input(claimed.public_key, claimed.imei, claimed.nonce)
    where = (slot.c.unit == unit_code, slot.c.tries < TRIES_MAX, slot.c.expires_ms > hub.clock())
    for row in connection.execute(select(slot).where(*where).with_for_update()).all():
        if hmac.compare_digest(hmac.digest(row.code_key, proof_input, sha256), claimed.proof):
            return _enter(connection, hub, claimed, row)
    connection.execute(update(slot).where(*where).values(tries=slot.c.tries + 1))
    return None


def _enter(connection: Connection, hub: Hub, claimed: Enrolment, found: Any) -> Enrolled:
    """Give the slot away; to the key that has it already, again, since the first answer may have been lost."""
    unit_code = hub.books.unit
    kid = key_id(claimed.public_key)
    taken = select(handheld.c.device).where(handheld.c.unit == unit_code, handheld.c.kid == kid)
    device = connection.execute(taken).scalar_one_or_none()
    given = Enrolled(
        device=device or 0, unit=unit_code, collector=found.collector, hub_key=hub.home.key.public
    )
    if device is not None and found.device == device:
        return given
    if device is not None or claimed.public_key == hub.home.key.public:
        raise RefusedError(RefusalCode.BAD_REQUEST, "this key is enrolled already")
    if found.device != 0:
        raise RefusedError(RefusalCode.BAD_CODE, "this code was used by another handheld: ask for a new one")
    last = connection.execute(select(func.max(handheld.c.device)).where(handheld.c.unit == unit_code)).scalar() or 0
    device = last + 1
    connection.execute(
        insert(handheld).values(
            unit=unit_code,
            device=device,
            kid=kid,
            public_key=claimed.public_key,
            imei=str(claimed.imei),
            collector=found.collector,
            status=PENDING,
            seq=0,
            digest=NO_DIGEST,
            day="",
            receipt_no=0,
            fork_from=0,
            made=0,
            contact_ms=hub.clock(),
        )
    )
    connection.execute(
        update(slot).where(slot.c.unit == unit_code, slot.c.slot == found.slot).values(device=device)
    )
    return replace(given, device=device)


async def confirm(hub: Hub, *, device: int, imei: str, by: str) -> None:
    """A person has compared the IMEI with the sticker. Raises OfficeError when it is another one."""

    def work(connection: Connection) -> None:
        unit_code = hub.books.unit
        require_person(connection, unit_code, by, ("it",))
        where = (handheld.c.unit == unit_code, handheld.c.device == device)
        row = connection.execute(select(handheld).where(*where)).first()
        if row is None or row.status != PENDING:
            raise OfficeError(f"handheld {device} is not waiting to be confirmed")
        if row.imei != imei:
            raise OfficeError(f"handheld {device} says its IMEI is {row.imei}, not {imei}: do not confirm it")
        connection.execute(update(handheld).where(*where).values(status=ACTIVE))
        used = (slot.c.unit == unit_code, slot.c.device == device)
        connection.execute(update(slot).where(*used).values(code_key=b"", expires_ms=0))
        made = DeviceEnrolled(
            device=device, public_key=row.public_key, imei=Imei(row.imei), collector=row.collector, by=by
        )
        hub.books.append(connection, made, hub.clock())

    await hub.write(work)
    hub.intake.forget_senders()
