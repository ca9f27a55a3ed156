"""Pages of setup."""

from device.web.site import Page

PAGES: tuple[Page, ...] = ()
