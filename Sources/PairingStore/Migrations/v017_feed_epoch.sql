-- How often this database was taken back to an earlier moment, by a backup or a replica that had not caught up, from 1
-- on. What was written after that moment is gone here, and known elsewhere: programs that follow the feed have seen its
-- positions, devices the numbers of its messages, gateways the epochs of its sessions. So none of those is given again:
-- each goes on a thousand million further on.
ALTER TABLE event_counter ADD COLUMN epoch bigint NOT NULL DEFAULT 1;

CREATE FUNCTION record_restoration(actor_kind text, actor text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    skipped CONSTANT bigint := 1000000000;
    before bigint;
    begun bigint;
BEGIN
    -- What waits for a device's acknowledgement keeps its place before what comes. A device may have had it in the time
    -- that is gone, and then gets it once more.
    UPDATE messages SET sequence = sequence + skipped WHERE direction = 'out' AND done_at IS NULL;
    UPDATE device_streams SET next_in = next_in + skipped, next_out = next_out + skipped,
        acknowledged_out = acknowledged_out + skipped;
    UPDATE device_sessions SET epoch = device_sessions.epoch + skipped;
    SELECT position INTO before FROM event_counter FOR UPDATE;
    UPDATE event_counter SET epoch = event_counter.epoch + 1, position = position + skipped
        RETURNING event_counter.epoch INTO begun;
    -- The one row before which positions may be missing: it says after which one.
    PERFORM record_event('database.restored', NULL, NULL, actor_kind, actor, NULL, NULL, NULL,
        jsonb_build_object('epoch', begun, 'after', before));
    RETURN begun;
END
$$;
