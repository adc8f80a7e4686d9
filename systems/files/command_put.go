package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/systems/files/internal/remote"
)

// Bounds of a transfer.
const (
	carriers = 8   // files under way at once at a server; in a store here, as many as there are processors
	mostSaid = 100 // failures that are told one by one
)

// carriedOut is what became of a put or get.
type carriedOut struct {
	Files   int64    `json:"files"`   // that were sent or fetched
	Bytes   int64    `json:"bytes"`   // of them
	Same    int64    `json:"same"`    // that were there already, alike
	Skipped []string `json:"skipped"` // what is neither file nor folder
	Failed  []string `json:"failed"`  // the first hundred, each with its reason
}

// carrier counts while several carry.
type carrier struct {
	mu   sync.Mutex
	out  carriedOut
	bad  int
	bar  *meter
	work chan func()
	all  sync.WaitGroup

	// Files that wait to be settled together; guarded by mu.
	laid      []carried
	laidBytes int64
	settle    func([]carried) // nil: nothing is
}

// errLaid says that a file is counted when it is settled.
var errLaid = errors.New("laid down")

// carried is a file that was laid down.
type carried struct {
	name string
	size int64
	laid *laid
}

func newCarrier(b *meter, sh shelf) *carrier {
	t := &carrier{bar: b, work: make(chan func()), out: carriedOut{Skipped: []string{}, Failed: []string{}}}
	n := carriers
	if _, ok := sh.(stopped); ok {
		n = min(n, max(2, runtime.GOMAXPROCS(0)))
	}
	for range n {
		t.all.Go(func() {
			for fn := range t.work {
				fn()
			}
		})
	}
	return t
}

// carry runs fn beside others and counts what became of name.
func (t *carrier) carry(name string, size int64, fn func() (same bool, err error)) {
	t.work <- func() {
		same, err := fn()
		if err == errLaid {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		switch {
		case err != nil:
			t.fail(name, err)
		case same:
			t.out.Same++
		default:
			t.out.Files++
			t.out.Bytes += size
		}
	}
}

// add puts a file to those that are to be settled, and settles them when they are many.
func (t *carrier) add(c carried) {
	t.mu.Lock()
	t.laid, t.laidBytes = append(t.laid, c), t.laidBytes+c.size
	var now []carried
	if len(t.laid) >= laidFiles || t.laidBytes >= laidBytes {
		now, t.laid, t.laidBytes = t.laid, nil, 0
	}
	t.mu.Unlock()
	if now != nil {
		t.settle(now)
	}
}

// settleIn returns what settles files in a store.
func (t *carrier) settleIn(ctx context.Context, in stopped) func([]carried) {
	return func(list []carried) {
		down := make([]*laid, len(list))
		for i, c := range list {
			down[i] = c.laid
		}
		failed := in.s.settleAll(ctx, in.who, down)
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, c := range list {
			if failed[i] != nil {
				t.fail(c.name, failed[i])
				continue
			}
			t.out.Files++
			t.out.Bytes += c.size
		}
	}
}

// fail notes a failure; the lock is held.
func (t *carrier) fail(name string, err error) {
	t.bad++
	if len(t.out.Failed) < mostSaid {
		text := errs.Message(err)
		if text == "" {
			text = err.Error()
		}
		t.out.Failed = append(t.out.Failed, name+": "+text)
	}
}

// end waits for all and prints what became of them.
func (t *carrier) end(s *session, cmd *cobra.Command, verb string, err error) error {
	close(t.work)
	t.all.Wait()
	if len(t.laid) > 0 {
		t.settle(t.laid)
	}
	t.bar.end()
	for _, line := range t.out.Failed {
		fmt.Fprintln(cmd.ErrOrStderr(), line)
	}
	for _, name := range t.out.Skipped {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: skipped, it is neither a file nor a folder\n", name)
	}
	if perr := s.print(cmd, t.out, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %s; there already: %s.\n", verb, several(t.out.Files, "file"), units.Bytes(float64(t.out.Bytes)), units.Count(t.out.Same))
	}); err == nil {
		err = perr
	}
	if err == nil && t.bad > 0 {
		err = fmt.Errorf("%d files could not be %s; the same command goes on with them", t.bad, verb)
	}
	return err
}

