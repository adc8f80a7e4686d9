package photos

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/placement"
	"plumb/engines/remote"
	"plumb/face"
)

// Commands are the room's command-line verbs, `plumb photos VERB`. They are declared
// without opening anything. All but place work on a server (--server, PLUMB_TOKEN).
func Commands() []face.Command {
	list := []face.Command{{System: realm, Needs: face.Nothing, New: placeCommand}}
	for _, verb := range []func(*session) *cobra.Command{putCommand, getCommand, listCommand, linkCommand, shardsCommand, addShardCommand, drainCommand,
		migrationsCommand, backupCommand, restoreCommand, healCommand, loseCommand, repairsCommand} {
		list = append(list, face.Command{System: realm, Needs: face.Server, New: func() *cobra.Command {
			s := &session{}
			cmd := verb(s)
			cmd.Flags().StringVar(&s.server, "server", cmp.Or(os.Getenv("PLUMB_SERVER"), "http://127.0.0.1:8080"), "address of the server; PLUMB_TOKEN holds your token")
			cmd.Flags().BoolVar(&s.asJSON, "json", false, "print JSON")
			return cmd
		}})
	}
	return list
}

// session is what a command works on.
type session struct {
	server string
	asJSON bool
}

func (s *session) open() (*remote.Client, error) {
	return remote.New(s.server, apiRoot, os.Getenv("PLUMB_TOKEN"))
}

// print writes v as JSON, or lets text write it for people, in columns by tabs.
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

// placeCommand is `plumb photos place`.
func placeCommand() *cobra.Command {
	var t placement.Trial
	var weights, keys string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "place", Short: "Place keys on nodes by a strategy, and measure evenness, moves and speed", Args: cobra.NoArgs,
		Long:    "Places user names on nodes, tells how even that is, then adds and removes nodes and tells what moves.\n\nStrategies:\n" + strategies(),
		Example: "  plumb photos place --strategy alphabetical --nodes 26 --add 1 --keys 1000000\n  plumb photos place --strategy hash --nodes 4 --weights 1,1,2,4 --keys names.txt --json",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if t.Weights, err = readWeights(weights); err != nil {
				return err
			}
			if t.Keys, err = readKeys(keys); err != nil {
				return err
			}
			r, err := placement.Measure(t)
			if err != nil {
				return err
			}
			return (&session{asJSON: asJSON}).print(cmd, r, func(w io.Writer) {
				fmt.Fprintf(w, "strategy\t%s, %s nodes, %s keys\n", r.Strategy, units.Count(int64(r.Nodes)), units.Count(int64(r.Keys)))
				fmt.Fprintf(w, "fullest node over its share\t%.3f\n", r.MaxOverMean)
				fmt.Fprintf(w, "moved by the change\t%.2f%% of the keys (at least %.2f%%)\n", 100*r.Moved, 100*r.Ideal)
				fmt.Fprintf(w, "a look-up\t%.1f ns\nmemory\t%s\n", r.Lookup, units.Bytes(float64(r.Bytes)))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.Strategy, "strategy", "hash", "how to place")
	f.IntVar(&t.Nodes, "nodes", 26, "nodes at first")
	f.StringVar(&weights, "weights", "", "weights of the nodes, by commas; repeated when there are fewer")
	f.IntVar(&t.Add, "add", 0, "nodes that are added then")
	f.IntVar(&t.Remove, "remove", 0, "nodes that are removed then")
	f.StringVar(&keys, "keys", "100000", "a file with a key a line, - for standard input, or how many user names to make up")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func strategies() string {
	var b strings.Builder
	for _, s := range placement.Strategies() {
		fmt.Fprintf(&b, "  %-13s %s.\n%16sHolds: %s.\n", s.Name, strings.TrimSuffix(s.Does, "."), "", strings.TrimSuffix(s.Holds, "."))
		if s.Not != "" {
			fmt.Fprintf(&b, "%16sDoes not: %s.\n", "", strings.TrimSuffix(s.Not, "."))
		}
	}
	return b.String()
}

func readWeights(text string) (list []float64, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		w, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return nil, errs.New(errs.Invalid, "--weights: %q is no number", part)
		}
		list = append(list, w)
	}
	return list, nil
}

