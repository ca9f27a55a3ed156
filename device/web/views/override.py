"""Pages of override."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
