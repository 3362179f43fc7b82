-- Calls into channels that may end the process, recorded before they are made and forgotten when they are back: what is
-- still here has ended a process, or was under way when another call did.
CREATE TABLE suspect_calls (
    call text PRIMARY KEY,
    attempts integer NOT NULL DEFAULT 1,
    last_at timestamptz NOT NULL
);
CREATE INDEX suspect_calls_by_age ON suspect_calls (last_at);

-- How many of a device's sessions in a row ended without anybody saying so: with their process.
ALTER TABLE device_sessions ADD COLUMN unclean_ends integer NOT NULL DEFAULT 0;
