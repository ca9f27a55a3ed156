"""From the billing extract's rows to stops, and from accounts to what handhelds are told. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from hub.core.account import AccountState
from protocol.package import KnownReading, Meter, OpenBill, PastUse, Stop
from protocol.readings import PERIODS_AVERAGED
from protocol.records import OPEN_BILLS_MAX, ReadingTaken
from protocol.values import days_between
from protocol.wire import StopChange


class CustomerLike(Protocol):
    """A customer of the extract (`hub.extract.CustomerRow`)."""

    @property
    def customer_id(self) -> str: ...
    @property
    def register_no(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def phone(self) -> str: ...
    @property
    def collect_address(self) -> str: ...
    @property
    def walk_seq(self) -> int: ...
    @property
    def route_day(self) -> int: ...
    @property
    def lat_e7(self) -> int: ...
    @property
    def lon_e7(self) -> int: ...
    @property
    def area(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def business_type(self) -> str: ...
    @property
    def persons(self) -> int | None: ...
    @property
    def payment_method(self) -> str: ...
    @property
    def meter_serial(self) -> str: ...
    @property
    def meter_make(self) -> str: ...
    @property
    def meter_size_mm(self) -> int: ...
    @property
    def meter_digits(self) -> int: ...


class HistoryLike(Protocol):
    """One earlier period of the extract (`hub.extract.HistoryRow`)."""

    @property
    def period(self) -> str: ...
    @property
    def reading_date(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def consumption_m3(self) -> int: ...
    @property
    def read_code(self) -> str: ...


class ArrearLike(Protocol):
    """An unpaid bill of the extract (`hub.extract.ArrearRow`)."""

    @property
    def bill_no(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def amount_vnd(self) -> int: ...


DAYS_MAX = 3_660  # The most a message carries: ten years without a reading say no more than ten.


def stop_of(customer: CustomerLike, history: Sequence[HistoryLike], arrears: Sequence[ArrearLike]) -> Stop:
    """A customer as a stop. history: all its periods, oldest first, at least one."""
    days = [0, *(days_between(a.reading_date, b.reading_date) for a, b in pairwise(history))]
    past = [
        PastUse(
            period=row.period,
            reading_date=row.reading_date,
            index=row.index,
            use_m3=row.consumption_m3,
            days=min(max(0, between), DAYS_MAX),
            code=row.read_code,
        )
        for row, between in zip(history, days, strict=True)
    ]
    bills = sorted(arrears, key=lambda row: (row.period, row.bill_no))
    return Stop(
        customer=customer.customer_id,
        register_no=customer.register_no,
        name=customer.name,
        address=customer.address,
        phone=customer.phone,
        collect_address=customer.collect_address,
        walk_seq=customer.walk_seq,
        route_day=customer.route_day,
        latitude_e7=customer.lat_e7,
        longitude_e7=customer.lon_e7,
        area=customer.area,
        category=customer.category,
        business_type=customer.business_type,
        payment_method=customer.payment_method,
        meter=Meter(
            serial=customer.meter_serial,
            make=customer.meter_make,
            size_mm=customer.meter_size_mm,
            digits=customer.meter_digits,
        ),
        history=tuple(past[-PERIODS_AVERAGED:]),
        arrears=tuple(OpenBill(bill_no=b.bill_no, period=b.period, amount_vnd=b.amount_vnd) for b in bills),
        credit_vnd=0,
        persons=customer.persons,
    )


def change_of(state: AccountState, payment_method: str, version: int) -> StopChange:
    """What a handheld should know of an account now. version: the unit's counter of this state.

    Of more open bills than a message has room for, the oldest are told of.
    """
    taken, current = state.period.taken, state.current
    return StopChange(
        customer=state.customer,
        period=state.period.period,
        version=version,
        settled_vnd=current.total_vnd - current.open_vnd if current is not None else 0,
        credit_vnd=state.credit_vnd,
        payment_method=payment_method,
        open_bills=state.open_bills()[: OPEN_BILLS_MAX + 1],
        reading=taken.digest if taken is not None else None,
    )


def known_reading(state: AccountState) -> KnownReading | None:
    """The reading of this period that a republished package carries, if there is one."""
    taken = state.period.taken
    if taken is None:
        return None
    record = taken.record
    assert isinstance(record, ReadingTaken)
    current = state.current
    return KnownReading(
        digest=taken.digest,
        index=record.index,
        code=record.code,
        use_m3=max(0, record.use_m3),
        bill=state.period.bill,
        open_vnd=current.open_vnd if current is not None else 0,
    )
