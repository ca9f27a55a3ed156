"""A browser as plain as it gets, for tests of what pages say and do: cookies, forms, headers, no scripts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser

from aiohttp import ClientSession, CookieJar

from tests.device.branch import COLLECTOR
from tests.device.web.handheld import OWN_PASSWORD, Handheld

VOID = {"input", "link", "meta", "img", "br", "hr", "line", "rect"}


@dataclass(slots=True)
class FormSeen:
    """A form of a page: where it goes and what it carries."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FormSeen] = []
        self.by_id: dict[str, FormSeen] = {}
        self.links: list[str] = []
        self.words: list[str] = []
        self._open: FormSeen | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = FormSeen(given.get("action", ""))
            self.forms.append(self._open)
            self.by_id[given.get("id", "")] = self._open
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("input", "textarea", "select") and "name" in given:
            form = self.by_id.get(given["form"]) if "form" in given else self._open
            unticked = given.get("type") in ("checkbox", "radio") and "checked" not in given
            if form is not None and not unticked:
                form.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(slots=True)
class Seen:
    """A page as it came. path: after redirects."""

    status: int
    path: str
    html: str
    forms: list[FormSeen]
    links: list[str]
    text: str
    headers: dict[str, str]

    def form(self, action: str) -> FormSeen:
        """The form whose action begins so."""
        return next(form for form in self.forms if form.action.startswith(action))


class Tab:
    """One tab. Requests carry what a browser sends of its own page."""

    def __init__(self, made: Handheld, session: ClientSession) -> None:
        self.made = made
        self._session = session

    async def get(self, path: str, **headers: str) -> Seen:
        """Go to an address."""
        return await self._ask("GET", path, None, {"Sec-Fetch-Site": "same-origin"} | _named(headers))

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Seen:
        """Send a form to an address."""
        sent = {"Origin": self.made.url, "Sec-Fetch-Site": "same-origin"} | _named(headers)
        return await self._ask("POST", path, fields, sent)

    async def submit(self, page: Seen, action: str, **typed: str) -> Seen:
        """Send the form of a page whose action begins so, with what was typed into it."""
        form = page.form(action)
        return await self.post(form.action, form.fields | typed)

    async def log_in(self, user: str = COLLECTOR, password: str = OWN_PASSWORD) -> Seen:
        """Log in by the page."""
        return await self.submit(await self.get("/login"), "/login", user=user, password=password)

    async def open_shift(self) -> Seen:
        """Begin the day."""
        return await self.submit(await self.get("/route"), "/shift/open")

    async def read(self, customer: str, index: int, **typed: str) -> Seen:
        """Save a reading by its page."""
        page = await self.get(f"/stops/{customer}/reading")
        return await self.submit(page, f"/stops/{customer}/reading", index=str(index), **typed)

    async def _ask(self, method: str, path: str, fields: dict[str, str] | None, headers: dict[str, str]) -> Seen:
        async with self._session.request(method, self.made.url + path, data=fields, headers=headers) as answer:
            html = await answer.text() if answer.content_type.startswith("text/") else ""
            reader = _Reader()
            reader.feed(html)
            text = " ".join(" ".join(reader.words).split())
            seen_headers = dict(answer.headers.items())
            return Seen(answer.status, answer.url.path_qs, html, reader.forms, reader.links, text, seen_headers)


def _named(headers: dict[str, str]) -> dict[str, str]:
    """sec_fetch_site="cross-site" -> Sec-Fetch-Site; an empty value takes the header away."""
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


@asynccontextmanager
async def tab(made: Handheld) -> AsyncIterator[Tab]:
    """A new tab with cookies of its own."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield Tab(made, session)
