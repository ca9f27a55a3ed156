"""Route packages and policies: signed, versioned, whole, and not larger than they may be."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings

from protocol import codec
from protocol.codec import DEPTH_MAX, FieldError, Wire
from protocol.envelope import EnvelopeError, Purpose, SignatureError, SigningKey, VerifyKey, seal
from protocol.package import (
    PACKAGE_BYTES_MAX,
    POLICY_BYTES_MAX,
    STOPS_MAX,
    CollectorCard,
    KnownReading,
    OpenBill,
    PastUse,
    Policy,
    RoutePackage,
    Stop,
    open_package,
    open_policy,
    seal_package,
    seal_policy,
)
from protocol.tariff import Block, BlocksPer, ChangeInPeriod, Price, Tariff, TariffVersion
from tests.protocol.test_cddl import members, of_container
from tests.protocol.test_records import BILL, longest
from tests.protocol.test_rules import policy, stop_with

HUB = SigningKey.of(bytes(range(100, 132)))
HUB_PUBLIC = VerifyKey.of(HUB.public)
STRANGER = SigningKey.of(bytes(32))
LONGEST_ROUTE = 2_757  # Customers of one collector at the utility modelled.

TARIFF = Tariff(
    versions=tuple(
        TariffVersion(
            version=f"CT-{year}",
            decision=f"{year}/QĐ-UBND",
            effective_from=f"{year}-02-01",
            effective_from_period=f"{year}-02",
            vat_included=1,
            vat_percent=5,
            fee_percent=10,
            fee_from_period="2020-07",
            rounding="net_half_up_then_fee_half_up",
            blocks_per=BlocksPer.HOUSEHOLD,
            prices=(
                Price(
                    area="urban", group="household", blocks=(Block(price_vnd=7_000, up_to_m3=10), Block(price_vnd=9))
                ),
                Price(area="urban", group="business", blocks=(Block(price_vnd=11_170),)),
            ),
            effective_to_period=f"{year + 1}-01",
        )
        for year in (2023, 2024)
    ),
    change_in_period=ChangeInPeriod.BY_DAYS,
)


def past(month: int) -> PastUse:
    return PastUse(
        period=f"2026-{month:02d}", reading_date=f"2026-{month:02d}-05", index=month, use_m3=9, days=30, code="normal"
    )


def full_stop(number: int) -> Stop:
    """A stop with all that one can have."""
    customer = f"{number:011d}"
    bills = tuple(
        OpenBill(bill_no=f"{customer}-2026-{month:02d}", period=f"2026-{month:02d}", amount_vnd=110_000)
        for month in (8, 9)
    )
    return replace(
        stop_with(past(7), past(8), past(9)),
        customer=customer,
        walk_seq=number + 1,
        phone="0903 123 456",
        collect_address="Quầy số 2, chợ Xuân Khánh",
        business_type="Tạp hóa",
        arrears=bills,
        persons=4,
        known=KnownReading(digest=bytes(32), index=134, code="normal", use_m3=14, bill=BILL, open_vnd=0),
    )


def package(*stops: Stop) -> RoutePackage:
    return RoutePackage(
        unit="CT-02",
        route="CT-02-05",
        branch="Chi nhánh Cấp nước số 2",
        version=12,
        period="2026-10",
        collector="an.tran",
        issued_ms=1_793_000_000_000,
        expires_ms=1_796_000_000_000,
        tariff=TARIFF,
        stops=stops,
        changes=2**31 - 1,
    )


FULL_POLICY = replace(policy(), collectors=(CollectorCard(code="an.tran", name="Trần Văn An", phone="0903"),))
Opener = Callable[[bytes, VerifyKey], object]
SEALED: list[tuple[Opener, bytes, object]] = [
    (open_package, seal_package(package(full_stop(1), full_stop(2)), HUB), package(full_stop(1), full_stop(2))),
    (open_policy, seal_policy(FULL_POLICY, HUB), FULL_POLICY),
]
both = pytest.mark.parametrize(("opened", "message", "content"), SEALED, ids=["package", "policy"])


@both
def test_what_the_hub_signed_is_read_as_it_was(opened: Opener, message: bytes, content: object) -> None:
    assert opened(message, HUB_PUBLIC) == content


@both
def test_any_changed_byte_is_refused(opened: Opener, message: bytes, content: object) -> None:
    for place in range(0, len(message), max(1, len(message) // 300)):
        bad = bytearray(message)
        bad[place] ^= 0x01
        with pytest.raises((EnvelopeError, SignatureError)):
            opened(bytes(bad), HUB_PUBLIC)
    for rest in (message[:-1], message + b"\x00", b"", message + message):
        with pytest.raises(EnvelopeError):
            opened(rest, HUB_PUBLIC)


@both
def test_another_signer_is_refused(opened: Opener, message: bytes, content: object) -> None:
    with pytest.raises(SignatureError):
        opened(message, VerifyKey.of(STRANGER.public))


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.PACKAGE])
def test_a_signature_for_another_use_makes_no_package(purpose: Purpose) -> None:
    payload = codec.encode(codec.pack(package()))
    with pytest.raises(SignatureError):
        open_package(seal(payload, HUB, purpose), HUB_PUBLIC)


def test_a_signed_package_is_not_a_policy_nor_the_other_way_round() -> None:
    for opened, content, purpose in (
        (open_policy, package(), Purpose.POLICY),
        (open_package, FULL_POLICY, Purpose.PACKAGE),
    ):
        with pytest.raises(FieldError):
            opened(seal(codec.encode(codec.pack(content)), HUB, purpose), HUB_PUBLIC)


@pytest.mark.parametrize(
    ("cls", "change"),
    [
        (RoutePackage, {"version": 0}),
        (RoutePackage, {"version": 2**31}),
        (RoutePackage, {"period": "2026-13"}),
        (RoutePackage, {"collector": "An.Tran"}),
        (RoutePackage, {"branch": "Chi nh\x00ánh"}),
        (RoutePackage, {"changes": -1}),
        (RoutePackage, {"changes": 2**31}),
        (Policy, {"version": 0}),
        (Policy, {"drop_per_mille": 1001}),
        (Policy, {"cash_rounding_vnd": 0}),
        (Policy, {"bank_bin": "97043"}),
        (Policy, {"collectors": (CollectorCard(code="a", name="A", phone=""),) * 65}),
    ],
    ids=repr,
)
def test_a_content_out_of_range_is_neither_signed_nor_believed(cls: type, change: dict[str, Any]) -> None:
    content: Any = replace(package(), **change) if cls is RoutePackage else replace(FULL_POLICY, **change)
    purpose, opened = (Purpose.PACKAGE, open_package) if cls is RoutePackage else (Purpose.POLICY, open_policy)
    sealed: Callable[[Any, SigningKey], bytes] = seal_package if cls is RoutePackage else seal_policy
    with pytest.raises(FieldError):
        sealed(content, HUB)
    with pytest.raises(FieldError):
        opened(seal(codec.encode(codec.pack(content)), HUB, purpose), HUB_PUBLIC)


def test_a_tariff_that_contradicts_itself_is_refused() -> None:
    content: Any = codec.decode(codec.encode(codec.pack(package())))
    versions = content[9][1]
    for wrong in ([versions[1], versions[0]], [versions[0], versions[0]]):
        with pytest.raises(FieldError):
            codec.unpack(RoutePackage, {**content, 9: {**content[9], 1: wrong}})


@settings(max_examples=30)
@given(of_container(Stop))
def test_any_stop_of_the_declarations_comes_back(wire: dict[int, Wire]) -> None:
    stop = codec.unpack(Stop, wire)
    assert codec.pack(stop) == wire
    assert open_package(seal_package(package(stop), HUB), HUB_PUBLIC).stops == (stop,)


@settings(max_examples=30)
@given(of_container(Policy))
def test_any_policy_of_the_declarations_comes_back(wire: dict[int, Wire]) -> None:
    made = codec.unpack(Policy, wire)
    assert open_policy(seal_policy(made, HUB), HUB_PUBLIC) == made


def test_fields_with_a_usual_value_are_still_written() -> None:
    """What a branch's numbers were must not change when a default does."""
    written = codec.pack(policy())
    unsaid = {place for place, one in enumerate(fields(Policy), 1) if one.default is None}
    assert written.keys() == members(Policy).keys() - unsaid


