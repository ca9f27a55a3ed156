"""The tariff as it comes with a billing extract: decoded JSON to `Tariff`.

Top level: currency, unit, vat_percent, env_fee_percent_of_net, env_fee_from_period, rounding_rule,
change_in_period ("by_period" unless given), versions (oldest first). A version may give VAT, fee and rounding
again with values of its own. It prices areas x groups: `areas` maps each area to its groups, or lists the
areas that share `groups`. A group is {"flat": price} or {"blocks": [[up to m3, price], ..., [null, price]],
"per": "household_month"}. A version without effective_from counts from its decision_date. A `check` (group,
m3, gross) is a sum the sender worked out for himself: it is made again here and must come out the same. Keys
that are not known are refused: a misspelt one would change bills in silence.
"""

from collections.abc import Mapping
from typing import NamedTuple

from protocol.codec import FieldError, pack, reader, unpack
from protocol.fields import M3, Code, DateText, Name, PeriodText, Vnd
from protocol.tariff import (
    ROUNDING,
    Block,
    BlocksPer,
    ChangeInPeriod,
    Percent,
    Price,
    PriceVnd,
    Tariff,
    TariffError,
    TariffVersion,
    compute_bill,
)

PER = {
    "household_month": BlocksPer.HOUSEHOLD,
    "person_month": BlocksPer.PERSON,
    "connection_month": BlocksPer.CONNECTION,
}
CHARGE_KEYS = ("vat_percent", "env_fee_percent_of_net", "env_fee_from_period", "rounding_rule")
TOP_KEYS = {"currency", "unit", "rounding_rule_text", "change_in_period", "versions", *CHARGE_KEYS}
VERSION_KEYS = {
    *("id", "decision", "decision_date", "effective_from", "effective_from_period", "effective_to_period"),
    *("vat_included", "areas", "groups", "check", "note"),
    *CHARGE_KEYS,
}


class TariffFileError(Exception):
    """The file cannot be used.

    `path` says where ("versions[1].areas.urban"), `problem` what is wrong there and what to write.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'file'}: {problem}")
        self.path = path
        self.problem = problem


class Kind(NamedTuple):
    """What a value must be: its declaration on the wire, and the advice given when it is not."""

    annotation: object
    advice: str


CODE = Kind(Code, "write up to 40 letters without marks, digits, point, dash or underscore")
NAME = Kind(Name, "write the number of the decision as text")
DATE = Kind(DateText, 'write a day as "YYYY-MM-DD"')
PERIOD = Kind(PeriodText, 'write a billing period as "YYYY-MM"')
PERCENT = Kind(Percent, "write a whole number from 0 to 100")
PRICE = Kind(PriceVnd, "write whole VND per m3, without quotes, point or comma")
CUBIC_METRES = Kind(M3, "write whole m3")
AMOUNT = Kind(Vnd, "write whole VND")


class Node(NamedTuple):
    """A JSON object and where it stands in the file."""

    content: Mapping[str, object]
    path: str

    def at(self, key: str) -> str:
        """Path of a member."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """True when the member is there and not null."""
        return self.content.get(key) is not None

    def refuse_unknown(self, known: set[str]) -> None:
        """Raise TariffFileError at the first key that means nothing."""
        for key in self.content:
            if key not in known:
                raise TariffFileError(self.at(key), f"is not known; known are {', '.join(sorted(known))}")

    def text(self, key: str, kind: Kind) -> str:
        """A member of a textual kind."""
        return str(self._value(key, kind))

    def text_or_none(self, key: str, kind: Kind) -> str | None:
        """The same where the member may be missing or null."""
        return self.text(key, kind) if self.has(key) else None

    def whole(self, key: str, kind: Kind) -> int:
        """A member of a numeric kind."""
        return int(self._value(key, kind))

    def _value(self, key: str, kind: Kind) -> str | int:
        if not self.has(key):
            raise TariffFileError(self.at(key), f"is missing; {kind.advice}")
        return checked(self.content[key], kind, self.at(key))

    def node(self, key: str) -> "Node":
        """A member that is an object."""
        return node(self.content.get(key), self.at(key))


def node(value: object, path: str) -> Node:
    """An object of the file. Raises TariffFileError when it is something else."""
    if not isinstance(value, dict):
        raise TariffFileError(path, "must be an object in braces")
    return Node(value, path)


def checked(value: object, kind: Kind, path: str) -> str | int:
    """A value inside the bounds that the wire sets for it. Raises TariffFileError."""
    try:
        result: str | int = reader(kind.annotation)(value, path)
    except FieldError as error:
        raise TariffFileError(path, f"{value!r} cannot be used; {kind.advice}") from error
    return result


def read_tariff(obj: object) -> Tariff:
    """The tariff of a decoded tariff.json. Raises TariffFileError; nothing is guessed and nothing rounded."""
    top = node(obj, "")
    top.refuse_unknown(TOP_KEYS)
    for key, expected in (("currency", "VND"), ("unit", "VND per m3")):
        if top.content.get(key) != expected:
            raise TariffFileError(key, f'is {top.content.get(key)!r}; give prices in "{expected}"')
    change = top.content.get("change_in_period", ChangeInPeriod.BY_PERIOD.value)
    if change not in list(ChangeInPeriod):
        problem = f"{change!r} is not known; write one of {', '.join(ChangeInPeriod)}"
        raise TariffFileError("change_in_period", problem)
    listed = top.content.get("versions")
    if not isinstance(listed, list) or not listed:
        raise TariffFileError("versions", "must be a list with one version or more")
    versions = tuple(_version(top, node(item, f"versions[{number}]")) for number, item in enumerate(listed))
    try:
        tariff = Tariff(versions=versions, change_in_period=ChangeInPeriod(str(change)))
        return unpack(Tariff, pack(tariff))  # What a package could not carry is refused now, not at the handheld.
    except ValueError as error:
        raise TariffFileError("versions", str(error)) from error


def _version(top: Node, version: Node) -> TariffVersion:
    version.refuse_unknown(VERSION_KEYS)
    own = {key: version if key in version.content else top for key in CHARGE_KEYS}
    rounding = own["rounding_rule"].text("rounding_rule", CODE)
    if rounding not in ROUNDING:
        path = own["rounding_rule"].at("rounding_rule")
        raise TariffFileError(path, f"{rounding!r} is not known; write one of {', '.join(ROUNDING)}")
    if type(version.content.get("vat_included")) is not bool:
        raise TariffFileError(version.at("vat_included"), "write true when VAT is in the prices, else false")
    start_key = "effective_from" if version.has("effective_from") else "decision_date"
    prices, blocks_per = _prices(version)
    try:
        result = TariffVersion(
            version=version.text("id", CODE),
            decision=version.text("decision", NAME),
            effective_from=version.text(start_key, DATE),
            effective_from_period=version.text_or_none("effective_from_period", PERIOD),
            effective_to_period=version.text_or_none("effective_to_period", PERIOD),
            vat_included=int(version.content["vat_included"] is True),
            vat_percent=own["vat_percent"].whole("vat_percent", PERCENT),
            fee_percent=own["env_fee_percent_of_net"].whole("env_fee_percent_of_net", PERCENT),
            fee_from_period=own["env_fee_from_period"].text_or_none("env_fee_from_period", PERIOD),
            rounding=rounding,
            blocks_per=blocks_per,
            prices=prices,
        )
    except ValueError as error:
        raise TariffFileError(version.path, str(error)) from error
    if version.has("check"):
        _make_again(version.node("check"), result)
    return result


def _prices(version: Node) -> tuple[tuple[Price, ...], BlocksPer]:
    """Every area's groups, and what all blocks of the version are counted for."""
    prices: list[Price] = []
    per: set[BlocksPer] = set()
    for area, groups in _areas(version):
        for group in groups.content:
            checked(group, CODE, groups.at(group))
            entry = groups.node(group)
            entry.refuse_unknown({"flat", "blocks", "per"})
            if entry.has("flat") == entry.has("blocks"):
                raise TariffFileError(entry.path, 'write either "flat" or "blocks"')
            if entry.has("blocks"):
                blocks = _blocks(entry)
                per.add(_per(entry))
            else:
                blocks = (Block(price_vnd=entry.whole("flat", PRICE)),)
            try:
                prices.append(Price(area=area, group=group, blocks=blocks))
            except ValueError as error:
                raise TariffFileError(entry.at("blocks"), str(error)) from error
    if not prices:
        raise TariffFileError(version.at("areas"), "prices nothing; name one area and group or more")
    if len(per) > 1:
        raise TariffFileError(version.path, 'all blocks of one version must have the same "per"')
    return tuple(prices), per.pop() if per else BlocksPer.HOUSEHOLD


