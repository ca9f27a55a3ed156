"""first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=16), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("payment_method", sa.String(length=40), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("reading", sa.LargeBinary(), nullable=False),
        sa.Column("read_code", sa.String(length=40), nullable=False),
        sa.Column("index_m3", sa.BigInteger(), nullable=False),
        sa.Column("use_m3", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("skip_code", sa.String(length=40), nullable=False),
        sa.Column("hold", sa.String(length=40), nullable=False),
        sa.Column("holds_alone", sa.Text(), nullable=False),
        sa.Column("billed", sa.Integer(), nullable=False),
        sa.Column("bill_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bill_open_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bill_cash_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bill_bank_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bank_equals_bill", sa.Integer(), nullable=False),
        sa.Column("estimate_m3", sa.BigInteger(), nullable=False),
        sa.Column("estimate_vnd", sa.BigInteger(), nullable=False),
        sa.Column("opening_bills", sa.Integer(), nullable=False),
        sa.Column("opening_vnd", sa.BigInteger(), nullable=False),
        sa.Column("arrears_open_vnd", sa.BigInteger(), nullable=False),
        sa.Column("arrears_cash_vnd", sa.BigInteger(), nullable=False),
        sa.Column("cash_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bank_vnd", sa.BigInteger(), nullable=False),
        sa.Column("credit_vnd", sa.BigInteger(), nullable=False),
        sa.Column("suspense_vnd", sa.BigInteger(), nullable=False),
        sa.Column("cash_and_bank_vnd", sa.BigInteger(), nullable=False),
        sa.Column("bank_twice_vnd", sa.BigInteger(), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("visited_ms", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "customer"),
    )
    op.create_index("account_by_route", "account", ["unit", "route", "version"], unique=False)
    op.create_table(
        "bank_line",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("bank_bin", sa.String(length=6), nullable=False),
        sa.Column("txn", sa.String(length=64), nullable=False),
        sa.Column("line", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("unit", "bank_bin", "txn"),
    )
    op.create_table(
        "case_file",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("klass", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=16), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("money_vnd", sa.BigInteger(), nullable=False),
        sa.Column("for_person", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "subject", "key"),
    )
    op.create_index("case_open", "case_file", ["unit", "for_person", "settled", "klass"], unique=False)
    op.create_table(
        "customer",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=16), nullable=False),
        sa.Column("register_no", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("walk_seq", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("payment_method", sa.String(length=40), nullable=False),
        sa.Column("stop", sa.LargeBinary(), nullable=False),
        sa.Column("opening_seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "customer"),
    )
    op.create_index("customer_by_register", "customer", ["unit", "register_no"], unique=False)
    op.create_index("customer_by_route", "customer", ["unit", "route", "walk_seq"], unique=False)
    op.create_table(
        "day_close",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("heads", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "collector", "day", "seq"),
    )
    op.create_table(
        "decision",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("unit", "subject"),
    )
    op.create_table(
        "extract_file",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "sha256"),
    )
    op.create_table(
        "fact",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("prev", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("ord", sa.BigInteger(), nullable=False),
        sa.Column("customer", sa.String(length=16), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "device", "seq", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("fact_by_customer", "fact", ["unit", "customer", "ord", "device", "seq"], unique=False)
    op.create_index("fact_by_day", "fact", ["unit", "collector", "day", "device", "seq"], unique=False)
    op.create_table(
        "handheld",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("kid", sa.LargeBinary(length=8), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("imei", sa.String(length=15), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("receipt_no", sa.Integer(), nullable=False),
        sa.Column("fork_from", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("contact_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "device"),
    )
    op.create_index("handheld_by_kid", "handheld", ["unit", "kid"], unique=True)
    op.create_table(
        "ledger",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("account", sa.String(length=8), nullable=False),
        sa.Column("party", sa.String(length=32), nullable=False),
        sa.Column("amount_vnd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "subject", "n"),
    )
    op.create_index("ledger_by_party", "ledger", ["unit", "account", "party", "day", "amount_vnd"], unique=False)
    op.create_table(
        "package",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "route", "version"),
    )
    op.create_table(
        "person",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "code"),
    )
    op.create_table(
        "policy",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "version"),
    )
    op.create_table(
        "route",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "route"),
    )
    op.create_table(
        "slot",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("code_key", sa.LargeBinary(), nullable=False),
        sa.Column("collector", sa.String(length=32), nullable=False),
        sa.Column("opened_by", sa.String(length=32), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "slot"),
    )
    op.create_table(
        "tariff",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "digest"),
    )
    op.create_table(
        "unit",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("head_seq", sa.Integer(), nullable=False),
        sa.Column("head_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("head_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("unit")
    op.drop_table("tariff")
    op.drop_table("slot")
    op.drop_table("route")
    op.drop_table("policy")
    op.drop_table("person")
    op.drop_table("package")
    op.drop_index("ledger_by_party", table_name="ledger")
    op.drop_table("ledger")
    op.drop_index("handheld_by_kid", table_name="handheld")
    op.drop_table("handheld")
    op.drop_index("fact_by_day", table_name="fact")
    op.drop_index("fact_by_customer", table_name="fact")
    op.drop_table("fact")
    op.drop_table("extract_file")
    op.drop_table("decision")
    op.drop_table("day_close")
    op.drop_index("customer_by_route", table_name="customer")
    op.drop_index("customer_by_register", table_name="customer")
    op.drop_table("customer")
    op.drop_index("case_open", table_name="case_file")
    op.drop_table("case_file")
    op.drop_table("bank_line")
    op.drop_index("account_by_route", table_name="account")
    op.drop_table("account")
