"""Cash in a simulation is conserved, whoever pays what."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.purses import Purse, notes_for, worth_vnd

AMOUNTS = st.integers(1, 20_000_000)


@given(AMOUNTS)
def test_notes_are_worth_what_they_stand_for(amount: int) -> None:
    assert worth_vnd(notes_for(amount)) == amount


@given(st.lists(AMOUNTS, max_size=8))
def test_a_day_of_payments_leaves_in_the_bag_what_was_paid_and_in_the_purses_the_rest(amounts: list[int]) -> None:
    bag = Purse()
    left = brought = 0
    for amount in amounts:
        purse = Purse.ready_for(amount)
        brought += purse.worth_vnd
        purse.pay(amount, bag)
        left += purse.worth_vnd
        assert all(pieces >= 0 for pieces in [*purse.notes.values(), *bag.notes.values()])
    assert bag.worth_vnd == sum(amounts)
    assert bag.worth_vnd + left == brought


@given(AMOUNTS, st.data())
def test_what_falls_out_of_a_bag_is_missing_from_it(amount: int, data: st.DataObject) -> None:
    bag = Purse(amount)
    lost = data.draw(st.integers(0, amount))
    assert worth_vnd(bag.hand_over(lost)) == lost
    assert worth_vnd(bag.empty()) == amount - lost
    assert bag.worth_vnd == 0