// readKeys reads a file with a key a line, each once, or makes up that many names.
func readKeys(what string) ([]string, error) {
	if n, err := strconv.Atoi(what); err == nil {
		if n < 1 || n > placement.MaxKeys {
			return nil, errs.New(errs.Invalid, "--keys: 1 to %d keys can be placed, not %d", placement.MaxKeys, n)
		}
		return placement.People(n), nil
	}
	in := io.ReadCloser(os.Stdin)
	if what != "-" {
		f, err := os.Open(what)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "--keys: %s is neither a number nor a file that can be read", what)
		}
		in = f
	}
	defer in.Close()
	var keys []string
	for sc := bufio.NewScanner(in); ; {
		if !sc.Scan() {
			if err := sc.Err(); err != nil {
				return nil, errs.Wrap(errs.Invalid, err, "--keys: line %d of %s", len(keys)+1, what)
			}
			break
		}
		if key := strings.TrimSpace(sc.Text()); key != "" {
			keys = append(keys, key)
		}
		if len(keys) > placement.MaxKeys {
			return nil, errs.New(errs.Invalid, "--keys: %s holds more than %d keys", what, placement.MaxKeys)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// shardsCommand is `plumb photos shards`.
func shardsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "shards", Short: "The shards, with what they hold and do", Args: cobra.NoArgs,
		Example: "  plumb photos shards\n  plumb photos shards --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out shardsOut
			if err := s.ask(cmd, "GET", "/shards", nil, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				fmt.Fprintln(w, "SHARD\tSTATE\tWEIGHT\tPEOPLE\tPHOTOS\tORIGINALS\tSTORED\tREQUESTS/S\tP99\tMOVING")
				for _, l := range out.Shards {
					fmt.Fprintf(w, "%s\t%s\t%g\t%s\t%s\t%s\t%s\t%.1f\t%.1f ms\t+%d -%d\n", l.Name, l.State, l.Weight, units.Count(l.People), units.Count(l.Photos),
						units.Bytes(float64(l.Bytes)), units.Bytes(float64(l.Stored)), l.Requests, l.P99, l.Coming, l.Leaving)
				}
			})
		},
	}
}

// ask calls an operation of the server.
func (s *session) ask(cmd *cobra.Command, method, path string, in, out any) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	return c.Call(cmd.Context(), method, path, in, out)
}

// addShardCommand is `plumb photos add-shard`.
func addShardCommand(s *session) *cobra.Command {
	var in newShardBody
	cmd := &cobra.Command{
		Use: "add-shard NAME", Short: "Add a shard; its share of the people moves there while they go on", Args: cobra.ExactArgs(1),
		Long: "Adds a shard: a database and a bucket. Without --sql and --bucket they lie where the house's lie: in the data\n" +
			"folder, or as a schema and a prefix. Who is to move is copied, verified and switched one by one; watch migrations.",
		Example: "  plumb photos add-shard second\n  plumb photos add-shard big --weight 4 --sql sqlite:/mnt/big/shard.db --bucket dir:/mnt/big/blobs",
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			var out addedOut
			if err := s.ask(cmd, "POST", "/shards", in, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "Shard %s is there, as number %d. %s will move; see plumb photos migrations.\n", out.Name, out.No, several(out.Migration.People, "person", "people"))
			})
		},
	}
	f := cmd.Flags()
	f.Float64Var(&in.Weight, "weight", 1, "its share, in proportion to the others'")
	f.StringVar(&in.Domain, "domain", "", "what fails together (default: it is alone)")
	f.StringVar(&in.SQL, "sql", "", "sqlite:PATH or postgres://...")
	f.StringVar(&in.Bucket, "bucket", "", "dir:PATH or s3://ACCESS@host:port/bucket")
	return cmd
}

// drainCommand is `plumb photos drain`.
func drainCommand(s *session) *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use: "drain SHARD", Short: "Move everybody away from a shard, or forget one that is drained", Args: cobra.ExactArgs(1),
		Example: "  plumb photos drain old\n  plumb photos drain old --remove",
		RunE: func(cmd *cobra.Command, args []string) error {
			if remove {
				if err := s.ask(cmd, "DELETE", "/shards/"+args[0], nil, nil); err != nil {
					return err
				}
				return s.print(cmd, map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "Shard %s is forgotten.\n", args[0]) })
			}
			var out migrationOut
			if err := s.ask(cmd, "POST", "/shards/"+args[0]+"/drain", nil, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "%s will move away from %s; see plumb photos migrations.\n", several(out.People, "person", "people"), args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "forget it, once it is drained")
	return cmd
}

// migrationsCommand is `plumb photos migrations`.
func migrationsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "migrations", Short: "Who moves and moved between shards, the latest first", Args: cobra.NoArgs,
		Example: "  plumb photos migrations\n  plumb photos migrations --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out migrationsOut
			if err := s.ask(cmd, "GET", "/migrations?limit=50", nil, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				fmt.Fprintln(w, "BEGUN\tWHY\tSTATE\tPEOPLE\tORIGINALS\tCOPIED, SIZES TOO\tFAILED TRIES")
				for _, m := range out.Migrations {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\t%s\t%d\n", m.Begun.Local().Format("2006-01-02 15:04"), m.Why, m.State, m.PeopleDone, m.People,
						units.Bytes(float64(m.Bytes)), units.Bytes(float64(m.BytesDone)), m.Failed)
				}
			})
		},
	}
}

// several is a count with its noun.
func several(n int64, one, many string) string {
	if n != 1 {
		one = many
	}
	return units.Count(n) + " " + one
}
