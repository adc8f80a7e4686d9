package files

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/face"
	"plumb/systems/files/internal/remote"
)

// Opener opens the room on the data folder of a server that does not run. It is
// app's: the room knows no folder. close gives the folder back.
type Opener func(ctx context.Context, data string) (s *System, close func() error, err error)

// Commands are the room's command-line verbs, `plumb files VERB`. They are declared
// without opening anything. Each works on a server (--server, PLUMB_TOKEN) or, with
// --data, on a stopped store.
func Commands(open Opener) []face.Command {
	verb := func(make func(*session) *cobra.Command) face.Command {
		return face.Command{System: realm, Needs: face.Server, New: func() *cobra.Command {
			s := &session{open: open}
			cmd := make(s)
			s.flags(cmd)
			return cmd
		}}
	}
	return []face.Command{verb(putCommand), verb(getCommand), verb(lsCommand), verb(statsCommand), verb(scrubCommand), verb(collectCommand), verb(rekeyCommand), verb(checkCommand)}
}

// session is what a command works on.
type session struct {
	open   Opener
	server string
	data   string
	person string
	asJSON bool
}

func (s *session) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.server, "server", cmp.Or(os.Getenv("PLUMB_SERVER"), "http://127.0.0.1:8080"), "address of the server; PLUMB_TOKEN holds your token")
	f.StringVar(&s.data, "data", "", "data folder of a server that does not run, instead of a server")
	f.StringVar(&s.person, "person", "admin", "whose files, with --data")
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
}

// shelf is what both kinds of store can do.
type shelf interface {
	Stat(ctx context.Context, path string) (remote.Node, error)
	List(ctx context.Context, path, cursor string) ([]remote.Node, string, error)
	Put(ctx context.Context, path string, r io.Reader, size int64, modified time.Time) error
	Mkdir(ctx context.Context, path string) error
	Get(ctx context.Context, path string) (io.ReadCloser, error)
	Stats(ctx context.Context) (statsOut, error)
	Scrub(ctx context.Context, progress func(done, total int64)) (scrubOut, error)
	Collect(ctx context.Context) (collectOut, error)
	Rekey(ctx context.Context) (rekeyOut, error)
}

// with runs fn on the store that the flags name.
func (s *session) with(cmd *cobra.Command, fn func(ctx context.Context, sh shelf) error) (err error) {
	ctx := cmd.Context()
	if s.data == "" {
		c, err := remote.New(s.server, os.Getenv("PLUMB_TOKEN"))
		if err != nil {
			return err
		}
		return fn(ctx, served{c})
	}
	room, end, err := s.open(ctx, s.data)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := end(); err == nil {
			err = cerr
		}
	}()
	p, err := room.n.People.Named(ctx, s.person)
	if err != nil {
		return err
	}
	return fn(ctx, stopped{room, Person{ID: p.ID, Operator: true}})
}

// print writes v as JSON, or lets text write it for people.
func (s *session) print(cmd *cobra.Command, v any, text func(w io.Writer)) error {
	if !s.asJSON {
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// meter shows progress on a terminal, and nowhere else. It is safe for concurrent use.
type meter struct {
	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil: none; guarded by mu
}

func newMeter(cmd *cobra.Command, what string) *meter {
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &meter{}
	}
	return &meter{bar: progressbar.NewOptions64(-1, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(f), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(20))}
}

func (m *meter) do(fn func(b *progressbar.ProgressBar)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		fn(m.bar)
	}
}

// add counts n bytes more.
func (m *meter) add(n int) { m.do(func(b *progressbar.ProgressBar) { b.Add(n) }) }

// at says that done of total bytes are done.
func (m *meter) at(done, total int64) {
	m.do(func(b *progressbar.ProgressBar) { b.ChangeMax64(max(total, 1)); b.Set64(done) })
}

func (m *meter) end() { m.do(func(b *progressbar.ProgressBar) { b.Finish() }) }

// lsCommand is `plumb files ls`.
func lsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "ls [PATH]", Short: "List a folder, or show a file", Args: cobra.MaximumNArgs(1),
		Example: "  plumb files ls\n  plumb files ls trips/2026 --json\n  plumb files ls --data plumb-data",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				list, err := listing(ctx, sh, append(args, "")[0])
				if err != nil {
					return err
				}
				return s.print(cmd, list, func(w io.Writer) {
					for _, n := range list {
						size, name := units.Bytes(float64(n.Size)), n.Name
						if n.Kind == "folder" {
							size, name = "-", name+"/"
						}
						fmt.Fprintf(w, "%s\t%s\t%s\n", size, n.Modified.Local().Format("2006-01-02 15:04"), name)
					}
				})
			})
		},
	}
}

// listing returns all of a folder, or the file itself.
func listing(ctx context.Context, sh shelf, path string) ([]remote.Node, error) {
	n, err := sh.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if n.Kind == "file" {
		return []remote.Node{n}, nil
	}
	list := []remote.Node{}
	for cursor := ""; ; {
		page, next, err := sh.List(ctx, path, cursor)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if cursor = next; next == "" {
			return list, nil
		}
	}
}

