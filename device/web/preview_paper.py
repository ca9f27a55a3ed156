"""The picture of a paper for the screen: the very raster that a printer burns, so what is shown is what is printed."""

import asyncio
from functools import lru_cache

from device.printing import DOTS_58_MM, Printer
from protocol.document import Document

PICTURES_MAX = 48  # One-bit pictures of some 10 kB each: going back and forth between customers draws nothing twice.


class PaperPictureError(Exception):
    """A paper cannot be drawn. reason: a code of `device.paper_words`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the paper cannot be drawn: {reason}")
        self.reason = reason


async def png_of(document: Document, dots: int) -> bytes:
    """A paper as a PNG file, `dots` wide. Drawn in a thread; the same content again costs nothing.

    Raises PaperPictureError.
    """
    return await asyncio.to_thread(_drawn, document, dots)


def dots_of(printer: Printer) -> int:
    """How wide a printer prints; printers that write files have the width of the smallest paper."""
    from printer_drivers.profiles import Profile  # noqa: PLC0415 -- As below.

    profile = getattr(printer, "profile", None)
    return profile.dots if isinstance(profile, Profile) else DOTS_58_MM


@lru_cache(maxsize=PICTURES_MAX)
def _drawn(document: Document, dots: int) -> bytes:
    from printer_drivers import raster  # noqa: PLC0415 -- Fonts and Pillow load while nobody waits for a key.

    try:
        return raster.to_png(raster.render(document, dots))
    except raster.FontMissingError as error:
        raise PaperPictureError("font-missing") from error
    except raster.QrTooLargeError as error:
        raise PaperPictureError("qr-too-large") from error
