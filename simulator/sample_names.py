"""Who lives in the made-up town: tables of names, streets, trades and prices, and customers made of them.

The town and its streets do not exist; name parts are common ones, joined by chance, and mean no person.
Shares and weights are chosen, not measured. Prices: decisions 04/2019/QĐ-UBND and 215/QĐ-UBND of Cần Thơ.
"""

import itertools
import random
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple


class Street(NamedTuple):
    """latitude_e6 and longitude_e6: its first house, WGS84 degrees times 10**6; area: urban or rural."""

    name: str
    ward: str
    area: str
    latitude_e6: int
    longitude_e6: int


TOWN: Final = "TP. Vàm Sông"
BRANCH: Final = "Chi nhánh Vàm Sông"
ROUTE_PREFIX: Final = "VS"

STREETS: Final = (
    Street("Bến Đò Cũ", "Phường Vàm Xuân", "urban", 9_953_210, 105_914_300),
    Street("Hàng Me", "Phường Vàm Xuân", "urban", 9_955_480, 105_916_120),
    Street("Chợ Nổi", "Phường Vàm Xuân", "urban", 9_957_060, 105_918_770),
    Street("Đường số 4", "Phường Lò Gạch", "urban", 9_959_940, 105_921_050),
    Street("Lò Gạch", "Phường Lò Gạch", "urban", 9_961_330, 105_923_680),
    Street("Rạch Ông Tư", "Phường Lò Gạch", "rural", 9_966_710, 105_931_240),
    Street("Vườn Mận", "Phường Cầu Ván", "urban", 9_948_150, 105_909_410),
    Street("Cầu Ván", "Phường Cầu Ván", "urban", 9_946_020, 105_906_930),
    Street("Nhà Máy Nước", "Phường Cầu Ván", "urban", 9_943_690, 105_904_520),
    Street("Bờ Tràm", "Phường Xẻo Dừa", "urban", 9_940_870, 105_901_180),
    Street("Xẻo Dừa", "Phường Xẻo Dừa", "urban", 9_938_240, 105_898_360),
    Street("Kinh Mười Hai", "Phường Xẻo Dừa", "rural", 9_929_560, 105_887_010),
)

FAMILY_NAMES: Final = {
    "Nguyễn": 34, "Trần": 12, "Lê": 10, "Phạm": 7, "Huỳnh": 6, "Võ": 5, "Phan": 4, "Trương": 3, "Bùi": 3,
    "Đặng": 3, "Lâm": 2, "Hồ": 2, "Đỗ": 2, "Dương": 2, "Ngô": 1, "Lý": 1, "Mai": 1, "Cao": 1, "Quách": 1,
}  # fmt: skip
# Middle and given names belong together by the usual gender of the pair.
WOMEN: Final = (
    ("Thị", "Thị Kim", "Ngọc", "Thị Mỹ", "Bích", "Thúy", "Kim", "Thị Hồng"),
    ("Lan", "Hoa", "Tuyết", "Phượng", "Thảo", "Hằng", "Yến", "Mai", "Ngân", "Trinh", "Diễm", "Loan", "Cúc",
     "Hạnh", "Nhung", "Thủy", "Xuân", "Quyên"),
)  # fmt: skip
MEN: Final = (
    ("Văn", "Hữu", "Minh", "Quốc", "Thanh", "Hoàng", "Công", "Tấn"),
    ("Hùng", "Dũng", "Tâm", "Phúc", "Khải", "Lộc", "Nghĩa", "Sơn", "Toàn", "Vinh", "Đức", "Trí", "Bình",
     "Khánh", "Thành", "Út", "Hậu", "Kiệt"),
)  # fmt: skip

