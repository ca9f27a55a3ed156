"""The envelope: one signed form, what breaks it, and keys for which anyone could sign."""

from hashlib import sha256
from itertools import pairwise

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from protocol.chain import EMPTY, NO_DIGEST, Tip, digest, follows
from protocol.envelope import (
    RECORD_BYTES_MAX,
    EnvelopeError,
    PublicKeyError,
    Purpose,
    SignatureError,
    SigningKey,
    VerifyKey,
    frame,
    key_id,
    open_sealed,
    require_sound_public_key,
    seal,
    split,
    verify,
)

KEY = SigningKey.of(bytes(range(32)))
PUBLIC = VerifyKey.of(KEY.public)
OTHER = SigningKey.of(bytes(range(1, 33)))
ORDER = 2**252 + 27742317777372353535851937790883648493  # Of the base point: RFC 8032, section 5.1.
PRIME = 2**255 - 19
OVERHEAD = 4 + 13 + 2 + 64 + 2  # Of a payload of 24 to 255 bytes, with the head of the byte string.
LARGE = 2**20


# RFC 8032, section 7.1: seed, public key, message, signature.
STANDARD_SIGNATURES = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), STANDARD_SIGNATURES, ids=["1", "2", "3"])
def test_keys_and_signatures_are_those_of_the_standard(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey.of(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.private.sign(bytes.fromhex(message)).hex() == signature
    require_sound_public_key(key.public)


def signature_structure(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """RFC 9052, section 4.4, by a library that knows nothing of us."""
    return cbor2.dumps(["Signature1", protected, aad, payload])


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65_535, 65_536])
def test_a_message_is_what_the_standard_says(length: int, purpose: Purpose) -> None:
    payload = b"\x07" * length
    message = seal(payload, KEY, purpose)
    tag = cbor2.loads(message)
    assert tag.tag == 18
    protected, unprotected, content, signature = tag.value
    assert cbor2.loads(protected) == {1: -19, 4: sha256(KEY.public).digest()[:8]}
    assert (unprotected, content) == ({}, payload)
    aad = f"ghithu/1/{purpose.name.lower()}".encode()
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, signature_structure(protected, aad, payload))
    assert cbor2.dumps(cbor2.CBORTag(18, [protected, {}, content, signature]), canonical=True) == message
    assert open_sealed(message, PUBLIC, purpose, LARGE) == payload


@given(st.binary(max_size=600), st.sampled_from(Purpose))
def test_what_was_sealed_opens(payload: bytes, purpose: Purpose) -> None:
    message = seal(payload, KEY, purpose)
    assert open_sealed(message, PUBLIC, purpose) == payload
    assert seal(payload, KEY, purpose) == message


def refused(message: bytes) -> None:
    with pytest.raises((EnvelopeError, SignatureError)):
        open_sealed(message, PUBLIC, Purpose.RECORD)


def test_any_flipped_bit_is_refused() -> None:
    good = seal(b"twenty-eight bytes of payload", KEY, Purpose.RECORD)
    for place in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            refused(bytes(bad))


def test_any_byte_less_or_more_is_refused() -> None:
    good = seal(b"twenty-eight bytes of payload", KEY, Purpose.RECORD)
    for place in range(len(good)):
        refused(good[:place])
        refused(good[:place] + good[place + 1 :])
        refused(good[:place] + b"\x00" + good[place:])
    refused(good + b"\x00")
    refused(good + good)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(seal(b"", KEY, Purpose.RECORD)[:17] + data)


def test_a_signature_for_one_use_is_worthless_for_another() -> None:
    for made in Purpose:
        message = seal(b"same words", KEY, made)
        for asked in Purpose:
            if asked is not made:
                with pytest.raises(SignatureError):
                    open_sealed(message, PUBLIC, asked)


def test_another_key_is_refused_whatever_it_calls_itself() -> None:
    message = seal(b"mine", OTHER, Purpose.RECORD)
    with pytest.raises(SignatureError):
        open_sealed(message, PUBLIC, Purpose.RECORD)
    renamed = seal(b"mine", SigningKey(OTHER.private, KEY.kid, OTHER.public), Purpose.RECORD)
    with pytest.raises(SignatureError):
        open_sealed(renamed, PUBLIC, Purpose.RECORD)
    misnamed = seal(b"mine", SigningKey(KEY.private, OTHER.kid, KEY.public), Purpose.RECORD)
    with pytest.raises(SignatureError):
        open_sealed(misnamed, PUBLIC, Purpose.RECORD)


