package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"plumb/answers"
	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/forecast"
	"plumb/engines/lab"
	"plumb/engines/report"
)

// Answer lists the questions (n is 0) or tells question n.
func Answer(w io.Writer, n int, asJSON bool) error {
	book, err := answers.Open()
	if err != nil {
		return err
	}
	rs, err := shipped()
	if err != nil {
		return err
	}
	look := answers.LookFor(w, os.Getenv)
	list := book.Questions
	if n > 0 {
		q, ok := book.Question(n)
		if !ok {
			return errs.New(errs.NotFound, "there is no question %d", n)
		}
		list = []answers.Question{q}
	}
	extras := storyOf(func() lab.Results { return rs })
	switch {
	case asJSON:
		return answers.JSON(w, list, extras)
	case n == 0:
		return answers.List(w, book, look)
	}
	return answers.Tell(w, list[0], extras, look)
}

// storyOf looks the figures of a story up in the results as they are when it is
// told.
func storyOf(results func() lab.Results) answers.Extras {
	return answers.Extras{
		Figure: func(system, experiment, claim string) (string, bool) {
			r, ok := results().Latest(system, experiment)
			if !ok {
				return "", false
			}
			for _, c := range r.Claims {
				if c.ID == claim {
					verdict := "holds"
					if !c.Holds {
						verdict = "does NOT hold"
					}
					return c.Figure + ", " + verdict, true
				}
			}
			return "", false
		},
		BreakEven: func(system, experiment string) (string, bool) {
			r, ok := results().Latest(system, experiment)
			if !ok || r.BreakEven == nil {
				return "", false
			}
			return r.BreakEven.Assumption + ": " + units.Short(r.BreakEven.Value) + " " + r.BreakEven.Unit, true
		},
		Size: sizes(),
		Words: func(system string) []string {
			if !has(system) {
				return nil
			}
			return []string{"prove", "plan", "serve"}
		},
	}
}

// sizes returns a function that says what a system's plan gives for one of its
// inputs or outputs. Each plan is run once, when it is first asked for: a tenth
// of a second. The function is safe for concurrent use.
func sizes() func(system, name string) (string, bool) {
	var mu sync.Mutex
	ran := map[string]*forecast.Result{}
	return func(system, name string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		r, ok := ran[system]
		if !ok {
			m, err := planOf(system)
			if err == nil {
				r, _ = report.Evaluate(context.Background(), m, report.Options{}) // nil: the story goes on without it
			}
			ran[system] = r
		}
		if r == nil {
			return "", false
		}
		for _, in := range r.Inputs {
			if in.Name == name {
				return in.Title + ": " + in.Default, true
			}
		}
		o := r.Output(name)
		if o == nil {
			return "", false
		}
		return fmt.Sprintf("%s: %s %s (P10 to P90: %s to %s)", o.Title, units.Short(o.Total.P50), o.TotalUnit,
			units.Short(o.Total.P10), units.Short(o.Total.P90)), true
	}
}
