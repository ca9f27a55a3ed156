"""Bank statements: one format per file, and the table in which a format's name finds its parser."""

from collections.abc import Mapping
from typing import Protocol

from hub.banks.statement_csv import StatementReading, read_statement


class StatementParser(Protocol):
    """Reads one statement format; `name` is the file's, for problems. Not every line read is money for us."""

    def __call__(self, content: bytes, *, name: str, stated_sum_vnd: int | None) -> StatementReading: ...


BANKS: Mapping[str, StatementParser] = {"csv": read_statement}
