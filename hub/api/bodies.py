"""Reading requests and writing answers: bounded in size and time, every refusal with a code and a sentence.

The server decodes nothing by itself: its own inflating delivers a truncated gzip body silently short, and a bad
checksum as a 500. One gzip member is inflated here, with a limit, and must end where the body ends.
"""

import asyncio
import base64
import zlib
from hashlib import sha256

from aiohttp import web

from hub.core.verify import RefusedError
from hub.intake import Intake, Sender
from protocol.codec import decode, unpack
from protocol.envelope import Purpose, frame, open_sealed
from protocol.wire import (
    BODY_TYPE,
    REQUEST_HEADER,
    REQUEST_WINDOW_MS,
    UPLOAD_BYTES_MAX,
    Head,
    Refusal,
    RefusalCode,
    RequestClaim,
    body,
)

READ_SECONDS = 60  # A megabyte at 20 kB/s; a slower link sends smaller windows, since the handheld halves them.
GZIP = 31  # zlib's window bits for one gzip member.
NONCES_MAX = 20_000  # Ten minutes of requests of 23 handhelds, many times over.
STATUS = {
    RefusalCode.TOO_LARGE: 413,
    RefusalCode.GAP: 409,
    RefusalCode.UNKNOWN_KEY: 401,
    RefusalCode.BAD_SIGNATURE: 401,
    RefusalCode.BAD_CODE: 403,
    RefusalCode.REVOKED: 403,
    RefusalCode.NOT_CONFIRMED: 403,
    RefusalCode.TIMED_OUT: 408,
    RefusalCode.STORAGE: 507,
}


def refusal(error: RefusedError, now_ms: int, head: Head | None = None, ack: bytes | None = None) -> web.Response:
    """The answer that says why something was not done."""
    answer = Refusal(
        code=error.code,
        sentence=error.sentence[:400],
        hub_ms=now_ms,
        index=error.index,
        have_seq=head.seq if head is not None else None,
        have_digest=head.digest if head is not None else None,
        ack=ack,
    )
    return web.Response(status=STATUS.get(error.code, 400), body=body(answer), content_type=BODY_TYPE)


async def read_body(request: web.Request) -> bytes:
    """The body, inflated if it is one gzip member. Raises RefusedError."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            content = await request.read()
    except TimeoutError as error:
        raise RefusedError(RefusalCode.TIMED_OUT, "the body took too long") from error
    except ConnectionError as error:  # Everyday life on a phone link; nobody is there to hear the answer.
        raise RefusedError(RefusalCode.BAD_REQUEST, "the connection ended within the body") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(RefusalCode.TOO_LARGE, f"a body may have {UPLOAD_BYTES_MAX} bytes") from error
    encoding = request.headers.get("Content-Encoding", "")
    if encoding == "":
        return content
    if encoding != "gzip":
        raise RefusedError(RefusalCode.BAD_REQUEST, f"the content encoding {encoding!r} is not known here")
    return inflate(content)


def inflate(content: bytes) -> bytes:
    """One gzip member, whole, of at most UPLOAD_BYTES_MAX inflated bytes. Raises RefusedError."""
    inflater = zlib.decompressobj(GZIP)
    try:
        plain = inflater.decompress(content, UPLOAD_BYTES_MAX + 1)
    except zlib.error as error:
        raise RefusedError(RefusalCode.BAD_REQUEST, "the gzip body is damaged") from error
    if len(plain) > UPLOAD_BYTES_MAX:
        raise RefusedError(RefusalCode.TOO_LARGE, f"an upload may have {UPLOAD_BYTES_MAX} bytes after inflating")
    if not inflater.eof or inflater.unused_data:
        raise RefusedError(RefusalCode.BAD_REQUEST, "the gzip body is cut short or has bytes after it")
    return plain


class Claims:
    """Checks who asks: a signed claim over method, path and body, fresh, and never used before."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._nonces: dict[tuple[bytes, bytes], int] = {}

    async def check(self, request: web.Request, content: bytes, now_ms: int) -> tuple[Sender, RequestClaim]:
        """Who signed this request. Raises RefusedError."""
        header = request.headers.get(REQUEST_HEADER)
        if header is None:
            raise RefusedError(RefusalCode.BAD_REQUEST, f"the header {REQUEST_HEADER} is missing")
        try:
            message = base64.b64decode(header, validate=True)
            sender = await self._intake.sender(frame(message).kid)
            claim = unpack(RequestClaim, decode(open_sealed(message, sender.key, Purpose.REQUEST)))
        except ValueError as error:  # Of base64, the letters before it, the frame, the signature or the fields.
            raise RefusedError(RefusalCode.BAD_REQUEST, f"the request's claim cannot be read: {error}") from error
        if (claim.method, claim.path, claim.body) != (request.method, request.path_qs, sha256(content).digest()):
            raise RefusedError(RefusalCode.BAD_REQUEST, "the claim is for another request")
        if abs(claim.at_ms - now_ms) > REQUEST_WINDOW_MS:
            raise RefusedError(RefusalCode.BAD_REQUEST, "the handheld's clock is too far off")
        self._remember(sender, claim, now_ms)
        return sender, claim

    def _remember(self, sender: Sender, claim: RequestClaim, now_ms: int) -> None:
        key = (sender.key.kid, claim.nonce)
        if key in self._nonces:
            raise RefusedError(RefusalCode.BAD_REQUEST, "this request was made before")
        self._nonces[key] = now_ms
        while len(self._nonces) > NONCES_MAX:
            del self._nonces[next(iter(self._nonces))]
