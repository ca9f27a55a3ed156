"""Days on a seed, with extracts and packages in the middle of them: after each the check finds nothing.

The check folds everything again, from what the hub remembers and now and then from nothing at all.
"""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from hub.books import Books
from hub.checking import findings
from hub.office import import_extract, publish
from tests.hub.rounds import Round
from tests.hub.worlds import ROUTES, Handset, House, Watch, handsets_of, houses_of, open_copy, set_up, write_extract

SEEDS = (121, 128)
STEPS_A_DAY = 18


class CheckedRound(Round):
    """A round whose office imports and publishes too, looked at after whatever the hub was told."""

    folder: Path
    extracts = 0

    async def _step(self) -> None:
        chance = self.random.randrange(100)
        if chance < 4:
            await self._import()
        elif chance < 8:
            collector = self.random.choice(self.handsets).collector
            await publish(self.hub, route_code=self.random.choice(ROUTES), collector=collector, by="it")
            await self._look()
        else:
            await super()._step()

    async def _office(self) -> None:
        await super()._office()
        await self._look()

    async def _upload(self, one: Handset) -> None:
        await super()._upload(one)
        await self._look()

    async def _close(self) -> None:
        await super()._close()
        await self._look()

    async def _import(self) -> None:
        """The billing system as it is now: bills gone or changed, customers moved, gone or new."""
        random, houses = self.random, []
        for house in (*self.houses, *(self.doors[-1:] if random.random() < 0.3 else ())):
            arrears = tuple(bill for bill in house.arrears if random.random() < 0.85)
            if random.random() < 0.05:
                arrears = tuple((number, month, vnd + 1_000) for number, month, vnd in arrears)
            route = house.route if random.random() < 0.9 else random.choice(ROUTES)
            category = house.category if random.random() < 0.9 else "business"
            if random.random() < 0.95:
                houses.append(House(house.customer, route, category, house.previous_index, arrears))
        self.extracts += 1
        folder = self.folder / f"extract-{self.extracts}"
        write_extract(folder, tuple(houses))
        done = await import_extract(self.hub, folder, by="it")
        assert done.done, done.reading.problems
        await self._look()

    async def _look(self) -> None:
        remembering = self.hub.books
        believing_nothing = Books(remembering.unit, remembering.key)
        books = believing_nothing if self.random.random() < 0.1 else remembering
        found = await self.hub.read(lambda connection: findings(connection, books))
        assert found == [], found


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_done_in_whatever_order_the_books_hold(seed: int, tmp_path: Path) -> None:
    random, watch = Random(seed), Watch()
    houses = houses_of(random)[:14]
    handsets = [replace(one, rounds=ROUTES) for one in handsets_of(random)[:3]]
    setting = await set_up(tmp_path, houses, handsets)
    hub = await open_copy(setting, tmp_path / "hub", watch)
    try:
        tariff = await hub.read(hub.books.tariff)
        played = CheckedRound(random, hub, watch, houses, handsets, tariff, STEPS_A_DAY)
        played.folder = tmp_path
        await played.play()
    finally:
        await hub.close()
