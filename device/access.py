"""Log-in, PIN and supervisor's codes: who may use this handheld now.

A password never leaves the handheld. Where the hub answers, its newest signed policy decides; where it does not, the
last one does, for as many days as it grants. Each try is on disk before it is checked, one check runs at a time, and
nothing here ever stops work that is under way: it only opens screens.
"""

import asyncio
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from device.app import App
from device.clock import Clock
from device.core.commands import AskPolicy, OpenLogIn, OverrideHold
from device.core.effects import Done, Refused
from device.core.log_in import NOBODY, Denial, Heard, Tries, is_expired, is_pin
from device.core.session import CollectorSession
from device.shelf import Shelf
from protocol.codes import MEMORY_KIB, PASSES, SALT_BYTES, code_hash, is_code, number_of
from protocol.package import CollectorCard
from protocol.reasons import Reason
from protocol.sealed import Sealed
from protocol.verifier import VerifierError, parse_phc
from protocol.words import nfc

ASK_HUB_S = 3.0  # A collector waits so long for the hub before the last policy decides.
PASSWORD_LENGTH_MAX = 200
NOTE_TIME_EVERY_MS = 600_000  # How much time a clock that is set back between two looks can hide.
_PIN_SUBJECT = "pin:"
# No collector's code has a colon. Codes keyed at the log-in, where anybody may stand, cost those at work none.
_OVERRIDE_SUBJECT, _OPENING_SUBJECT = "code:override", "code:login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Somebody may go on. by_hub: the hub confirmed it just now."""

    collector: str
    by_hub: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Somebody may not. wait_s: until the next try, where that is what stands in the way."""

    why: Denial
    wait_s: int = 0


class Access:
    """The doors of one handheld. secret: of this handheld alone; a PIN is worth nothing without it."""

    def __init__(self, app: App, shelf: Shelf, clock: Clock, secret: bytes) -> None:
        self._app = app
        self._shelf = shelf
        self._clock = clock
        self._secret = secret
        self._turn = asyncio.Lock()
        self._checks_noted = 0
        self._noted_up_ms = 0

    @property
    def _session(self) -> CollectorSession:
        return self._app.session

    async def log_in(self, user: str, password: str) -> Granted | Denied:
        """Check a name and a password. Raises StoreError when a try could not be counted.

        A name that nobody has is answered like a wrong password. Two differences stay: such names share their waits,
        since counting each would fill the disk, and are never locked, since nothing could open them. Whoever tries
        long enough can tell by that whether a name is known; names are no secret here, the page offers them.
        """
        async with self._turn:
            by_hub = await self._ask_hub()
            if self._session.work.policy is None:
                return Denied(why=Denial.NO_POLICY)
            card = self._card(user)
            subject, tries = await self._tries_of(user, card)
            if (denied := self._may_not(tries, Denial.LOCKED)) is not None:
                return denied
            if not by_hub and await self._expired(user):
                return Denied(why=Denial.EXPIRED)
            one_more = tries.one_more(self._clock.now())
            await self._shelf.keep_tries(subject, one_more if card is not None else one_more.never_locked())
            try:
                right = await asyncio.to_thread(_matches, card, password)
            except VerifierError:
                await self._shelf.keep_tries(subject, tries)  # Nothing was tried.
                return Denied(why=Denial.BAD_VERIFIER)
            if card is None or not right:
                return await self._denied(subject, Denial.WRONG, Denial.LOCKED)
            await self._shelf.keep_tries(subject, tries.forgiven())
            await self._forgive(_PIN_SUBJECT + user)
            await self.note_time()
            return Granted(collector=user, by_hub=by_hub)

    async def has_pin(self, collector: str) -> bool:
        """Whether a collector has a PIN on this handheld."""
        return await self._shelf.pin(collector) is not None

    async def set_pin(self, collector: str, pin: str) -> Denied | None:
        """Set or change the PIN of somebody who is logged in."""
        if not is_pin(pin):
            return Denied(why=Denial.PIN_FORM)
        verifier = await asyncio.to_thread(_pin_verifier, self._secret, pin)
        await self._shelf.keep_pin(collector, verifier)
        return None

    async def unlock(self, collector: str, pin: str) -> Granted | Denied:
        """Open a screen that had locked itself. Raises StoreError when a try could not be counted."""
        async with self._turn:
            verifier, subject = await self._shelf.pin(collector), _PIN_SUBJECT + collector
            if verifier is None:
                return Denied(why=Denial.PIN_LOCKED)
            tries = await self._tries(subject, collector)
            if (denied := self._may_not(tries, Denial.PIN_LOCKED)) is not None:
                return denied
            await self._shelf.keep_tries(subject, tries.one_more(self._clock.now()))
            if not await asyncio.to_thread(_is_pin_of, self._secret, pin, verifier):
                return await self._denied(subject, Denial.PIN_WRONG, Denial.PIN_LOCKED)
            await self._shelf.keep_tries(subject, tries.forgiven())
            return Granted(collector=collector)

    async def override(self, intent: bytes, customer: str, code: str, because: str) -> Done | Refused | Denied:
        """Lift a hold by a supervisor's code."""
        return await self._by_code(
            _OVERRIDE_SUBJECT,
            intent,
            code,
            lambda: OverrideHold(intent=intent, customer=customer, supervisor_code=code, because=because),
        )

    async def open_log_in(self, intent: bytes, user: str, code: str) -> Done | Refused | Denied:
        """Let a collector try again who is locked out, by a supervisor's code. What it forgives follows from the record
        it makes. For anybody else no code is tried: strangers could spend the tries of those who need one.
        """
        is_new = intent not in self._session.work.by_intent
        if is_new and not await self._needs_code(user):
            return Denied(why=Denial.CODE_NOT_NEEDED)
        outcome = await self._by_code(
            _OPENING_SUBJECT, intent, code, lambda: OpenLogIn(intent=intent, collector=user, supervisor_code=code)
        )
        if isinstance(outcome, Done) and outcome.sealed is not None and _whose(outcome.sealed) != user:
            return Refused(reason=Reason.INTENT_USED)
        return outcome

    async def notice(self) -> None:
        """Somebody is there: note the time if it has not been noted for a while, or the hub was heard."""
        up_ms = self._clock.now().up_ms
        is_news = self._session.exchange.policy_checks > self._checks_noted
        if not is_news and up_ms - self._noted_up_ms < NOTE_TIME_EVERY_MS:
            return
        self._noted_up_ms = up_ms
        await self.note_time()

    async def note_time(self) -> None:
        """Note when the hub was last heard, and the latest time seen: a clock set back makes nothing younger."""
        exchange, now = self._session.exchange, self._clock.now()
        if exchange.policy_checks > self._checks_noted:
            self._checks_noted = exchange.policy_checks
            now_ms = self._session.pen.corrected_ms(now)
            await self._shelf.keep_heard(Heard(at_ms=now_ms, latest_ms=now_ms, seq=self._session.work.tip.seq))
        elif (heard := await self._shelf.heard()) is not None:
            await self._shelf.keep_heard(heard.seen(self._session.pen.corrected_ms(now)))

    async def _needs_code(self, user: str) -> bool:
        """Whether a log-in is shut to the right password too, wait as one may. A name that nobody has never is."""
        if (card := self._card(user)) is None:
            return False
        _, tries = await self._tries_of(user, card)
        return tries.locked or await self._expired(user)

    async def _by_code(
        self, subject: str, intent: bytes, code: str, command: Callable[[], OverrideHold | OpenLogIn]
    ) -> Done | Refused | Denied:
        if intent in self._session.work.by_intent:  # The same tap again: no second try is counted for it.
            return await self._dispatched(command())
        async with self._turn:
            before = await self._check_code(subject, code)
            if not isinstance(before, Tries):
                return before
            outcome = await self._dispatched(command())
            # A right code that nothing came of is not spent: it costs nothing, and forgives no wrong ones before it.
            await self._shelf.keep_tries(subject, Tries() if isinstance(outcome, Done) else before)
            return outcome

    async def _dispatched(self, command: OverrideHold | OpenLogIn) -> Done | Refused:
        answer = await self._app.dispatch(command)
        assert answer is not None, "every command has an answer"
        return answer.outcome

    async def _check_code(self, subject: str, code: str) -> Denied | Refused | Tries:
        """Whether a code is one of this handheld's; if so, the wrong tries there were before it."""
        if not is_code(code):
            return Denied(why=Denial.CODE_FORM)
        if number_of(code) in self._session.work.codes_used:
            return Refused(reason=Reason.CODE_USED)
        tries = await self._shelf.tries(subject)
        if tries.locked and await self._ask_hub():
            tries = Tries()
        if (denied := self._may_not(tries, Denial.CODE_LOCKED)) is not None:
            return denied
        await self._shelf.keep_tries(subject, tries.one_more(self._clock.now()))
        codes = self._session.exchange.codes
        known = next((one for one in codes.codes if one.number == number_of(code)), None) if codes else None
        salt, wanted = (known.salt, known.hash) if known is not None else (bytes(SALT_BYTES), b"")
        if not hmac.compare_digest(await asyncio.to_thread(code_hash, code, salt), wanted):
            return await self._denied(subject, Denial.CODE_WRONG, Denial.CODE_LOCKED)
        return tries

    def _card(self, user: str) -> CollectorCard | None:
        """Who may log in under a name, as the newest policy here says."""
        policy = self._session.work.policy
        cards = policy.collectors if policy is not None else ()
        return next((card for card in cards if card.code == user and card.verifier), None)

    async def _tries_of(self, user: str, card: CollectorCard | None) -> tuple[str, Tries]:
        """Under which subject passwords of a name are counted, and the wrong ones so far."""
        if card is None:
            return NOBODY, (await self._shelf.tries(NOBODY)).never_locked()
        return card.code, (await self._tries(card.code, user)).as_opened(card)

    async def _tries(self, subject: str, collector: str) -> Tries:
        """Wrong tries so far, forgiven where a supervisor's code has opened this collector's log-in since."""
        opened = self._session.work.log_ins_opened.get(collector)
        tries = await self._shelf.tries(subject)
        return tries.as_forgiven_by(opened.header.seq) if opened is not None else tries

    async def _forgive(self, subject: str) -> None:
        tries = await self._shelf.tries(subject)
        await self._shelf.keep_tries(subject, tries.forgiven())

    def _may_not(self, tries: Tries, locked: Denial) -> Denied | None:
        if tries.locked:
            return Denied(why=locked)
        wait_ms = tries.wait_ms(self._clock.now())
        return Denied(why=Denial.WAIT, wait_s=-(-wait_ms // 1000)) if wait_ms > 0 else None

    async def _denied(self, subject: str, wrong: Denial, locked: Denial) -> Denied:
        """A wrong try, with what it costs."""
        tries = await self._shelf.tries(subject)
        if tries.locked:
            return Denied(why=locked)
        return Denied(why=wrong, wait_s=-(-tries.wait_ms(self._clock.now()) // 1000))

    async def _ask_hub(self) -> bool:
        """Have the newest policy fetched; whether the hub answered in time."""
        exchange = self._session.exchange
        before = exchange.policy_checks
        await self._app.dispatch(AskPolicy())
        answered = await self._app.until(
            lambda: exchange.policy_checks > before or not exchange.asks_policy, ASK_HUB_S
        )
        if not answered or exchange.policy_checks == before:
            return False
        await self.note_time()
        return True

    async def _expired(self, user: str) -> bool:
        """Whether the last word of the hub, or of a supervisor by a code, is too old. Never for somebody whose shift is
        open here: a screen that locks itself far from any network must not keep their cash and records from them.
        """
        session = self._session
        shift = session.work.shift
        if shift is not None and shift.is_open and shift.collector == user:
            return False
        policy, work, heard = session.work.policy, session.work, await self._shelf.heard()
        assert policy is not None
        if heard is None:
            return False
        opened = work.log_ins_opened.get(user)
        if opened is not None and opened.header.seq > heard.seq:
            heard = replace(heard, at_ms=max(heard.at_ms, _clock_of(opened)))
        return is_expired(
            policy,
            heard,
            wall_ms=session.pen.corrected_ms(self._clock.now()),
            last_record_ms=max(map(_clock_of, work.records[heard.seq :]), default=0),
            last_seq=work.tip.seq,
        )


def _clock_of(sealed: Sealed) -> int:
    """What the clock said when a record was made, put right by what was known then; a jump that is over stays out."""
    evidence = sealed.header.evidence
    assert evidence is not None
    return evidence.clock.wall_ms + evidence.clock.offset_ms


def _whose(sealed: Sealed) -> str:
    assert sealed.header.evidence is not None
    return sealed.header.evidence.collector


def _matches(card: CollectorCard | None, password: str) -> bool:
    """Whether a password fits; for nobody it takes as long. Raises VerifierError."""
    secret = nfc(password[: PASSWORD_LENGTH_MAX + 1]).encode()  # A letter with its mark apart is the same letter.
    if card is None or card.verifier is None or len(password) > PASSWORD_LENGTH_MAX:
        Argon2id(salt=bytes(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB).derive(secret)
        return False
    parse_phc(card.verifier)
    try:
        Argon2id.verify_phc_encoded(secret, card.verifier)
    except InvalidKey:
        return False
    return True


def _pin_verifier(secret: bytes, pin: str) -> str:

    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(_mixed(secret, pin))


def _is_pin_of(secret: bytes, pin: str, verifier: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_mixed(secret, pin), verifier)
    except InvalidKey:
        return False
    return True


def _mixed(secret: bytes, pin: str) -> bytes:
    """A PIN has a million values: without what only this handheld has, a copied store would give it away in hours."""
    return hmac.digest(secret, b"ghithu/1/pin" + pin.encode(), "sha256")
