"""Calls to the hub: one network effect in, one event out, whatever the network does.

Nothing here decides. Only a 200 of the right type whose whole body decodes is an answer, so a captive portal, an error
page or a body cut short is no news at all. The session verifies signatures.
"""

import gzip
import hmac
import logging
import os
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, assert_never

from device.clock import Clock
from device.core.effects import AskHead, FetchChanges, FetchPackages, FetchPolicy, Upload
from device.core.events import (
    PACKAGES,
    POLICY,
    ChangesArrived,
    Event,
    FetchFailed,
    PackagesArrived,
    UploadAcked,
    UploadLost,
    UploadRefused,
)
from device.keystore import hub_origin
from device.store import StoreError
from protocol import codec, wire
from protocol.codec import CodecError, FieldError
from protocol.envelope import EnvelopeError, PublicKeyError, Purpose, SigningKey, frame, require_sound_public_key, seal
from protocol.package import POLICY_BYTES_MAX
from protocol.values import Imei

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MESSAGE_TYPE = "application/cose"
PIECE_TYPE = "application/octet-stream"
CONNECT_TIMEOUT_S = 20  # A modem that has slept needs some ten seconds to find its cell.
SILENCE_TIMEOUT_S = 60  # The hub answers within a second; longer silence is a link that has gone.
SLOWEST_BYTES_PER_S = (
    1_000  # Half of the slowest link met: below it a call is hopeless, and the next try may be luckier.
)
DOWNLOAD_TIMEOUT_S = 900
ANSWER_BYTES_MAX = 64 * 2**10  # Acks, refusals and enrolment: some hundred bytes.
CHANGES_BYTES_MAX = 8 * 2**20  # CHANGES_MAX stops of 800 bytes.
PACKAGES_BYTES_MAX = 32 * 2**20  # Ten times the longest route met.
COMPRESS_FROM_BYTES = 1_000  # Below one packet, compressing wins nothing.
NONCE_BYTES = 16

log = logging.getLogger(__name__)
T = TypeVar("T")
NetworkEffect = Upload | AskHead | FetchPackages | FetchPolicy | FetchChanges
Messages = Callable[[int, int], Awaitable[tuple[bytes, ...]]]


class NoAnswerError(Exception):
    """What came back is not an answer of a hub. The sentence is for the collector's screen."""


class CallRefusedError(Exception):
    """The hub answered with a refusal."""

    def __init__(self, refusal: wire.Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.sentence}")
        self.refusal = refusal


class EnrolError(Exception):
    """The hub did not admit this handheld; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. path: with its query, as it is signed. body_max: bytes of the answer, inflated."""

    method: str
    path: str
    answer_type: str
    body_max: int
    total_s: float
    content: bytes = b""
    content_type: str | None = None
    encoding: str | None = None