def test_a_signature_has_one_form() -> None:
    """Adding the group's order to S fits the equation as well; a digest would then have two messages."""
    good = seal(b"malleable?", KEY, Purpose.RECORD)
    scalar = int.from_bytes(good[-32:], "little")
    for multiple in range(1, 15):
        refused(good[:-32] + (scalar + multiple * ORDER).to_bytes(32, "little"))
    refused(good[:-64] + bytes(64))


def other_forms() -> dict[str, bytes]:
    """Valid COSE_Sign1 in all but our profile: signed well, framed otherwise."""
    payload = b"the same payload, framed otherwise"
    kid = KEY.kid

    def made(protected: bytes, unprotected: dict[int, object], *, tag: bool = True) -> bytes:
        signature = KEY.private.sign(signature_structure(protected, Purpose.RECORD.value, payload))
        parts = [protected, unprotected, payload, signature]
        return cbor2.dumps(cbor2.CBORTag(18, parts) if tag else parts)

    ours = cbor2.dumps({1: -19, 4: kid})
    good = made(ours, {})
    assert open_sealed(good, PUBLIC, Purpose.RECORD) == payload
    return {
        "untagged": made(ours, {}, tag=False),
        "kid outside": made(cbor2.dumps({1: -19}), {4: kid}),
        "old algorithm number": made(cbor2.dumps({1: -8, 4: kid}), {}),
        "another algorithm": made(cbor2.dumps({1: -7, 4: kid}), {}),
        "keys the other way round": made(cbor2.dumps({4: kid, 1: -19}), {}),
        "something unprotected": made(ours, {3: 0}),
        "content type": made(cbor2.dumps({1: -19, 3: 60, 4: kid}), {}),
        "empty header": made(b"", {}),
        "longer kid": made(cbor2.dumps({1: -19, 4: sha256(KEY.public).digest()}), {}),
        "tag in two bytes": b"\xd8\x12" + good[1:],
        "open array": good[:1] + b"\x9f" + good[2:] + b"\xff",
        "payload length in two bytes": good[:18] + b"\x59\x00" + good[19:],
        "payload length in eight bytes": good[:18] + b"\x5b" + bytes(7) + good[19:],
        "signature length in two bytes": good[:-66] + b"\x59\x00\x40" + good[-64:],
        "payload is text": good[:18] + b"\x78" + good[19:],
        "no payload": good[:18] + b"\xf6" + good[-66:],
    }


@pytest.mark.parametrize("form", other_forms())
def test_another_form_of_the_same_message_is_refused(form: str) -> None:
    refused(other_forms()[form])


def test_the_published_example_is_valid_and_not_of_our_profile() -> None:
    """EdDSA-01 of the COSE working group's examples: algorithm -8, kid outside the protected header."""
    message = bytes.fromhex(
        "d28445a201270300a10442313154546869732069732074686520636f6e74656e742e58407142fd2ff96d56db85bee905a76ba1d0b7321a95"
        "c8c4d3607c5781932b7afb8711497dfa751bf40b58b3bcc32300b1487f3db34085eef013bf08f4a44d6fef0d"
    )
    raw = bytes.fromhex(STANDARD_SIGNATURES[0][1])
    protected, _, payload, signature = cbor2.loads(message).value
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, signature_structure(protected, b"", payload))
    with pytest.raises(EnvelopeError):
        open_sealed(message, VerifyKey.of(raw), Purpose.RECORD)


def test_a_message_may_be_as_long_as_the_bound_and_no_longer() -> None:
    fits = b"x" * (RECORD_BYTES_MAX - OVERHEAD - 1)  # Lengths above 255 have one byte more.
    message = seal(fits, KEY, Purpose.RECORD)
    assert len(message) == RECORD_BYTES_MAX
    assert open_sealed(message, PUBLIC, Purpose.RECORD) == fits
    refused(seal(fits + b"x", KEY, Purpose.RECORD))
    assert open_sealed(seal(fits + b"x", KEY, Purpose.RECORD), PUBLIC, Purpose.RECORD, RECORD_BYTES_MAX + 1)


def test_a_length_of_what_nobody_has_is_refused_unread() -> None:
    start = seal(b"", KEY, Purpose.RECORD)[:18]
    for length in ("5affffffff", "5bffffffffffffffff", "59ffff", "5a", "59", "59ff", "5affff", "7affffffff", "58"):
        refused(start + bytes.fromhex(length))
        refused(start + bytes.fromhex(length) + bytes(100))


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_a_sequence_falls_into_its_messages(payloads: list[bytes]) -> None:
    messages = [seal(payload, KEY, Purpose.RECORD) for payload in payloads]
    parts = list(split(b"".join(messages)))
    assert [message for message, _ in parts] == messages
    assert [part.payload for _, part in parts] == payloads
    for _, part in parts:
        verify(part, PUBLIC, Purpose.RECORD)


