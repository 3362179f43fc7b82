-- What authenticators know an account by; it says nothing of whose it is.
ALTER TABLE admins ADD COLUMN user_handle bytea NOT NULL UNIQUE DEFAULT uuid_send(gen_random_uuid());

CREATE TABLE passkeys (
    passkey_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username text NOT NULL REFERENCES admins ON DELETE CASCADE,
    credential_id bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
    -- A SubjectPublicKeyInfo.
    public_key bytea NOT NULL,
    -- The host that it was made for.
    host text NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    sign_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX passkeys_of ON passkeys (username, created_at);

-- What an authenticator has to sign next, once: at most one for each session, and for each browser at the sign-in form.
CREATE TABLE passkey_challenges (
    binding bytea PRIMARY KEY CHECK (length(binding) = 32),
    purpose text NOT NULL CHECK (purpose IN ('add', 'sign-in')),
    challenge bytea NOT NULL CHECK (length(challenge) = 32),
    -- Whose; of a sign-in that has no password yet nobody knows.
    username text REFERENCES admins ON DELETE CASCADE,
    name text NOT NULL,
    -- The network that asked: none has more than its share of these.
    network text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenges_of ON passkey_challenges (network, expires_at);
CREATE INDEX passkey_challenges_by_age ON passkey_challenges (expires_at);
