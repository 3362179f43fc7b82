-- The work for agents is claimed device by device, so that one instance at a time works on a device's messages, in
-- their order. A device with messages that wait for an answer has a time: until then its claim lasts, and from then on
-- whoever looks may take it. That time changes now and then while a device is busy, and not with each message; one
-- without work has none.
ALTER TABLE device_streams ADD COLUMN claimed_by uuid, ADD COLUMN claimed_until timestamptz;
UPDATE device_streams SET claimed_until = clock_timestamp() WHERE unanswered > 0;
CREATE INDEX device_streams_claims ON device_streams (claimed_until) WHERE claimed_until IS NOT NULL;

-- `attempts`: how often an agent failed on it (in), or its channel on delivering it (out). `ended`: what became of it,
-- where that is neither an answer nor an acknowledgement, with `end_reason`.
ALTER TABLE messages
    ADD COLUMN attempts bigint NOT NULL DEFAULT 0,
    ADD COLUMN next_try_at timestamptz,
    ADD COLUMN ended text CHECK (ended IN ('expired', 'overflowed', 'undeliverable', 'withdrawn')),
    ADD COLUMN end_reason text;
