package photos

import (
	"context"
	"slices"

	"plumb/base/units"
	"plumb/face"
)

// Face is the room's table of contents for the house.
func (s *System) Face() face.Face {
	return face.Face{
		Name: realm, Title: "Photo sharing", Group: "Files and media", Questions: []int{5, 14},
		Asks:  "Photos are sharded alphabetically by user name, a letter a server. Are there any problems with this design?",
		Pages: s.pages(), Prefixes: []string{"/p/"},
		API:   s.api(),
		Links: s.menu(),
		Work:  slices.Concat(s.work(), s.set.Work()), Run: s.Run, Check: s.Check, Live: s.live, Demo: s.Demo,
		Collect: slices.Concat(s.measures.collectors(), s.set.Collectors()),
		About:   about,
	}
}

// Run counts what is viewed, until ctx ends; what else the room does in the background
// are jobs.
func (s *System) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(viewsEvery):
			s.countViews(ctx)
		}
	}
}

// live is the figure on the start page.
func (s *System) live(ctx context.Context) (face.Figure, error) {
	board, err := s.set.Board(ctx)
	if err != nil {
		return face.Figure{}, err
	}
	photos := int64(0)
	for _, l := range board {
		photos += l.Photos
	}
	label := "photos on one shard"
	if len(board) != 1 {
		label = "photos on " + units.Count(int64(len(board))) + " shards"
	}
	return face.Figure{Value: units.Count(photos), Label: label}, nil
}

var about = face.About{
	Answer: []string{
		"Names are not spread evenly over the alphabet: with a letter a server the fullest holds several times the mean and the emptiest nearly nothing. Which letters are full differs by country, so that each new country tips it anew, and one popular user makes a letter hot, whatever its size.",
		"Adding a server means cutting the alphabet anew, and most photos move. Hash mod n, which is often proposed instead, moves nearly all of them too.",
		"Here a shard is a database and a bucket, and all that a person has lies on one. A table of slots, filled by weights, says which, so that a new shard takes its share and no more. Whoever is too large, or on the way, is an exception in a directory.",
		"The authority is the person's own row on the shard, read in the transaction of each request: no stale map ever answers. A move copies, verifies, switches in one transaction, and cleans up later; reads and writes go on meanwhile.",
		"Originals have copies in other shards' buckets, each with its photo's row: a lost shard's photos are served from there and made anew.",
	},
	Limits: []string{
		"With one machine, or a handful of users, a letter a server is as good: see photos/evenness for where it stops.",
		"A person whose load exceeds a whole shard's is not helped by placing; copies and a cache in front do that.",
		"The rows of a shard are as safe as its database: on PostgreSQL its standby replicates them; embedded, manifests in other shards' buckets give them back up to some minutes ago.",
		"Search reads a person's own index of photos: some microseconds each, nothing in memory.",
		"Viewers' counts may lose the last second when a process crashes.",
	},
	ScaleOut: []string{
		"Any number of processes on one PostgreSQL share the directory; each shard may have a database and a bucket of its own, anywhere.",
		"Shards are added, weighed, drained and removed while people use them, throttled, and a move that is killed goes on.",
	},
	Docs: "docs/photos.md",
}
