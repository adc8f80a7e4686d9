package files

import (
	"context"
	"slices"

	"plumb/base/units"
	"plumb/face"
)

// Face is the room's table of contents for the house.
func (s *System) Face() face.Face {
	return face.Face{
		Name: realm, Title: "File storage", Group: "Files and media", Questions: []int{4},
		Asks:  "A file that is uploaded twice should be stored once. Compare lengths and bytes, then link: what breaks?",
		Pages: slices.Concat(s.pages(), s.linkPages(), s.davPages()), Prefixes: []string{"/f/", "/dav/"},
		API:   slices.Concat(s.api(), s.contentOps(), s.tusOps()),
		Links: s.links(),
		Work:  slices.Concat(s.work(), s.uploads.Work()), Run: s.Run, Check: s.Check, Live: s.live, Demo: s.Demo,
		Collect: s.measures.collectors(),
		About:   about,
	}
}

// Run closes contents that nobody reads any more, until ctx ends; what else the room does
// in the background are jobs.
func (s *System) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-s.n.Clock.After(idleTime):
			s.contents.sweep(now.Add(-idleTime), false)
		}
	}
}

// live is the figure on the start page.
func (s *System) live(ctx context.Context) (face.Figure, error) {
	t, err := s.Stats(ctx, Person{Operator: true})
	if err != nil {
		return face.Figure{}, err
	}
	return face.Figure{Value: units.Count(t.Files), Label: "files, each content stored once"}, nil
}

var about = face.About{
	Answer: []string{
		"Comparing an upload byte by byte with every file of the same length gets slower with each such file, and two people who upload the same at the same moment both find nothing. A symbolic link to the first copy shows nothing when that is deleted, something else when it is changed, and does not reach another machine.",
		"Here content has a name of its own: its SHA-256. It lies once in a store that nobody edits, cut into chunks where the content says so, so that an edited copy of a large file costs its changes. A person's file is a row that refers to it. Removing, renaming and changing a file touches that row, and nobody else's.",
		"How many refer to a content is counted in the transaction that makes or ends the reference. So a thousand who upload the same at once leave one copy and an exact count, and the last one's end is known, after a crash too.",
		"Every upload is taken, hashed and stored in the same way whether or not the content is known. Skipping it would be faster, and would tell anybody what others keep.",
	},
	Limits: []string{
		"Two different contents with the same SHA-256 would be taken for one; nobody has found such a pair. --cas-verify-on-hit compares the bytes all the same.",
		"What saves space costs one point of failure: a damaged chunk damages every file that holds it. The scrubber finds it, and repairs it from a replica where there is one.",
		"The house's key opens everything. Lost, all contents are lost; it belongs into a place of its own, and is in no backup of the data.",
		"With few duplicates and small edits this saves little; a folder on a disk, or a bucket, is simpler then.",
		"A move stays within one person's tree; what another shares can be copied.",
	},
	ScaleOut: []string{
		"Any number of processes on one PostgreSQL and one bucket serve the same files; counts and names are in the database, contents in the bucket.",
		"What a person uploads to one process another can read when the first has answered.",
	},
	Docs: "docs/files.md",
}
