package prove

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"plumb/engines/lab"
)

// Race has many clients upload, and remove, the same bytes at the same moment.
func Race() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "race", Title: "when many upload the same at once",
		Question: "64 clients upload the same bytes at the same moment; then all remove them at once, while as many upload them under new names. How many copies stay, and does every name have its content?",
		Metrics: []lab.Metric{
			{Name: "contents", Unit: "contents", Text: "contents, uploaded by 64 clients at once"},
			{Name: "failed", Unit: "uploads", Text: "uploads refused", Better: "less"},
			{Name: "copies", Unit: "copies", Text: "copies stored of a content", Better: "less"},
			{Name: "half", Unit: "names", Text: "acknowledged names that have other bytes", Better: "less"},
			{Name: "broken", Unit: "names", Text: "acknowledged names that have none", Better: "less"},
			{Name: "miscounted", Unit: "contents", Text: "counts that are not the number of names", Better: "less"},
			{Name: "left", Unit: "contents", Text: "contents left when every name is removed", Better: "less"},
			{Name: "wrong", Unit: "faults", Text: "wrong in all", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "links-copy", Text: "compared and linked, the same bytes are stored several times", Design: "naive", Metric: "copies", Op: ">", Value: new(1.0)},
			{ID: "links-break", Text: "and names break when the first is removed", Design: "naive", Metric: "broken", Op: ">", Value: new(0.0)},
			{ID: "table-copies", Text: "looked up and then stored, too", Design: "textbook", Metric: "copies", Op: ">", Value: new(1.0)},
			{ID: "table-wrong", Text: "and what stays is wrong: names without content, or contents without names, for ever", Design: "textbook", Metric: "wrong", Op: ">", Value: new(0.0)},
			{ID: "once", Text: "the built one stores it once", Design: "built", Metric: "copies", Op: "==", Value: new(1.0)},
			{ID: "all", Text: "refuses nobody", Design: "built", Metric: "failed", Op: "==", Value: new(0.0)},
			{ID: "right", Text: "and every name has its content, every count is right, nothing is left", Design: "built", Metric: "wrong", Op: "==", Value: new(0.0)},
			{ID: "fewer", Text: "fewer copies than with a table", Design: "built", Metric: "copies", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "copies"}, Apart: true},
			{ID: "fewer-wrong", Text: "and less that is wrong", Design: "built", Metric: "wrong", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "wrong"}, Apart: true},
		},
		Picture: []string{"copies"},
		Run:     runRace,
	}
}

const (
	racers     = 64   // upload at once
	raceOthers = 1000 // files of the same length are there before
)

// racing is one design in the race.
type racing struct {
	b      *lab.Bench
	name   string
	door   *door
	end    func(ctx context.Context, name, id string) error // removes a name for good
	copies func(ctx context.Context) (int64, error)         // contents stored now
	tidy   func(ctx context.Context) error                  // what runs beside: the collector; nil: nothing

	failed, half, broken int
	stored               int64 // copies, added up over the rounds
}

func runRace(ctx context.Context, b *lab.Bench) error {
	rounds, size := 5, 160<<10
	if b.Full {
		rounds = 40
	}
	b.Note("%d contents of %d KiB each; clients wait for each other before each step. The question's design has %d other files of that length to compare with, which differ in their first block; to the others it makes no difference what is there. "+
		"The built one's collector is asked to run all the while.", rounds, size>>10, raceOthers)
	for i, d := range []struct {
		name, text string
		kind       lab.Kind
		run        raceRun
	}{
		{"compare and link", "Compared with each file of that length, linked to the one that equals it.", lab.Naive, raceLinks},
		{"look up, then store", "Its hash is looked up; a known one's count goes up by one, another's row is made.", lab.Textbook, raceHashes},
		{"as served", "plumb serve files: the count changes in the transaction that makes the name.", lab.Built, raceBuilt},
	} {
		b.Progress(float64(i)/3, "%s", d.name)
		row := b.Design(d.name, d.kind).Describe(d.text)
		if d.kind == lab.Built {
			row.Promises = []string{"once", "exact count"}
		}
		if err := runOneRace(ctx, b, row, d.run, rounds, size); err != nil {
			return fmt.Errorf("race, %s: %w", d.name, err)
		}
	}
	return nil
}

// runOneRace races with one design and records what came of it.
func runOneRace(ctx context.Context, b *lab.Bench, row *lab.Design, run raceRun, rounds, size int) error {
	r := &racing{b: b, name: row.Name}
	if err := run(ctx, row, r, rounds, size); err != nil {
		return err
	}
	row.Set("contents", float64(rounds)).Set("failed", float64(r.failed)).Set("copies", float64(r.stored)/float64(rounds)).
		Set("half", float64(r.half)).Set("broken", float64(r.broken)).
		Set("wrong", float64(r.half+r.broken)+row.Metrics["miscounted"]+row.Metrics["left"])
	return nil
}

// raceRun opens a design, races, and records what it alone can tell.
type raceRun func(ctx context.Context, row *lab.Design, r *racing, rounds, size int) error

