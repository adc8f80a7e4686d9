package prove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"plumb/engines/lab"
)

// LostShard takes one of four shards away.
func LostShard() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "lostshard", Title: "a shard is lost",
		Question: "The disk with one of four shards' photos dies while people look at them; then another dies with its database, too. Which photos cannot be seen, for how long, and which never again?",
		Metrics: []lab.Metric{
			{Name: "photos", Unit: "photos", Text: "photos"},
			{Name: "there", Unit: "photos", Text: "on the shard whose files are lost"},
			{Name: "unavailable", Unit: "photos", Text: "that nobody can read right after", Better: "less"},
			{Name: "failed_reads", Unit: "reads", Text: "originals that could not be read until all was put back", Better: "less"},
			{Name: "failed_views", Unit: "views", Text: "views through links that failed meanwhile", Better: "less"},
			{Name: "failed_writes", Unit: "uploads", Text: "uploads that failed meanwhile", Better: "less"},
			{Name: "failed_after", Unit: "uploads", Text: "of them after there was an empty disk again", Better: "less"},
			{Name: "repair_s", Unit: "s", Text: "from the order to repair until all was put back, and copied again", Better: "less"},
			{Name: "lost", Unit: "photos", Text: "lost for good", Better: "less"},
			{Name: "there_db", Unit: "photos", Text: "on the shard that is lost with its database"},
			{Name: "rebuild_s", Unit: "s", Text: "from giving it up until its photos were there again", Better: "less"},
			{Name: "lost_db", Unit: "photos", Text: "lost for good with it", Better: "less"},
			{Name: "captions_old_pct", Unit: "%", Text: "its captions that were there when its manifests were written, and are lost", Better: "less"},
			{Name: "captions_new_pct", Unit: "%", Text: "its captions of the last seconds that are lost", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "none", Text: "without copies the shard's photos cannot be read", Design: "naive", Metric: "unavailable", Op: ">", Value: new(0.0)},
			{ID: "for-good", Text: "and are lost", Design: "naive", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "restored-down", Text: "with a nightly backup they cannot be read until somebody has restored it", Design: "textbook", Metric: "unavailable", Op: ">", Value: new(0.0)},
			{ID: "restored-lost", Text: "and the day's are lost", Design: "textbook", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "served", Text: "the built one serves all of them from copies, at once", Design: "built", Metric: "unavailable", Op: "==", Value: new(0.0)},
			{ID: "reads", Text: "no read of an original fails meanwhile", Design: "built", Metric: "failed_reads", Op: "==", Value: new(0.0)},
			{ID: "views", Text: "no view through a link, whose smaller pictures were lost with the originals and are made anew", Design: "built", Metric: "failed_views", Op: "==", Value: new(0.0)},
			{ID: "writes", Text: "uploads of that shard's people are refused only until there is a disk again", Design: "built", Metric: "failed_after", Op: "==", Value: new(0.0)},
			{ID: "kept", Text: "nothing is lost", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "kept-db", Text: "when then a second shard is lost, with its database, all its photos come back, so that the first was copied again", Design: "built", Metric: "lost_db", Op: "==", Value: new(0.0)},
			{ID: "fewer", Text: "fewer are out of sight than without copies", Design: "built", Metric: "unavailable", Op: "<", Than: &lab.Than{Design: "naive", Metric: "unavailable"}, Apart: true},
			{ID: "fewer-lost", Text: "and fewer are lost than with a backup", Design: "built", Metric: "lost", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "lost"}, Apart: true},
		},
		Picture: []string{"unavailable", "lost"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return losing{adding{people: 120, most: 8, typical: 60 << 10, rate: 40}, 65 * time.Second, nil}.run(ctx, b)
			}
			return losing{adding{people: 24, most: 4, typical: 40 << 10, rate: 25}, 0, nil}.run(ctx, b)
		},
	}
}

// losing is the size of the experiment.
type losing struct {
	adding
	settle time.Duration // until manifests are written; 0: they are not waited for
	args   []string      // of the built design
}

const fourShards = 4

