"""Pages of photo."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
