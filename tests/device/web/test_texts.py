"""What is typed as text: nothing of it may end the program, whatever a keyboard or a scanner sends."""

from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.commands import Command, NoteContact, OverrideHold, VoidCollection
from device.web.forms import Form, FormError
from device.web.texts import require_sealable
from protocol import codec
from protocol.fields import OptionalText
from protocol.records import CollectionVoided, ContactNoted, ContactOutcome, RuleOverridden, VoidReason
from tests.device.web.browser import Tab
from tests.device.web.handheld import SUPERVISOR_CODES, Handheld
from tests.device.web.test_papers import collect

RESULT = "/stops/C00001/result"
INTENT = bytes(16)
# Bell, next line, the separators of codes on labels, NUL, DEL: what no record takes.
UNSEEN = ("\x07", "\x85", "\x1d", "\x1e\x04", "\x00", "\x7f")
letters = st.text(st.one_of(st.characters(), st.sampled_from("\x00\x07\t\n\x1d\x7f\x85\x9f\ud800")), max_size=40)


@given(typed=letters)
def test_whatever_is_typed_a_record_can_hold_what_a_form_reads_of_it(typed: str) -> None:
    found = Form({"note": typed}).text("note")
    assert codec.reader(OptionalText)(found, "note") == found
    assert found == found.strip()
    assert "".join(found.split()) == "".join("".join(filter(str.isprintable, typed)).split()) or not typed.isprintable()


@pytest.mark.parametrize("unseen", UNSEEN)
async def test_unseen_characters_in_a_note_are_left_out_and_the_note_is_kept(
    made: Handheld, working: Tab, unseen: str
) -> None:
    page = await working.get("/stops/C00001/contact?outcome=PAYS_LATER&letters=1")
    saved = await working.submit(page, "/stops/C00001/contact", note=f"gọi {unseen} trước{unseen}")
    assert saved.path == "/stops/C00002/reading"
    noted = made.app.session.work.stops["C00001"].contact
    assert noted is not None
    assert isinstance(noted.record, ContactNoted)
    assert noted.record.note == "gọi trước"


async def test_a_scan_that_is_longer_than_a_note_changes_nothing(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00001/contact?outcome=PAYS_LATER&letters=1")
    before = made.app.session.work.tip
    refused = await working.submit(page, "/stops/C00001/contact", note="]d201\x1d" * 100)
    assert refused.status == 400
    assert "Màn hình này không còn đúng" in refused.text or "mở lại" in refused.text
    assert made.app.session.work.tip == before


async def test_unseen_characters_end_no_void_and_no_override(made: Handheld, working: Tab) -> None:
    await collect(made, "C00001")
    page = await working.get("/receipts/1/void?reason=OTHER")
    await working.submit(page, "/receipts/1/void", note="x\x01y")
    await working.read("C00007", 103)
    page = await working.get("/stops/C00007/override?because=used-less")
    await working.submit(page, "/stops/C00007/override", because="x\x01y", code=SUPERVISOR_CODES[0])
    records = [one.record for one in made.app.session.work.records]
    assert [one.note for one in records if isinstance(one, CollectionVoided)] == ["x y"]
    assert [one.reason for one in records if isinstance(one, RuleOverridden)] == ["x y"]


@pytest.mark.parametrize("text", ["a\x07b", "a\x85b", "x" * 401, "\ud800"])
@pytest.mark.parametrize(
    "command_with",
    [
        lambda text: NoteContact(intent=INTENT, customer="C00001", outcome=ContactOutcome.OTHER, note=text),
        lambda text: VoidCollection(intent=INTENT, receipt_no=1, reason=VoidReason.OTHER, note=text),
        lambda text: OverrideHold(intent=INTENT, customer="C00001", supervisor_code="0" * 10, because=text),
        lambda text: OverrideHold(intent=INTENT, customer=text, supervisor_code="0" * 10, because="đúng"),
    ],
)
def test_a_command_with_a_text_that_no_record_holds_does_not_reach_the_core(command_with: object, text: str) -> None:
    assert callable(command_with)
    require_sealable(command_with("được"))
    with pytest.raises(FormError):
        require_sealable(command_with(text))


def test_a_reason_that_is_empty_lifts_no_hold() -> None:
    with pytest.raises(FormError):
        require_sealable(OverrideHold(intent=INTENT, customer="C00001", supervisor_code="0" * 10, because=""))


def test_every_text_of_every_command_is_looked_at() -> None:
    """Texts are `str` or `str | None`; another way to carry one would have to be looked at too."""
    kinds = {str(field.type) for command in get_args(Command) for field in fields(command) if "str" in str(field.type)}
    assert kinds == {"<class 'str'>", "str | None"}
