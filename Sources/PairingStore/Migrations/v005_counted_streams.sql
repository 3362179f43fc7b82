-- What limits need is counted under the device's lock: the messages from the device that wait for an answer, and the
-- bytes that wait in either direction.
ALTER TABLE device_streams
    ADD COLUMN unanswered bigint NOT NULL DEFAULT 0,
    ADD COLUMN unanswered_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN unacknowledged_bytes bigint NOT NULL DEFAULT 0;
UPDATE device_streams d
SET unanswered = m.unanswered, unanswered_bytes = m.unanswered_bytes, unacknowledged_bytes = m.unacknowledged_bytes
FROM (
    SELECT sender_key, generation,
        count(*) FILTER (WHERE direction = 'in') AS unanswered,
        coalesce(sum(octet_length(body) + coalesce(octet_length(forwarded), 0))
            FILTER (WHERE direction = 'in'), 0) AS unanswered_bytes,
        coalesce(sum(octet_length(body)) FILTER (WHERE direction = 'out'), 0) AS unacknowledged_bytes
    FROM messages WHERE done_at IS NULL GROUP BY sender_key, generation) AS m
WHERE m.sender_key = d.sender_key AND m.generation = d.generation;

-- Each look-up has one index that it can use, and no other: while the table is small, the planner takes indexes that
-- begin with the same columns for equal, and a prepared statement keeps its choice when a device has stored a million.
-- A sender ID holds no slash, so these keys are unambiguous.
DROP INDEX messages_by_id;
CREATE UNIQUE INDEX messages_by_id ON messages ((sender_key || '/' || generation::text || '/' || message_id))
    WHERE direction = 'in';
DROP INDEX messages_by_reply;
CREATE UNIQUE INDEX messages_by_reply ON messages
    ((sender_key || '/' || generation::text || '/' || reply_to::text), reply_part) WHERE direction = 'out';
DROP INDEX messages_open;
CREATE INDEX messages_open ON messages ((sender_key || '/' || generation::text || '/' || direction), sequence)
    WHERE done_at IS NULL;
