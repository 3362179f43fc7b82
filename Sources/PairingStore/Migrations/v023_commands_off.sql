-- The commands of a device that administrators switched off: nobody may have them carried out. Later pairings of the
-- sender ID keep them. In `device_streams` as well, whose row every message to the device locks, so that a change holds
-- from the next one on.
ALTER TABLE paired_devices ADD COLUMN commands_off text[];
ALTER TABLE device_streams ADD COLUMN commands_off text[];