// statsCommand is `plumb files stats`.
func statsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Tell what is stored, and what storing it once saves", Args: cobra.NoArgs,
		Example: "  plumb files stats\n  plumb files stats --data plumb-data --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				st, err := sh.Stats(ctx)
				if err != nil {
					return err
				}
				return s.print(cmd, st, func(w io.Writer) {
					size := func(n int64) string { return units.Bytes(float64(n)) }
					fmt.Fprintf(w, "files\t%s\nbytes that owners see\t%s\n", units.Count(st.Files), size(st.Logical))
					if st.Saved == nil {
						return
					}
					fmt.Fprintf(w, "bytes stored\t%s\nwaiting to be freed\t%s\ncontents\t%s\n", size(*st.Stored), size(*st.Waiting), units.Count(*st.Blobs))
					fmt.Fprintf(w, "saved: same file\t%s\nsaved: same chunks\t%s\nsaved: compression\t%s\n", size(st.Saved.SameFile), size(st.Saved.SameChunks), size(st.Saved.Compression))
				})
			})
		},
	}
}

// scrubCommand is `plumb files scrub`.
func scrubCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "scrub", Short: "Read and verify all contents", Args: cobra.NoArgs,
		Long:    "Reads everything, verifies it, repairs what is bad from the replica where there is one (--cas-replica\nof the server, PLUMB_CAS_REPLICA with --data), and sets the rest aside. Exit status 1 when bad bytes stay.",
		Example: "  plumb files scrub --data plumb-data\n  plumb files scrub --server https://files.example",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				m := newMeter(cmd, "scrub")
				r, err := sh.Scrub(ctx, m.at)
				m.end()
				if err != nil {
					return err
				}
				if err := s.print(cmd, r, func(w io.Writer) {
					fmt.Fprintf(w, "%s chunks with %s were read: %d bad, %d of them repaired.\n", units.Count(r.Chunks), units.Bytes(float64(r.Bytes)), r.Bad, r.Repaired)
					for _, f := range r.Faults {
						fmt.Fprintf(w, "%s\n", f)
					}
				}); err != nil {
					return err
				}
				if r.Bad > r.Repaired {
					return fmt.Errorf("%d chunks are bad", r.Bad-r.Repaired)
				}
				return nil
			})
		},
	}
}

// collectCommand is `plumb files collect`.
func collectCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "collect", Short: "Free what nothing refers to any more", Args: cobra.NoArgs,
		Example: "  plumb files collect\n  plumb files collect --data plumb-data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				r, err := sh.Collect(ctx)
				if err != nil {
					return err
				}
				return s.print(cmd, r, func(w io.Writer) {
					fmt.Fprintf(w, "%s freed: %s, %s, %s; %s rewritten for it.\n", units.Bytes(float64(r.Freed)), several(r.Blobs, "content"), several(r.Chunks, "chunk"), several(r.Packs, "pack"), units.Bytes(float64(r.Moved)))
				})
			})
		},
	}
}

// rekeyCommand is `plumb files rekey`.
func rekeyCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "rekey", Short: "Wrap the contents' keys anew with the present key", Args: cobra.NoArgs,
		Long: "After a change of --cas-key-file (with the key before it as --cas-old-key-file) this wraps every content's\n" +
			"key anew. No content is rewritten. When it is done, the old key can go. With --data the keys come from\n" +
			"PLUMB_CAS_KEY_FILE and PLUMB_CAS_OLD_KEY_FILE, or plumb.yaml.",
		Example: "  plumb files rekey\n  PLUMB_CAS_KEY_FILE=new.key PLUMB_CAS_OLD_KEY_FILE=old.key plumb files rekey --data plumb-data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				r, err := sh.Rekey(ctx)
				if err != nil {
					return err
				}
				return s.print(cmd, r, func(w io.Writer) { fmt.Fprintf(w, "%s keys were wrapped anew.\n", units.Count(r.Packs)) })
			})
		},
	}
}

// checkCommand is `plumb files check`.
func checkCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "check --data DIR", Short: "Compare every count with what it counts", Args: cobra.NoArgs,
		Long:    "Compares quotas with files, files with contents, and counts of references with what refers, in a store\nwhose server does not run. It reads rows, not contents: see scrub. Exit status 1 when something differs.",
		Example: "  plumb files check --data plumb-data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.data == "" {
				return errs.New(errs.Invalid, "check works on a stopped store: give --data")
			}
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				if err := sh.(stopped).s.CheckAll(ctx); err != nil {
					return err
				}
				return s.print(cmd, map[string]bool{"exact": true}, func(w io.Writer) { fmt.Fprintln(w, "All counts are exact.") })
			})
		},
	}
}

// several is a count with its noun.
func several(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return units.Count(n) + " " + noun
}
