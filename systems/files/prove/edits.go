package prove

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"plumb/engines/lab"
)

// Edits stores a large file and edited copies of it.
func Edits() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "edits", Title: "when a copy was edited",
		Question: "Somebody inserts a few bytes into a large file and uploads it again beside the first. What does the copy cost?",
		Metrics: []lab.Metric{
			{Name: "mb", Unit: "MB", Text: "size of the file"},
			{Name: "inserts", Unit: "inserts", Text: "in the copy of many"},
			{Name: "same", Unit: "%", Text: "stored anew: the same again", Better: "less"},
			{Name: "front", Unit: "%", Text: "stored anew: inserted in front", Better: "less"},
			{Name: "middle", Unit: "%", Text: "stored anew: inserted in the middle", Better: "less"},
			{Name: "append", Unit: "%", Text: "stored anew: appended", Better: "less"},
			{Name: "many", Unit: "%", Text: "stored anew: many inserts", Better: "less"},
			{Name: "stored_mb", Unit: "MB", Text: "stored in all, of six files", Better: "less"},
			{Name: "server_cpu_s_per_gb", Unit: "s/GB", Text: "server's processor time to take it in", Better: "less"},
			{Name: "serve_cpu_s_per_gb", Unit: "s/GB", Text: "and to give it out", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "links-whole", Text: "a file of another length is compared with nothing: each edited copy is stored whole", Design: "naive", Metric: "front", Op: ">=", Value: new(100.0)},
			{ID: "hash-whole", Text: "a hash of the whole file says no more", Design: "textbook", Metric: "front", Op: ">=", Value: new(100.0)},
			{ID: "blocks-shift", Text: "blocks of fixed length are all others after an insertion in front", Design: "fixed blocks", Metric: "front", Op: ">=", Value: new(99.0)},
			{ID: "blocks-append", Text: "though they do well where something is appended", Design: "fixed blocks", Metric: "append", Op: "<", Value: new(5.0)},
			{ID: "built-front", Text: "chunks cut by their content: an insertion in front costs what is around it", Design: "built", Metric: "front", Op: "<", Value: new(5.0)},
			{ID: "built-middle", Text: "in the middle too", Design: "built", Metric: "middle", Op: "<", Value: new(5.0)},
			{ID: "built-many", Text: "40 in 128 MiB, or as many for its length, cost a tenth at most", Design: "built", Metric: "many", Op: "<=", Value: new(10.5)},
			{ID: "than-hash", Text: "all six cost less than half of what whole files cost", Design: "built", Metric: "stored_mb", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "stored_mb", Times: 0.5}, Apart: true},
			{ID: "than-blocks", Text: "and less than with blocks of fixed length", Design: "built", Metric: "stored_mb", Op: "<", Than: &lab.Than{Design: "fixed blocks", Metric: "stored_mb"}, Apart: true},
		},
		Picture: []string{"stored_mb", "front", "many"},
		Run:     runEdits,
	}
}

// upload is a file to store, and the metric of what it adds.
type upload struct {
	metric string
	size   int
	body   func() []byte // made when it is wanted: six at once would fill the memory
}

// edited are the uploads, in their order.
func edited(seed uint64, file []byte, inserts int) []upload {
	insert := func(at int) upload {
		return upload{"", len(file) + 100, func() []byte { return slices.Concat(file[:at], noise(seed, fmt.Sprint("insert ", at), 100), file[at:]) }}
	}
	many := upload{"many", len(file) + 100*inserts, func() []byte {
		rng := lab.Rand(seed, "edits")
		places := make([]int, inserts)
		for i := range places {
			places[i] = rng.IntN(len(file))
		}
		slices.Sort(places)
		out, last := make([]byte, 0, len(file)+100*inserts), 0
		for i, at := range places {
			out = append(append(out, file[last:at]...), noise(seed, fmt.Sprint("one of many ", i), 100)...)
			last = at
		}
		return append(out, file[last:]...)
	}}
	whole := func() []byte { return file }
	list := []upload{{"", len(file), whole}, {"same", len(file), whole}, insert(0), insert(len(file) / 2), insert(len(file)), many}
	list[2].metric, list[3].metric, list[4].metric = "front", "middle", "append"
	return list
}

func runEdits(ctx context.Context, b *lab.Bench) error {
	size, inserts := 32<<20, 10
	if b.Full {
		size, inserts = 128<<20, 40
	}
	uploads := edited(b.Seed, noise(b.Seed, "edits", size), inserts)
	b.Note("The file has %d MiB of random bytes, so that nothing is saved by compression; each edit inserts 100 others, and the copy of many has %d of them. "+
		"Stored is what lies on the disk; of the built one what its server says, sealing included, which its folder is held to.", size>>20, inserts)
	designs := []struct {
		name, text string
		kind       lab.Kind
		open       func(dir string) (keeper, func() error, error)
	}{
		{"whole files, compared", "Compared with files of the same length.", lab.Naive, func(dir string) (keeper, func() error, error) {
			k, err := newLinkStore(dir)
			return k, func() error { return nil }, err
		}},
		{"whole files, hashed", "A file's SHA-256 is looked up.", lab.Textbook, func(dir string) (keeper, func() error, error) {
			k, err := newHashStore(ctx, dir)
			if err != nil {
				return nil, nil, err
			}
			return k, k.close, nil
		}},
		{"fixed blocks", "Blocks of 256 KiB, each stored once by its SHA-256.", lab.Textbook, func(dir string) (keeper, func() error, error) {
			return newBlockStore(dir), func() error { return nil }, nil
		}},
	}
	for i, d := range designs {
		row := b.Design(d.name, d.kind).Describe(d.text)
		dir, err := b.TempDir()
		if err != nil {
			return err
		}
		k, end, err := d.open(dir)
		if err != nil {
			return fmt.Errorf("edits, %s: %w", d.name, err)
		}
		_, err = editsInto(ctx, b, row, uploads, float64(i)/4, func(_ context.Context, name string, body []byte) error { return k.put(name, bytes.NewReader(body)) },
			func(context.Context) (int64, error) { return contentBytes(dir) })
		if err = errors.Join(err, end()); err != nil {
			return fmt.Errorf("edits, %s: %w", d.name, err)
		}
	}
	return builtEdits(ctx, b, uploads)
}