func (a losing) run(ctx context.Context, b *lab.Bench) error {
	b.Note("%d people on %d shards, %.0f calls a second. The files of one shard vanish while people read; the built one gets an empty disk a second after somebody looked at every photo, and is told to heal it, the backup is copied back by a person who is there at once (what it takes to notice is not counted for either). "+
		"The second loss is that of a whole shard, database and files, and the server is told to give it up. Photos come back from copies, which carry their rows; captions, albums and links from manifests, which are written within a minute of a person's first change and then five minutes after the one before: what is younger is lost with the database (on PostgreSQL its standby is for that).", a.people, fourShards, a.rate)
	people, err := called(b.Seed, a.people)
	if err != nil {
		return err
	}
	for i, d := range []struct {
		name, text string
		kind       lab.Kind
	}{
		{"no copies", "Letters on four servers, as the question has it: each photo is on one.", lab.Naive},
		{"nightly backup", "The same, and each server's folder is copied every night.", lab.Textbook},
	} {
		b.Progress(float64(i)/5, "%s", d.name)
		if err := a.plain(ctx, b, b.Design(d.name, d.kind, "durable").Describe(d.text), people, d.kind == lab.Textbook); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	b.Progress(0.4, "as served")
	row := b.Design("as served", lab.Built, "durable", "survives a lost shard").Describe("plumb serve photos: each original has a copy in another shard's bucket, with its row.")
	if err := a.served(ctx, b, row); err != nil {
		return fmt.Errorf("as served: %w", err)
	}
	return nil
}

// plain loses a shard of a design without copies.
func (a losing) plain(ctx context.Context, b *lab.Bench, row *lab.Design, people []string, backup bool) error {
	s, err := newStopCopy(ctx, b, "alphabetical", fourShards, people)
	if err != nil {
		return err
	}
	defer s.close()
	l := newLibrary(b, row.Name, s)
	if err := l.fill(ctx, a.people, a.most, a.typical); err != nil {
		return err
	}
	// The shard with the most: the first letters.
	const name = "shard-00"
	night := filepath.Join(s.dir, "night")
	if backup {
		if err := s.copyOff(ctx, name, night); err != nil {
			return err
		}
	}
	for i := range 2 * a.people { // the day's
		if _, err := l.upload(ctx, i%a.people, fmt.Sprintf("day-%d.jpg", i), 2<<10); err != nil {
			return err
		}
	}
	there, err := s.count(ctx, name)
	if err != nil {
		return err
	}
	took := time.Duration(0)
	report, _, err := a.beside(ctx, l, "lost", func(ctx context.Context) error {
		if err := s.lose(ctx, name); err != nil {
			return err
		}
		n, err := l.lost(ctx)
		row.Set("unavailable", float64(n))
		if err != nil || !backup {
			return err
		}
		began := time.Now()
		err = s.copyBack(ctx, night, name)
		took = time.Since(began)
		return err
	})
	if err != nil {
		return err
	}
	row.Set("photos", float64(len(l.kept))).Set("there", float64(there))
	if backup {
		row.Set("repair_s", took.Seconds())
	}
	return a.settled(ctx, row, l, report.Calls)
}

// lose deletes a shard's files and rows.
func (s *stopCopy) lose(ctx context.Context, name string) error {
	sh := s.shards[name]
	if err := sh.db.Write(ctx, deletePlain); err != nil {
		return err
	}
	return vanish(filepath.Join(sh.dir, "photos"))
}

// vanish takes a folder away at once: deleting it bit by bit would race with who writes.
func vanish(dir string) error {
	if err := os.Rename(dir, dir+".dead"); err != nil {
		return err
	}
	return os.RemoveAll(dir + ".dead")
}

func (s *stopCopy) count(ctx context.Context, name string) (n int64, err error) {
	err = s.shards[name].db.Read(ctx, countPlain(&n))
	return n, err
}

// copyOff copies what a shard has to another folder, as a backup does.
func (s *stopCopy) copyOff(ctx context.Context, name, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(s.shards[name].dir, "photos"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err == nil {
			err = s.shards[name].noteRow(ctx, e.Name(), to)
		}
		return errors.Join(err, writeSynced(filepath.Join(to, e.Name()), body))
	})
}

// copyBack restores it.
func (s *stopCopy) copyBack(ctx context.Context, from, name string) error {
	sh := s.shards[name]
	if err := os.MkdirAll(filepath.Join(sh.dir, "photos"), 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(from, "*.row"))
	if err != nil {
		return err
	}
	return eachOf(ctx, 8, len(files), func(ctx context.Context, i int) error { return sh.backFrom(ctx, files[i]) })
}
