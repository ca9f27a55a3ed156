"""The interface in two languages: English in the code, Vietnamese first on the screen.

Read with the standard library from a compiled catalogue that the build makes; papers speak Vietnamese whatever is
chosen here.
"""

import gettext
from collections.abc import Mapping
from functools import cache
from pathlib import Path

DOMAIN = "ghithu"
LOCALE_FOLDER = Path(__file__).parent / "locale"
DEFAULT_LANGUAGE = "vi"
LANGUAGES: Mapping[str, str] = {"vi": "Tiếng Việt", "en": "English"}


@cache
def phrases(language: str) -> gettext.NullTranslations:
    """The phrases of a language of LANGUAGES."""
    if language == "en":
        return gettext.NullTranslations()  # What the code says is English.
    return gettext.translation(DOMAIN, LOCALE_FOLDER, [language])


def said(pair: tuple[str, str], language: str) -> str:
    """One of (Vietnamese, English), as tables of reasons hold them."""
    return pair[0] if language == "vi" else pair[1]
