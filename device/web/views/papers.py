"""Pages of papers."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
