-- Why an administrator denied or revoked, in words for the device and for those who look later.
ALTER TABLE pairing_requests ADD COLUMN reason text;
ALTER TABLE paired_devices ADD COLUMN revoke_reason text;
