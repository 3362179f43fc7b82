-- The rows of the feed form a chain: each has the SHA-256 of the hash before it and of everything in itself, so that
-- nothing that happened can be changed, removed or put in later without breaking what follows. The newest hash lies in
-- the counter's row, which every transaction that writes an event updates last. Rows from before this step have none;
-- the first one after them is chained to nothing.
ALTER TABLE events ADD COLUMN hash bytea CHECK (length(hash) = 32);
ALTER TABLE event_counter
    ADD COLUMN head bytea NOT NULL DEFAULT sha256('') CHECK (length(head) = 32),
    -- The last position before the chain began, or the last that was trimmed, and the hash there.
    ADD COLUMN chain_after bigint NOT NULL DEFAULT 0,
    ADD COLUMN chain_hash bytea NOT NULL DEFAULT sha256('') CHECK (length(chain_hash) = 32);
UPDATE event_counter SET chain_after = position;

-- A value as hashes are made of it: its length in bytes, a colon and its text; what is null is a dash.
CREATE FUNCTION event_part(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL THEN '-' ELSE octet_length(value)::text || ':' || value END
$$;

CREATE OR REPLACE FUNCTION record_event(
    event text, channel text, sender_id text, actor_kind text, actor text, request_id uuid, generation bigint,
    address text, details jsonb
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
    before bytea;
    moment timestamptz;
    hash bytea;
BEGIN
    -- Whoever waits here reads the row anew when it is free, and the clock after that: positions and times agree.
    SELECT position + 1, head INTO place, before FROM event_counter FOR UPDATE;
    moment := clock_timestamp();
    -- The time is in microseconds since 1970.
    hash := sha256(before || convert_to(event_part(place::text)
        || event_part((extract(epoch FROM moment) * 1000000)::bigint::text) || event_part(event)
        || event_part(channel) || event_part(sender_id) || event_part(actor_kind) || event_part(actor)
        || event_part(request_id::text) || event_part(generation::text) || event_part(address)
        || event_part(details::text), 'UTF8'));
    INSERT INTO events (position, at, event, channel, sender_id, actor_kind, actor, request_id, generation, address,
            details, hash)
        VALUES (place, moment, event, channel, sender_id, actor_kind, actor, request_id, generation, address, details,
            hash);
    UPDATE event_counter SET position = place, head = hash;
    PERFORM pg_notify('nodes_events', json_build_object('position', place, 'event', event, 'channel', channel,
        'senderId', sender_id)::text);
    RETURN place;
END
$$;

-- Nothing in the feed changes. Of its rows the first may be removed, by whoever owns the table: where the chain then
-- begins is kept, and that it was done is an event of its own.
CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed; the first of them may be deleted, in the order of their positions';
END
$$;
CREATE TRIGGER events_never_change BEFORE UPDATE OR TRUNCATE ON events FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_event_change();

CREATE FUNCTION trim_event_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_gone bigint;
    last_hash bytea;
    gone bigint;
BEGIN
    SELECT max(position), count(*) INTO last_gone, gone FROM trimmed;
    IF gone = 0 THEN
        RETURN NULL;
    END IF;
    -- Events that are being written wait.
    PERFORM 1 FROM event_counter FOR UPDATE;
    IF EXISTS (SELECT 1 FROM events WHERE position < last_gone) THEN
        RAISE EXCEPTION 'only the first events may be deleted: some before position % would stay', last_gone
            USING HINT = 'Delete by position: DELETE FROM events WHERE position <= …';
    END IF;
    SELECT hash INTO last_hash FROM trimmed WHERE position = last_gone;
    UPDATE event_counter SET chain_after = greatest(chain_after, last_gone),
        chain_hash = CASE WHEN last_gone >= chain_after THEN coalesce(last_hash, chain_hash) ELSE chain_hash END;
    PERFORM record_event('audit.trimmed', NULL, NULL, 'operating_system', session_user || ' (database)', NULL, NULL,
        NULL, jsonb_build_object('through', last_gone, 'rows', gone, 'hash', encode(last_hash, 'hex')));
    RETURN NULL;
END
$$;
CREATE TRIGGER events_trimmed AFTER DELETE ON events REFERENCING OLD TABLE AS trimmed FOR EACH STATEMENT
    EXECUTE FUNCTION trim_event_chain();

-- What the audit is searched by beside the device; each in the order in which it is read.
CREATE INDEX events_by_actor ON events (actor, position);
CREATE INDEX events_by_name ON events (event, position);
CREATE INDEX events_by_address ON events (address, position) WHERE address IS NOT NULL;
CREATE INDEX events_by_time ON events (at);
