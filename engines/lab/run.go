package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plumb/base/errs"
)

// Options say how to run. The zero value runs everything quickly.
type Options struct {
	Only      []string // "vending" or "vending/herd"; empty: all
	Full      bool     // the question's own numbers
	Sweep     bool     // sweep every assumption
	Seed      uint64   // 0 stands for 1
	Targets   []string // the user's own designs: "exec:./mine"
	JSON      bool     // the report as JSON on stdout
	HTML      string   // a self-contained file to write; empty: none
	EventsDir string   // where raw events go; empty: nowhere
	Progress  string   // "ndjson": lines on stderr; "": a bar on a terminal; "none"
	KeepDir   string   // where results are kept, DATA/prove; empty: nowhere
	TreeDir   string   // the project's root, to bring results into; empty: don't
	Version   string   // of plumb
}

// Exit codes of Run.
const (
	ExitHolds = 0 // every claim holds
	ExitFails = 1 // a claim does not, or something could not be measured
	ExitUsage = 2 // what was asked makes no sense
)

// Run runs the experiments that o asks for, one after another, prints what came
// out to stdout and progress to stderr, keeps the results, and returns the exit
// code.
func Run(ctx context.Context, all []Experiment, o Options, stdout, stderr io.Writer) int {
	if o.Seed == 0 {
		o.Seed = 1
	}
	chosen, err := choose(all, o)
	if err != nil {
		fmt.Fprintln(stderr, "plumb prove:", errs.Message(err))
		return ExitUsage
	}
	tell := newTeller(o.Progress, stderr)
	report := &Report{Plumb: o.Version, At: time.Now().UTC().Truncate(time.Second), Machine: ThisMachine(), Seed: o.Seed, Results: []*Result{}}
	exit := ExitHolds
	for i, e := range chosen {
		place := Progress{System: e.System, Experiment: e.Name, Index: i, Count: len(chosen)}
		r := measure(ctx, e, o, tell, place)
		if busy := report.Machine; busy.Load > 1.5*float64(busy.CPUs) {
			r.Notes = append(r.Notes, fmt.Sprintf("This machine was busy with other work (a load of %.1f on %d CPUs): its rates are lower and its times longer than on a quiet one.", busy.Load, busy.CPUs))
		}
		report.Results = append(report.Results, r)
		err := o.store(report, r) // at once: a long run may be stopped
		if err != nil {
			fmt.Fprintln(stderr, "plumb prove:", err)
		}
		if err != nil || !r.Holds() {
			exit = ExitFails
		}
		place.Event, place.Share, place.Result = "result", 1, r
		tell.tell(place)
		if !o.JSON {
			Print(stdout, r)
		}
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "plumb prove: stopped")
			exit = ExitFails
			break
		}
	}
	if err := deliver(report, o, stdout); err != nil {
		fmt.Fprintln(stderr, "plumb prove:", err)
		exit = ExitFails
	}
	tell.tell(Progress{Event: "end", Count: len(chosen), Exit: exit})
	return exit
}

// choose returns the experiments that o names, in their own order, or an
// Invalid error that says what there is.
func choose(all []Experiment, o Options) ([]Experiment, error) {
	named := func(name string) func(Experiment) bool {
		return func(e Experiment) bool { return e.System == name || e.Path() == name }
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(all, named(name)) {
			return nil, errs.New(errs.Invalid, "there is no experiment %q; there are: %s", name, paths(all))
		}
	}
	for _, t := range o.Targets {
		if !strings.HasPrefix(t, "exec:") || len(t) == len("exec:") {
			return nil, errs.New(errs.Invalid, "target %q: only exec:PROGRAM is understood; those that take it are: %s", t, paths(takers(all)))
		}
	}
	if o.Progress != "" && o.Progress != "ndjson" && o.Progress != "none" {
		return nil, errs.New(errs.Invalid, "progress %q: must be ndjson or none", o.Progress)
	}
	var out []Experiment
	for _, e := range all {
		if len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(name string) bool { return named(name)(e) }) {
			out = append(out, e)
		}
	}
	if len(o.Targets) == 0 {
		return out, nil
	}
	// A target narrows the run to the experiments that can take it.
	if out = takers(out); len(out) == 0 {
		return nil, errs.New(errs.Invalid, "none of these experiments takes a --target; those that take exec: are: %s", paths(takers(all)))
	}
	return out, nil
}

