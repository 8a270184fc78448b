-- Version 4: closed windows that late events revised, or can still revise.

-- What stands beside the frame of the same window and shard.
CREATE TABLE revisions (
    monitor      TEXT NOT NULL,
    start_millis INTEGER NOT NULL,
    shard        INTEGER NOT NULL,
    revision     BLOB NOT NULL,
    PRIMARY KEY (monitor, start_millis, shard)
);

-- All that came to a closed window, for as long as it can be revised.
CREATE TABLE correctable (
    monitor      TEXT NOT NULL,
    start_millis INTEGER NOT NULL,
    correctable  BLOB NOT NULL,
    PRIMARY KEY (monitor, start_millis)
);