@pytest.mark.parametrize("rest", ["00", "d2", "d2844da2013204", "f6", "d28443a10126a0", "ff" * 200])
def test_the_good_beginning_of_a_sequence_comes_before_the_refusal(rest: str) -> None:
    first, second = seal(b"1", KEY, Purpose.RECORD), seal(b"2", OTHER, Purpose.RECORD)
    parts = split(first + second + bytes.fromhex(rest))
    assert [next(parts)[0], next(parts)[0]] == [first, second]
    with pytest.raises(EnvelopeError):
        next(parts)


def test_a_message_is_cut_where_it_stands() -> None:
    first, second = seal(b"1", KEY, Purpose.RECORD), seal(b"22", OTHER, Purpose.RECORD)
    part = frame(first + second, len(first))
    assert (part.kid, part.payload, part.size) == (OTHER.kid, b"22", len(second))


# Keys. The eight points of small order, in canonical form: y is 1, -1, 0 (twice), and the four whose double is of
# order four. The test below proves that they are what this says, with arithmetic of its own.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
# Other spellings of such points, which some libraries read: x = 0 with the sign set, and y not below the prime.
MISSPELT = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def test_these_eight_points_are_the_ones_of_small_order() -> None:
    """y of 2P from y of P alone: with x^2 = (y^2-1)/(1+dy^2), 2P has y = (y^2+x^2)/(1-d x^2 y^2)."""
    d = -121665 * pow(121666, -1, PRIME) % PRIME

    def doubled(y: int) -> int:
        x_squared = (y * y - 1) * pow(1 + d * y * y, -1, PRIME)
        return (y * y + x_squared) * pow(1 - d * x_squared * y * y, -1, PRIME) % PRIME

    ys = [int.from_bytes(bytes.fromhex(text), "little") % 2**255 for text in SMALL_ORDER]
    assert len(set(SMALL_ORDER)) == 8
    for y in ys:
        assert doubled(doubled(doubled(y))) == 1


def test_a_signature_by_nobody_fits_a_key_of_small_order() -> None:
    """Why the keys below must be refused: the library finds these signatures good."""
    forged = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(SMALL_ORDER[0])).verify(forged, b"pay me")


@pytest.mark.parametrize("text", SMALL_ORDER + MISSPELT)
def test_a_key_for_which_anyone_could_sign_is_refused(text: str) -> None:
    with pytest.raises(PublicKeyError):
        require_sound_public_key(bytes.fromhex(text))


def test_a_number_not_below_the_prime_is_refused() -> None:
    for y in range(PRIME, 2**255):
        for sign in (0, 2**255):
            with pytest.raises(PublicKeyError):
                require_sound_public_key((y + sign).to_bytes(32, "little"))


def test_a_key_off_the_curve_or_of_another_length_is_refused() -> None:
    off_curve = 0
    for y in range(2, 40):
        raw = y.to_bytes(32, "little")
        d = -121665 * pow(121666, -1, PRIME) % PRIME
        x_squared = (y * y - 1) * pow(1 + d * y * y, -1, PRIME) % PRIME
        on_curve = pow(x_squared, (PRIME - 1) // 2, PRIME) == 1  # Euler's criterion.
        if on_curve:
            require_sound_public_key(raw)
            continue
        off_curve += 1
        with pytest.raises(PublicKeyError):
            require_sound_public_key(raw)
    assert off_curve > 10
    for raw in (b"", KEY.public[:31], KEY.public + b"\x00"):
        with pytest.raises(PublicKeyError):
            require_sound_public_key(raw)


@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_taken(seed: bytes) -> None:
    key = SigningKey.of(seed)
    require_sound_public_key(key.public)
    assert key.kid == key_id(key.public) == VerifyKey.of(key.public).kid


# The chain.


def test_a_chain_follows_only_in_order_and_by_name() -> None:
    messages = [seal(bytes([number]), KEY, Purpose.RECORD) for number in range(4)]
    tips = [EMPTY, *(Tip(seq, digest(message)) for seq, message in enumerate(messages, start=1))]
    assert EMPTY == (0, NO_DIGEST) == (0, bytes(32))
    for before, after in pairwise(tips):
        assert follows(after.seq, before.digest, before)
        assert not follows(after.seq + 1, before.digest, before)
        assert not follows(before.seq, before.digest, before)
        assert not follows(after.seq, after.digest, before)
    assert digest(messages[0]) == sha256(messages[0]).digest()