// takers are the experiments that a user's own design can be put beside.
func takers(list []Experiment) []Experiment {
	return slices.DeleteFunc(slices.Clone(list), func(e Experiment) bool { return e.Target == "" })
}

func paths(list []Experiment) string {
	var names []string
	for _, e := range list {
		names = append(names, e.Path())
	}
	return strings.Join(names, ", ")
}

// measure runs one experiment and judges its claims. What goes wrong stands in
// the result: one experiment's trouble does not hide the others' figures.
func measure(ctx context.Context, e Experiment, o Options, tell *teller, place Progress) *Result {
	start := time.Now()
	r := &Result{System: e.System, Experiment: e.Name, Title: e.Title, Mode: "quick", Question: e.Question,
		Units: e.Metrics, Designs: []*Design{}, Claims: []Judged{}, Pictures: e.Picture}
	if o.Full {
		r.Mode = "full"
	}
	b := &Bench{Full: o.Full, Sweep: o.Sweep, Seed: o.Seed, result: r, targets: o.Targets}
	b.progress = func(share float64, text string) {
		p := place
		p.Event, p.Share, p.Text = "progress", share, text
		tell.tell(p)
	}
	place.Event = "begin"
	tell.tell(place)
	err := run(ctx, e, b, o.EventsDir)
	b.clean()
	if err != nil {
		r.Error = err.Error()
		if len(o.Targets) > 0 {
			r.Error += "\nWhat a --target of this experiment is asked and answers:\n" + e.Target
		}
	}
	for _, c := range e.Claims {
		j := c.Judge(r)
		if r.Error != "" {
			j.Holds = false // half a measurement proves nothing
		}
		r.Claims = append(r.Claims, j)
	}
	r.Seconds = float64(time.Since(start).Milliseconds()) / 1e3
	return r
}

func run(ctx context.Context, e Experiment, b *Bench, eventsDir string) (err error) {
	if len(e.Claims) == 0 {
		return fmt.Errorf("%s claims nothing", e.Path())
	}
	for _, c := range e.Claims {
		if err := c.Check(); err != nil {
			return fmt.Errorf("%s: %w", e.Path(), err)
		}
	}
	if eventsDir != "" {
		if b.events, err = openEvents(eventsDir, e); err != nil {
			return err
		}
		defer func() {
			if e := b.events.close(); err == nil {
				err = e
			}
		}()
		b.Event("begin", map[string]any{"experiment": e.Path(), "seed": b.Seed, "full": b.Full})
	}
	if err := e.Run(ctx, b); err != nil {
		return err
	}
	if len(b.result.Designs) < 2 {
		return fmt.Errorf("%s measured %d design; a proof needs two", e.Path(), len(b.result.Designs))
	}
	return b.finish()
}

// deliver prints and draws the report.
func deliver(report *Report, o Options, stdout io.Writer) error {
	if o.JSON {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	if o.HTML != "" {
		page, err := HTML(report)
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.HTML, page, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// store keeps a result where o says. One that could not be measured is not kept.
func (o Options) store(report *Report, r *Result) error {
	if r.Error != "" {
		return nil
	}
	if o.KeepDir != "" {
		name := report.At.Format("20060102T150405Z") + "-" + r.Mode + ".json"
		if err := keep(filepath.Join(o.KeepDir, r.System, r.Experiment), name, report, r); err != nil {
			return err
		}
	}
	if o.TreeDir == "" {
		return nil
	}
	return keep(filepath.Join(o.TreeDir, "systems", r.System, "prove", "results"), r.Experiment+".json", report, r)
}

// keep writes one result into a folder as a report of its own, whole or not at all.
func keep(into, name string, report *Report, r *Result) error {
	one := *report
	one.Results = []*Result{r}
	data, err := json.MarshalIndent(one, "", "  ")
	if err == nil {
		err = os.MkdirAll(into, 0o755)
	}
	path := filepath.Join(into, name)
	if err == nil {
		err = os.WriteFile(path+".tmp", append(data, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return fmt.Errorf("keep the result of %s: %w", r.Experiment, err)
	}
	return nil
}