# By category: business_type and pattern of the name; {given} takes two given names, "" means a person.
TRADES: Final = {
    "household": (("Hộ gia đình", ""),),
    "poor_household": (("Hộ nghèo", ""),),
    "public": (
        ("Trường học", "Trường Tiểu học {given}"), ("Trường mầm non", "Trường Mầm non {given}"),
        ("Trạm y tế", "Trạm Y tế {ward}"), ("Cơ sở tôn giáo", "Chùa {given}"),
    ),
    "production": (
        ("Sản xuất nước đá", "Cơ sở Nước đá {given}"), ("Sản xuất bún", "Lò bún {given}"),
        ("May mặc", "Công ty TNHH May {given}"),
    ),
    "business": (
        ("Quán cà phê", ""), ("Quán ăn", "Quán ăn {given}"), ("Tạp hóa", ""), ("Rửa xe", "Rửa xe {given}"),
        ("Nhà trọ", "Nhà trọ {given}"), ("Khách sạn", "Khách sạn {given}"),
        ("Văn phòng công ty", "Công ty TNHH {given}"),
    ),
}  # fmt: skip
# Thousandths of the customers; the rest are households, and pay in cash.
CATEGORY_SHARES: Final = {"business": 76, "poor_household": 19, "public": 12, "production": 8}
PAYMENT_SHARES: Final = {"CK": 240, "NT": 40}
PERSONS_WEIGHTS: Final = (5, 15, 23, 21, 15, 9, 4, 2)  # 1..8 persons.
# Litres a day, from and below; a household uses PERSON_L more for each person.
DAILY_L: Final = {
    "household": (30, 90), "poor_household": (20, 60), "public": (1_500, 9_000),
    "production": (4_000, 20_000), "business": (400, 3_500),
}  # fmt: skip
PERSON_L: Final = (70, 160)

METER_MAKES: Final = ("Zenner", "Itron", "Sensus", "Baylan")
METER_LIMITS_M3: Final = (60, 120, 400)  # Largest month from which the next size is fitted.
METER_SIZES_MM: Final = (15, 20, 25, 40)
BANK_BINS: Final = {"970436": 8, "970405": 8, "970403": 4, "970415": 3, "970418": 3, "970422": 2, "970407": 1}
TREASURY_BIN: Final = "970436"

# {grouped}: register number as 4-3-4; {name}: capitals without diacritics; {narrative}: the bank's number.
CONTENTS: Final = (
    "{register}",
    "Nop tien nuoc ky {month}/{year}, danh bo {register}",
    "DB {grouped} tra tien nuoc thang {month}",
    "IBFT{narrative}-{register}-{name} CK TU TK {other_account} DEN CN CAP NUOC VAM SONG",
    "NUOC{register}T{month}",
)
TREASURY_CONTENT: Final = "KBNN VAM SONG UY NHIEM THU {register} KY {month}/{year} {name}"
TWO_CUSTOMERS_CONTENT: Final = "Dong tien nuoc cho {register} va nha ben {second_register}"
MANGLED_CONTENTS: Final = {
    "mangled_letterO": "Danh bo {register} dong tien nuoc",
    "mangled_nozero": "Tien nuoc thang {month} so {register}",
    "mangled_short": "Dong tien nuoc DB {register}",
    "mangled_swap": "Nop tien nuoc {register}",
    "mangled_idonly": "Khach hang {customer_id} dong tien nuoc",
    "mangled_nameaddr": "{name} {house} dong tien nuoc",
    "mangled_nothing": "{name} ck",
}
NOT_OURS_CONTENTS: Final = (
    "GAN MOI DONG HO PHIEU {number}",
    "chuyen nham xin hoan lai {number}",
    "CTY XAY DUNG TAM UNG HOP DONG {number}",
)

UNREADABLE_CODES: Final = (
    "house_closed", "box_locked", "glass_unreadable", "obstructed", "buried_not_found", "refused_or_flooded",
    "register_fault_or_reversed", "dial_missing",
)  # fmt: skip
REPLACED_CODES: Final = ("replaced_periodic", "replaced_after_stop", "replaced_lt_7d", "replaced_resized")
ROLLOVER_DIGITS: Final = {"rollover_4d": "4", "rollover_5d": "5"}
READ_OUTSIDE_CODES: Final = ("reading_left_outside", "reading_by_phone")
NOBODY_HOME_CODES: Final = ("house_closed", "vacant", *READ_OUTSIDE_CODES)
NOTE_REPLACED_UNRECORDED: Final = "đồng hồ mới thay, văn phòng chưa có phiếu thay"
NOTE_OVERESTIMATED: Final = "tháng trước tạm tính quá chỉ số trên mặt đồng hồ"

