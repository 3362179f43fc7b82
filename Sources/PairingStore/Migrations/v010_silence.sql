-- When to look whether a device has fallen silent, and how many of its channel's periods its agent knows to have passed:
-- a row for each sender ID that was ever paired, of its newest pairing. Messages do not touch it: what came last is looked
-- up when the time comes. Devices of channels that ask for nothing of the kind have no time.
CREATE TABLE device_silence (
    sender_key text PRIMARY KEY,
    generation bigint NOT NULL,
    channel text NOT NULL,
    due_at timestamptz,
    told bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX device_silence_due ON device_silence (due_at) WHERE due_at IS NOT NULL;
INSERT INTO device_silence (sender_key, generation, channel, due_at)
SELECT sender_key, generation, channel, clock_timestamp() FROM paired_devices WHERE state = 'active';
