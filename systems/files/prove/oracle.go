package prove

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"plumb/engines/lab"
)

// Oracle tries to find out whether somebody else has a file.
func Oracle() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "oracle", Title: "whether time tells what others keep",
		Question: "Somebody has a file and wants to know whether anybody else keeps it: he uploads it and looks at the clock. How much better than a coin does he guess?",
		Metrics: []lab.Metric{
			{Name: "pairs", Unit: "pairs", Text: "uploads of known and of unknown content"},
			{Name: "known_ms", Unit: "ms", Text: "an upload of what somebody has"},
			{Name: "unknown_ms", Unit: "ms", Text: "an upload of what nobody has"},
			{Name: "known_sent", Unit: "kB", Text: "bytes that the server took of it"},
			{Name: "unknown_sent", Unit: "kB", Text: "and of what nobody has"},
			{Name: "apart", Unit: "spreads", Text: "how far the times are apart, in spreads of one", Better: "less"},
			{Name: "sent_apart", Unit: "kB", Text: "how far the bytes are apart", Better: "less"},
			{Name: "told", Unit: "%", Text: "how much better than a coin one guesses", Better: "less"},
			{Name: "beyond", Unit: "standard errors", Text: "how far that is from a coin's", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "skip-tells", Text: "a server that takes only what it does not know tells by its time", Design: "textbook", Metric: "beyond", Op: ">", Value: new(4.0)},
			{ID: "skip-bytes", Text: "and by what it takes", Design: "textbook", Metric: "known_sent", Op: "==", Value: new(0.0)},
			{ID: "built-hides", Text: "the built one takes, hashes and stores alike: its time tells no more than chance does of so many pairs", Design: "built", Metric: "beyond", Op: "<", Value: new(4.0)},
			{ID: "built-bytes", Text: "and it takes every byte", Design: "built", Metric: "sent_apart", Op: "==", Value: new(0.0)},
			{ID: "less", Text: "less than what skipping tells, by a quarter at least", Design: "built", Metric: "told", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "told", Times: 0.75}, Apart: true},
		},
		Picture: []string{"told"},
		Run:     runOracle,
	}
}

// sender uploads, and says how many bytes of the content the server took.
type sender func(ctx context.Context, name string, body []byte) (sent int, err error)

// through sends everything.
func through(d *door) sender {
	return func(ctx context.Context, name string, body []byte) (int, error) {
		_, err := d.put(ctx, name, body)
		return len(body), err
	}
}

func runOracle(ctx context.Context, b *lab.Bench) error {
	pairs, size, others := 60, 1<<20, 200
	if b.Full {
		pairs, size = 400, 2<<20
	}
	b.Note("%d pairs of uploads of %d KiB, one of known and one of unknown content, in random order; all come from one person, since none of the designs asks whose a content is. "+
		"Told is 2 |A - 1/2|, where A is the chance that of a random known and a random unknown upload the known one is faster: 0%% is a coin, 100%% certainty. "+
		"A design that tells nothing shows some %.0f%% of so many pairs by chance (a standard error is %.0f%%; four of them come once in 16,000 runs). "+
		"The question's design has %d other files of that length to compare with.", pairs, size>>10, 80*coin(pairs), 100*coin(pairs), others)
	for i, d := range []struct {
		name, text string
		kind       lab.Kind
		open       func(ctx context.Context) (sender, func(), error)
	}{
		{"compare", "Compared with each file of that length until one equals it.", lab.Naive, func(context.Context) (sender, func(), error) { return oracleLinks(b, others, size) }},
		{"send what is unknown", "The sender asks with the SHA-256 first; known content is linked and not sent.", lab.Textbook, func(ctx context.Context) (sender, func(), error) { return oracleSkips(ctx, b) }},
		{"as served", "plumb serve files: known content is taken and written like any other, and collected later.", lab.Built, func(ctx context.Context) (sender, func(), error) { return oracleServed(ctx, b) }},
	} {
		from := float64(i) / 3
		send, end, err := d.open(ctx)
		if err != nil {
			return fmt.Errorf("oracle, %s: %w", d.name, err)
		}
		row := b.Design(d.name, d.kind).Describe(d.text)
		if d.kind == lab.Built {
			row.Promises = []string{"private"}
		}
		err = tell(ctx, b, row, send, pairs, size, func(share float64) { b.Progress(from+share/3, "%s", d.name) })
		end()
		if err != nil {
			return fmt.Errorf("oracle, %s: %w", d.name, err)
		}
	}
	return nil
}