COLUMNS: Final = {
    "customers.csv": (
        "customer_id", "register_no", "name", "address", "phone", "collect_address", "branch", "route",
        "route_day", "walk_seq", "lat", "lon", "area", "category", "business_type", "persons",
        "payment_method", "bank_bin", "meter_serial", "meter_make", "meter_size_mm", "meter_digits",
    ),
    "history.csv": (
        "customer_id", "period", "reading_date", "index", "consumption_m3", "read_code", "bill_vnd",
    ),
    "arrears.csv": ("customer_id", "bill_no", "period", "amount_vnd"),
    "round.csv": (
        "customer_id", "visit_date", "index_on_dial", "read_code", "removed_index", "installed_index",
        "at_home", "will_pay_cash", "note",
    ),
    "bank.csv": ("bank_bin", "bank_txn_id", "value_time", "account", "amount_vnd", "content"),
    "bank_truth.csv": ("bank_bin", "bank_txn_id", "kind", "customer_ids", "purpose"),
}  # fmt: skip

# Dong per m3 with VAT, by area and category: the decision of 2024.
PRICES_2024_VND: Final = {
    "urban": {
        "poor_household": 5640, "household": 9020, "public": 11170, "production": 12400, "business": 15580,
    },
    "rural": {
        "poor_household": 4820, "household": 8240, "public": 9310, "production": 9930, "business": 11520,
    },
}  # fmt: skip

TARIFF: Final[dict[str, object]] = {
    "currency": "VND",
    "unit": "VND per m3",
    "env_fee_percent_of_net": 10,
    "env_fee_from_period": "2023-02",
    "vat_percent": 5,
    "rounding_rule": "net_half_up_then_fee_half_up",
    "rounding_rule_text": "gross = m3 * price; net = gross / 1.05, half up to a dong; vat = gross - net; "
    "env_fee = 10 % of net, half up to a dong; bill = gross + env_fee",
    "versions": [
        {
            "id": "CT-2019",
            "decision": "04/2019/QĐ-UBND",
            "decision_date": "2019-02-12",
            "effective_to_period": "2024-01",
            "vat_included": True,
            "areas": ["urban", "rural"],
            "groups": {
                "poor_household": {"flat": 4000},
                "household": {
                    "blocks": [[10, 5500], [20, 6800], [30, 7600], [None, 8700]],
                    "per": "household_month",
                },
                "public": {"flat": 8000},
                "production": {"flat": 8900},
                "business": {"flat": 11100},
            },
            "check": {"group": "household", "m3": 25, "gross": 161000},
        },
        {
            "id": "CT-2024",
            "decision": "215/QĐ-UBND",
            "decision_date": "2024-02-01",
            "effective_from": "2024-02-01",
            "effective_from_period": "2024-02",
            "effective_to_period": None,
            "vat_included": True,
            "areas": {
                area: {category: {"flat": price_vnd} for category, price_vnd in prices.items()}
                for area, prices in PRICES_2024_VND.items()
            },
            "note": "the last decision known; every period of this sample is billed by it",
        },
    ],
}


class House(NamedTuple):
    """One place on the walk. latitude_e6, longitude_e6: WGS84 degrees times 10**6."""

    address: str
    ward: str
    area: str
    latitude_e6: int
    longitude_e6: int


def person(rng: random.Random) -> str:
    """A full name: family, middle, given."""
    middles, givens = rng.choice((WOMEN, MEN))
    family = rng.choices(list(FAMILY_NAMES), list(FAMILY_NAMES.values()))[0]
    return f"{family} {rng.choice(middles)} {rng.choice(givens)}"


