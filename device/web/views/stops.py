"""Pages of stops."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
