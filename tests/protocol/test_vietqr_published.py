"""More VietQR strings that others have published: each read as it was meant, or refused for the reason it deserves.

From NAPAS's own examples and the test data of vietnam-qr-pay, vietqr-ts, subiz/vietqr, vietqr-generator, vietqr-php,
openhoangnc/vietqr, vietqr-parser, napas-qr-python and vietqr-emvco; every checksum and length was checked apart from
our parser. Strings whose account may be a living person's were left out: what is here is an example's, a shop's or a
virtual account.
"""

import pytest

from protocol.vietqr import Fault, PayloadError, Service, VietQR, parse

# Text; then bank, account, service, whether dynamic, amount in đồng and purpose.
READ = [
    (
        "00020101021138540010A00000072701240006970423011001234567890208QRIBFTTA53037045802VN6304F64B",
        ("970423", "0123456789", Service.TO_ACCOUNT, False, None, None),
    ),
    (
        "00020101021138540010A00000072701240006963388011034567891430208QRIBFTTA53037045802VN63041D58",
        ("963388", "3456789143", Service.TO_ACCOUNT, False, None, None),
    ),
    (  # Static, and names an amount all the same.
        "00020101021138540010A00000072701240006963388011034567891430208QRIBFTTA5303704540723451235802VN"
        "62220818thanh toan hoa don630445F2",
        ("963388", "3456789143", Service.TO_ACCOUNT, False, 2_345_123, "thanh toan hoa don"),
    ),
    (
        "00020101021238560010A0000007270126000697043601121234567890120208QRIBFTTC530370454061200005802VN"
        "62130809Pay a box6304B8EC",
        ("970436", "123456789012", Service.TO_CARD, True, 120_000, "Pay a box"),
    ),
    (  # A virtual account, with small letters.
        "00020101021238570010A000000727012700069704220113VQRQ00031obce0208QRIBFTTA53037045405120005802VN"
        "62160812Movie Ticket63048FE8",
        ("970422", "VQRQ00031obce", Service.TO_ACCOUNT, True, 12_000, "Movie Ticket"),
    ),
    (  # Cash withdrawal, with a trade, a holder, a town and three fields in 62 that are not ours.
        "00020101021138500010A000000727012200069704160108123456780206QRCASH5204601153037045802VN"
        "5912NGUYEN VAN A6006HA NOI6237052120190109155714228384707080000111163049CE4",
        ("970416", "12345678", Service.CASH, False, None, None),
    ),
    (  # Payment at a counter.
        "00020101021238580010A00000072701300006970403011621129950446040250206QRPUSH52045812530370454061800005802VN"
        "5910PHUONG CAC6005HANOI62110307NPS686963047C1B",
        ("970403", "2112995044604025", Service.PUSH, True, 180_000, None),
    ),
    (  # The same with a tip (55) and its amount (56).
        "00020101021238580010A00000072701300006970403011621129950446040250206QRPUSH5204581253037045406180000"
        "5502035605100005802VN5910PHUONG CAC6005HANOI62110307NPS6869630497BE",
        ("970403", "2112995044604025", Service.PUSH, True, 180_000, None),
    ),
]

