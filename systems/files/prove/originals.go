package prove

import (
	"context"
	"errors"
	"fmt"
	"os"

	"plumb/engines/lab"
)

// Originals changes what copies refer to.
func Originals() lab.Experiment {
	return lab.Experiment{
		System: "files", Name: "originals", Title: "when the original changes",
		Question: "Others refer to a file that its owner removes, replaces, edits in place, renames, or moves to another disk. What do they read afterwards?",
		Metrics: []lab.Metric{
			{Name: "copies", Unit: "copies", Text: "copies whose original was changed"},
			{Name: "right", Unit: "copies", Text: "read as they were", Better: "more"},
			{Name: "broken", Unit: "copies", Text: "can no longer be read", Better: "less"},
			{Name: "changed", Unit: "copies", Text: "silently read as something else", Better: "less"},
			{Name: "wrong", Unit: "copies", Text: "broken or changed", Better: "less"},
			{Name: "apart", Unit: "files", Text: "stored again, since they cannot be shared with another disk", Better: "less"},
			{Name: "owners_wrong", Unit: "files", Text: "owners who do not read what they did last", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "links-break", Text: "symbolic links break", Design: "naive", Metric: "broken", Op: ">", Value: new(0.0)},
			{ID: "links-lie", Text: "or show something else", Design: "naive", Metric: "changed", Op: ">", Value: new(0.0)},
			{ID: "hard-lie", Text: "hard links hold, and yet show each other's edits", Design: "textbook", Metric: "changed", Op: ">", Value: new(0.0)},
			{ID: "hard-stop", Text: "and they stop at the disk's end", Design: "textbook", Metric: "apart", Op: ">", Value: new(0.0)},
			{ID: "built-right", Text: "counted contents are read as they were", Design: "built", Metric: "wrong", Op: "==", Value: new(0.0)},
			{ID: "built-owner", Text: "and the owner has what he did", Design: "built", Metric: "owners_wrong", Op: "==", Value: new(0.0)},
			{ID: "built-once", Text: "each content once, also on another disk", Design: "built", Metric: "apart", Op: "==", Value: new(0.0)},
			{ID: "than-links", Text: "fewer wrong than with symbolic links", Design: "built", Metric: "wrong", Op: "<", Than: &lab.Than{Design: "naive", Metric: "wrong"}, Apart: true},
			{ID: "than-hard", Text: "and than with hard ones", Design: "built", Metric: "wrong", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "wrong"}, Apart: true},
		},
		Picture: []string{"right", "broken", "changed"},
		Run:     runOriginals,
	}
}

// fates are what happens to an original.
var fates = []string{"remove", "replace", "edit", "rename", "move"}

// borrowers is how many others have a copy of each original.
const borrowers = 4

// lending is one design with its originals.
type lending interface {
	// share makes an original and what others have of it, some of it on the other
	// disk where the design knows disks, and returns how many it had to store again.
	share(ctx context.Context, original string, copies []string, body []byte) (apart int, err error)
	// befall does to the original what a fate says; after holds for edit and replace.
	befall(ctx context.Context, fate, original string, after []byte) (apart int, err error)
	// settle is called once, when all that was to happen has.
	settle(ctx context.Context) error
	// read reads a file; errGone when there is none.
	read(ctx context.Context, name string) ([]byte, error)
}

func runOriginals(ctx context.Context, b *lab.Bench) error {
	each := 8 // originals a fate
	if b.Full {
		each = 200
	}
	here, err := b.TempDir()
	if err != nil {
		return err
	}
	there, what, err := otherDisk(here)
	if err != nil {
		return err
	}
	defer os.RemoveAll(there)
	b.Note("The other disk is %s, a file system of its own. Every fourth copy lies there, where a design knows disks; moved there are also originals. "+
		"The built one knows none: its originals are moved to another folder, and then its whole data folder to the other disk, from where it is served and read.", what)
	linked, hard := &linkedDisk{links: links{here: here, there: there, prefix: "soft"}}, &linkedDisk{links: links{here: here, there: there, prefix: "hard"}, hard: true}
	served := &servedDisk{b: b, there: there}
	defer served.close()
	for i, d := range []struct {
		name, text string
		kind       lab.Kind
		l          lending
	}{
		{"symbolic links", "A copy is a symbolic link to the original.", lab.Naive, linked},
		{"hard links", "A copy is another name of the original's file; on another disk it is a file of its own.", lab.Textbook, hard},
		{"as served", "plumb serve files: names refer to contents, which are counted and never change.", lab.Built, served},
	} {
		b.Progress(float64(i)/3, "%s", d.name)
		row := b.Design(d.name, d.kind).Describe(d.text)
		if d.kind == lab.Built {
			row.Promises = []string{"copies stay as they were"}
		}
		if err := lend(ctx, b, row, d.l, each); err != nil {
			return fmt.Errorf("originals, %s: %w", d.name, err)
		}
	}
	return nil
}

// lend lends each originals for each fate, lets it come, and looks.
func lend(ctx context.Context, b *lab.Bench, row *lab.Design, l lending, each int) error {
	type lent struct {
		fate, original string
		copies         []string
		was, after     []byte
	}
	var all []lent
	apart := 0
	for _, fate := range fates {
		for k := range each {
			x := lent{fate: fate, original: fmt.Sprintf("%s-%d", fate, k), was: noise(b.Seed, fmt.Sprint("lent ", fate, k), 20_000+k)}
			x.after = append([]byte(nil), x.was...)
			switch fate {
			case "replace":
				x.after = noise(b.Seed, fmt.Sprint("after ", k), 15_000)
			case "edit":
				copy(x.after[5000:], "somebody edited this")
			}
			for i := range borrowers {
				x.copies = append(x.copies, fmt.Sprintf("%s-of-%d", x.original, i))
			}
			n, err := l.share(ctx, x.original, x.copies, x.was)
			if err != nil {
				return err
			}
			apart += n
			all = append(all, x)
		}
	}
	for _, x := range all {
		n, err := l.befall(ctx, x.fate, x.original, x.after)
		if err != nil {
			return fmt.Errorf("%s: %w", x.fate, err)
		}
		apart += n
	}
	if err := l.settle(ctx); err != nil {
		return err
	}
	copies, right, broken, changed, owners := 0, 0, 0, 0, 0
	for _, x := range all {
		for _, c := range x.copies {
			copies++
			got, err := l.read(ctx, c)
			verdict := "right"
			switch {
			case err != nil:
				verdict = "broken"
				broken++
			case string(got) != string(x.was):
				verdict = "changed"
				changed++
			default:
				right++
			}
			b.Event("read", map[string]any{"design": row.Name, "fate": x.fate, "copy": c, "verdict": verdict})
		}
		name := x.original
		if x.fate == "rename" || x.fate == "move" {
			name += ".moved"
		}
		got, err := l.read(ctx, name)
		if x.fate == "remove" && !errors.Is(err, errGone) || x.fate != "remove" && (err != nil || string(got) != string(x.after)) {
			owners++
		}
	}
	row.Set("copies", float64(copies)).Set("right", float64(right)).Set("broken", float64(broken)).Set("changed", float64(changed)).
		Set("wrong", float64(broken+changed)).Set("apart", float64(apart)).Set("owners_wrong", float64(owners))
	return nil
}
