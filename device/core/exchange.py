"""What the handheld and its hub tell each other: nothing is believed that the hub has not signed."""

from device.core import events as e
from device.core.effects import (
    Effect,
    FetchChanges,
    FetchPackages,
    FetchPolicy,
    KeepAck,
    KeepChange,
    KeepCodes,
    KeepPackage,
    KeepPolicy,
)
from device.core.events import POLICY
from device.core.memory import Identity, Memory
from device.core.outbox import Outbox
from device.core.pen import Pen
from device.core.work import Work
from protocol import codec
from protocol.codec import CodecError, FieldError
from protocol.codes import SupervisorCodes, open_codes
from protocol.envelope import EnvelopeError, SignatureError
from protocol.package import Policy, open_package, open_policy
from protocol.values import ClockSource, Instant
from protocol.wire import Changes, Packages, open_ack

Fetch = FetchPackages | FetchPolicy | FetchChanges


class Exchange:
    """Answers of the hub, and which are still owed. last_contact_ms: wall clock at the last of them, None before.

    reached: whether the last call came through; None before the first. policy_checks: how often the hub has sent a
    policy since the start, new or not: log-in waits for the next.
    """

    def __init__(self, identity: Identity, memory: Memory, work: Work, outbox: Outbox, pen: Pen) -> None:
        self._identity = identity
        self._work = work
        self._outbox = outbox
        self._pen = pen
        self._owed: set[str] = set()
        self._acked_changes = open_ack(memory.ack, identity.hub_key).changes if memory.ack is not None else 0
        self.codes = open_codes(memory.codes, identity.hub_key) if memory.codes is not None else None
        self.last_contact_ms: int | None = None
        self.reached: bool | None = None
        self.trouble = ""
        self.policy_checks = 0

    @property
    def busy(self) -> bool:
        """Whether the network owes an answer."""
        return self._outbox.busy or bool(self._owed)

    @property
    def asks_policy(self) -> bool:
        """Whether the answer to AskPolicy is still owed."""
        return POLICY in self._owed

    def fetch(self, what: str, effect: Fetch) -> tuple[Effect, ...]:
        """Ask, unless the same is being asked already."""
        if what in self._owed:
            return ()
        self._owed.add(what)
        return (effect,)

    def fetch_failed(self, event: e.FetchFailed) -> None:
        """Nothing came."""
        self._owed.discard(event.what)
        self.trouble = event.sentence
        self.reached = False

    def upload_lost(self, event: e.UploadLost, now: Instant) -> None:
        """No answer that proves anything."""
        self._outbox.lost(event.sentence, now.up_ms)
        self.reached = False

    def acked(self, message: bytes, now: Instant) -> tuple[Effect, ...]:
        """Believe an ack only if the hub signed it and its digest is ours at that position."""
        try:
            ack = open_ack(message, self._identity.hub_key)
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            self._outbox.lost(f"the answer is not the hub's: {error}", now.up_ms)
            return ()
        if ack.device != self._identity.device or self._work.digest_at(ack.to_seq) != ack.digest:
            self._outbox.refused("other-history", "the hub has another history of this handheld", None, now.up_ms)
            return ()
        self._pen.acked_by(message)
        self._hear(now)
        self._pen.compare(ack.hub_ms - now.wall_ms, ClockSource.HUB, now)
        self._outbox.has(ack.to_seq)
        self._acked_changes = max(self._acked_changes, ack.changes)
        return (KeepAck(seq=self._outbox.acked, message=message),)

    def upload_refused(self, event: e.UploadRefused, now: Instant) -> tuple[Effect, ...]:
        """Nothing is dropped; what the hub kept all the same is acked."""
        kept = self.acked(event.ack, now) if event.ack is not None else ()
        self._hear(now)
        self._outbox.refused(event.code, event.sentence, event.have_seq, now.up_ms)
        return kept

    def packages_arrived(self, event: e.PackagesArrived, now: Instant) -> tuple[Effect, ...]:
        """Keep what is newer, after all of it has been verified; one bad message keeps nothing."""
        self._owed.discard(event.what)
        key = self._identity.hub_key
        try:
            policy = open_policy(event.packages.policy, key)
            packages = [(open_package(message, key), message) for message in event.packages.packages]
            codes = open_codes(event.packages.codes, key) if event.packages.codes is not None else None
        except (EnvelopeError, SignatureError, CodecError, FieldError) as error:
            self.trouble = f"the download is not the hub's: {error}"
            return ()
        self._hear(now)
        self.trouble = ""
        if self._work.policy is None or policy.version >= self._work.policy.version:
            self.policy_checks += 1  # An older one, played again by somebody, is no word of the hub's.
        effects: list[Effect] = [*self._newer_policy(policy, event.packages)]
        rebuilt = bool(effects)
        effects += self._newer_codes(codes, event.packages)
        for package, message in packages:
            held = self._work.packages.get(package.route)
            if held is None or package.version > held.version:
                self._work.packages[package.route] = package
                if self._work.changes_version.get(package.route, 0) > package.changes:
                    # Told since it was signed, and not heard where only this package has the customer or the period.
                    self._work.changes_version[package.route] = package.changes
                    effects.append(KeepChange(route=package.route, version=package.changes, bodies=()))
                effects.append(KeepPackage(route=package.route, version=package.version, message=message))
                rebuilt = True
        if rebuilt:
            self._work.rebuild()
        return tuple(effects)

    def _newer_policy(self, policy: Policy, given: Packages) -> tuple[Effect, ...]:
        if self._work.policy is not None and policy.version <= self._work.policy.version:
            return ()
        self._work.policy = policy
        return (KeepPolicy(version=policy.version, message=given.policy),)

    def _newer_codes(self, codes: SupervisorCodes | None, given: Packages) -> tuple[Effect, ...]:
        """Codes that were made for another handheld are worth nothing here."""
        if codes is None or given.codes is None or codes.device != self._identity.device:
            return ()
        if self.codes is not None and codes.version <= self.codes.version:
            return ()
        self.codes = codes
        return (KeepCodes(version=codes.version, message=given.codes),)

    def changes_arrived(self, changes: Changes, now: Instant) -> tuple[Effect, ...]:
        """Keep what is news of a customer here."""
        self._owed.discard(changes.route)
        self._hear(now)
        if changes.version <= self._work.changes_version.get(changes.route, 0):
            return ()
        # An answer made before the hub folded what it has acked since says nothing of those records.
        known_seq = self._outbox.acked if changes.version >= self._acked_changes else 0
        heard = self._work.tell(changes.route, changes.version, changes.stops, known_seq)
        bodies = tuple((stop.customer, codec.encode(codec.pack(stop))) for stop in heard)
        return (
            KeepChange(route=changes.route, version=changes.version, bodies=bodies, known_seq=known_seq),
        )

    def _hear(self, now: Instant) -> None:
        self.last_contact_ms, self.reached = now.wall_ms, True
