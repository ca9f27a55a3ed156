-- How many of our records the hub knew when it said this: what was voided since is not in its word.
CREATE TABLE change_known (
    customer TEXT PRIMARY KEY,
    known_seq INTEGER NOT NULL
) STRICT;

-- A supervisor's single-use codes, as the hub signed them for this handheld.
CREATE TABLE codes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    message BLOB NOT NULL
) STRICT;

-- Tries counted before each is made, so that no restart gives one back. `boot` and `until_up_ms`: when the next may be.
-- subject: a collector's code, or what else is guessed at.
CREATE TABLE tries (
    subject TEXT PRIMARY KEY,
    failed INTEGER NOT NULL CHECK (failed >= 0),
    boot BLOB NOT NULL,
    until_up_ms INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    code_seq INTEGER NOT NULL
) STRICT;

-- When the hub last said who may log in, the latest time seen since, and the last record made before.
CREATE TABLE heard (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at_ms INTEGER NOT NULL,
    latest_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE pin (
    collector TEXT PRIMARY KEY,
    verifier TEXT NOT NULL
) STRICT;

-- Who is logged in. token: SHA-256 of the cookie. It lives as long as the machine runs.
CREATE TABLE web_session (
    token BLOB PRIMARY KEY CHECK (length(token) = 32),
    collector TEXT NOT NULL,
    boot BLOB NOT NULL,
    seen_up_ms INTEGER NOT NULL
) STRICT;

-- Small choices of a collector: language, the customer last looked at.
CREATE TABLE preference (
    collector TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (collector, name)
) STRICT, WITHOUT ROWID;
