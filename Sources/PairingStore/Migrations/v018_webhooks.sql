-- Who is told of events, or that a message waits for a device that is away. Secrets are encrypted under a key outside the
-- database. Up to the cursor every event was delivered, or is not wanted.
CREATE TABLE webhooks (
    webhook_id uuid PRIMARY KEY,
    url text NOT NULL CHECK (octet_length(url) <= 1024),
    -- Which events it is told; null for a hook of the name that channels give for devices that are away.
    events text,
    push_hook text UNIQUE CHECK (push_hook ~ '^[a-z][a-z0-9_]{0,63}$'),
    CHECK ((events IS NULL) <> (push_hook IS NULL)),
    secret bytea NOT NULL,
    secret_since timestamptz NOT NULL,
    -- The one before, which signs beside it for a time.
    old_secret bytea,
    old_secret_until timestamptz,
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    state text NOT NULL CHECK (state IN ('enabled', 'disabled', 'failed')),
    state_since timestamptz NOT NULL,
    cursor bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    next_try_at timestamptz,
    last_delivery_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    -- Which gateway delivers, and until when nobody else does.
    claimed_by uuid,
    claimed_until timestamptz
);

-- Under which name a channel asks for somebody to be told of devices that are away.
CREATE TABLE push_hooks (
    channel text PRIMARY KEY,
    hook text NOT NULL
);

-- Devices for which a message was stored, until somebody was told or it is acknowledged: when to look, and up to which
-- message was told. Null where nothing is new.
CREATE TABLE waiting_devices (
    sender_key text PRIMARY KEY,
    generation bigint NOT NULL,
    push_hook text NOT NULL,
    told bigint NOT NULL DEFAULT 0,
    due_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX waiting_devices_due ON waiting_devices (push_hook, due_at) WHERE due_at IS NOT NULL;
