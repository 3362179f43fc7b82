-- What a channel made of a device's message for agents: a JSON array of {"agent", "body"}, the body as text. Null
-- where the message goes to an agent as it is.
ALTER TABLE messages ADD COLUMN forwarded text;

-- A message that became several has an answer for each.
ALTER TABLE messages ADD COLUMN reply_part integer NOT NULL DEFAULT 0;
DROP INDEX messages_by_reply;
CREATE UNIQUE INDEX messages_by_reply ON messages (sender_key, generation, reply_to, reply_part)
    WHERE direction = 'out';
