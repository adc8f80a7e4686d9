package prove

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plumb/engines/lab"
)

// Compare lets the store grow and times an upload.
func Compare() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "compare", Title: "when there are many files of one length",
		Question: "Each upload is compared with every file of its length. How long does an upload take, and how much is read for it, when there are 100,000 of them?",
		Metrics: []lab.Metric{
			{Name: "files", Unit: "files", Text: "files of that length"},
			{Name: "few", Unit: "files", Text: "of that length in the small store"},
			{Name: "few_ms", Unit: "ms", Text: "an upload into the small store", Better: "less"},
			{Name: "upload_ms", Unit: "ms", Text: "an upload into the large store", Better: "less"},
			{Name: "growth", Text: "how many times as long", Better: "less"},
			{Name: "known_ms", Unit: "ms", Text: "an upload of what the large store has", Better: "less"},
			{Name: "read_kb", Unit: "kB", Text: "read for an upload into the large store", Better: "less"},
			{Name: "compared_share", Unit: "%", Text: "stored files that an upload is compared with", Better: "less"},
			{Name: "server_cpu_ms", Unit: "ms", Text: "server's processor time an upload", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "all", Text: "the question's design reads from every file of that length", Design: "naive", Metric: "compared_share", Op: ">=", Value: new(99.0)},
			{ID: "slower", Text: "so its uploads get slower as the store grows", Design: "naive", Metric: "growth", Op: ">", Value: new(1.5)},
			{ID: "index", Text: "a table of hashes is compared with nothing", Design: "textbook", Metric: "compared_share", Op: "==", Value: new(0.0)},
			{ID: "less-read", Text: "the built one reads less than a tenth of what the comparison reads", Design: "built", Metric: "read_kb", Op: "<", Than: &lab.Than{Design: "naive", Metric: "read_kb", Times: 0.1}, Apart: true},
			{ID: "less-growth", Text: "and its uploads get less slower, if at all", Design: "built", Metric: "growth", Op: "<", Than: &lab.Than{Design: "naive", Metric: "growth"}, Apart: true},
			{ID: "flat", Text: "they stay what they were, within what a busy machine varies", Design: "built", Metric: "growth", Op: "<", Value: new(2.5)},
		},
		Picture: []string{"upload_ms", "read_kb"},
		Run:     runCompare,
	}
}

// shelf is one design at one size.
type shelf struct {
	door   *door
	files  int
	probe  int          // uploads so far, beyond those that were filled in
	opened func() int64 // stored files that were opened so far; nil: that cannot be told
	read   func() int64 // bytes read so far
	own    int          // of them an upload's own
}

// comparing is the experiment under way.
type comparing struct {
	b      *lab.Bench
	sizes  []int // the last is the one that the claims are about
	length int   // of each file
	head   []byte
	rounds int
	cpu    float64 // of the built one's server, ms an upload, at the largest size
	close  []func()
}

func runCompare(ctx context.Context, b *lab.Bench) error {
	c := &comparing{b: b, sizes: []int{250, 4000}, length: 8 << 10, rounds: 15}
	if b.Full {
		c.sizes, c.rounds = []int{1000, 10_000, 100_000}, 15
	}
	c.head = noise(b.Seed, "compare head", 512)
	defer func() {
		for _, f := range c.close {
			f()
		}
	}()
	b.Note("All files have %d bytes, of which the first 512 are the same, as in files of one format, and the rest random: a comparison ends with its first block of 4 KiB, which is the best case for it. "+
		"Each design works behind HTTP on a disk of this machine and syncs before it answers. Stores of all sizes are uploaded to in turn, %d times; figures are medians. "+
		"What the built one's server reads (rchar of /proc, without the upload) includes its database and its network.", c.length, c.rounds)
	designs := []struct {
		name, text string
		kind       lab.Kind
		promises   []string
		open       func(ctx context.Context, files int) (*shelf, error)
	}{
		{"compare", "Compared byte by byte with each file of that length, until one equals it.", lab.Naive, []string{"durable"}, c.links},
		{"hash table", "Its SHA-256 is looked up in a table with an index.", lab.Textbook, []string{"durable"}, c.hashes},
		{"as served", "plumb serve files: hashed as it comes, counted in the transaction that makes its row, encrypted.", lab.Built, []string{"durable", "exact count", "encrypted"}, c.built},
	}
	var runs []func(context.Context) (map[string]float64, error)
	done := 0.0
	for _, d := range designs {
		for _, files := range c.sizes {
			b.Progress(done/float64(len(designs)*len(c.sizes))*0.8, "%d files, %s", files, d.name)
			done++
			s, err := d.open(ctx, files)
			if err != nil {
				return fmt.Errorf("%d files, %s: %w", files, d.name, err)
			}
			runs = append(runs, func(ctx context.Context) (map[string]float64, error) { return c.upload(ctx, s) })
		}
	}
	b.Progress(0.8, "uploads in turn")
	got, err := lab.SideBySide(ctx, c.rounds, runs...)
	if err != nil {
		return err
	}
	n := len(c.sizes)
	for i, d := range designs {
		few, most := got[i*n], got[i*n+n-1]
		row := b.Design(d.name, d.kind, d.promises...).Describe(d.text).
			Set("files", float64(c.sizes[n-1])).Set("few", float64(c.sizes[0])).Set("few_ms", few["upload_ms"]).Set("upload_ms", most["upload_ms"]).
			Set("growth", most["upload_ms"]/few["upload_ms"]).Set("known_ms", most["known_ms"]).Set("read_kb", most["read_kb"])
		if share, ok := most["compared_share"]; ok {
			row.Set("compared_share", share)
		}
		if d.kind == lab.Built {
			row.Set("server_cpu_ms", c.cpu)
		}
		for k, files := range c.sizes {
			b.Point(map[string]float64{"files of one length": float64(files)}, d.name, map[string]float64{"upload_ms": got[i*n+k]["upload_ms"], "read_kb": got[i*n+k]["read_kb"]})
		}
	}
	c.breakEven(got)
	return nil
}