def _areas(version: Node) -> list[tuple[str, Node]]:
    """Each area with the object of its groups."""
    areas = version.content.get("areas")
    path = version.at("areas")
    if isinstance(areas, list):
        groups = version.node("groups")
        return [(str(checked(area, CODE, f"{path}[{number}]")), groups) for number, area in enumerate(areas)]
    if version.has("groups"):
        raise TariffFileError(version.at("groups"), "belongs to a list of areas; move it into each area")
    by_area = node(areas, path)
    return [(str(checked(area, CODE, by_area.at(area))), by_area.node(area)) for area in by_area.content]


def _blocks(entry: Node) -> tuple[Block, ...]:
    rows, path = entry.content["blocks"], entry.at("blocks")
    if not isinstance(rows, list) or not rows:
        raise TariffFileError(path, "must be a list of pairs [up to m3, price]")
    blocks: list[Block] = []
    for number, row in enumerate(rows):
        place = f"{path}[{number}]"
        if not isinstance(row, list) or len(row) != 2:
            raise TariffFileError(place, "must be a pair [up to m3, price]; the last has null for m3")
        up_to_m3 = None if row[0] is None else int(checked(row[0], CUBIC_METRES, place))
        blocks.append(Block(up_to_m3=up_to_m3, price_vnd=int(checked(row[1], PRICE, place))))
    return tuple(blocks)


def _per(entry: Node) -> BlocksPer:
    per = entry.content.get("per")
    if not isinstance(per, str) or per not in PER:
        raise TariffFileError(entry.at("per"), f"{per!r} is not known; write one of {', '.join(PER)}")
    return PER[per]


def _make_again(check: Node, version: TariffVersion) -> None:
    """Raise TariffFileError unless the sender's own sum comes out of the version just read."""
    check.refuse_unknown({"area", "group", "m3", "gross"})
    area = check.text_or_none("area", CODE) or version.prices[0].area
    group, m3 = check.text("group", CODE), check.whole("m3", CUBIC_METRES)
    day = version.effective_from
    try:
        bill = compute_bill(
            m3,
            Tariff(versions=(version,), change_in_period=ChangeInPeriod.BY_PERIOD),
            area=area,
            group=group,
            period=version.effective_from_period or day[:7],
            from_date=day,
            to_date=day,
            persons=1,
        )
    except TariffError as error:
        raise TariffFileError(check.path, str(error)) from error
    if bill.gross_vnd != check.whole("gross", AMOUNT):
        problem = f"the prices give {bill.gross_vnd} for {m3} m3; correct the prices or the check"
        raise TariffFileError(check.at("gross"), problem)
