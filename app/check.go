package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"plumb/answers"
	"plumb/docs"
	"plumb/face"
)

// Listing is the house as `plumb check` tells it.
type Listing struct {
	Version  string        `json:"version"`
	Settings []Source      `json:"settings"`
	Systems  []SystemEntry `json:"systems"`
	Answers  AnswersEntry  `json:"answers"`
	Faults   []string      `json:"faults"`
}

// SystemEntry is what one room shows the house.
type SystemEntry struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Questions   []int    `json:"questions"`
	Pages       int      `json:"pages"`
	Operations  int      `json:"operations"`
	Work        int      `json:"work"`
	Experiments []string `json:"experiments"`
	PlanOutputs int      `json:"plan_outputs"`
}

// AnswersEntry counts the rows of answers.yaml.
type AnswersEntry struct {
	Questions int            `json:"questions"`
	Rows      int            `json:"rows"`
	States    map[string]int `json:"states"`
}

// Check prints the house and returns an error when something in it is wrong. It
// opens no data: the rooms stand on a throw-away folder for the time of it.
func Check(ctx context.Context, cfg Config, sources []Source, asJSON bool, w io.Writer) error {
	l, err := list(ctx, cfg, sources)
	if err != nil {
		return err
	}
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		err = out.Encode(l)
	} else {
		err = l.print(w)
	}
	if err == nil && len(l.Faults) > 0 {
		err = fmt.Errorf("%d faults found", len(l.Faults))
	}
	return err
}

func list(ctx context.Context, cfg Config, sources []Source) (*Listing, error) {
	faces, err := facesOnTrial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	book, err := answers.Open()
	if err != nil {
		return nil, err
	}
	known, err := knownFrom(faces)
	if err != nil {
		return nil, err
	}
	l := &Listing{Version: Version, Settings: sources, Faults: []string{},
		Answers: AnswersEntry{Questions: len(book.Questions), States: map[string]int{}}}
	for _, f := range faces {
		l.Systems = append(l.Systems, entryOf(f))
	}
	for _, q := range book.Questions {
		l.Answers.Rows += len(q.Concerns)
		for _, c := range q.Concerns {
			l.Answers.States[string(c.State)]++
		}
	}
	for _, fault := range book.Check(known) {
		l.Faults = append(l.Faults, fault.Error())
	}
	return l, nil
}

// facesOnTrial opens every room on a throw-away folder, takes the faces, and
// closes all of it again.
func facesOnTrial(ctx context.Context, cfg Config) (faces []face.Face, err error) {
	dir, err := os.MkdirTemp("", "plumb-check-")
	if err != nil {
		return nil, fmt.Errorf("make a throw-away folder: %w", err)
	}
	defer os.RemoveAll(dir)
	trial := Default()
	trial.Data, trial.Files, trial.Vending = dir, cfg.Files, cfg.Vending
	folder, err := OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	log := slog.New(slog.DiscardHandler)
	e, err := openEngines(ctx, trial, folder, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	h, err := build(ctx, trial, rooms(), e, log, "http://127.0.0.1")
	if err != nil {
		return nil, err
	}
	return h.faces, nil
}

// knownFrom gathers what rows of answers.yaml may point at.
func knownFrom(faces []face.Face) (answers.Known, error) {
	k := answers.Known{Operations: answers.Set{}, Pages: answers.Set{}, Commands: answers.Set{}, Claims: answers.Set{}, Plans: answers.Set{}, Docs: answers.Set{}}
	for _, f := range faces {
		for _, o := range f.API {
			k.Operations[o.Method+" "+o.Path] = true
		}
		for _, p := range f.Pages {
			if path, ok := strings.CutPrefix(p.Pattern, "GET "); ok {
				if !p.Root {
					path = "/" + f.Name + path
				}
				k.Pages[strings.TrimSuffix(path, "{$}")] = true
			}
		}
	}
	for _, c := range commandList() {
		k.Commands[c.Use] = true
	}
	for _, e := range proofs() {
		for _, c := range e.Claims {
			k.Claims[e.Path()+": "+c.ID] = true
		}
	}
	for _, m := range plans() {
		for _, in := range m.Inputs {
			k.Plans[m.Name+": "+in.Name] = true
		}
		for _, f := range m.Formulas {
			if f.Show {
				k.Plans[m.Name+": "+f.Name] = true
			}
		}
	}
	set, err := answers.DocsIn(docs.Files, ".")
	if err != nil {
		return k, err
	}
	for name := range set {
		k.Docs["docs/"+name] = true
	}
	return k, nil
}

func entryOf(f face.Face) SystemEntry {
	s := SystemEntry{Name: f.Name, Title: f.Title, Questions: f.Questions, Pages: len(f.Pages), Operations: len(f.API), Work: len(f.Work), Experiments: []string{}}
	for _, e := range proofs() {
		if e.System == f.Name {
			s.Experiments = append(s.Experiments, e.Name)
		}
	}
	for _, m := range plans() {
		for _, out := range m.Formulas {
			if m.Name == f.Name && out.Show {
				s.PlanOutputs++
			}
		}
	}
	return s
}

func (l *Listing) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n\nSETTING\tVALUE\tFROM\n", Build())
	for _, s := range l.Settings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.Value, s.From)
	}
	fmt.Fprint(t, "\nSYSTEM\tQUESTIONS\tPAGES\tOPERATIONS\tEXPERIMENTS\tPLAN OUTPUTS\n")
	for _, s := range l.Systems {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%d\n", s.Name, strings.Trim(fmt.Sprint(s.Questions), "[]"), s.Pages, s.Operations, strings.Join(s.Experiments, " "), s.PlanOutputs)
	}
	a := l.Answers
	fmt.Fprintf(t, "\nanswers.yaml: %d questions, %d rows:", a.Questions, a.Rows)
	for _, s := range answers.States {
		fmt.Fprintf(t, " %d %s", a.States[string(s)], s)
	}
	fmt.Fprintln(t)
	for _, f := range l.Faults {
		fmt.Fprintf(t, "FAULT: %s\n", f)
	}
	if len(l.Faults) == 0 {
		fmt.Fprintln(t, "no faults")
	}
	return t.Flush()
}
