-- What a gateway last said of its channels: what it loaded and refused, how it is doing, what a restart would
-- change. Null until it has said anything. Its members are this software's own and change with it.
ALTER TABLE instances ADD COLUMN channels jsonb;