class Http:
    """Bare calls to one hub: bounded bodies, no redirects, no cookies, no proxy taken from the environment."""

    def __init__(self, hub_url: str, silence_s: float = SILENCE_TIMEOUT_S) -> None:
        self._origin = hub_origin(hub_url)
        self._silence_s = silence_s
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def answer(self, call: Call, claim: str | None = None) -> bytes:
        """The body of a 200 of the expected type. Raises CallRefusedError or NoAnswerError."""
        import aiohttp  # noqa: PLC0415 -- A third of a second, which the first screen need not wait for.
        from yarl import URL  # noqa: PLC0415 -- Comes with aiohttp.

        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # aiohttp hands on a compressed body that was cut short as if it were whole.
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "ghithu", "Accept-Encoding": "gzip"},
            )
        headers = {
            wire.REQUEST_HEADER: claim,
            "Content-Type": call.content_type,
            "Content-Encoding": call.encoding,
        }
        timeout = aiohttp.ClientTimeout(total=call.total_s, connect=CONNECT_TIMEOUT_S, sock_read=self._silence_s)
        try:
            async with self._session.request(
                call.method,
                URL(self._origin + call.path, encoded=True),  # As it was signed, to the letter.
                data=call.content or None,
                headers={name: value for name, value in headers.items() if value is not None},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return await _answer_of(response, call)
        except TimeoutError as error:
            raise NoAnswerError("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(f"no connection to the hub ({type(error).__name__})") from error


ASK_HEAD = Call(
    method="GET",
    path="/v1/records/head",
    answer_type=MESSAGE_TYPE,
    body_max=ANSWER_BYTES_MAX,
    total_s=SILENCE_TIMEOUT_S,
)
FETCH_PACKAGES = Call(
    method="GET",
    path="/v1/packages",
    answer_type=wire.BODY_TYPE,
    body_max=PACKAGES_BYTES_MAX,
    total_s=DOWNLOAD_TIMEOUT_S,
)
FETCH_POLICY = Call(
    method="GET",
    path="/v1/policy",
    answer_type=wire.BODY_TYPE,
    body_max=POLICY_BYTES_MAX + ANSWER_BYTES_MAX,
    total_s=SILENCE_TIMEOUT_S,
)


class Uplink:
    """The hub as this handheld reaches it. made: the last seq this handheld has."""

    def __init__(
        self,
        hub_url: str,
        *,
        key: SigningKey,
        clock: Clock,
        messages: Messages,
        made: Callable[[], int],
        silence_s: float = SILENCE_TIMEOUT_S,
    ) -> None:
        self._http = Http(hub_url, silence_s)
        self._key = key
        self._clock = clock
        self._messages = messages
        self._made = made

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def perform(self, effect: NetworkEffect) -> Event:
        """The event in which a call ends. Raises StoreError alone, which is no matter of the network."""
        try:
            match effect:
                case Upload():
                    return UploadAcked(message=_message(await self._signed(await self._upload(effect))))
                case AskHead():
                    return UploadAcked(message=_message(await self._signed(ASK_HEAD)))
                case FetchPackages():
                    return PackagesArrived(packages=_decoded(wire.Packages, await self._signed(FETCH_PACKAGES)))
                case FetchPolicy():
                    found = _decoded(wire.Packages, await self._signed(FETCH_POLICY))
                    return PackagesArrived(packages=found, what=POLICY)
                case FetchChanges():
                    return ChangesArrived(changes=_changes(effect, await self._signed(_changes_call(effect))))
                case never:
                    assert_never(never)
        except CallRefusedError as error:
            return _refused(effect, error.refusal)
        except NoAnswerError as error:
            return _lost(effect, str(error))
        except StoreError:
            raise
        except Exception as error:  # Sending goes on, whatever this was: an uplink that stops is money unseen.
            log.exception("the uplink met something unforeseen")
            return _lost(effect, f"unforeseen: {type(error).__name__}")

    async def send_photo(self, digest: bytes, *, offset: int, size: int, content: bytes) -> int:
        """Hand on one piece of a photo and say how many bytes of it the hub has now: `size`, and it keeps it.

        digest: SHA-256 of the photo. size: of the whole. content: empty just asks. Raises CallRefusedError and
        NoAnswerError alone; a piece that was lost may have arrived all the same.
        """
        call = Call(
            method="PUT",
            path=f"/v1/photos/{digest.hex()}?offset={offset}&size={size}",
            answer_type=wire.BODY_TYPE,
            body_max=ANSWER_BYTES_MAX,
            total_s=SILENCE_TIMEOUT_S + len(content) / SLOWEST_BYTES_PER_S,
            content=content,
            content_type=PIECE_TYPE,
        )
        try:
            return _decoded(wire.PhotoHave, await self._signed(call)).have
        except (CallRefusedError, NoAnswerError):
            raise
        except Exception as error:  # Photos go on as well, whatever this was.
            log.exception("the uplink met something unforeseen")
            raise NoAnswerError(f"unforeseen: {type(error).__name__}") from error

    async def _upload(self, effect: Upload) -> Call:
        """As many of the records as one upload carries; the ack says how far it went."""
        messages = await self._messages(effect.from_seq, effect.to_seq)
        size = taken = 0
        for message in messages:
            if taken and size + len(message) > wire.UPLOAD_BYTES_MAX:
                break
            size, taken = size + len(message), taken + 1
        content, encoding = b"".join(messages[:taken]), None
        if len(content) >= COMPRESS_FROM_BYTES and len(packed := gzip.compress(content, mtime=0)) < len(content):
            content, encoding = packed, "gzip"
        return Call(
            method="POST",
            path="/v1/records",
            answer_type=MESSAGE_TYPE,
            body_max=ANSWER_BYTES_MAX,
            total_s=SILENCE_TIMEOUT_S + len(content) / SLOWEST_BYTES_PER_S,
            content=content,
            content_type=wire.RECORDS_TYPE,
            encoding=encoding,
        )

    async def _signed(self, call: Call) -> bytes:
        """The answer to a call with its claim; once more with the hub's time when our clock is what was wrong."""
        at_ms = self._clock.now().wall_ms
        try:
            return await self._http.answer(call, self._claim(call, at_ms))
        except CallRefusedError as error:
            refusal = error.refusal
            clock_is_off = abs(refusal.hub_ms - at_ms) > wire.REQUEST_WINDOW_MS
            if refusal.code != wire.RefusalCode.BAD_REQUEST or not clock_is_off:
                raise
            log.info("the hub's clock differs by %d s; asking again with its time", (refusal.hub_ms - at_ms) // 1000)
            return await self._http.answer(call, self._claim(call, refusal.hub_ms))

    def _claim(self, call: Call, at_ms: int) -> str:
        claim = wire.claim_for(
            method=call.method,
            path=call.path,
            content=call.content,
            at_ms=at_ms,
            nonce=os.urandom(NONCE_BYTES),
            made=self._made(),
        )
        return b64encode(seal(wire.body(claim), self._key, Purpose.REQUEST)).decode("ascii")


async def enrol(hub_url: str, code: str, imei: Imei, key: SigningKey) -> wire.Enrolled:
    """Ask a hub in with the one-time code that branch IT was shown. Raises EnrolError.

    The code proves this handheld to the hub. That the hub is the right one rests on the address that was typed and on
    TLS: its key is believed on first sight.
    """
    http = Http(hub_url)
    try:
        time_call = Call(
            method="GET",
            path=f"/v1/time?nonce={os.urandom(NONCE_BYTES).hex()}",
            answer_type=wire.BODY_TYPE,
            body_max=ANSWER_BYTES_MAX,
            total_s=SILENCE_TIMEOUT_S,
        )
        nonce = _decoded(wire.HubTime, await http.answer(time_call)).nonce
        proof_input = wire.enrolment_proof_input(key.public, imei, nonce)
        request = wire.Enrolment(
            public_key=key.public,
            imei=imei,
            nonce=nonce,
            proof=hmac.digest(code_bytes(code), proof_input, "sha256"),
        )
        enrol_call = Call(
            method="POST",
            path="/v1/enrol",
            answer_type=wire.BODY_TYPE,
            body_max=ANSWER_BYTES_MAX,
            total_s=SILENCE_TIMEOUT_S,
            content=seal(wire.body(request), key, Purpose.ENROL),
            content_type=MESSAGE_TYPE,
        )
        enrolled = _decoded(wire.Enrolled, await http.answer(enrol_call))
        require_sound_public_key(enrolled.hub_key)
    except (NoAnswerError, CallRefusedError, PublicKeyError) as error:
        raise EnrolError(str(error)) from error
    finally:
        await http.close()
    return enrolled


def code_bytes(code: str) -> bytes:
    """A one-time code as both sides compute with it, however it was typed. Raises EnrolError for what is no code."""
    letters = "".join(letter for letter in code.upper() if letter != "-" and not letter.isspace())
    if not letters.isascii() or not letters.isalnum():
        raise EnrolError("the code has letters and figures only, such as ABCD-EFGH")
    return letters.encode("ascii")


def _changes_call(effect: FetchChanges) -> Call:
    return Call(
        method="GET",
        path=f"/v1/changes?route={effect.route}&after={effect.after}",  # A route code has no letter to be escaped.
        answer_type=wire.BODY_TYPE,
        body_max=CHANGES_BYTES_MAX,
        total_s=DOWNLOAD_TIMEOUT_S,
    )


async def _answer_of(response: "ClientResponse", call: Call) -> bytes:
    status, kind = response.status, response.content_type
    if status == 200 and kind == call.answer_type:
        return await _body_of(response, call.body_max)
    if 400 <= status < 500 and kind == wire.BODY_TYPE:
        raise CallRefusedError(_decoded(wire.Refusal, await _body_of(response, ANSWER_BYTES_MAX)))
    raise NoAnswerError(f"something other than the hub answered ({status} {kind})")


async def _body_of(response: "ClientResponse", size_max: int) -> bytes:
    """The whole body, inflated. Raises NoAnswerError when it is too long, cut short, or followed by something."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > size_max:
            raise NoAnswerError(f"an answer of more than {size_max} bytes")
    match response.headers.get("Content-Encoding", "identity"):
        case "identity":
            return bytes(body)
        case "gzip":
            inflate = zlib.decompressobj(wbits=31)
            try:
                content = inflate.decompress(body, size_max + 1)
            except zlib.error as error:
                raise NoAnswerError("an answer that cannot be inflated") from error
            if len(content) > size_max or not inflate.eof or inflate.unused_data:
                raise NoAnswerError("an answer that is not one whole compressed body")
            return content
        case _:
            raise NoAnswerError("an answer in an unknown encoding")


def _decoded(cls: type[T], content: bytes) -> T:
    try:
        return codec.unpack(cls, codec.decode(content))
    except (CodecError, FieldError) as error:
        raise NoAnswerError(f"the answer cannot be read: {error}") from error


def _message(content: bytes) -> bytes:
    """One whole signed message, by its frame alone."""
    try:
        size = frame(content).size
    except EnvelopeError as error:
        raise NoAnswerError("the answer is not a signed message") from error
    if size != len(content):
        raise NoAnswerError("the answer is more than a signed message")
    return content


def _changes(effect: FetchChanges, content: bytes) -> wire.Changes:
    changes = _decoded(wire.Changes, content)
    if changes.route != effect.route:
        raise NoAnswerError("the answer is about another route")
    return changes


def _lost(effect: NetworkEffect, sentence: str) -> Event:
    match effect:
        case Upload() | AskHead():
            return UploadLost(sentence=sentence)
        case FetchPackages():
            return FetchFailed(what=PACKAGES, sentence=sentence)
        case FetchPolicy():
            return FetchFailed(what=POLICY, sentence=sentence)
        case FetchChanges():
            return FetchFailed(what=effect.route, sentence=sentence)
        case never:
            assert_never(never)


def _refused(effect: NetworkEffect, refusal: wire.Refusal) -> Event:
    if not isinstance(effect, Upload | AskHead):
        return _lost(effect, refusal.sentence)
    return UploadRefused(code=refusal.code, sentence=refusal.sentence, have_seq=refusal.have_seq, ack=refusal.ack)
