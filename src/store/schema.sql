-- Version 1 of the store. Later versions are added as steps in `migrate.rs`; this file stays as it is.

-- How far each partition has been read and stored.
CREATE TABLE checkpoints (
    source    TEXT NOT NULL,
    partition TEXT NOT NULL,
    position  TEXT NOT NULL,
    PRIMARY KEY (source, partition)
) WITHOUT ROWID;

-- Records stored since the last full commit, for sources that cannot repeat them.
CREATE TABLE journal (
    sequence        INTEGER PRIMARY KEY,
    source          TEXT NOT NULL,
    partition       TEXT NOT NULL,
    from_exclusive  TEXT NOT NULL,
    to_inclusive    TEXT NOT NULL,
    received_millis INTEGER,
    records         BLOB NOT NULL
);

-- Answers to senders, by their own record id.
CREATE TABLE receipts (
    source    TEXT NOT NULL,
    id        TEXT NOT NULL,
    receipt   TEXT NOT NULL,
    at_millis INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE INDEX receipts_by_time ON receipts (at_millis);

-- What the wall clock did, in order.
CREATE TABLE inputs (
    sequence INTEGER PRIMARY KEY,
    source   TEXT NOT NULL,
    input    TEXT NOT NULL
);

-- Open windows, open incidents and totals of each monitor.
CREATE TABLE monitors (
    monitor TEXT PRIMARY KEY,
    source  TEXT NOT NULL,
    state   BLOB NOT NULL
) WITHOUT ROWID;

-- The slices of a monitor by number.
CREATE TABLE slices (
    monitor TEXT NOT NULL,
    number  INTEGER NOT NULL,
    key     TEXT NOT NULL,
    PRIMARY KEY (monitor, number)
) WITHOUT ROWID;

-- Closed windows: the log that models are folded from.
CREATE TABLE frames (
    id           INTEGER PRIMARY KEY,
    monitor      TEXT NOT NULL,
    start_millis INTEGER NOT NULL,
    shard        INTEGER NOT NULL,
    end_millis   INTEGER NOT NULL,
    frame        BLOB NOT NULL
);
CREATE UNIQUE INDEX frames_by_time ON frames (monitor, start_millis, shard);

-- The newest snapshot of each shard's models: a cache of frames.
CREATE TABLE models (
    monitor        TEXT NOT NULL,
    shard          INTEGER NOT NULL,
    through_millis INTEGER NOT NULL,
    models         BLOB NOT NULL,
    PRIMARY KEY (monitor, shard)
);

CREATE TABLE incidents (
    id            TEXT PRIMARY KEY,
    monitor       TEXT NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    opened_millis INTEGER NOT NULL,
    severity_peak REAL NOT NULL,
    incident      TEXT NOT NULL
);
CREATE INDEX incidents_by_time ON incidents (opened_millis);

-- Alerts between commit and delivery, and what became of them.
CREATE TABLE outbox (
    sequence      INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    notifier      TEXT NOT NULL,
    alert         TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'waiting',
    attempts      INTEGER NOT NULL DEFAULT 0,
    due_millis    INTEGER NOT NULL,
    settled_millis INTEGER,
    error         TEXT
);
CREATE INDEX outbox_waiting ON outbox (notifier, due_millis) WHERE state = 'waiting';
