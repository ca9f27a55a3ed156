"""Alembic migrations of the hub, numbered; each leaves the schema of `hub/store/schema.py` at its time."""
