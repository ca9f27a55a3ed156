"""Pages of day."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
