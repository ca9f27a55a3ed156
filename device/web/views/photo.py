"""The photo of a meter: the page with the camera, and taking in what it made.

The picture comes by itself and not in a form: the same picture twice is the same photo. What had been typed goes along
in the address.
"""

from urllib.parse import quote, urlencode

from aiohttp import web

from device.photos import PhotoTrouble
from device.web.phrases import said
from device.web.visit import Page, Visit, get, post
from protocol.readings import READING_CODES
from protocol.wire import PHOTO_BYTES_MAX

JPEG = "image/jpeg"
INDEX_DIGITS_MAX = 9
DIGEST_HEX = 64
STATUS = {
    PhotoTrouble.NOT_A_PHOTO: 422,
    PhotoTrouble.TOO_LARGE: 413,
    PhotoTrouble.FULL: 507,
    PhotoTrouble.NOT_WRITTEN: 507,
}


async def photo(visit: Visit) -> web.Response:
    """The camera. ?index= and ?code= what the reading page had; ?photo= a photo that is kept already."""
    work = visit.stop()
    here = f"/stops/{work.stop.customer}"
    typed = _typed(visit)
    kept = visit.request.query.get("photo", "")
    kept = kept if len(kept) == DIGEST_HEX and not kept.strip("0123456789abcdef") else ""
    return visit.page(
        "photo.html",
        work=work,
        post=f"{here}/photo?back={quote(_with(f'{here}/photo', typed), safe='')}",
        keep=_with(f"{here}/reading", {**typed, "photo": ""}),
        reasons=_with(f"{here}/reasons", {"photo": ""}),
        leave=_with(f"{here}/reading", typed | ({"photo": kept} if kept else {})),
        had=bool(kept),
    )


async def keep(visit: Visit) -> web.Response:
    """Keep the picture; its SHA-256 is what the reading names it by."""
    visit.stop()
    request = visit.request
    if request.content_type != JPEG:
        return _no(visit, PhotoTrouble.NOT_A_PHOTO, 415)
    if request.content_length is not None and request.content_length > PHOTO_BYTES_MAX:
        return _no(visit, PhotoTrouble.TOO_LARGE)
    try:
        content = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return _no(visit, PhotoTrouble.TOO_LARGE)
    match await visit.opened.photos.keep(content):
        case PhotoTrouble() as trouble:
            return _no(visit, trouble)
        case digest:
            return web.json_response({"sha256": digest.hex()})


def _no(visit: Visit, trouble: PhotoTrouble, status: int = 0) -> web.Response:
    return web.json_response({"sentence": said(trouble.value, visit.language)}, status=status or STATUS[trouble])


def _typed(visit: Visit) -> dict[str, str]:
    """What the reading page wants to see again."""
    index, code = visit.request.query.get("index", ""), visit.request.query.get("code", "")
    found = {}
    if code in READING_CODES:
        found["code"] = code
    if index.isascii() and index.isdigit() and len(index) <= INDEX_DIGITS_MAX:
        found["index"] = index
    return found


def _with(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


PAGES: tuple[Page, ...] = (
    get("/stops/{customer}/photo", photo),
    post("/stops/{customer}/photo", keep),
)
