-- Whether devices may ask to pair: always, never, or until a time.
CREATE TABLE pairing_window (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    mode text NOT NULL CHECK (mode IN ('always', 'never', 'until')),
    until timestamptz,
    CHECK ((mode = 'until') = (until IS NOT NULL))
);
INSERT INTO pairing_window (mode) VALUES ('always');

-- What lets one device pair once without anybody deciding. Whoever holds the secret, of which only the hash is here,
-- pairs that sender ID on that channel.
CREATE TABLE invitations (
    invitation_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    sender_key text NOT NULL,
    sender_id text NOT NULL CHECK (sender_id ~ '^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$'),
    channel text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    -- When it was used or withdrawn, whichever came first.
    ended_at timestamptz,
    request_id uuid,
    withdrawn_by text,
    CHECK (sender_key = lower(sender_id COLLATE "C")),
    CHECK (ended_at IS NOT NULL OR (request_id IS NULL AND withdrawn_by IS NULL))
);
CREATE INDEX invitations_listed ON invitations (created_at DESC, invitation_id);
CREATE INDEX invitations_by_age ON invitations (expires_at);