func raceLinks(ctx context.Context, row *lab.Design, r *racing, rounds, size int) error {
	dir, err := r.b.TempDir()
	if err != nil {
		return err
	}
	k, err := newLinkStore(dir)
	if err != nil {
		return err
	}
	var shut func()
	if r.door, shut, err = serve(k); err != nil {
		return err
	}
	defer shut()
	for i := range raceOthers { // only the first block of each takes room on the disk
		if err := k.fill(fmt.Sprint("other-", i), noise(r.b.Seed, fmt.Sprint("race other ", i), 4<<10), int64(size)); err != nil {
			return err
		}
	}
	r.end = func(ctx context.Context, name, _ string) error { return r.door.remove(ctx, name) }
	r.copies = func(context.Context) (int64, error) {
		n, _, err := regular(filepath.Join(dir, "files"))
		return int64(n - raceOthers), err
	}
	left, err := r.rounds(ctx, rounds, size)
	row.Set("left", float64(left))
	return err
}

func raceHashes(ctx context.Context, row *lab.Design, r *racing, rounds, size int) error {
	dir, err := r.b.TempDir()
	if err != nil {
		return err
	}
	k, err := newHashStore(ctx, dir)
	if err != nil {
		return err
	}
	defer k.close()
	var shut func()
	if r.door, shut, err = serve(k); err != nil {
		return err
	}
	defer shut()
	r.end = func(ctx context.Context, name, _ string) error { return r.door.remove(ctx, name) }
	r.copies = func(context.Context) (int64, error) {
		n, _, err := regular(filepath.Join(dir, "contents"))
		return int64(n), err
	}
	left, err := r.rounds(ctx, rounds, size)
	if err != nil {
		return err
	}
	wrong, err := k.miscounted()
	row.Set("left", float64(left)).Set("miscounted", float64(wrong))
	return err
}

func raceBuilt(ctx context.Context, row *lab.Design, r *racing, rounds, size int) error {
	s, err := newBuilt(ctx, r.b)
	if err != nil {
		return err
	}
	defer s.Kill9()
	r.door, r.end, r.tidy = s.door, s.end, s.collect
	r.copies = func(ctx context.Context) (int64, error) {
		st, err := s.stats(ctx)
		// By its bytes too: one content whose chunks lay there twice would be two copies.
		return max(st.Blobs, (st.Stored+int64(size)/2)/int64(size)), err
	}
	left, err := r.rounds(ctx, rounds, size)
	if err != nil {
		return err
	}
	if err := s.collect(ctx); err != nil {
		return err
	}
	if err := s.Stop(); err != nil {
		return err
	}
	found, err := audit(ctx, s.data)
	row.Set("miscounted", float64(found.miscounted)).Set("left", max(float64(left), float64(found.blobs))+float64(found.orphans))
	return err
}

// rounds races for each content, and returns how many contents are left at the end.
func (r *racing) rounds(ctx context.Context, rounds, size int) (left int64, err error) {
	for i := range rounds {
		if err := r.round(ctx, i, noise(r.b.Seed, fmt.Sprint("race ", i), size)); err != nil {
			return 0, err
		}
	}
	return r.copies(ctx)
}

// name is what one upload left.
type name struct{ name, id string }

// round uploads one content from all at once, then again while all are removed, looks,
// and removes everything.
func (r *racing) round(ctx context.Context, round int, body []byte) error {
	before, err := r.copies(ctx)
	if err != nil {
		return err
	}
	first := r.uploads(ctx, fmt.Sprintf("r%d/a", round), body, nil)
	after, err := r.copies(ctx)
	if err != nil {
		return err
	}
	r.stored += after - before
	r.look(ctx, first, body)
	second := r.uploads(ctx, fmt.Sprintf("r%d/b", round), body, func() {
		if err := r.removes(ctx, first); err != nil {
			r.b.Event("remove failed", map[string]any{"design": r.name, "error": err.Error()})
		}
	})
	r.look(ctx, second, body)
	if err := r.removes(ctx, second); err != nil {
		return err
	}
	if r.tidy != nil {
		return r.tidy(ctx)
	}
	return nil
}

// uploads has all clients upload at once, beside what else happens, and returns what
// was acknowledged.
func (r *racing) uploads(ctx context.Context, prefix string, body []byte, beside func()) []name {
	var mu sync.Mutex
	var acked []name
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		all.Go(func() {
			<-start
			n := fmt.Sprintf("%s%02d", prefix, i)
			id, err := r.door.put(ctx, n, body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.failed++
				r.b.Event("refused", map[string]any{"design": r.name, "name": n, "error": err.Error()})
				return
			}
			acked = append(acked, name{n, id})
		})
	}
	if beside != nil {
		all.Go(func() { <-start; beside() })
	}
	if r.tidy != nil {
		all.Go(func() { <-start; _ = r.tidy(ctx) }) // one at a time may be refused
	}
	close(start)
	all.Wait()
	return acked
}

// removes removes names from all clients at once.
func (r *racing) removes(ctx context.Context, list []name) error {
	return each(ctx, racers, len(list), func(ctx context.Context, i int) error {
		if err := r.end(ctx, list[i].name, list[i].id); err != nil && err != errGone {
			return err
		}
		return nil
	})
}

// look reads what was acknowledged.
func (r *racing) look(ctx context.Context, list []name, body []byte) {
	var mu sync.Mutex
	_ = each(ctx, 8, len(list), func(ctx context.Context, i int) error {
		right, other := r.door.right(ctx, list[i].name, body)
		r.b.Event("found", map[string]any{"design": r.name, "name": list[i].name, "right": right, "other": other})
		mu.Lock()
		defer mu.Unlock()
		if other {
			r.half++
		} else if !right {
			r.broken++
		}
		return nil
	})
}
