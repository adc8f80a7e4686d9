-- Which copies there are, for those that their owner moved to.
CREATE INDEX photos_photos_copies ON photos_photos (copies, owner, id) WHERE gone = 0;
