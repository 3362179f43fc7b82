-- Metadata is handed to channels as its device sent it: json keeps the text, where jsonb spelt 1e300 with 301 digits
-- and changed the order of members. Both tables are rewritten under an exclusive lock, for a moment: they have a row
-- for each pairing and each request of the last 30 days. What is stored already stays as jsonb spelt it.
ALTER TABLE pairing_requests ALTER COLUMN metadata TYPE json USING metadata::json;
ALTER TABLE paired_devices ALTER COLUMN metadata TYPE json USING metadata::json;

-- Finds the rivals that are removed.
CREATE INDEX rival_claims_by_age ON rival_claims (last_at);
