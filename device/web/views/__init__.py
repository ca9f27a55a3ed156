"""The pages: one module for each group, each with its PAGES; VIEWS is all of them."""

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
from device.web.visit import Page

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
