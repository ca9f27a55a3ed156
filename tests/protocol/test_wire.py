"""Bodies between handheld and hub: what was sent is what is read, and the bounds hold together."""

import hmac
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol.codec import CodecError, FieldError
from protocol.envelope import (
    RECORD_BYTES_MAX,
    EnvelopeError,
    Purpose,
    SignatureError,
    SigningKey,
    VerifyKey,
    open_sealed,
    seal,
    split,
)
from protocol.package import PACKAGE_BYTES_MAX, POLICY_BYTES_MAX, OpenBill
from protocol.values import Imei
from protocol.wire import (
    CHANGES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_RECORDS_MAX,
    Ack,
    Changes,
    Enrolled,
    Enrolment,
    Head,
    HubTime,
    Packages,
    PhotoHave,
    Refusal,
    RefusalCode,
    RequestClaim,
    StopChange,
    body,
    claim_for,
    enrolment_proof_input,
    open_ack,
    seal_ack,
)
from tests.protocol.test_cddl import of_container
from tests.protocol.test_records import HANDHELD_SEED, chains, longest

HUB = SigningKey.of(bytes(range(100, 132)))
HUB_PUBLIC = VerifyKey.of(HUB.public)
BODIES = (
    *(Ack, Refusal, Head, HubTime, Enrolment, Enrolled, RequestClaim, StopChange, Changes, OpenBill),
    PhotoHave,
)
ACK = Ack(device=7, from_seq=1, to_seq=9, digest=bytes(range(32)), hub_ms=1_793_487_956_000, changes=3)


