package prove

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/load"
)

// AddShard adds a shard while people use the others, and drains one.
func AddShard() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "addshard", Title: "a shard is added, under load",
		Question: "Real photos lie on real shards, and people read, view and upload. One more shard is added, and then one is drained. How much moves, for how long, and who is turned away meanwhile?",
		Metrics: []lab.Metric{
			{Name: "photos", Unit: "photos", Text: "photos before"},
			{Name: "moved_pct", Unit: "%", Text: "photos that moved when the shard was added", Better: "less"},
			{Name: "moved_mb", Unit: "MB", Text: "bytes of originals moved", Better: "less"},
			{Name: "over_ideal", Text: "bytes of originals moved, over the new shard's share of all", Better: "less"},
			{Name: "copied_over", Text: "all bytes copied, sizes and repeats included, over the originals' share", Better: "less"},
			{Name: "move_s", Unit: "s", Text: "until the last had moved", Better: "less"},
			{Name: "calls", Unit: "calls", Text: "reads, views and uploads meanwhile"},
			{Name: "failed_reads", Unit: "reads", Text: "originals that could not be read while it was added and drained", Better: "less"},
			{Name: "failed_views", Unit: "views", Text: "views through links that failed meanwhile", Better: "less"},
			{Name: "failed_writes", Unit: "uploads", Text: "uploads that failed meanwhile", Better: "less"},
			{Name: "failed", Unit: "calls", Text: "of all of them", Better: "less"},
			{Name: "p99_before_ms", Unit: "ms", Text: "p99 before", Better: "less"},
			{Name: "p99_during_ms", Unit: "ms", Text: "p99 of what was answered while the shard was added", Better: "less"},
			{Name: "drain_s", Unit: "s", Text: "until one was drained again", Better: "less"},
			{Name: "left", Unit: "people", Text: "left on the drained one", Better: "less"},
			{Name: "lost", Unit: "photos", Text: "acknowledged, and gone or not as they were", Better: "less"},
			{Name: "astray", Unit: "people", Text: "whom no shard has, or two", Better: "less"},
			{Name: "kills", Unit: "kills", Text: "kill -9 in the middle of the move"},
			{Name: "after_kill_s", Unit: "s", Text: "from the kill until the last had moved", Better: "less"},
			{Name: "grown_over", Text: "1, 2 and 4 shards: bytes moved in all, over those that must", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "letters-move", Text: "cut anew, the alphabet moves more than the new shard is to have", Design: "naive", Metric: "over_ideal", Op: ">", Value: new(1.1)},
			{ID: "letters-stop", Text: "and turns people away meanwhile", Design: "naive", Metric: "failed", Op: ">", Value: new(0.0)},
			{ID: "modulo-move", Text: "hash mod n moves more than that share, too", Design: "textbook", Metric: "over_ideal", Op: ">", Value: new(1.3)},
			{ID: "modulo-stop", Text: "and turns people away too", Design: "textbook", Metric: "failed", Op: ">", Value: new(0.0)},
			{ID: "reads", Text: "the built one fails no read", Design: "built", Metric: "failed_reads", Op: "==", Value: new(0.0)},
			{ID: "views", Text: "no view through a link", Design: "built", Metric: "failed_views", Op: "==", Value: new(0.0)},
			{ID: "writes", Text: "and no upload", Design: "built", Metric: "failed_writes", Op: "==", Value: new(0.0)},
			{ID: "ideal", Text: "moves at most 1.05 of the new shard's share", Design: "built", Metric: "over_ideal", Op: "<=", Value: new(1.05)},
			{ID: "enough", Text: "and not a few either: the new shard is no ornament", Design: "built", Metric: "over_ideal", Op: ">=", Value: new(0.4)},
			{ID: "drained", Text: "leaves nobody on the drained one", Design: "built", Metric: "left", Op: "==", Value: new(0.0)},
			{ID: "kept", Text: "loses nothing that it acknowledged", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "once", Text: "and has everybody on one shard", Design: "built", Metric: "astray", Op: "==", Value: new(0.0)},
			{ID: "less-failed", Text: "fewer calls fail than with the alphabet", Design: "built", Metric: "failed", Op: "<", Than: &lab.Than{Design: "naive", Metric: "failed"}, Apart: true},
			{ID: "less-moved", Text: "less moves than with hash mod n", Design: "built", Metric: "over_ideal", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "over_ideal"}, Apart: true},
		},
		Picture: []string{"over_ideal", "failed"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return adding{from: 26, people: 400, most: 8, typical: 60 << 10, rate: 60, calm: 10 * time.Second, throttle: 1_000_000, kill: true, grow: true}.run(ctx, b)
			}
			return adding{from: 2, people: 30, most: 5, typical: 50 << 10, rate: 50, calm: time.Second, throttle: 1_000_000}.run(ctx, b)
		},
	}
}

// adding is the size of the experiment.
type adding struct {
	from     int     // shards
	people   int     //
	most     int     // photos of one person
	typical  float64 // bytes of one
	rate     float64 // calls a second
	calm     time.Duration
	throttle int
	kill     bool // the server, in the middle of the move
	grow     bool // and from 1 to 2 to 4
	instead  string
}

