"""Pages from templates: one environment for each language, and the few filters that screens need."""

import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.core.papers import CATEGORY_WORDS
from device.hub_words import hub_words
from device.web.forms import new_intent
from device.web.phrases import LANGUAGES, phrases, said
from protocol.reasons import REASONS
from protocol.values import NoFix, local_clock, local_date
from protocol.words import date_text, percent, period_text, vnd

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
# Why there is no position, as people read it.
NO_FIX_WORDS: dict[NoFix, tuple[str, str]] = {
    NoFix.NO_RECEIVER: ("Máy không có bộ định vị", "This handheld has no position receiver"),
    NoFix.NO_SIGNAL: ("Chưa bắt được vệ tinh", "No satellites yet"),
    NoFix.SWITCHED_OFF: ("Định vị đang tắt", "Position is switched off"),
}
STATIC = FOLDER / "static"


@cache
def environment(language: str) -> "Environment":
    """The templates, speaking one language."""
    import jinja2  # noqa: PLC0415 -- The server listens before its first page is asked for.

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    catalogue = phrases(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]  # The extension adds it.
        catalogue.gettext, catalogue.ngettext, newstyle=True
    )
    made.filters |= {
        "vnd": vnd,
        "day": date_text,
        "period": period_text,
        "percent": percent,
        "civil": local_date,
        "clock": local_clock,
        "said": lambda pair: said(pair, language),
        "hub_words": lambda sentence: said(hub_words(sentence), language),
        "why": lambda reason: said(REASONS[reason][:2], language),
        "no_fix": lambda reason: said(NO_FIX_WORDS[reason], language),
        "category": lambda category: CATEGORY_WORDS.get(category, category),
    }
    made.globals |= {"language": language, "languages": LANGUAGES, "intent": new_intent, "asset": asset}
    return made


def render(template: str, language: str, **context: Any) -> str:
    """A page or a part of one."""
    return environment(language).get_template(template).render(**context)


@cache
def content(name: str) -> bytes:
    """A static file as it is sent: a style sheet names the others by address. Raises FileNotFoundError."""
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise FileNotFoundError(name)
    if path.suffix != ".css":
        return path.read_bytes()
    named = re.sub(r'url\("([^"]+)"\)', lambda found: f'url("{asset(found[1])}")', path.read_text(encoding="utf-8"))
    return named.encode()


@cache
def asset(name: str) -> str:
    """The address of a static file, with its digest: it may be kept for ever, as another content has another address.

    Raises FileNotFoundError for a file that the build did not bring.
    """
    return f"/static/{sha256(content(name)).hexdigest()[:12]}/{name}"
