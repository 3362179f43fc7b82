-- Messages that administrators' programs send to devices. One push ID of a device is one message, however often it is
-- sent; a message may have a time after which nobody wants it.
ALTER TABLE messages ADD COLUMN push_id text, ADD COLUMN pushed_by text, ADD COLUMN expires_at timestamptz;
CREATE UNIQUE INDEX messages_by_push ON messages ((sender_key || '/' || generation::text || '/' || push_id))
    WHERE push_id IS NOT NULL;
CREATE INDEX messages_expiring ON messages (expires_at) WHERE expires_at IS NOT NULL AND done_at IS NULL;

ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_scope_check;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_scope_check CHECK (scope IN ('read', 'send', 'administer'));