// editsInto uploads and records what each upload added to what is stored.
func editsInto(ctx context.Context, b *lab.Bench, row *lab.Design, uploads []upload, from float64, put func(ctx context.Context, name string, body []byte) error, stored func(context.Context) (int64, error)) (int64, error) {
	size, before := float64(uploads[0].size), int64(0)
	for k, u := range uploads {
		b.Progress(from+0.25*float64(k)/float64(len(uploads)), "%s, %s", row.Name, u.metric)
		if err := put(ctx, fmt.Sprint("copy-", k), u.body()); err != nil {
			return 0, err
		}
		now, err := stored(ctx)
		if err != nil {
			return 0, err
		}
		if u.metric != "" {
			row.Set(u.metric, 100*float64(now-before)/size)
		}
		b.Event("stored", map[string]any{"design": row.Name, "upload": u.metric, "bytes": now})
		before = now
	}
	row.Set("mb", size/1e6).Set("inserts", float64(uploads[len(uploads)-1].size-uploads[0].size)/100).Set("stored_mb", float64(before)/1e6)
	return before, nil
}

// contentBytes is what lies in a folder of this package's designs, without the table.
func contentBytes(dir string) (total int64, err error) {
	for _, sub := range []string{"files", "contents", "blocks"} {
		_, n, err := regular(filepath.Join(dir, sub))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func builtEdits(ctx context.Context, b *lab.Bench, uploads []upload) error {
	s, err := newBuilt(ctx, b)
	if err != nil {
		return err
	}
	defer s.Kill9()
	row := b.Design("as served", lab.Built, "encrypted").Describe("plumb serve files: chunks of 256 KiB on average, cut where their content says so, each stored once.")
	gigabytes := 0.0
	for _, u := range uploads {
		gigabytes += float64(u.size) / 1e9
	}
	begun, err := s.CPU()
	if err != nil {
		return err
	}
	stored, err := editsInto(ctx, b, row, uploads, 0.75, func(ctx context.Context, name string, body []byte) error {
		_, err := s.put(ctx, name, body)
		return err
	},
		func(ctx context.Context) (int64, error) { st, err := s.stats(ctx); return st.Stored, err })
	if err != nil {
		return fmt.Errorf("edits, as served: %w", err)
	}
	taken, err := s.CPU()
	if err != nil {
		return err
	}
	for k, u := range uploads {
		if got, err := s.sum(ctx, fmt.Sprint("copy-", k)); err != nil || got != sha256.Sum256(u.body()) {
			return fmt.Errorf("edits, as served: the upload %q is read as something else: %v", u.metric, err)
		}
	}
	given, err := s.CPU()
	if err != nil {
		return err
	}
	row.Set("server_cpu_s_per_gb", (taken-begun).Seconds()/gigabytes).Set("serve_cpu_s_per_gb", (given-taken).Seconds()/gigabytes)
	// The server's word is held to its folder: what is there after a collection.
	if err := s.collect(ctx); err != nil {
		return err
	}
	_, there, err := regular(filepath.Join(s.data, "blobs"))
	if err == nil && float64(there) > 1.4*float64(stored)+1e6 {
		err = fmt.Errorf("edits, as served: the server says that it stores %d bytes, its folder has %d", stored, there)
	}
	return err
}

// blockStore keeps blocks of a fixed length once.
type blockStore struct {
	dir  string
	mu   sync.Mutex
	made bool
	of   map[string][]string // a file's blocks
}

func newBlockStore(dir string) *blockStore { return &blockStore{dir: dir, of: map[string][]string{}} }

func (s *blockStore) block(id string) string { return filepath.Join(s.dir, "blocks", id) }

func (s *blockStore) put(name string, r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		if err := os.Mkdir(filepath.Join(s.dir, "blocks"), 0o700); err != nil {
			return err
		}
		s.made = true
	}
	var list []string
	for buf := make([]byte, 256<<10); ; {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			id := fmt.Sprintf("%x", sha256.Sum256(buf[:n]))
			if _, err := os.Stat(s.block(id)); errors.Is(err, fs.ErrNotExist) {
				if _, err := spool(s.block(id), bytes.NewReader(buf[:n])); err != nil {
					return err
				}
			}
			list = append(list, id)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	s.of[name] = list
	return syncFolder(filepath.Join(s.dir, "blocks"))
}

func (s *blockStore) open(name string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.of[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	var all bytes.Buffer
	for _, id := range list {
		data, err := os.ReadFile(s.block(id))
		if err != nil {
			return nil, err
		}
		all.Write(data)
	}
	return io.NopCloser(&all), nil
}

func (s *blockStore) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.of[name]; !ok {
		return fs.ErrNotExist
	}
	delete(s.of, name) // blocks that nothing has any more stay: nobody counts them
	return nil
}
