"""Pages of collect."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