WALLET = "no NAPAS field"
INSIDE = "the service stands inside the beneficiary"
# Why, the text, and what parse must call it.
REFUSED = [
    (
        WALLET,
        "00020101021126280010A0000007750110010531314453037045408210900005802VN5910CELLPHONES62600312CPSHN ONLINE"
        "0517021908061613127850705ONLHN0810CellphoneS63047685",
        Fault.CONTENT,
    ),
    (
        WALLET,
        "00020101021126280010A0000007750110010215477853037045802VN5912TUGIACOMPANY62310315TU GIA COMPUTER"
        "0708TUGIACO16304DF44",
        Fault.CONTENT,
    ),
    (
        WALLET,
        "00020101021126280010A000000775011001A80187905204549953037045802VN5907SUNFLY16005HaNoi"
        "62290313SUNFLY ONLINE0708SUNFLY016304AE6F",
        Fault.CONTENT,
    ),
    (
        INSIDE,
        "00020101021238570010A00000072701390006970422011301234567890200208QRIBFTTA53037045405100005802VN"
        "62230707PAYBILL0908INV-202463048C15",
        Fault.STRUCTURE,
    ),
    (
        INSIDE,
        "00020101021238570010A00000072701390006970422011301234567890200208QRIBFTTA53037045405100005802VN"
        "62350809Test Memo0706PAYBIL0908INV-20246304074A",
        Fault.STRUCTURE,
    ),
    (
        INSIDE,
        "00020101021238590010A0000007270141000697044101156607040600001290208QRIBFTTA5204581253037045405500005802VN"
        "5901_6011HO CHI MINH99210010A0000007270203abc63045859",
        Fault.STRUCTURE,
    ),
    (
        "an empty 62",
        "00020101021138570010A00000072701390006970422011301234567890200208QRIBFTTA5303704540440005802VN"
        "62006304A6AF",
        Fault.STRUCTURE,
    ),
    (
        "a checksum in small letters",
        "00020101021138570010A00000072701390006970422011301234567890200208QRIBFTTA53037045802VN6304a3cf",
        Fault.STRUCTURE,
    ),
    (
        "a template of checksum FFFF",
        "00020101021138540010A00000072701240006970422011001234567890208QRIBFTTA53037045802VN6304FFFF",
        Fault.CRC,
    ),
    (
        "a template of checksum 0000",
        "00020101021138570010A00000072701390006970422011301234567890200208QRIBFTTA53037045802VN63040000",
        Fault.CRC,
    ),
    (
        "a template of checksum ABCD",
        "00020101021238540010A00000072701240006970436011012345678900208QRIBFTTA53037045802VN6304ABCD",
        Fault.CRC,
    ),
    (
        "another checksum",
        "00020101021138570010A00000072701390006970422011301234567890200208QRIBFTTA53037045802VN6304B7C9",
        Fault.CRC,
    ),
    (
        "the last figure of the checksum is another",
        "00020101021238600010A00000072701300006970403011697040311012345670208QRIBFTTC530370454061800005802VN"
        "62340107NPS68690819thanh toan don hang6304A201",
        Fault.CRC,
    ),
    (
        "a length that is wrong, and the checksum with it",
        "00020101021238540010A00000072701240006970422011012345678900208QRIBFTTA52040000530370454061000005802VN"
        "5912NGUYEN VAN A62180810ITBLOG PAY16304E85C",
        Fault.CRC,
    ),
    (
        "service and length in the wrong order",
        "00020101021138570010A00000072701270006970403011301234567020869QRIBFTTA53037045802VN630424F5",
        Fault.CRC,
    ),
    (
        "a length one short",
        "00020101021138580010A00000072701250006970422011113012345678908020208QRIBFTTA53037045802VN63045E3F",
        Fault.CRC,
    ),
    (
        "cut off in the middle of a field",
        "00020101021238540010A0000007270124000697040301130123456763046304",
        Fault.CRC,
    ),
    (
        "fields out of order",
        "00020101021238560010A0000007270138000697042201120123456789020208QRIBFTTA53037045405500005802VN5204581"
        "162350805INV20240511HD123456708116304C7F8",
        Fault.CRC,
    ),
]


@pytest.mark.parametrize(("text", "fields"), READ)
def test_published_code_is_read_as_it_was_meant(
    text: str, fields: tuple[str, str, Service, bool, int | None, str | None]
) -> None:
    bank_bin, account, service, dynamic, amount_vnd, purpose = fields
    code = parse(text)
    assert code == VietQR(
        bank_bin=bank_bin,
        account=account,
        service=service,
        dynamic=dynamic,
        amount_vnd=amount_vnd,
        bill_no=None,
        purpose=purpose,
    )


@pytest.mark.parametrize(("why", "text", "fault"), REFUSED)
def test_published_code_that_no_bank_app_should_take_is_refused(why: str, text: str, fault: Fault) -> None:
    with pytest.raises(PayloadError) as refusal:
        parse(text)
    assert refusal.value.fault is fault, why


def test_small_letters_of_a_checksum_do_not_excuse_the_rest() -> None:
    (text,) = (text for why, text, _ in REFUSED if why == "a checksum in small letters")
    with pytest.raises(PayloadError, match="38/01") as refusal:
        parse(text, lower_case_crc=True)
    assert refusal.value.fault is Fault.STRUCTURE
