-- Version 2: what people told monitors, and what incidents came to.

CREATE TABLE instructions (
    monitor  TEXT NOT NULL,
    number   INTEGER NOT NULL,
    incident TEXT,
    ask      TEXT NOT NULL,
    -- The label of feedback, or who an incident is assigned to.
    word     TEXT,
    undone   INTEGER NOT NULL DEFAULT 0,
    row      TEXT NOT NULL,
    PRIMARY KEY (monitor, number)
);
CREATE INDEX instructions_by_incident ON instructions (incident, ask) WHERE incident IS NOT NULL;

CREATE TABLE milestones (
    sequence  INTEGER PRIMARY KEY,
    incident  TEXT NOT NULL,
    milestone TEXT NOT NULL
);
CREATE INDEX milestones_by_incident ON milestones (incident);