func oracleLinks(b *lab.Bench, others, size int) (sender, func(), error) {
	dir, err := b.TempDir()
	if err != nil {
		return nil, nil, err
	}
	k, err := newLinkStore(dir)
	if err != nil {
		return nil, nil, err
	}
	for i := range others {
		if err := k.fill("other-"+strconv.Itoa(i), noise(b.Seed, fmt.Sprint("other ", i), 4<<10), int64(size)); err != nil {
			return nil, nil, err
		}
	}
	d, end, err := serve(k)
	if err != nil {
		return nil, nil, err
	}
	return through(d), end, nil
}

// oracleSkips is a hashStore that is asked before anything is sent.
func oracleSkips(ctx context.Context, b *lab.Bench) (sender, func(), error) {
	dir, err := b.TempDir()
	if err != nil {
		return nil, nil, err
	}
	k, err := newHashStore(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	d, end, err := serve(k)
	if err != nil {
		return nil, nil, err
	}
	send := func(ctx context.Context, name string, body []byte) (int, error) {
		_, err := d.do(ctx, http.MethodPost, fmt.Sprintf("%s%s?sha256=%x", d.url, name, sha256.Sum256(body)), nil)
		if err == errGone { // it knows no such content
			_, err = d.put(ctx, name, body)
			return len(body), err
		}
		return 0, err
	}
	return send, func() { end(); k.close() }, nil
}

func oracleServed(ctx context.Context, b *lab.Bench) (sender, func(), error) {
	s, err := newBuilt(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	return through(s.door), s.Kill9, nil
}

// tell uploads pairs and records what their times tell.
func tell(ctx context.Context, b *lab.Bench, row *lab.Design, send sender, pairs, size int, progress func(float64)) error {
	const warm = 3 // first ones, which are not counted
	theirs := func(i int) []byte { return noise(b.Seed, fmt.Sprint("theirs ", i), size) }
	if err := each(ctx, 4, pairs+warm, func(ctx context.Context, i int) error {
		_, err := send(ctx, fmt.Sprintf("theirs/%d", i), theirs(i))
		return err
	}); err != nil {
		return err
	}
	rng := lab.Rand(b.Seed, "oracle")
	var times [2][]float64 // of unknown and of known content
	var sent [2]int
	for i := range pairs + warm {
		bodies := [2][]byte{noise(b.Seed, fmt.Sprint("mine ", i), size), theirs(i)}
		for turn, first := 0, rng.IntN(2); turn < 2; turn++ {
			which := turn ^ first
			begun := time.Now()
			n, err := send(ctx, fmt.Sprintf("tried/%d-%d", i, turn), bodies[which])
			if err != nil {
				return err
			}
			took := milliseconds(time.Since(begun))
			b.Event("tried", map[string]any{"design": row.Name, "known": which == 1, "turn": turn, "ms": took, "sent": n})
			if i >= warm {
				times[which] = append(times[which], took)
				sent[which] += n
			}
		}
		progress(float64(i) / float64(pairs))
	}
	unknown, known := lab.Median(times[0]), lab.Median(times[1])
	kb := func(n int) float64 { return float64(n) / float64(pairs) / 1e3 }
	row.Set("pairs", float64(pairs)).Set("known_ms", known).Set("unknown_ms", unknown).Set("told", 100*told(times[1], times[0])).
		Set("beyond", told(times[1], times[0])/coin(pairs)).
		Set("known_sent", kb(sent[1])).Set("unknown_sent", kb(sent[0])).Set("sent_apart", math.Abs(kb(sent[0])-kb(sent[1]))).
		Set("apart", math.Abs(unknown-known)/max(1e-6, (spread(times[0])+spread(times[1]))/2))
	return nil
}

// told is 2 |A - 1/2|, with A the share of pairs of one of each in which the first is
// smaller (Mann and Whitney's statistic).
func told(a, b []float64) float64 {
	below := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x < y:
				below++
			case x == y:
				below += 0.5
			}
		}
	}
	return 2 * math.Abs(below/float64(len(a)*len(b))-0.5)
}

// coin is the standard error of told of n pairs when nothing is told.
func coin(n int) float64 { return 2 * math.Sqrt((2*float64(n)+1)/12) / float64(n) }

// spread is half the width of the middle two thirds: a standard deviation, of normal
// values, that outliers do not move.
func spread(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 { return s[min(len(s)-1, int(share*float64(len(s))))] }
	return (at(0.84) - at(0.16)) / 2
}
