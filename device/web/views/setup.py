"""The first start: which hub, and the one-time code that the branch was shown; typed, or read from its QR code.

It makes this handheld's key and asks the hub in. Nothing of it can be done twice: once enrolled, these pages lead to
the log-in.
"""

import asyncio
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from device.hardware.imei import ImeiUnavailableError, read_imei
from device.keystore import Admission, KeystoreError, hub_origin, keep_admission, key_of
from device.uplink import EnrolError, enrol
from device.web.visit import Page, Visit, get, post
from protocol.values import Imei, ImeiError

CODE_LENGTH_MAX = 60
URL_LENGTH_MAX = 200
QR_SCHEME = "ghithu"
QR_LENGTH_MAX = 400
IMEI_PATIENCE_S = 20.0  # A modem that has just been switched on; meanwhile the rest of the page is filled in.


async def setup(visit: Visit) -> web.Response:
    """The wizard: hub, code, IMEI."""
    _require_new(visit)
    hub, code = from_qr(visit.request.query.get("qr", ""))
    return visit.page("setup.html", hub=hub, code=code, imei="", sentence=None)


async def own_imei(visit: Visit) -> web.Response:
    """The field of the IMEI with what the modem says, for htmx; nothing where no modem answers."""
    _require_new(visit)
    try:
        async with asyncio.timeout(IMEI_PATIENCE_S):
            return visit.page("setup_imei.html", imei=await read_imei(visit.site.modem))
    except (ImeiUnavailableError, TimeoutError):
        return web.Response(status=204)


async def scan(visit: Visit) -> web.Response:
    """Look through the camera for the code that the branch shows."""
    _require_new(visit)
    return visit.page("setup_scan.html")


async def begin(visit: Visit) -> web.Response:
    """Ask the hub in."""
    _require_new(visit)
    form = await visit.form()
    hub, code = form.text("hub", URL_LENGTH_MAX), form.text("code", CODE_LENGTH_MAX)
    imei_text = form.text("imei", 20)
    if "://" not in hub:
        hub = f"https://{hub}"
    try:
        imei, origin = Imei(imei_text), hub_origin(hub)
    except ImeiError:
        sentence = visit._("The IMEI has 15 digits, the last of them a check digit. Look at the sticker.")
        return await _refuse(visit, sentence)
    except ValueError:
        return await _no_address(visit)
    try:
        enrolled = await enrol(origin, code, imei, key_of(visit.site.home))
    except ValueError:  # A port or a name that only shows itself as none when it is called.
        return await _no_address(visit)
    except KeystoreError as error:
        sentence = visit._("The key of this handheld cannot be used. Tell branch IT:")
        return await _refuse(visit, f"{sentence} {error}")
    except EnrolError as error:
        _require_new(visit)  # A second tap that came first has been let in with the same code.
        sentence = visit._("The hub did not let this handheld in. Look at address and code; a code works for one day.")
        return await _refuse(visit, f"{sentence} ({error})")
    admission = Admission(
        device=enrolled.device,
        unit=enrolled.unit,
        hub_url=origin,
        hub_key=enrolled.hub_key,
        imei=imei,
        collector=enrolled.collector,
    )
    keep_admission(visit.site.home, admission)
    visit.site.admission = admission
    visit.site.enrolled.set()
    raise visit.see("/setup/done")


async def done(visit: Visit) -> web.Response:
    """What the branch has to do now, and what it must compare."""
    if visit.site.admission is None:
        raise visit.see("/setup")
    return visit.page("setup_done.html", admission=visit.site.admission)


async def _no_address(visit: Visit) -> web.Response:
    return await _refuse(visit, visit._("This is no address of a hub. It looks like https://hub.example.vn"))


async def _refuse(visit: Visit, sentence: str) -> web.Response:
    form = await visit.form()
    return visit.page(
        "setup.html",
        hub=form.text("hub", URL_LENGTH_MAX),
        code=form.text("code", CODE_LENGTH_MAX),
        imei=form.text("imei", 20),
        sentence=sentence,
        status=409,
    )


def from_qr(text: str) -> tuple[str, str]:
    """(hub, code) of `ghithu:enrol?hub=...&code=...`; empty texts for anything else."""
    try:
        parts = urlsplit(text[:QR_LENGTH_MAX])
    except ValueError:
        return "", ""
    if parts.scheme != QR_SCHEME or parts.path != "enrol":
        return "", ""
    fields = parse_qs(parts.query)
    return fields.get("hub", [""])[0][:URL_LENGTH_MAX], fields.get("code", [""])[0][:CODE_LENGTH_MAX]


def _require_new(visit: Visit) -> None:
    if visit.site.admission is not None:
        raise visit.see("/login")


PAGES: tuple[Page, ...] = (
    get("/setup", setup, open_to_all=True, before_opening=True),
    get("/setup/imei", own_imei, open_to_all=True, before_opening=True),
    get("/setup/scan", scan, open_to_all=True, before_opening=True),
    post("/setup", begin, open_to_all=True, before_opening=True),
    get("/setup/done", done, open_to_all=True, before_opening=True),
)