func (a adding) run(ctx context.Context, b *lab.Bench) error {
	b.Note("%d people with %s photos each, painted by code, of some %d KiB and with a long tail; %.0f calls a second: 7 of 10 read an original, 2 view through a link, 1 uploads, none is tried again. "+
		"The built design's moves are throttled to %d bytes a second, so that its time says nothing but that; the others' are as fast as the disk. All is on one machine: what one shard's disk is spared cannot be seen here. "+
		"Times before and during belong to one design each: viewers load a smaller picture of the built one and the original of the others.", a.people, fmt.Sprintf("1 to %d", a.most), int(a.typical)>>10, a.rate, a.throttle)
	for i, d := range []struct {
		name, strategy, text string
		kind                 lab.Kind
	}{
		{"alphabetical", "alphabetical", "Letters, cut anew for one server more: stop, move what changed its server, go on.", lab.Naive},
		{"hash mod n", "modulo", "The same with hash mod n.", lab.Textbook},
		{"as served", a.instead, "plumb serve photos: each person is copied, verified and switched while everybody goes on.", lab.Built},
	} {
		b.Progress(float64(i)/3, "%s", d.name)
		row := b.Design(d.name, d.kind, "durable").Describe(d.text)
		run := a.stopped
		if d.kind == lab.Built && d.strategy == "" {
			run = a.live
			row.Promises = []string{"durable", "never closed"}
		}
		if err := run(ctx, b, row, d.strategy); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// beside runs do under load, and returns how the calls went and how long do took.
func (a adding) beside(ctx context.Context, l *library, what string, do func(context.Context) error) (load.Report, time.Duration, error) {
	var done atomic.Bool
	failed := make(chan error, 1)
	var took time.Duration
	go func() {
		defer done.Store(true)
		pause(ctx, 200*time.Millisecond) // people are at it already
		began := time.Now()
		err := do(ctx)
		took = time.Since(began)
		pause(ctx, 200*time.Millisecond)
		failed <- err
	}()
	report := l.under(ctx, a.people, what, a.rate, 5*time.Minute, &done)
	return report, took, <-failed
}

// figures are what the designs have in common.
func (a adding) figures(row *lab.Design, l *library, before, during load.Report, t tally, total int64) {
	share := float64(total) / float64(a.from+1)
	row.Set("p99_before_ms", inMillis(before.Quantile(0.99))).Set("p99_during_ms", inMillis(during.Quantile(0.99))).
		Set("moved_mb", float64(t.bytes)/1e6).Set("over_ideal", float64(t.bytes)/share).Set("move_s", t.took.Seconds())
}

func (a adding) settled(ctx context.Context, row *lab.Design, l *library, calls int) error {
	lost, err := l.lost(ctx)
	reads, views, writes := float64(l.failedReads.Load()), float64(l.failedViews.Load()), float64(l.failedWrites.Load())
	row.Set("failed_reads", reads).Set("failed_views", views).Set("failed_writes", writes).Set("failed", reads+views+writes).Set("calls", float64(calls)).Set("lost", float64(lost)+float64(l.wrong.Load()))
	if first := l.first.Load(); first != nil {
		l.b.Note("The first call that failed with %s: %s", l.design, strings.TrimSpace((*first).Error()))
	}
	return err
}

// stopped grows a design that stops and copies.
func (a adding) stopped(ctx context.Context, b *lab.Bench, row *lab.Design, strategy string) error {
	people, err := called(b.Seed, a.people)
	if err != nil {
		return err
	}
	s, err := newStopCopy(ctx, b, strategy, a.from, people)
	if err != nil {
		return err
	}
	defer s.close()
	l := newLibrary(b, row.Name, s)
	if err := l.fill(ctx, a.people, a.most, a.typical); err != nil {
		return err
	}
	total, photos := l.bytes, len(l.kept)
	before := l.under(ctx, a.people, "before", a.rate, a.calm, nil)
	var t tally
	during, _, err := a.beside(ctx, l, "adding", func(ctx context.Context) (err error) { t, err = s.recut(ctx, a.from+1); return err })
	if err != nil {
		return err
	}
	a.figures(row, l, before, during, t, total)
	row.Set("photos", float64(photos)).Set("moved_pct", 100*float64(t.photos)/float64(photos)).Set("copied_over", float64(t.bytes)/(float64(total)/float64(a.from+1)))
	drain, took, err := a.beside(ctx, l, "draining", func(ctx context.Context) (err error) { _, err = s.recut(ctx, a.from); return err })
	if err != nil {
		return err
	}
	row.Set("drain_s", took.Seconds()).Set("left", 0).Set("astray", 0)
	if err := a.settled(ctx, row, l, during.Calls+drain.Calls); err != nil {
		return err
	}
	if a.grow {
		return a.growStopped(ctx, b, row, strategy, people)
	}
	return nil
}

// growStopped goes from 1 to 2 to 4.
func (a adding) growStopped(ctx context.Context, b *lab.Bench, row *lab.Design, strategy string, people []string) error {
	s, err := newStopCopy(ctx, b, strategy, 1, people)
	if err != nil {
		return err
	}
	defer s.close()
	l := newLibrary(b, row.Name+" 1, 2, 4", s)
	if err := l.fill(ctx, 60, 4, a.typical); err != nil {
		return err
	}
	moved := int64(0)
	for _, n := range []int{2, 4} {
		t, err := s.recut(ctx, n)
		if err != nil {
			return err
		}
		moved += t.bytes
	}
	row.Set("grown_over", float64(moved)/float64(l.bytes)) // a half must move, twice
	return nil
}
