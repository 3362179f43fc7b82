-- Commands that agents have devices carry out. One is called once, whoever asks for it again: it is known by its key,
-- which the device sees as the command's callId.
CREATE TABLE command_calls (
    call_id text PRIMARY KEY,
    sender_key text NOT NULL,
    sender_id text NOT NULL,
    generation bigint NOT NULL,
    channel text NOT NULL,
    command text NOT NULL,
    agent text NOT NULL,
    called_at timestamptz NOT NULL,
    -- Until when its answer is waited for.
    wanted_until timestamptz NOT NULL,
    ended_at timestamptz,
    outcome text,
    -- What the device said of it: the text of a JSON object.
    answer text
);
CREATE INDEX command_calls_under_way ON command_calls (wanted_until) WHERE ended_at IS NULL;
CREATE INDEX command_calls_by_age ON command_calls (called_at);
