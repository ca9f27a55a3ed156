"""Pages of printer."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
