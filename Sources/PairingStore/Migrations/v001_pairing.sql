-- What happened, append-only. A row's position comes from the one row of event_counter, which a transaction
-- updates last: positions appear in commit order, so a reader that continues after the last position it saw
-- misses nothing.
CREATE TABLE event_counter (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL
);
INSERT INTO event_counter (position) VALUES (0);

CREATE TABLE events (
    position bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    event text NOT NULL,
    channel text,
    sender_id text,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    request_id uuid,
    generation bigint,
    address text,
    details jsonb NOT NULL DEFAULT '{}'
);

-- Writes one event and hints at it. Call it as the last statement that writes: it holds the counter's row
-- until the transaction ends.
CREATE FUNCTION record_event(
    event text, channel text, sender_id text, actor_kind text, actor text, request_id uuid, generation bigint,
    address text, details jsonb
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
BEGIN
    UPDATE event_counter SET position = position + 1 RETURNING position INTO place;
    INSERT INTO events VALUES (place, clock_timestamp(), event, channel, sender_id, actor_kind, actor,
        request_id, generation, address, details);
    PERFORM pg_notify('nodes_events', json_build_object('position', place, 'event', event, 'channel', channel,
        'senderId', sender_id)::text);
    RETURN place;
END
$$;

-- A device's wish to be paired. Ended ones stay for 30 days, so that their device is told how they ended.
CREATE TABLE pairing_requests (
    request_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    sender_key text NOT NULL,
    sender_id text NOT NULL CHECK (sender_id ~ '^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$'),
    channel text NOT NULL,
    code text NOT NULL UNIQUE CHECK (code ~ '^[A-HJ-NP-Z2-9]{8}$'),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'denied', 'expired')),
    public_key bytea CHECK (length(public_key) = 32),
    token_hash bytea CHECK (length(token_hash) = 32),
    display_name text NOT NULL,
    metadata jsonb NOT NULL,
    detail_labels text[] NOT NULL,
    detail_values text[] NOT NULL,
    address text,
    address_limit_key text,
    network_block text,
    -- The socket that waits for the decision: the newest one that asked.
    waiting_instance uuid,
    waiting_socket bigint,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    decided_at timestamptz,
    decided_by text,
    cooldown_cleared boolean NOT NULL DEFAULT false,
    CHECK ((public_key IS NULL) <> (token_hash IS NULL)),
    CHECK (sender_key = lower(sender_id COLLATE "C")),
    CHECK ((state = 'pending') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX pairing_requests_one_pending ON pairing_requests (sender_key) WHERE state = 'pending';
CREATE INDEX pairing_requests_by_sender ON pairing_requests (sender_key, created_at DESC);
CREATE INDEX pairing_requests_pending ON pairing_requests (created_at DESC, request_id) WHERE state = 'pending';
CREATE INDEX pairing_requests_due ON pairing_requests (expires_at) WHERE state = 'pending';
CREATE INDEX pairing_requests_ended ON pairing_requests (decided_at) WHERE state <> 'pending';
CREATE INDEX pairing_requests_by_address ON pairing_requests (address_limit_key) WHERE state = 'pending';

-- A pairing, from its approval on. Revoked ones stay, so that a device that was offline for a year is told.
CREATE TABLE paired_devices (
    request_id uuid PRIMARY KEY,
    sender_key text NOT NULL,
    sender_id text NOT NULL,
    channel text NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
    public_key bytea CHECK (length(public_key) = 32),
    token_hash bytea CHECK (length(token_hash) = 32),
    display_name text NOT NULL,
    metadata jsonb NOT NULL,
    detail_labels text[] NOT NULL,
    detail_values text[] NOT NULL,
    paired_at timestamptz NOT NULL,
    paired_by text NOT NULL,
    revoked_at timestamptz,
    revoked_by text,
    UNIQUE (sender_key, generation),
    CHECK ((public_key IS NULL) <> (token_hash IS NULL)),
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE UNIQUE INDEX paired_devices_one_active ON paired_devices (sender_key) WHERE state = 'active';
CREATE INDEX paired_devices_active ON paired_devices (paired_at DESC, request_id) WHERE state = 'active';
CREATE INDEX paired_devices_by_token ON paired_devices (token_hash) WHERE token_hash IS NOT NULL;

-- What a message and a session commit against: locked by each of them, changed by pairing and revocation.
CREATE TABLE device_streams (
    sender_key text PRIMARY KEY,
    generation bigint NOT NULL,
    active boolean NOT NULL,
    next_in bigint NOT NULL DEFAULT 1,
    next_out bigint NOT NULL DEFAULT 1,
    acknowledged_out bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- A running gateway; its lease says until when its sessions count as live.
CREATE TABLE instances (
    instance_id uuid PRIMARY KEY,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL
);

-- The newest session of each device. A row outlives its socket: the epoch never goes back.
CREATE TABLE device_sessions (
    sender_key text PRIMARY KEY,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    session_id uuid NOT NULL,
    instance_id uuid,
    address text,
    connected_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX device_sessions_by_instance ON device_sessions (instance_id) WHERE instance_id IS NOT NULL;

-- Other devices' claims on a sender ID that is taken; a few for each sender ID.
CREATE TABLE rival_claims (
    sender_key text NOT NULL,
    address_limit_key text NOT NULL,
    channel text NOT NULL,
    address text,
    attempts integer NOT NULL DEFAULT 1,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (sender_key, address_limit_key, channel)
);

-- Both directions of a device's messages. `done_at`: answered (in), acknowledged by the device (out).
CREATE TABLE messages (
    sender_key text NOT NULL,
    generation bigint NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    sequence bigint NOT NULL,
    message_id text,
    reply_to bigint,
    agent text,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (sender_key, generation, direction, sequence)
);
CREATE UNIQUE INDEX messages_by_id ON messages (sender_key, generation, message_id) WHERE direction = 'in';
CREATE UNIQUE INDEX messages_by_reply ON messages (sender_key, generation, reply_to) WHERE direction = 'out';
CREATE INDEX messages_open ON messages (sender_key, generation, direction, sequence) WHERE done_at IS NULL;
CREATE INDEX messages_done ON messages (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE admins (
    username text PRIMARY KEY CHECK (username ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    last_sign_in_at timestamptz
);

CREATE TABLE admin_sessions (
    session_hash bytea PRIMARY KEY CHECK (length(session_hash) = 32),
    username text NOT NULL REFERENCES admins ON DELETE CASCADE,
    address text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL
);
CREATE INDEX admin_sessions_by_username ON admin_sessions (username);

CREATE TABLE api_tokens (
    token_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    owner text NOT NULL REFERENCES admins ON DELETE CASCADE,
    name text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('read', 'administer')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    last_used_at timestamptz
);

-- Failed sign-ins by account and by address, and where each account signed in before: those places are
-- never locked out of it.
CREATE TABLE sign_in_failures (
    subject text PRIMARY KEY,
    failures integer NOT NULL,
    window_started_at timestamptz NOT NULL
);
CREATE INDEX sign_in_failures_by_age ON sign_in_failures (window_started_at);

CREATE TABLE known_sign_ins (
    username text NOT NULL REFERENCES admins ON DELETE CASCADE,
    place bytea NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (username, place)
);