def houses(route: int, count: int, rng: random.Random) -> list[House]:
    """The houses of a route (counted from 0) in walking order along six streets and their alleys."""
    found = []
    for at in range(6):
        street = STREETS[(route * 6 + at) % len(STREETS)]
        number = 1 + route // 2 * 4 * count  # Routes that share a street do not share its numbers.
        depth = 0
        for _ in range(at * count // 6, (at + 1) * count // 6):
            if depth and rng.randrange(100) < 60:
                depth += 1
            else:
                number += rng.randrange(1, 4)
                depth = 1 if rng.randrange(100) < 17 else 0
            address = f"{number}/{depth}" if depth else f"{number}"
            latitude_e6 = street.latitude_e6 + number * 41 + depth * 60 + rng.randrange(-25, 26)
            longitude_e6 = street.longitude_e6 + number * 33 - depth * 75 + rng.randrange(-25, 26)
            address += f" {street.name}, {street.ward}, {TOWN}"
            found.append(House(address, street.ward, street.area, latitude_e6, longitude_e6))
    return found


class Resident(NamedTuple):
    """A customer without a past. fields: its row of customers.csv; daily_l: mean litres a day."""

    fields: dict[str, str]
    daily_l: int


def residents(routes: Sequence[str], per_route: int, days: int, rng: random.Random) -> list[Resident]:
    """Customers in walking order of their routes, each route in even pieces on `days` (1..15) days."""
    count = len(routes) * per_route
    ids, serials = rng.sample(range(10**6), count), rng.sample(range(10**6), count)
    categories = dealt(count, CATEGORY_SHARES, "household", rng)
    methods = dealt(count, PAYMENT_SHARES, "TT", rng)
    found: list[Resident] = []
    for route_at, route in enumerate(routes):
        register = 0
        places = houses(route_at, per_route, rng)
        for seq, house in enumerate(places):
            at = len(found)
            register += rng.randrange(3, 60)
            trade, daily_l = _trade(categories[at], house.ward, rng)
            fields = {
                "customer_id": f"07{ids[at]:06d}",
                "register_no": f"07{route_at + 1:02d}{register:07d}",
                "name": trade["name"],
                "address": house.address,
                "phone": "" if rng.randrange(100) < 22 else f"095{rng.randrange(10**7):07d}",
                "collect_address": rng.choice(places).address if rng.randrange(1000) < 35 else "",
                "branch": BRANCH,
                "route": route,
                "route_day": str(1 + seq * days // per_route),
                "walk_seq": str(seq + 1),
                "lat": f"{house.latitude_e6 // 10**6}.{house.latitude_e6 % 10**6:06d}",
                "lon": f"{house.longitude_e6 // 10**6}.{house.longitude_e6 % 10**6:06d}",
                "area": house.area,
            }
            fields |= trade | _paying(methods[at], rng) | _meter(serials[at], daily_l, rng)
            found.append(Resident(fields, daily_l))
    return found


def largest_month_l(daily_l: int) -> int:
    """No month of a customer uses more."""
    return daily_l * 31 * 175 // 100


def _trade(category: str, ward: str, rng: random.Random) -> tuple[dict[str, str], int]:
    """Columns about who uses the water, and how much of it in litres a day."""
    business_type, pattern = rng.choice(TRADES[category])
    persons = 0
    if category in {"household", "poor_household"}:
        persons = rng.choices(range(1, 9), PERSONS_WEIGHTS)[0]
    given = f"{rng.choice(MEN[1])} {rng.choice(WOMEN[1])}"
    columns = {
        "name": pattern.format(given=given, ward=ward) or person(rng),
        "category": category,
        "business_type": business_type,
        "persons": str(persons or ""),
    }
    return columns, rng.randrange(*DAILY_L[category]) + persons * rng.randrange(*PERSON_L)


def _paying(method: str, rng: random.Random) -> dict[str, str]:
    bank_bin = rng.choices(list(BANK_BINS), list(BANK_BINS.values()))[0]
    return {"payment_method": method, "bank_bin": {"TT": "", "NT": TREASURY_BIN}.get(method, bank_bin)}


def _meter(serial: int, daily_l: int, rng: random.Random) -> dict[str, str]:
    """Size by the largest month; five digits where four would turn too soon, and on 30 % of the others."""
    largest_m3 = largest_month_l(daily_l) // 1000
    make = rng.choice(METER_MAKES)
    return {
        "meter_serial": f"{make[0]}{rng.randrange(18, 26)}{serial:06d}",
        "meter_make": make,
        "meter_size_mm": str(METER_SIZES_MM[sum(largest_m3 >= limit for limit in METER_LIMITS_M3)]),
        "meter_digits": "5" if rng.randrange(100) < 30 or largest_m3 > 500 else "4",
    }


def share(count: int, per_mille: int, at_least: int = 1) -> int:
    """That part of count, but at least so many, as far as there are."""
    return min(count, max(at_least, count * per_mille // 1000))


def dealt(count: int, shares: Mapping[str, int], rest: str, rng: random.Random) -> list[str]:
    """`count` values in random order: each with its share in thousandths, at least once; then `rest`."""
    cards = [value for value, per_mille in shares.items() for _ in range(share(count, per_mille))]
    cards = (cards + [rest] * count)[:count]
    rng.shuffle(cards)
    return cards


def folded(text: str) -> str:
    """Text without diacritics, as banks pass it on."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


class Wordings:
    """What payers write with a transfer. Each form comes up in turn, so that even a small branch shows all.

    first: day of the period. registers: all of the branch; a mangled one may not hit any.
    Customers are given by their fields of customers.csv.
    """

    def __init__(self, first: date, registers: frozenset[str], rng: random.Random) -> None:
        self._first = first
        self._registers = registers
        self._rng = rng
        self._contents = itertools.cycle(CONTENTS)
        self._manglings = itertools.cycle(MANGLED_CONTENTS.items())

    def _filled(self, pattern: str, fields: Mapping[str, str], **texts: str) -> str:
        register = fields["register_no"]
        joint = self._rng.choice(" .-")
        usual = {
            "register": register,
            "grouped": joint.join((register[:4], register[4:7], register[7:])),
            "name": folded(fields["name"]).upper(),
            "house": folded(fields["address"].partition(",")[0]),
            "customer_id": fields["customer_id"],
            "month": f"{self._first:%m}",
            "year": f"{self._first:%Y}",
            "narrative": str(self._rng.randrange(10**9, 10**10)),
            "other_account": str(self._rng.randrange(10**12, 10**13)),
        }
        return pattern.format_map(usual | texts)

    def plain(self, fields: Mapping[str, str]) -> str:
        """A content that holds the register number whole."""
        return self._filled(next(self._contents), fields)

    def treasury(self, fields: Mapping[str, str]) -> str:
        """The line of a collection order."""
        return self._filled(TREASURY_CONTENT, fields)

    def for_two(self, fields: Mapping[str, str], other: Mapping[str, str]) -> str:
        """One credit for two customers."""
        return self._filled(TWO_CUSTOMERS_CONTENT, fields, second_register=other["register_no"])

    def mangled(self, fields: Mapping[str, str]) -> tuple[str, str]:
        """(kind, content) from which a strict matcher finds no customer."""
        kind, pattern = next(self._manglings)
        register = fields["register_no"]
        swaps = (
            register[:at] + register[at + 1] + register[at] + register[at + 2 :] for at in range(9, 0, -1)
        )
        spoilt = {
            "mangled_letterO": register.replace("0", "O"),
            "mangled_nozero": register.lstrip("0"),
            "mangled_short": register[:-1],
            "mangled_swap": next(swap for swap in swaps if swap not in self._registers),
        }
        return kind, self._filled(pattern, fields, register=spoilt.get(kind, register))