// putCommand is `plumb files put`.
func putCommand(s *session) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "put PATH...", Short: "Store files and folders", Args: cobra.MinimumNArgs(1),
		Long: "Stores files, and folders with all that is below them, under their own names. What is there already with\n" +
			"the same content is not sent again, so that the same command goes on where one was broken off. Links are\n" +
			"not followed; - stores standard input under the name that --to ends in. Exit status 1 when a file failed.",
		Example: "  plumb files put notes.txt photos/ --to backup\n  plumb files put --data plumb-data --json music/\n  pg_dump house | plumb files put - --to dumps/house.sql",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				t := newCarrier(newMeter(cmd, "put"), sh)
				if in, ok := sh.(stopped); ok {
					t.settle = t.settleIn(ctx, in)
				}
				var err error
				for _, a := range args {
					if err = putAny(ctx, cmd, t, sh, a, to); err != nil {
						break
					}
				}
				return t.end(s, cmd, "stored", err)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "folder to put them into; made when it lacks")
	return cmd
}

// putAny stores one argument.
func putAny(ctx context.Context, cmd *cobra.Command, t *carrier, sh shelf, name, to string) error {
	if name == "-" {
		if to == "" {
			return errs.New(errs.Invalid, "standard input needs a name: --to PATH")
		}
		t.carry("-", 0, func() (bool, error) {
			in := &counted{r: cmd.InOrStdin()}
			err := sh.Put(ctx, to, in, -1, time.Time{})
			if err == nil {
				t.mu.Lock()
				t.out.Bytes += in.n
				t.mu.Unlock()
			}
			return false, err
		})
		return nil
	}
	info, err := os.Lstat(name)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "%s cannot be read", name)
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "%s cannot be read", name)
	}
	at := path.Join(to, filepath.Base(abs))
	if !info.IsDir() {
		known, err := sh.Stat(ctx, at)
		if err != nil && !notFound(err) {
			return err
		}
		t.putFile(ctx, sh, name, at, info, known)
		return nil
	}
	return t.putFolder(ctx, sh, name, at)
}

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// putFolder stores a folder: first what is in it, then what is below.
func (t *carrier) putFolder(ctx context.Context, sh shelf, name, at string) error {
	entries, err := os.ReadDir(name)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.fail(name, err)
		return ctx.Err()
	}
	known := map[string]remote.Node{}
	list, err := listing(ctx, sh, at)
	if notFound(err) {
		err = sh.Mkdir(ctx, at)
	}
	if err != nil {
		return err
	}
	for _, n := range list {
		known[n.Name] = n
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := filepath.Join(name, e.Name()), at+"/"+e.Name()
		info, err := e.Info()
		switch {
		case err != nil:
			t.mu.Lock()
			t.fail(from, err)
			t.mu.Unlock()
		case e.IsDir():
			if err := t.putFolder(ctx, sh, from, to); err != nil {
				return err
			}
		default:
			t.putFile(ctx, sh, from, to, info, known[e.Name()])
		}
	}
	return nil
}

// putFile stores one file, unless known is the same.
func (t *carrier) putFile(ctx context.Context, sh shelf, name, at string, info fs.FileInfo, known remote.Node) {
	if !info.Mode().IsRegular() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.out.Skipped) < mostSaid {
			t.out.Skipped = append(t.out.Skipped, name)
		}
		return
	}
	t.carry(name, info.Size(), func() (bool, error) {
		f, err := os.Open(name)
		if err != nil {
			return false, err
		}
		defer f.Close()
		if known.Kind == "file" && known.Size == info.Size() {
			same, err := isContent(f, known.SHA256)
			if err != nil || same {
				return same, err
			}
		}
		if in, ok := sh.(stopped); ok {
			l, err := in.s.lay(ctx, in.who, at, &toldFile{f: f, bar: t.bar}, WriteOptions{Size: info.Size(), Modified: info.ModTime()})
			if err != nil {
				return false, err
			}
			t.add(carried{name, info.Size(), l})
			return false, errLaid
		}
		return false, sh.Put(ctx, at, &toldFile{f: f, bar: t.bar}, info.Size(), info.ModTime())
	})
}

// isContent says whether a file has the content of that hash; it is rewound then.
func isContent(f *os.File, hash string) (bool, error) {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	_, err := f.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)) == hash, err
}

// told is a reader that moves a bar.
type told struct {
	r   io.Reader
	bar *meter
}

func (t *told) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.bar.add(n)
	return n, err
}

// toldFile is told for a file, which a store may read twice: the bar stands still then.
type toldFile struct {
	f    *os.File
	bar  *meter
	at   int64
	most int64 // where at was at most
}

func (t *toldFile) Read(b []byte) (int, error) {
	n, err := t.f.Read(b)
	if t.at += int64(n); t.at > t.most {
		t.bar.add(int(t.at - t.most))
		t.most = t.at
	}
	return n, err
}

func (t *toldFile) Seek(off int64, whence int) (at int64, err error) {
	at, err = t.f.Seek(off, whence)
	if err == nil {
		t.at = at
	}
	return at, err
}
