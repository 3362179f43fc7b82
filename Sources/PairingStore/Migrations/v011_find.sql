-- What administrators say of a pairing beyond that there is one. `agents`: who answers it, the first of them where a
-- message names none; null where that is left to its channel.
ALTER TABLE paired_devices
    ADD COLUMN label text, ADD COLUMN note text, ADD COLUMN expires_at timestamptz, ADD COLUMN agents text[];
-- The same, where a message that is accepted sees it under the lock that it takes anyway.
ALTER TABLE device_streams ADD COLUMN agents text[];

-- Finding devices: each way to look for them is a walk along one index that begins at the page's first row, so that the
-- last page costs what the first one does. What is sorted by text is so by its bytes, which is the order of prefixes.
DROP INDEX paired_devices_active;
CREATE INDEX paired_devices_by_time ON paired_devices (paired_at, request_id) WHERE state = 'active';
CREATE INDEX paired_devices_by_sender ON paired_devices (sender_key COLLATE "C") WHERE state = 'active';
CREATE INDEX paired_devices_by_name ON paired_devices
    ((lower(coalesce(label, nullif(display_name, ''), sender_id) COLLATE "und-x-icu") COLLATE "C"), request_id)
    WHERE state = 'active';
CREATE INDEX paired_devices_by_channel ON paired_devices (channel, paired_at, request_id) WHERE state = 'active';
CREATE INDEX paired_devices_by_whom ON paired_devices (paired_by, paired_at, request_id) WHERE state = 'active';
CREATE INDEX paired_devices_expiring ON paired_devices (expires_at) WHERE state = 'active' AND expires_at IS NOT NULL;
DROP INDEX device_sessions_by_instance;
CREATE INDEX device_sessions_by_instance ON device_sessions (instance_id, sender_key COLLATE "C")
    WHERE instance_id IS NOT NULL;

DROP INDEX pairing_requests_ended;
CREATE INDEX pairing_requests_ended ON pairing_requests (decided_at, request_id) WHERE state <> 'pending';

CREATE INDEX pairing_requests_by_state ON pairing_requests (state, decided_at, request_id) WHERE state <> 'pending';

-- What happened to one device.
CREATE INDEX events_by_sender ON events ((lower(sender_id COLLATE "C")), position) WHERE sender_id IS NOT NULL;
