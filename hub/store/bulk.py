"""Many rows into one table at once, without a bind processor for each value.

The statement is SQLAlchemy's own for the dialect at hand, compiled once; the driver takes the values as they are,
which are int, str and bytes throughout.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert


@cache
def _statement(table: Table, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Text of the insert, and the columns in the order of its placeholders."""
    compiled = insert(table).compile(dialect=dialect, column_keys=[column.name for column in table.columns])
    names = compiled.positiontup
    assert names is not None, "the dialect must take values by position"
    return str(compiled), tuple(names)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each with a value for every column."""
    if not rows:
        return
    text, names = _statement(table, connection.dialect)
    connection.exec_driver_sql(text, [tuple(row[name] for name in names) for row in rows])
