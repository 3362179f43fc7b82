-- How often a device's sessions replaced each other: two programs with one credential do so without end.
CREATE TABLE replaced_sessions (
    sender_key text PRIMARY KEY,
    window_started_at timestamptz NOT NULL,
    replaced integer NOT NULL,
    last_at timestamptz NOT NULL,
    address text,
    other_address text
);
CREATE INDEX replaced_sessions_by_age ON replaced_sessions (last_at);

-- Counts in windows of ten minutes, and records the sixth of a window as an event. It runs after the statement that
-- gives out sessions, whose locks on devices' rows come before the event counter's everywhere.
CREATE FUNCTION count_replaced_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    count integer;
BEGIN
    -- A session of a gateway that died is nobody's rival.
    IF NOT EXISTS (SELECT 1 FROM instances WHERE instance_id = OLD.instance_id AND lease_until > clock_timestamp())
    THEN
        RETURN NULL;
    END IF;
    INSERT INTO replaced_sessions AS r (sender_key, window_started_at, replaced, last_at, address, other_address)
    VALUES (NEW.sender_key, clock_timestamp(), 1, clock_timestamp(), NEW.address, OLD.address)
    ON CONFLICT (sender_key) DO UPDATE SET
        replaced = CASE WHEN r.window_started_at < clock_timestamp() - interval '10 minutes' THEN 1
            ELSE least(r.replaced, 1000000) + 1 END,
        window_started_at = CASE WHEN r.window_started_at < clock_timestamp() - interval '10 minutes'
            THEN clock_timestamp() ELSE r.window_started_at END,
        last_at = excluded.last_at, address = excluded.address, other_address = excluded.other_address
    RETURNING r.replaced INTO count;
    IF count = 6 THEN
        PERFORM record_event('device.contended', d.channel, d.sender_id, 'system', 'system', NULL, d.generation,
            NEW.address, jsonb_build_object('replaced', count, 'otherAddress', OLD.address))
        FROM paired_devices d WHERE d.sender_key = NEW.sender_key AND d.generation = NEW.generation;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER device_sessions_replaced AFTER UPDATE ON device_sessions FOR EACH ROW
    WHEN (OLD.instance_id IS NOT NULL AND NEW.instance_id IS NOT NULL AND NEW.epoch > OLD.epoch
        AND NEW.generation = OLD.generation)
    EXECUTE FUNCTION count_replaced_session();
