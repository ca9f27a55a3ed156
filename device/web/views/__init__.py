"""The pages: one module for each group, each with its PAGES; VIEWS is all of them."""

from device.web.site import Page
from device.web.views import (
    bar,
    collect,
    day,
    login,
    override,
    papers,
    photo,
    printer,
    reading,
    result,
    route,
    setup,
    stops,
)

VIEWS: tuple[Page, ...] = (
    *setup.PAGES,
    *login.PAGES,
    *bar.PAGES,
    *route.PAGES,
    *stops.PAGES,
    *reading.PAGES,
    *photo.PAGES,
    *result.PAGES,
    *collect.PAGES,
    *override.PAGES,
    *printer.PAGES,
    *papers.PAGES,
    *day.PAGES,
)
