"""What the branch remembers, in SQLite or PostgreSQL by one set of statements, with its migrations."""
