-- What devices say that is no message: when a message to them was read; after which silences their agents are told, where
-- that is not as their channel says for all (milliseconds, ascending); whether they are in the background, where they
-- read nothing though their connection stands.
ALTER TABLE messages ADD COLUMN read_at timestamptz;
ALTER TABLE device_silence ADD COLUMN periods bigint[];
ALTER TABLE device_sessions ADD COLUMN in_background boolean NOT NULL DEFAULT false;
