"""Handhelds without disk and screen that make the records of a real round as fast as they can be sealed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from device.clock import Clock
from device.core.commands import Collect, OpenShift, PrintPaper, SkipReading, TakeReading
from device.core.effects import Answer, Append, Done, FetchPackages, Print, PrintResult
from device.core.events import PackagesArrived, PrintEnded
from device.core.memory import Identity, Memory
from device.core.session import CollectorSession, Input
from device.uplink import Uplink, enrol
from protocol.chain import EMPTY
from protocol.envelope import SigningKey, VerifyKey
from protocol.records import (
    Evidence,
    Header,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
)
from protocol.sealed import Sealed, seal_record
from protocol.values import ClockEvidence, ClockSource, Imei, NoFix
from simulator.branch import Branch
from simulator.round import imei_of
from simulator.truth import Visit

PRINTED = PrintResult(outcome=PrintOutcome.PRINTED)
PER_UPLOAD = 500
NOTHING = Memory(policy=None, packages=(), messages=(), changes={}, papers=(), acked_seq=0, ack=None)


@dataclass(slots=True)
class Walker:
    """An enrolled handheld in this process."""

    collector: str
    session: CollectorSession
    clock: Clock
    uplink: Uplink
    records: list[Sealed] = field(default_factory=list)
    packages: PackagesArrived | None = None
    intents: "count[int]" = field(default_factory=lambda: count(1))

    @classmethod
    async def equip(cls, branch: Branch, clock: Clock, *, number: int, route: str | None) -> "Walker":
        """Name a collector, enrol a handheld, publish and fetch the route if there is one."""
        collector, imei, key = f"bench{number}", Imei(imei_of(number)), SigningKey.of(bytes((number,)) * 32)
        await branch.do("user.add", code=collector, name=f"Bench {number}", role="collector", phone="0950 000 001")
        slot = await branch.do("device.slot", collector=collector)
        admitted = await enrol(branch.url, slot["code"], imei, key)
        await branch.do("device.confirm", device=admitted.device, imei=imei)
        identity = Identity(
            device=admitted.device,
            unit=admitted.unit,
            imei=imei,
            key=key,
            hub_key=VerifyKey.of(admitted.hub_key),
            software="bench",
        )
        session = CollectorSession(identity, NOTHING, Random(number))
        records: list[Sealed] = []

        async def messages(from_seq: int, to_seq: int) -> tuple[bytes, ...]:
            return tuple(sealed.message for sealed in records[from_seq - 1 : to_seq])

        uplink = Uplink(branch.url, key=key, clock=clock, messages=messages, made=lambda: len(records))
        walker = cls(collector, session, clock, uplink, records)
        if route is not None:
            await branch.do("package.publish", route=route, collector=collector)
            arrived = await uplink.perform(FetchPackages())
            assert isinstance(arrived, PackagesArrived), arrived
            walker.packages = arrived
            walker.give(arrived)
        return walker

    def give(self, given: Input) -> Done | None:
        """One turn: records are kept, papers come out at once, nothing is sent."""
        done: Done | None = None
        for effect in self.session.handle(given, self.clock.now()):
            match effect:
                case Append():
                    self.records.append(effect.sealed)
                case Print():
                    self.give(PrintEnded(job=effect.job, result=PRINTED))
                case Answer(outcome=Done() as outcome):
                    done = outcome
                case _:
                    pass
        return done

    def intent(self) -> bytes:
        return next(self.intents).to_bytes(16)

    def walk(self, day: str, visits: Sequence[Visit]) -> None:
        """A day of visits as the truth has them."""
        self.give(OpenShift(intent=self.intent(), collector=self.collector, business_date=day))
        for visit in visits:
            self._visit(visit)

    def _visit(self, visit: Visit) -> None:
        if visit.index is None:
            self.give(SkipReading(intent=self.intent(), customer=visit.customer, code=visit.code))
        else:
            self.give(
                TakeReading(
                    intent=self.intent(),
                    customer=visit.customer,
                    code=visit.code,
                    index=visit.index,
                    removed_index=visit.removed_index,
                    installed_index=visit.installed_index,
                    confirmed=True,
                )
            )
        due_vnd = self.session.work.stops[visit.customer].due().amount_vnd
        if visit.at_home and visit.pays_cash and due_vnd > 0:
            self.give(Collect(intent=self.intent(), customer=visit.customer, amount_vnd=due_vnd))
        else:
            self.give(PrintPaper(kind=PaperKind.NOTICE, customer=visit.customer))

    def slips(self, records: int) -> list[bytes]:
        """So many more of the smallest kind, of nobody's account: to measure the chain and not the books."""
        evidence = Evidence(
            clock=ClockEvidence(b"bench-id", 1_000, self.clock.now().wall_ms, 0, ClockSource.NONE),
            imei=self.session.identity.imei,
            fix=NoFix.NO_RECEIVER,
            collector=self.collector,
            package=PackageRef("none", 1),
            ack=bytes(32),
        )
        slip = PaperPrinted(
            period="2026-11",
            paper=PaperKind.DAY_SLIP,
            about=bytes(32),
            print_no=1,
            outcome=PrintOutcome.PRINTED,
        )
        tip = self.records[-1].tip if self.records else EMPTY
        for seq in range(tip.seq + 1, tip.seq + 1 + records):
            header = Header(seq=seq, prev=tip.digest, at_ms=self.clock.now().wall_ms, evidence=evidence)
            sealed = seal_record(header, slip, self.session.identity.key)
            self.records.append(sealed)
            tip = sealed.tip
        return [sealed.message for sealed in self.records[-records:]]

    def batches(self) -> list[list[bytes]]:
        """The chain as it is uploaded."""
        messages = [sealed.message for sealed in self.records]
        return [messages[start : start + PER_UPLOAD] for start in range(0, len(messages), PER_UPLOAD)]
