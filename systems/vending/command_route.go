package vending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"plumb/base/errs"
	"plumb/engines/routing"
)

// routed is what `plumb vending route` prints for a file.
type routed struct {
	File       string   `json:"file"`
	Name       string   `json:"name"`
	Cost       float64  `json:"cost"`
	Best       float64  `json:"best_known,omitempty"`  // from the .sol file beside it
	Gap        *float64 `json:"gap_percent,omitempty"` // to that
	Stops      int      `json:"stops"`
	Routes     [][]int  `json:"routes"` // customers 1, 2, ..., without the depot
	Dropped    []int    `json:"dropped,omitempty"`
	Iterations int      `json:"iterations"`
	Seconds    float64  `json:"cpu_seconds"`
	Seed       uint64   `json:"seed"`
}

// routeCommand is `plumb vending route`.
func routeCommand() *cobra.Command {
	var seconds float64
	var seed uint64
	var steps int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "route FILE...",
		Short: "Plan vehicle routes for CVRPLIB and Solomon files",
		Long: "Plans routes for a problem in CVRPLIB's format (distances rounded to integers) or Solomon's (time\n" +
			"windows, distances as they are), and checks them by driving them anew. Beside a .sol file the gap to\n" +
			"its cost is told. Interrupted, it prints the best routes so far. Exit status 1 when a file was not planned;\n" +
			"what is wrong with it is told as FILE:LINE:COLUMN, and what was planned before is printed.",
		Example: "  plumb vending route X-n101-k25.vrp --seconds 10 --seed 1\n  plumb vending route R101.txt --json\n  plumb vending route X-n200-k36.vrp --steps 1000000   # the same on every machine",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(seconds > 0 && seconds <= 3600) {
				return errs.New(errs.Invalid, "--seconds must be more than 0 and at most 3,600")
			}
			if steps < 0 {
				return errs.New(errs.Invalid, "--steps must not be negative")
			}
			o := routing.Options{CPU: time.Duration(seconds * float64(time.Second)), Seed: seed, Iterations: steps}
			if steps > 0 && !cmd.Flags().Changed("seconds") {
				o.CPU = 0
			}
			list, fault := routeFiles(cmd, args, o, asJSON)
			if !asJSON || len(args) == 1 && len(list) == 0 {
				return fault
			}
			var out any = list
			if len(args) == 1 {
				out = list[0]
			}
			return errors.Join(fault, json.NewEncoder(cmd.OutOrStdout()).Encode(out))
		},
	}
	f := cmd.Flags()
	f.Float64Var(&seconds, "seconds", 10, "processor time for each file")
	f.Uint64Var(&seed, "seed", 1, "of the search")
	f.IntVar(&steps, "steps", 0, "steps of the search instead of a time, or besides; 0: only the time counts")
	f.BoolVar(&asJSON, "json", false, "print {cost, routes, ...}, for several files a list")
	return cmd
}

// routeFiles plans file after file, up to the first that has a fault. An interruption
// is none for the file that was being planned, whose best routes so far are told.
func routeFiles(cmd *cobra.Command, names []string, o routing.Options, quiet bool) ([]routed, error) {
	list := make([]routed, 0, len(names))
	for i, name := range names {
		r, err := routeFile(cmd.Context(), name, o, cmd.ErrOrStderr())
		if r.Routes == nil && err != nil {
			return list, err
		}
		list = append(list, r)
		if !quiet {
			printRoutes(cmd.OutOrStdout(), r)
		}
		if err != nil && i+1 < len(names) {
			return list, fmt.Errorf("interrupted: %d of %d files were planned: %w", i+1, len(names), err)
		}
	}
	return list, nil
}

// routeFile plans one file. The error is the file's fault, or the interruption
// with the best routes so far. A fault has no kind: the words were right, it is the
// file that is wrong.
func routeFile(ctx context.Context, name string, o routing.Options, progress io.Writer) (routed, error) {
	file, err := os.Open(name)
	if err != nil {
		return routed{}, err // names the file
	}
	defer file.Close()
	in, err := routing.Read(file)
	if errs.Is(err, errs.Invalid) {
		return routed{}, fmt.Errorf("%s:%s", name, errs.Message(err)) // which begins with line and column
	}
	if err != nil {
		return routed{}, fmt.Errorf("%s: %s", name, err)
	}
	if f, ok := progress.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		o.Progress = func(p routing.Progress) {
			fmt.Fprintf(progress, "\r\x1b[K%s: %3.0f%%, %d steps, cost %.0f", in.Name, 100*p.Share, p.Iterations, p.Cost)
		}
		defer fmt.Fprint(progress, "\r\x1b[K")
	}
	from := time.Now()
	s, err := routing.Solve(ctx, in.Problem, o)
	interrupted := err != nil && errors.Is(err, ctx.Err())
	if err != nil && !interrupted {
		return routed{}, fmt.Errorf("%s: %s", name, err)
	}
	if bad := in.Problem.Check(s); bad != nil {
		return routed{}, errs.Wrap(errs.Internal, bad, "the routes for %s break a rule", name)
	}
	r := routed{File: name, Name: in.Name, Cost: s.Cost, Stops: len(in.Problem.Stops) - 1, Routes: s.Routes, Dropped: s.Dropped,
		Iterations: s.Iterations, Seconds: o.CPU.Seconds(), Seed: o.Seed}
	if o.CPU == 0 {
		r.Seconds = time.Since(from).Seconds()
	}
	if r.Routes == nil {
		r.Routes = [][]int{}
	}
	if r.Best = bestKnown(name); r.Best > 0 {
		gap := 100 * (r.Cost/r.Best - 1)
		r.Gap = &gap
	}
	return r, err
}

// bestKnown reads the cost in the .sol file beside a problem; 0: there is none.
func bestKnown(name string) float64 {
	text, err := os.ReadFile(strings.TrimSuffix(name, ".vrp") + ".sol")
	if err != nil || len(text) > 1<<20 {
		return 0
	}
	_, rest, ok := strings.Cut(string(text), "Cost")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return 0
	}
	cost, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		return 0
	}
	return cost
}

// printRoutes writes the routes for people.
func printRoutes(out io.Writer, r routed) {
	fmt.Fprintf(out, "%s: %d stops, %d routes, cost %.6g", r.Name, r.Stops, len(r.Routes), r.Cost)
	if r.Gap != nil {
		fmt.Fprintf(out, ", %.2f%% over the best known %.6g", *r.Gap, r.Best)
	}
	fmt.Fprintf(out, " (%d steps)\n", r.Iterations)
	for i, route := range r.Routes {
		fmt.Fprintf(out, "Route #%d: %s\n", i+1, strings.Trim(fmt.Sprint(route), "[]"))
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(out, "Left out: %s\n", strings.Trim(fmt.Sprint(r.Dropped), "[]"))
	}
}
