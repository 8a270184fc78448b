-- Version 3: what the console looks up. Columns that are read out of the stored JSON, and indexes on them.

ALTER TABLE incidents ADD COLUMN until_millis INTEGER
    GENERATED ALWAYS AS (incident ->> '$.until_millis') VIRTUAL;
CREATE INDEX incidents_by_end ON incidents (until_millis, id);

-- When an alert was made; NULL for those of before this version.
ALTER TABLE outbox ADD COLUMN made_millis INTEGER;
ALTER TABLE outbox ADD COLUMN incident TEXT GENERATED ALWAYS AS (alert ->> '$.incident.id') VIRTUAL;
CREATE INDEX outbox_by_incident ON outbox (incident, sequence);
CREATE INDEX outbox_by_outcome ON outbox (notifier, state, settled_millis);
CREATE INDEX outbox_failed ON outbox (notifier, sequence) WHERE error IS NOT NULL;
