-- Over HTTP a device shows its token and nothing else, so its request is found by that.
CREATE INDEX pairing_requests_by_token ON pairing_requests (token_hash) WHERE token_hash IS NOT NULL;
