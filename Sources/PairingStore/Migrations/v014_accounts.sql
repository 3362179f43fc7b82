-- What an account may do. One that is disabled can't sign in, and its sessions and tokens do nothing.
ALTER TABLE admins
    ADD COLUMN role text NOT NULL DEFAULT 'administrator' CHECK (role IN ('administrator', 'operator', 'viewer')),
    ADD COLUMN disabled_at timestamptz,
    -- The secret that one-time codes are made of, encrypted under a key outside the database: the one in use, and one
    -- whose owner has not shown yet that the device holds it. A code counts once: totp_step is the last step used.
    ADD COLUMN totp_secret bytea,
    ADD COLUMN totp_pending bytea,
    ADD COLUMN totp_since timestamptz,
    ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,
    ADD CHECK ((totp_secret IS NULL) = (totp_since IS NULL));
ALTER TABLE admins ALTER COLUMN role DROP DEFAULT;

-- A session that waits for a one-time code is none yet.
ALTER TABLE admin_sessions
    ADD COLUMN session_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN browser text NOT NULL DEFAULT '',
    ADD COLUMN awaits_code boolean NOT NULL DEFAULT false;

-- What signs in once in place of a one-time code.
CREATE TABLE recovery_codes (
    username text NOT NULL REFERENCES admins ON DELETE CASCADE,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    used_at timestamptz,
    PRIMARY KEY (username, code_hash)
);

ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_scope_check;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_scope_check
    CHECK (scope IN ('read', 'send', 'decide', 'administer'));
