"""Pages of result."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