# Size.


def depth(value: Wire) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def test_a_package_nests_no_deeper_than_the_codec_reads() -> None:
    """The tariff goes deepest: package, tariff, versions, version, prices, price, blocks, block."""
    content = codec.pack(package(full_stop(1)))
    assert depth(content) == DEPTH_MAX
    codec.decode(codec.encode(content))


def test_the_longest_route_goes_and_comes_in_one_message() -> None:
    whole = package(*map(full_stop, range(LONGEST_ROUTE)))
    began = time.process_time()
    message = seal_package(whole, HUB)
    assert open_package(message, HUB_PUBLIC) == whole
    assert time.process_time() - began < 10
    assert len(message) < PACKAGE_BYTES_MAX // 8


def test_the_largest_package_and_policy_fit_their_bounds() -> None:
    assert STOPS_MAX * len(codec.encode(codec.pack(full_stop(1)))) < PACKAGE_BYTES_MAX
    assert len(codec.encode(longest(Policy))) < POLICY_BYTES_MAX


def test_a_package_above_its_bound_is_refused_before_it_is_read() -> None:
    with pytest.raises(EnvelopeError):
        open_package(seal(bytes(PACKAGE_BYTES_MAX), HUB, Purpose.PACKAGE), HUB_PUBLIC)
    with pytest.raises(EnvelopeError):
        open_policy(seal(bytes(POLICY_BYTES_MAX), HUB, Purpose.POLICY), HUB_PUBLIC)