// breakEven is from how many files on comparing takes longer than the built one, on the
// straight line through the smallest and the largest store.
func (c *comparing) breakEven(got []map[string]float64) {
	n := len(c.sizes)
	few, most := got[0]["upload_ms"], got[n-1]["upload_ms"]
	slope := (most - few) / float64(c.sizes[n-1]-c.sizes[0])
	if at := float64(c.sizes[0]) + (got[3*n-1]["upload_ms"]-few)/slope; slope > 0 && at > 0 {
		c.b.BreakEven("files of one length from which on comparing takes longer than the built design, which also encrypts", at, "files")
	}
}

// file is the content of the i-th file.
func (c *comparing) file(i int) []byte {
	return append(c.head[:len(c.head):len(c.head)], noise(c.b.Seed, "compare "+strconv.Itoa(i), c.length-len(c.head))...)
}

func (c *comparing) name(i int) string { return fmt.Sprintf("%d/%d", i/500, i) }

// upload times a new file and one that the store has.
func (c *comparing) upload(ctx context.Context, s *shelf) (map[string]float64, error) {
	out := map[string]float64{}
	for _, known := range []bool{false, true} {
		s.probe++
		i, of := s.files+s.probe, s.files+s.probe
		if known {
			of = (s.probe * 7919) % s.files
		}
		body := c.file(of)
		opened, read := int64(0), s.read()
		if s.opened != nil {
			opened = s.opened()
		}
		begun := time.Now()
		if _, err := s.door.put(ctx, "probe/"+strconv.Itoa(i), body); err != nil {
			return nil, err
		}
		took := milliseconds(time.Since(begun))
		c.b.Event("uploaded", map[string]any{"files": s.files, "known": known, "ms": took})
		if known {
			out["known_ms"] = took
			continue
		}
		out["upload_ms"], out["read_kb"] = took, float64(s.read()-read-int64(s.own))/1e3
		if s.opened != nil {
			out["compared_share"] = 100 * float64(s.opened()-opened) / float64(s.files)
		}
	}
	return out, nil
}

func (c *comparing) links(_ context.Context, files int) (*shelf, error) {
	dir, err := c.b.TempDir()
	if err != nil {
		return nil, err
	}
	k, err := newLinkStore(dir)
	if err != nil {
		return nil, err
	}
	for i := range files {
		if err := k.fill(strings.ReplaceAll(c.name(i), "/", "_"), c.file(i), int64(c.length)); err != nil {
			return nil, err
		}
	}
	d, end, err := serve(k)
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, end)
	return &shelf{door: d, files: files, opened: k.opened.Load, read: k.read.Load}, nil
}

func (c *comparing) hashes(ctx context.Context, files int) (*shelf, error) {
	dir, err := c.b.TempDir()
	if err != nil {
		return nil, err
	}
	k, err := newHashStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, func() { k.close() })
	for from := 0; from < files; from += 1000 {
		if err := k.fill(c.name, from, min(from+1000, files), c.file); err != nil {
			return nil, err
		}
	}
	d, end, err := serve(k)
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, end)
	none := func() int64 { return 0 } // it opens no stored file to take in another
	return &shelf{door: d, files: files, opened: none, read: none}, nil
}

func (c *comparing) built(ctx context.Context, files int) (*shelf, error) {
	s, err := newBuilt(ctx, c.b)
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, s.Kill9)
	before, err := s.CPU()
	if err != nil {
		return nil, err
	}
	if err := each(ctx, 32, files, func(ctx context.Context, i int) error {
		_, err := s.put(ctx, c.name(i), c.file(i))
		return err
	}); err != nil {
		return nil, err
	}
	after, err := s.CPU()
	if err != nil {
		return nil, err
	}
	c.cpu = milliseconds(after-before) / float64(files)
	return &shelf{door: s.door, files: files, read: func() int64 { return rchar(s.Pid()) }, own: c.length}, nil
}

// rchar is how many bytes a process has read, from wherever.
func rchar(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	rest, _ := strings.CutPrefix(string(text), "rchar: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseInt(line, 10, 64)
	return n
}

// each calls fn for 0 to n-1, width at a time, until one fails.
func each(ctx context.Context, width, n int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(width, n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := fn(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