@pytest.mark.parametrize("cls", BODIES, ids=lambda cls: cls.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_any_body_of_the_declarations_comes_back(cls: Any, data: st.DataObject) -> None:
    content = codec.unpack(cls, data.draw(of_container(cls)))
    assert codec.unpack(cls, codec.decode(body(content))) == content


def test_signed_packages_travel_as_they_were_signed() -> None:
    content = Packages(policy=b"policy", packages=(b"one", b"two"))
    assert codec.unpack(Packages, codec.decode(body(content))) == content


def test_an_ack_is_read_from_the_hub_and_from_nobody_else() -> None:
    message = seal_ack(ACK, HUB)
    assert open_ack(message, HUB_PUBLIC) == ACK
    assert seal_ack(ACK, HUB) == message
    with pytest.raises(SignatureError):
        open_ack(message, VerifyKey.of(SigningKey.of(HANDHELD_SEED).public))
    with pytest.raises(SignatureError):
        open_ack(seal_ack(ACK, SigningKey(SigningKey.of(bytes(32)).private, HUB.kid, HUB.public)), HUB_PUBLIC)
    for place in range(len(message)):
        bad = bytearray(message)
        bad[place] ^= 0x10
        with pytest.raises((EnvelopeError, SignatureError)):
            open_ack(bytes(bad), HUB_PUBLIC)


def test_nothing_else_that_the_hub_signed_is_an_ack() -> None:
    for purpose in Purpose:
        if purpose is not Purpose.ACK:
            with pytest.raises(SignatureError):
                open_ack(seal(body(ACK), HUB, purpose), HUB_PUBLIC)
    for payload, error in (
        (b"", CodecError),
        (body(ACK) + b"\x00", CodecError),
        (body(Head(seq=9, digest=bytes(32))), FieldError),
        (body(replace(ACK, device=-1)), FieldError),
        (body(replace(ACK, digest=bytes(31))), FieldError),
    ):
        with pytest.raises(error):
            open_ack(seal(payload, HUB, Purpose.ACK), HUB_PUBLIC)


def test_a_refusal_can_carry_the_ack_of_what_was_kept() -> None:
    refusal = Refusal(
        code=RefusalCode.GAP,
        sentence="Record 12 came before record 10",
        hub_ms=1,
        index=3,
        have_seq=9,
        have_digest=bytes(32),
        ack=seal_ack(ACK, HUB),
    )
    read = codec.unpack(Refusal, codec.decode(body(refusal)))
    assert read == refusal
    assert read.ack is not None
    assert open_ack(read.ack, HUB_PUBLIC) == ACK


def test_refusals_have_codes_of_their_own() -> None:
    codes = [value for name, value in vars(RefusalCode).items() if name.isupper()]
    assert len(set(codes)) == len(codes)
    for code in codes:
        body_of = body(Refusal(code=code, sentence="x", hub_ms=0))
        assert codec.unpack(Refusal, codec.decode(body_of)).code == code


def test_a_claim_is_bound_to_its_content() -> None:
    claim = claim_for(method="PUT", path="/v1/photos/1", content=b"photo", at_ms=5, nonce=bytes(16), made=12)
    assert claim.body == sha256(b"photo").digest()
    key = SigningKey.of(HANDHELD_SEED)
    message = seal(body(claim), key, Purpose.REQUEST)
    payload = open_sealed(message, VerifyKey.of(key.public), Purpose.REQUEST)
    assert codec.unpack(RequestClaim, codec.decode(payload)) == claim
    with pytest.raises(SignatureError):
        open_sealed(message, VerifyKey.of(key.public), Purpose.RECORD)


def test_the_code_authenticates_key_imei_and_nonce_each_in_its_place() -> None:
    imei, other = Imei("490154203237518"), Imei("004999010640000")

    def proof(public_key: bytes, imei: str, nonce: bytes) -> bytes:
        return hmac.digest(b"code", enrolment_proof_input(public_key, imei, nonce), "sha256")

    first, second = bytes(range(32)), bytes(range(1, 33))
    proofs = {
        proof(public_key, imei_of, nonce)
        for public_key in (first, second)
        for imei_of in (imei, other)
        for nonce in (bytes(16), bytes(range(16)))
    }
    assert len(proofs) == 8
    assert len(enrolment_proof_input(first, imei, bytes(16))) == 32 + 16 + 15
    for public_key, nonce in ((bytes(31), bytes(17)), (bytes(33), bytes(15))):
        with pytest.raises(AssertionError):
            enrolment_proof_input(public_key, imei, nonce)


# Bounds.


def test_an_upload_of_the_most_records_is_cut_again() -> None:
    messages = [sealed.message for _, sealed in chains()]
    upload = (messages * UPLOAD_RECORDS_MAX)[:UPLOAD_RECORDS_MAX]
    data = b"".join(upload)
    assert len(data) < UPLOAD_BYTES_MAX
    assert [message for message, _ in split(data)] == upload


def test_one_record_always_fits_an_upload() -> None:
    assert RECORD_BYTES_MAX <= UPLOAD_BYTES_MAX


def test_a_signed_ack_fits_where_a_refusal_carries_it() -> None:
    message = seal(codec.encode(longest(Ack)), HUB, Purpose.ACK)
    assert len(message) <= RECORD_BYTES_MAX


def test_the_largest_policy_and_package_fit_the_answer_that_carries_them() -> None:
    content = Packages(policy=bytes(POLICY_BYTES_MAX), packages=(bytes(PACKAGE_BYTES_MAX),))
    assert codec.unpack(Packages, codec.decode(body(content))) == content


def test_the_most_changes_of_one_route_are_read() -> None:
    bill = OpenBill(bill_no="02050007026-2026-10", period="2026-10", amount_vnd=10**10)
    stop = StopChange(
        customer="02050007026",
        period="2026-10",
        version=2**31 - 1,
        credit_vnd=0,
        payment_method="TT",
        open_bills=(bill,),
        settled_vnd=0,
        reading=bytes(32),
    )
    content = Changes(route="CT-02-05", version=1, stops=(stop,) * CHANGES_MAX)
    assert codec.unpack(Changes, codec.decode(body(content))) == content
