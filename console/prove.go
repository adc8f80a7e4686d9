package console

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/lab"
	"plumb/engines/web"
	"plumb/face"
)

// Proofs is what the Prove tab needs to know of the house.
type Proofs interface {
	// Experiments lists a system's experiments ("": all systems'), in the order
	// to show them.
	Experiments(system string) []lab.Experiment
	// Results returns what was measured, newest first: kept in the data folder,
	// and shipped with the program.
	Results() (lab.Results, error)
	// Command returns the program and the arguments that run one experiment
	// ("vending/herd"), keep its result where Results finds it, and write
	// lab.Progress as lines of JSON on standard error.
	Command(experiment string, full bool) (program string, args []string, err error)
}

// ProveTab is the Prove tab of every system: its experiments, what they found
// last, and for operators a way to run them. It implements Tab.
//
// An experiment runs as a child process, one at a time in this server, so that
// no naive design ever runs inside of it.
type ProveTab struct {
	proofs Proofs
	runner *runner
}

// NewProve returns the tab. A child that still runs when life ends is ended too.
func NewProve(life context.Context, proofs Proofs) *ProveTab {
	return &ProveTab{proofs: proofs, runner: newRunner(life)}
}

// Mount is Tab's.
func (p *ProveTab) Mount(c *Console, f face.Face) {
	root := "/" + f.Name + "/prove"
	for _, page := range []web.Page{
		{Pattern: "GET " + root, Access: web.Public, Handler: p.page(c, f)},
		{Pattern: "GET " + root + "/events", Access: web.Public, Handler: p.runner.events},
		{Pattern: "GET " + root + "/{experiment}/result.json", Access: web.Public, Handler: p.download(f)},
		{Pattern: "POST " + root + "/{experiment}/run", Access: web.Operator, Handler: p.run(f)},
		{Pattern: "POST " + root + "/stop", Access: web.Operator, Handler: p.stop(f)},
	} {
		c.Handle(page)
	}
}

// Rows is Tab's: the newest result of every experiment.
func (p *ProveTab) Rows(context.Context) ([]Row, error) {
	all, err := p.proofs.Results()
	if err != nil {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	var rows []Row
	seen := map[string]bool{}
	add := func(system, name, title string) {
		if seen[system+"/"+name] {
			return
		}
		seen[system+"/"+name] = true
		row := Row{System: system, Title: title, Path: "/" + system + "/prove#" + name}
		if last, ok := all.Latest(system, name); ok {
			row.Text, row.Kind = summary(last), "no"
			if last.Holds() {
				row.Kind = "yes"
			}
		}
		rows = append(rows, row)
	}
	for _, e := range p.proofs.Experiments("") {
		add(e.System, e.Name, e.Title)
	}
	return rows, nil
}

// summary tells a result in a few words.
func summary(s lab.Stored) string {
	if s.Error != "" {
		return "could not be measured"
	}
	held := 0
	for _, c := range s.Claims {
		if c.Holds {
			held++
		}
	}
	return fmt.Sprintf("%d of %d claims hold", held, len(s.Claims))
}

// proveView is pages/prove.html.
type proveView struct {
	System      string
	Experiments []experimentView
	MayRun      bool
	CSRF        template.HTML
	Busy        string // the path of what runs now, of any system
	Failed      string // how the last run of this system ended, when badly
}

// experimentView is one experiment with its newest result.
type experimentView struct {
	Name, Path, Title, Question string
	Running                     *runState
	Last                        *lab.Stored
	Rows                        []lab.Row
	Pictures                    []picture
	Sweep                       template.HTML
}

// picture is one metric by design.
type picture struct {
	Caption string
	Note    string
	SVG     template.HTML
}

func (p *ProveTab) page(c *Console, f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		all, err := p.proofs.Results()
		if err != nil {
			return fmt.Errorf("read the results: %w", err)
		}
		state := p.runner.state()
		v := proveView{System: f.Name, MayRun: web.WhoIs(r.Context()).May(web.Operator), CSRF: web.Field(r)}
		if state.Active {
			v.Busy = state.Path
		} else if strings.HasPrefix(state.Path, f.Name+"/") {
			v.Failed = state.Failed
		}
		for _, e := range p.proofs.Experiments(f.Name) {
			one := experimentView{Name: e.Name, Path: e.Path(), Title: e.Title, Question: e.Question}
			if state.Active && state.Path == e.Path() {
				one.Running = &state
			}
			if last, ok := all.Latest(f.Name, e.Name); ok {
				one.Last = &last
				one.Rows, one.Pictures = lab.Rows(last.Result), pictures(last.Result)
				if c := lab.Swept(last.Result); c != nil {
					one.Sweep = c.SVG()
				}
			}
			v.Experiments = append(v.Experiments, one)
		}
		return c.show(w, r, web.View{System: f.Name, Tab: "prove", Title: "Prove", Template: "prove", Data: v})
	}
}

// pictures draws a result as every report of it does.
func pictures(r *lab.Result) []picture {
	var out []picture
	for _, p := range lab.Pictures(r) {
		note := map[string]string{"less": "shorter is better", "more": "longer is better"}[p.Metric.Better]
		out = append(out, picture{p.Metric.Text, note, p.Chart.SVG()})
	}
	return out
}

// download sends the newest result as plumb prove --json printed it.
func (p *ProveTab) download(f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("experiment")
		all, err := p.proofs.Results()
		if err != nil {
			return fmt.Errorf("read the results: %w", err)
		}
		last, ok := all.Latest(f.Name, name)
		if !ok {
			return errs.New(errs.NotFound, "there is no result of %s/%s", f.Name, name)
		}
		body, err := json.MarshalIndent(lab.Report{Plumb: last.Plumb, At: last.At, Machine: last.Machine, Seed: last.Seed, Results: []*lab.Result{last.Result}}, "", "  ")
		if err != nil {
			return fmt.Errorf("write the result of %s/%s: %w", f.Name, name, err)
		}
		w.Header().Set("Content-Disposition", `attachment; filename="`+f.Name+"-"+last.Experiment+`.json"`)
		return web.Send(w, r, http.StatusOK, "application/json", append(body, '\n'))
	}
}

// run starts an experiment and leads back to the tab, which shows its progress.
func (p *ProveTab) run(f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, e := range p.proofs.Experiments(f.Name) {
			if e.Name != r.PathValue("experiment") {
				continue
			}
			full := r.FormValue("mode") == "full"
			program, args, err := p.proofs.Command(e.Path(), full)
			if err != nil {
				return fmt.Errorf("run %s: %w", e.Path(), err)
			}
			if err := p.runner.start(e.Path(), full, program, args); err != nil {
				return err
			}
			http.Redirect(w, r, "/"+f.Name+"/prove#"+e.Name, http.StatusSeeOther)
			return nil
		}
		return errs.New(errs.NotFound, "%s has no experiment %q", f.Name, r.PathValue("experiment"))
	}
}

// stop ends what runs, of whichever system, and waits until it is gone.
func (p *ProveTab) stop(f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		if err := p.runner.stop(ctx); err != nil {
			return err
		}
		http.Redirect(w, r, "/"+f.Name+"/prove", http.StatusSeeOther)
		return nil
	}
}
