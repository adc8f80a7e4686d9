-- Whether the shard's database was begun: an empty one in its place is then a loss.
ALTER TABLE photos_shards ADD COLUMN claimed BIGINT NOT NULL DEFAULT 0;
