"""what handhelds tell and trust"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ABOUT_CODES = "kind IN (8, 12, 79)"


def upgrade() -> None:
    """Apply. What follows from the records is folded again by whoever opens the database."""
    op.add_column("handheld", sa.Column("told_ms", sa.BigInteger()))
    op.add_column("handheld", sa.Column("software", sa.String(length=40)))
    op.add_column("handheld", sa.Column("unsent", sa.Integer()))
    op.add_column("handheld", sa.Column("battery_percent", sa.Integer()))
    op.add_column("handheld", sa.Column("charging", sa.Integer()))
    op.add_column("handheld", sa.Column("storage_free_mib", sa.BigInteger()))
    op.add_column("handheld", sa.Column("clock_fault", sa.String(length=40)))
    op.add_column("handheld", sa.Column("printer_fault", sa.String(length=40)))
    op.add_column("handheld", sa.Column("next_code", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("person", sa.Column("opened", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "code_sheet",
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Integer(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "device"),
    )
    op.create_index(
        "fact_about_codes",
        "fact",
        ["unit", "device", "seq"],
        sqlite_where=sa.text(ABOUT_CODES),
        postgresql_where=sa.text(ABOUT_CODES),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("fact_about_codes", table_name="fact")
    op.drop_table("code_sheet")
    op.drop_column("person", "opened")
    op.drop_column("handheld", "next_code")
    op.drop_column("handheld", "printer_fault")
    op.drop_column("handheld", "clock_fault")
    op.drop_column("handheld", "storage_free_mib")
    op.drop_column("handheld", "charging")
    op.drop_column("handheld", "battery_percent")
    op.drop_column("handheld", "unsent")
    op.drop_column("handheld", "software")
    op.drop_column("handheld", "told_ms")
