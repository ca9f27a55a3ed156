"""Tables of the hub. `unit` is the first column of every key, so that one upload is one single-shard transaction
anywhere.

`fact` is the truth; `account`, `ledger`, `case_file` and the derived columns of `handheld` can be rebuilt from it at
any time, and `hub check` does. Portable types only: the same statements run on SQLite and PostgreSQL.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()
DIGEST = LargeBinary(32)
MS = BigInteger
VND = BigInteger

unit = Table(
    "unit",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("period", String(7), nullable=False),
    Column("head_seq", Integer, nullable=False),
    Column("head_digest", DIGEST, nullable=False),
    Column("head_at_ms", MS, nullable=False),
    Column("changes", Integer, nullable=False),
)

extract_file = Table(
    "extract_file",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("sha256", DIGEST, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

tariff = Table(
    "tariff",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

policy = Table(
    "policy",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("message", LargeBinary, nullable=False),
)

customer = Table(
    "customer",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("customer", String(16), primary_key=True),
    Column("register_no", String(40), nullable=False),
    Column("name", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("route", String(40), nullable=False),
    Column("walk_seq", Integer, nullable=False),
    Column("category", String(40), nullable=False),
    Column("payment_method", String(40), nullable=False),
    Column("stop", LargeBinary, nullable=False),
    Column("opening_seq", Integer, nullable=False),
    Index("customer_by_route", "unit", "route", "walk_seq"),
    Index("customer_by_register", "unit", "register_no"),
)

route = Table(
    "route",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("route", String(40), primary_key=True),
    Column("branch", Text, nullable=False),
    Column("collector", String(32), nullable=False),
    Column("version", Integer, nullable=False),
)

package = Table(
    "package",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("route", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("period", String(7), nullable=False),
    Column("collector", String(32), nullable=False),
    Column("issued_ms", MS, nullable=False),
    Column("expires_ms", MS, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

person = Table(
    "person",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("code", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("phone", String(20), nullable=False),
    Column("role", String(20), nullable=False),
    Column("verifier", Text, nullable=False),
    Column("opened", Integer, nullable=False, server_default="0"),
)

slot = Table(
    "slot",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("code_key", LargeBinary, nullable=False),
    Column("collector", String(32), nullable=False),
    Column("opened_by", String(32), nullable=False),
    Column("expires_ms", MS, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("device", Integer, nullable=False),
)

handheld = Table(
    "handheld",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("device", Integer, primary_key=True),
    Column("kid", LargeBinary(8), nullable=False),
    Column("public_key", DIGEST, nullable=False),
    Column("imei", String(15), nullable=False),
    Column("collector", String(32), nullable=False),
    Column("status", String(10), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("day", String(10), nullable=False),
    Column("receipt_no", Integer, nullable=False),
    Column("fork_from", Integer, nullable=False),
    Column("made", Integer, nullable=False),
    Column("contact_ms", MS, nullable=False),
    Column("told_ms", MS),
    Column("software", String(40)),
    Column("unsent", Integer),
    Column("battery_percent", Integer),
    Column("charging", Integer),
    Column("storage_free_mib", BigInteger),
    Column("clock_fault", String(40)),
    Column("printer_fault", String(40)),
    Column("next_code", Integer, nullable=False, server_default="0"),
    Index("handheld_by_kid", "unit", "kid", unique=True),
)

code_sheet = Table(
    "code_sheet",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("device", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("last_code", Integer, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

# Records that give or use a supervisor's code are few, and asked for by handheld: an index of them alone costs nothing.
# The condition stands in statements as it stands here, or the index does not serve them.
ABOUT_CODES = "kind IN (8, 12, 79)"

fact = Table(
    "fact",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("device", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("prev", DIGEST, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("ord", MS, nullable=False),
    Column("customer", String(16), nullable=False),
    Column("collector", String(32), nullable=False),
    Column("day", String(10), nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Index("fact_by_customer", "unit", "customer", "ord", "device", "seq"),
    Index("fact_by_day", "unit", "collector", "day", "device", "seq"),
    Index(
        "fact_about_codes",
        "unit",
        "device",
        "seq",
        sqlite_where=text(ABOUT_CODES),
        postgresql_where=text(ABOUT_CODES),
    ),
    sqlite_with_rowid=False,
)

day_close = Table(
    "day_close",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("collector", String(32), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("heads", LargeBinary, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("subject", DIGEST, primary_key=True),
)

account = Table(
    "account",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("customer", String(16), primary_key=True),
    Column("route", String(40), nullable=False),
    Column("branch", Text, nullable=False),
    Column("category", String(40), nullable=False),
    Column("payment_method", String(40), nullable=False),
    Column("period", String(7), nullable=False),
    Column("reading", LargeBinary, nullable=False),
    Column("read_code", String(40), nullable=False),
    Column("index_m3", BigInteger, nullable=False),
    Column("use_m3", BigInteger, nullable=False),
    Column("days", Integer, nullable=False),
    Column("skip_code", String(40), nullable=False),
    Column("hold", String(40), nullable=False),
    Column("holds_alone", Text, nullable=False),
    Column("billed", Integer, nullable=False),
    Column("bill_vnd", VND, nullable=False),
    Column("bill_open_vnd", VND, nullable=False),
    Column("bill_cash_vnd", VND, nullable=False),
    Column("bill_bank_vnd", VND, nullable=False),
    Column("bank_equals_bill", Integer, nullable=False),
    Column("estimate_m3", BigInteger, nullable=False),
    Column("estimate_vnd", VND, nullable=False),
    Column("opening_bills", Integer, nullable=False),
    Column("opening_vnd", VND, nullable=False),
    Column("arrears_open_vnd", VND, nullable=False),
    Column("arrears_cash_vnd", VND, nullable=False),
    Column("cash_vnd", VND, nullable=False),
    Column("bank_vnd", VND, nullable=False),
    Column("credit_vnd", VND, nullable=False),
    Column("suspense_vnd", VND, nullable=False),
    Column("cash_and_bank_vnd", VND, nullable=False),
    Column("bank_twice_vnd", VND, nullable=False),
    Column("collector", String(32), nullable=False),
    Column("visited_ms", MS, nullable=False),
    Column("change", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Index("account_by_route", "unit", "route", "version"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("subject", String(60), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("entry", Integer, nullable=False),
    Column("device", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("day", String(10), nullable=False),
    Column("account", String(8), nullable=False),
    Column("party", String(32), nullable=False),
    Column("amount_vnd", VND, nullable=False),
    Index("ledger_by_party", "unit", "account", "party", "day", "amount_vnd"),
)

case_file = Table(
    "case_file",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("subject", String(60), primary_key=True),
    Column("key", DIGEST, primary_key=True),
    Column("klass", String(40), nullable=False),
    Column("customer", String(16), nullable=False),
    Column("collector", String(32), nullable=False),
    Column("device", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("day", String(10), nullable=False),
    Column("period", String(7), nullable=False),
    Column("money_vnd", VND, nullable=False),
    Column("for_person", Integer, nullable=False),
    Column("settled", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Index("case_open", "unit", "for_person", "settled", "klass"),
)

bank_line = Table(
    "bank_line",
    metadata,
    Column("unit", String(40), primary_key=True),
    Column("bank_bin", String(6), primary_key=True),
    Column("txn", String(64), primary_key=True),
    Column("line", DIGEST, nullable=False),
)
