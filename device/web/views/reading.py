"""The reading page: what the dial shows, what it means while it is being typed, and saving it.

The preview is a picture of what saving would say now; saving computes all of it again.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from device.core.commands import OpenStop, SkipReading, TakeReading
from device.core.effects import Done, Refused
from device.core.preview import Preview, preview
from device.core.stops import MARK_BYTES, StopWork
from device.web.forms import Form
from device.web.visit import LAST_STOP, Page, Visit, get, post
from protocol.readings import ANY_USE_M3, READING_CODES, ReadingCode, UseRule
from protocol.records import ReadingTaken

INDEX_MAX = 10**9 - 1
DIGEST_BYTES = 32
USUAL = "normal"
TYPED = ("index", "removed_index", "installed_index")
DOUBTED = ("doubted", "doubted_removed", "doubted_installed")  # The same fields, as a warning found them.


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed: the index, and for a meter that was replaced the old one's last and the new one's first."""

    index: int | None = None
    removed_index: int | None = None
    installed_index: int | None = None


async def reading(visit: Visit) -> web.Response:
    """The page with the keypad. ?code= another way the index came about; ?index= what had been typed."""
    customer = visit.stop().stop.customer
    await visit.app.dispatch(OpenStop(customer=customer))
    await visit.opened.shelf.keep_preference(visit.collector, LAST_STOP, customer)
    code = _code(visit.request.query.get("code", USUAL))
    return _page(visit, visit.stop(), code, _typed(visit), photo=_photo(visit))


def _page(
    visit: Visit,
    work: StopWork,
    code: ReadingCode,
    typed: Typed,
    *,
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
        typed=typed,
        index=typed.index,
        photo=photo.hex() if photo is not None else "",
        seen=work.mark.hex(),
        warning=refused,
        shown=_preview(visit, work, code, typed),
        taken=work.taken.record if work.taken is not None else None,
    )


async def preview_part(visit: Visit) -> web.Response:
    """What the typed index means: consumption, money, or why not. For htmx."""
    work, typed = visit.stop(), _typed(visit)
    code = _code(visit.request.query.get("code", USUAL))
    return visit.page("preview.html", shown=_preview(visit, work, code, typed), warning=None, index=typed.index)


def _preview(visit: Visit, work: StopWork, code: ReadingCode, typed: Typed) -> Preview | None:
    if typed.index is None:
        return None
    return preview(
        visit.app.session,
        work,
        code=code.name,
        index=typed.index,
        removed_index=typed.removed_index,
        installed_index=typed.installed_index,
        now=visit.site.clock.now(),
    )


async def save(visit: Visit) -> web.Response:
    """Save the reading and show the paper."""
    form = await visit.form()
    work, typed = visit.stop(), _typed_into(form)
    code, index = _code(form.text("code", 40) or USUAL), typed.index
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
            removed_index=typed.removed_index,
            installed_index=typed.installed_index,
            confirms_m3=_confirmed_m3(form, typed),
            photo=picture,
            seen=form.octets("seen", MARK_BYTES),
        )
    )
    match outcome:
        case Done():
            raise visit.see(f"/stops/{work.stop.customer}/result")
        case Refused(warnings=doubts) if doubts:
            return _page(visit, visit.stop(), code, typed, refused=outcome, photo=picture, status=409)
        case Refused(reason=reason):
            return visit.no(visit.why(reason), back=_here(work, code))


def _confirmed_m3(form: Form, typed: Typed) -> int | None:
    """The consumption that a warning named, where all that was doubted has been typed once more: a second tap on the
    same key is no second look.
    """
    use_m3 = form.number("confirms_m3", -ANY_USE_M3, ANY_USE_M3)
    return use_m3 if _typed_into(form, DOUBTED) == typed else None


def _typed_into(form: Form, names: tuple[str, str, str] = TYPED) -> Typed:
    """What a form says was typed, now or, under DOUBTED, before its warning."""
    index, removed_index, installed_index = (form.number(name, 0, INDEX_MAX) for name in names)
    return Typed(index=index, removed_index=removed_index, installed_index=installed_index)


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
    form = await visit.form()
    work = visit.stop()
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


def _typed(visit: Visit) -> Typed:
    """What an address says was typed."""
    index, removed_index, installed_index = (_index(visit.request.query.get(name, "")) for name in TYPED)
    return Typed(index=index, removed_index=removed_index, installed_index=installed_index)


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
    get("/stops/{customer}/preview", preview_part, typed=True),
    post("/stops/{customer}/reading", save),
    get("/stops/{customer}/reasons", reasons),
    post("/stops/{customer}/reasons", skip),
)
