"""The reading page: what the dial shows, what it means while it is being typed, and saving it.

The preview is a picture of what saving would say now; saving computes all of it again.
"""

from urllib.parse import urlencode

from aiohttp import web

from device.core.commands import OpenStop, SkipReading, TakeReading
from device.core.effects import Done, Refused
from device.core.preview import Preview, preview
from device.core.stops import MARK_BYTES, StopWork
from device.web.forms import Form
from device.web.visit import LAST_STOP, Page, Visit, get, post
from protocol.readings import READING_CODES, ReadingCode, UseRule
from protocol.records import ReadingTaken

INDEX_MAX = 10**9 - 1
DIGEST_BYTES = 32
USUAL = "normal"


async def reading(visit: Visit) -> web.Response:
    """The page with the keypad. ?code= another way the index came about; ?index= what had been typed."""
    work = visit.stop()
    await visit.app.dispatch(OpenStop(customer=work.stop.customer))
    await visit.opened.shelf.keep_preference(visit.collector, LAST_STOP, work.stop.customer)
    code = _code(visit.request.query.get("code", USUAL))
    return _page(visit, work, code, index=_index(visit.request.query.get("index", "")), photo=_photo(visit))


def _page(
    visit: Visit,
    work: StopWork,
    code: ReadingCode,
    *,
    index: int | None,
    refused: Refused | None = None,
    photo: bytes | None = None,
    status: int = 200,
) -> web.Response:
    """refused: why the index could not be saved as it is; warnings are answered by keying it again."""
    previous, following = visit.opened.index.neighbours(work.stop.customer, visit.collector)
    mine = visit.opened.index.in_walking_order(visit.collector)
    return visit.page(
        "reading.html",
        status=status,
        work=work,
        code=code,
        usual=USUAL,
        replaced=code.rule is UseRule.REPLACED,
        place=mine.index(work) + 1,
        places=len(mine),
        previous=previous,
        following=following,
        index=index,
        photo=photo.hex() if photo is not None else "",
        seen=work.mark.hex(),
        warning=refused,
        shown=_preview(visit, work, code, index),
        taken=work.taken.record if work.taken is not None else None,
    )


async def preview_part(visit: Visit) -> web.Response:
    """What the typed index means: consumption, money, or why not. For htmx."""
    work = visit.stop()
    code, index = _code(visit.request.query.get("code", USUAL)), _index(visit.request.query.get("index", ""))
    return visit.page("preview.html", shown=_preview(visit, work, code, index), warning=None, index=index)


def _preview(visit: Visit, work: StopWork, code: ReadingCode, index: int | None) -> Preview | None:
    if index is None:
        return None
    query = visit.request.query
    return preview(
        visit.app.session,
        work,
        code=code.name,
        index=index,
        removed_index=_index(query.get("removed_index", "")),
        installed_index=_index(query.get("installed_index", "")),
        now=visit.site.clock.now(),
    )


async def save(visit: Visit) -> web.Response:
    """Save the reading and show the paper."""
    work, form = visit.stop(), await visit.form()
    code, index = _code(form.text("code", 40) or USUAL), form.number("index", 0, INDEX_MAX)
    intent, picture = form.intent, form.optional_octets("photo", DIGEST_BYTES)
    if picture is not None and not visit.opened.photos.has(picture):
        return visit.no(visit._("That photo is not on this handheld any more: take it again."), back=_here(work, code))
    if index is None:
        return visit.no(visit._("Key the index that the meter shows."), back=_here(work, code))
    outcome = await visit.ask(
        TakeReading(
            intent=intent,
            customer=work.stop.customer,
            code=code.name,
            index=index,
            removed_index=form.number("removed_index", 0, INDEX_MAX),
            installed_index=form.number("installed_index", 0, INDEX_MAX),
            confirmed=_is_keyed_again(form, index),
            photo=picture,
            seen=form.octets("seen", MARK_BYTES),
        )
    )
    match outcome:
        case Done():
            raise visit.see(f"/stops/{work.stop.customer}/result")
        case Refused(warnings=doubts) if doubts:
            return _page(visit, work, code, index=index, refused=outcome, photo=picture, status=409)
        case Refused(reason=reason):
            return visit.no(visit.why(reason), back=_here(work, code))


def _is_keyed_again(form: Form, index: int) -> bool:
    """After a warning the same index has to be typed once more: a second tap on the same key is no second look."""
    return form.number("doubted", 0, INDEX_MAX) == index


async def reasons(visit: Visit) -> web.Response:
    """Why a meter could not be read, and other ways an index came about."""
    work = visit.stop()
    return visit.page(
        "reasons.html",
        work=work,
        cannot=[code for code in READING_CODES.values() if not code.readable],
        otherwise=[code for code in READING_CODES.values() if code.readable and code.name != USUAL],
        seen=work.mark.hex(),
        photo=_photo_text(visit),
        carried=_carried(visit),
    )


async def skip(visit: Visit) -> web.Response:
    """Save why the meter could not be read."""
    work, form = visit.stop(), await visit.form()
    intent, picture = form.intent, form.optional_octets("photo", DIGEST_BYTES)
    if picture is not None and not visit.opened.photos.has(picture):
        sentence = visit._("That photo is not on this handheld any more: take it again.")
        return visit.no(sentence, back=f"/stops/{work.stop.customer}/reasons")
    outcome = await visit.ask(
        SkipReading(
            intent=intent,
            customer=work.stop.customer,
            code=form.text("code", 40),
            photo=picture,
            seen=form.octets("seen", MARK_BYTES),
        )
    )
    if isinstance(outcome, Refused):
        return visit.no(visit.why(outcome.reason), back=f"/stops/{work.stop.customer}/reasons")
    raise visit.see(f"/stops/{work.stop.customer}/result")


async def stop(visit: Visit) -> web.Response:
    """Where a customer's work stands: the reading first, then the paper."""
    work = visit.stop()
    page = "result" if work.taken is not None and isinstance(work.taken.record, ReadingTaken) else "reading"
    raise visit.see(f"/stops/{work.stop.customer}/{page}")


def _code(name: str) -> ReadingCode:
    code = READING_CODES.get(name, READING_CODES[USUAL])
    return code if code.readable else READING_CODES[USUAL]


def _index(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(INDEX_MAX)) else None


def _carried(visit: Visit) -> str:
    """What had been typed, chosen and photographed, for the pages beside the reading and back."""
    index, photo = _index(visit.request.query.get("index", "")), _photo_text(visit)
    code = _code(visit.request.query.get("code", USUAL)).name
    given = {"index": "" if index is None else str(index), "code": "" if code == USUAL else code, "photo": photo}
    return urlencode({name: value for name, value in given.items() if value})


def _photo(visit: Visit) -> bytes | None:
    text = _photo_text(visit)
    return bytes.fromhex(text) if text else None


def _photo_text(visit: Visit) -> str:
    text = visit.request.query.get("photo", "")
    is_digest = len(text) == 2 * DIGEST_BYTES and all(letter in "0123456789abcdef" for letter in text)
    return text if is_digest else ""


def _here(work: StopWork, code: ReadingCode) -> str:
    return f"/stops/{work.stop.customer}/reading" + ("" if code.name == USUAL else f"?code={code.name}")


PAGES: tuple[Page, ...] = (
    get("/stops/{customer}", stop),
    get("/stops/{customer}/reading", reading),
    get("/stops/{customer}/preview", preview_part),
    post("/stops/{customer}/reading", save),
    get("/stops/{customer}/reasons", reasons),
    post("/stops/{customer}/reasons", skip),
)
