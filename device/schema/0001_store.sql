-- This handheld's own chain, as it was signed. `kind` is for people who look at the file.
CREATE TABLE record (
    seq INTEGER PRIMARY KEY CHECK (seq >= 1),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    kind INTEGER NOT NULL,
    message BLOB NOT NULL
) STRICT;

CREATE TRIGGER record_stays BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'a record is never deleted'); END;
CREATE TRIGGER record_is_not_edited BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'a record is never edited'); END;

-- Papers that have not come out yet. At most one job for each paper of a record.
CREATE TABLE paper (
    about BLOB NOT NULL CHECK (length(about) = 32),
    kind INTEGER NOT NULL,
    print_no INTEGER NOT NULL CHECK (print_no >= 1),
    customer TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'started')),
    PRIMARY KEY (about, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    message BLOB NOT NULL
) STRICT;

CREATE TABLE package (
    route TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    message BLOB NOT NULL
) STRICT;

-- What the hub last said of customers, and up to which counter of the hub that reaches on each route.
CREATE TABLE change (
    customer TEXT PRIMARY KEY,
    route TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE change_version (
    route TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

-- The last signed word of the hub on how much of the chain it has.
CREATE TABLE ack (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    message BLOB NOT NULL
) STRICT;
