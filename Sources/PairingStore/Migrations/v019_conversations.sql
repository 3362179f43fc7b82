-- A device may keep several conversations with its agents apart. Most keep one, whose messages name none, so that it
-- costs them no further index.
ALTER TABLE messages ADD COLUMN conversation text NOT NULL DEFAULT '';
CREATE INDEX messages_by_conversation ON messages
    ((sender_key || '/' || generation::text || '/' || direction || '/' || conversation), sequence)
    WHERE conversation <> '';
