package photos

import (
	"slices"

	"plumb/systems/photos/internal/shard"
)

// tables describe the room's rows to whoever copies them: moves between shards, and
// manifests. A column that is missing here would be lost by a move; a test compares them
// with the schema.
func tables() []shard.Table {
	columns := func(lists ...[]shard.Column) []shard.Column {
		return append(append(shard.Text("owner", "id"), shard.Int("rev", "gone")...), slices.Concat(lists...)...)
	}
	return []shard.Table{{
		Name: "photos_photos", Key: []string{"owner", "id"}, Hashes: []string{"hash", "small", "medium", "large"},
		Columns: columns(
			shard.Text("hash", "name", "type", "camera", "lens", "exposure", "place", "caption", "words", "state", "fault", "blur", "sized", "small", "medium", "large", "copies"),
			shard.Int("size", "width", "height", "taken", "zone", "known", "stated", "stated_by", "stated_zone", "placed", "favourite", "keeps", "made", "bin_at", "owed"),
			shard.Float("lat", "lon")),
	}, {
		Name: "photos_albums", Key: []string{"owner", "id"},
		Columns: columns(shard.Text("title", "cover"), shard.Int("photos", "made", "changed")),
	}, {
		Name: "photos_placed", Key: []string{"owner", "album", "photo"},
		Columns: slices.Concat(shard.Text("owner", "album", "photo"), shard.Int("rev", "gone", "at")),
	}, {
		Name: "photos_links", Key: []string{"owner", "id"},
		Columns: columns(shard.Int("downloads", "keeps")),
	}}
}
