package files

import (
	"context"
	"html/template"
	"net/http"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas"
	"plumb/engines/chart"
	"plumb/engines/web"
)

// reportPage is pages/report.html.
type reportPage struct {
	heading
	Reason string
	Done   bool
	Fault  string
}

func (s *System) pageReport(w http.ResponseWriter, r *http.Request) error {
	return s.showReport(w, r, reportPage{}, nil)
}

func (s *System) showReport(w http.ResponseWriter, r *http.Request, p reportPage, wrong error) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	if p.heading, err = s.head(r, path); err != nil {
		return err
	}
	status := http.StatusOK
	if wrong != nil {
		p.Fault, status = said(wrong), web.Status(wrong)
	}
	return s.show(w, r, web.View{Title: "Report " + p.Name, Template: "report.html", Data: p, Status: status})
}

func (s *System) doReport(w http.ResponseWriter, r *http.Request) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	_, err = s.Flag(r.Context(), asker(r), path, reason)
	switch {
	case err == nil:
		return s.showReport(w, r, reportPage{Done: true}, nil)
	case mayFail(err):
		return s.showReport(w, r, reportPage{Reason: reason}, err)
	}
	return err
}

// storedPage is pages/stored.html.
type storedPage struct {
	Usage   Usage
	All     Totals        // for operators: Store is not nil
	Picture template.HTML // where the bytes went
	Saved   saved
	CSRF    template.HTML
	Quota   quotaForm
}

// saved are the bytes that storing once saves, by cause.
type saved struct{ File, Chunks, Packing, All int64 }

// quotaForm is what an operator typed about somebody's quota.
type quotaForm struct{ Name, Most, Fault, Done string }

func (s *System) pageStored(w http.ResponseWriter, r *http.Request) error {
	return s.showStored(w, r, quotaForm{}, nil)
}

func (s *System) showStored(w http.ResponseWriter, r *http.Request, f quotaForm, wrong error) error {
	ctx, who := r.Context(), asker(r)
	p := storedPage{CSRF: web.Field(r), Quota: f}
	var err error
	if p.Usage, err = s.Quota(ctx, who); err != nil {
		return err
	}
	if p.All, err = s.Stats(ctx, who); err != nil {
		return err
	}
	if st := p.All.Store; st != nil {
		p.Saved = savedOf(p.All)
		p.Picture = picture(p.All, p.Saved)
	}
	status := http.StatusOK
	if wrong != nil {
		p.Quota.Fault, status = said(wrong), web.Status(wrong)
	}
	return s.show(w, r, web.View{Title: "Stored once", Template: "stored.html", Data: p, Status: status, Refresh: 10 * time.Second})
}

// savedOf splits what is saved by its cause.
func savedOf(t Totals) saved {
	by := t.Saved()
	v := saved{File: by.SameFile, Chunks: by.SameChunks, Packing: by.Compression}
	v.All = v.File + v.Chunks + v.Packing
	return v
}

// picture draws what people see, what each cause saves, and what lies on the disk.
func picture(t Totals, v saved) template.HTML {
	st := *t.Store
	bars := []chart.Bar{
		{Label: "what people see", Kind: chart.Step, Value: float64(t.Logical)},
		{Label: "saved: the same file", Kind: chart.Built, Value: float64(v.File)},
		{Label: "saved: the same chunks in different files", Kind: chart.Built, Value: float64(v.Chunks)},
		{Label: "saved: compression", Kind: chart.Built, Value: float64(v.Packing)},
		{Label: "what is stored", Kind: chart.Step, Value: float64(st.Stored)},
	}
	if st.Waiting > 0 {
		bars = append(bars, chart.Bar{Label: "waits for the collector, which frees it", Kind: chart.Textbook, Value: float64(st.Waiting)})
	}
	for i := range bars {
		bars[i].Text = units.Bytes(bars[i].Value)
	}
	return chart.Bars{Title: "Bytes by what became of them", Unit: "bytes", Bars: bars}.SVG()
}

// doQuota sets a person's quota: a size, "none" for no limit, nothing for the usual one.
func (s *System) doQuota(w http.ResponseWriter, r *http.Request) error {
	f := quotaForm{Name: strings.TrimSpace(r.PostFormValue("name")), Most: strings.TrimSpace(r.PostFormValue("most"))}
	most, err := quotaBytes(f.Most)
	var u Usage
	if err == nil {
		u, err = s.SetQuota(r.Context(), asker(r), f.Name, most)
	}
	switch {
	case err == nil:
		f.Done = f.Name + " may keep " + units.Bytes(float64(u.Limit)) + ", and keeps " + units.Bytes(float64(u.Used)) + " now."
		if u.Limit == 0 {
			f.Done = f.Name + " may keep any number of bytes, and keeps " + units.Bytes(float64(u.Used)) + " now."
		}
		return s.showStored(w, r, f, nil)
	case mayFail(err), errs.Is(err, errs.NotFound):
		return s.showStored(w, r, f, err)
	}
	return err
}

// quotaBytes reads "20 GiB".
func quotaBytes(text string) (int64, error) {
	switch strings.ToLower(text) {
	case "":
		return 0, nil
	case "none", "no limit":
		return -1, nil
	}
	v, unit, err := units.Parse(text)
	if err != nil || unit != "bytes" && unit != "" || !(v >= 1 && v <= 1<<53) {
		return 0, errs.New(errs.Invalid, "a quota is a size such as 20 GiB, or none, or nothing for the house's usual one")
	}
	return int64(v), nil
}

// flagsPage is pages/flags.html.
type flagsPage struct {
	State   string
	Flags   []flagLine
	More    string
	Blocked []blockedLine
	CSRF    template.HTML
	Did     string
	Fault   string
	Hash    string // what was typed
	Reason  string
}

type flagLine struct {
	Flag
	By, Owner string
}

type blockedLine struct {
	Blocked
	By string
}

func (s *System) pageFlags(w http.ResponseWriter, r *http.Request) error {
	return s.showFlags(w, r, flagsPage{Did: r.URL.Query().Get("did")}, nil)
}

func (s *System) showFlags(w http.ResponseWriter, r *http.Request, p flagsPage, wrong error) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	if p.State = q.Get("state"); p.State != "blocked" && p.State != "dismissed" {
		p.State = "open"
	}
	list, more, err := s.Flags(ctx, who, p.State, q.Get("cursor"), 50)
	if err != nil {
		return err
	}
	for _, f := range list {
		l := flagLine{Flag: f, By: s.nameOf(ctx, f.Person)}
		if n, err := s.Stat(ctx, who, at(f.Node)); err == nil {
			l.Owner = s.nameOf(ctx, n.Owner)
		}
		p.Flags = append(p.Flags, l)
	}
	p.More, p.CSRF = next(more, "state", p.State), web.Field(r)
	blocked, _, err := s.Blocked(ctx, who, "", 100)
	if err != nil {
		return err
	}
	for _, b := range blocked {
		p.Blocked = append(p.Blocked, blockedLine{b, s.nameOf(ctx, b.Person)})
	}
	status := http.StatusOK
	if wrong != nil {
		p.Fault, status = said(wrong), web.Status(wrong)
	}
	return s.show(w, r, web.View{Title: "Reports", Template: "flags.html", Data: p, Status: status})
}

// doFlag dismisses a report, takes a content down by its hash, or undoes that.
func (s *System) doFlag(w http.ResponseWriter, r *http.Request) error {
	did, err := s.settle(r.Context(), asker(r), r)
	switch {
	case err == nil:
		return back(w, r, "/files/flags", "did", did)
	case mayFail(err), errs.Is(err, errs.NotFound):
		return s.showFlags(w, r, flagsPage{Hash: r.PostFormValue("hash"), Reason: r.PostFormValue("reason")}, err)
	}
	return err
}

func (s *System) settle(ctx context.Context, who Person, r *http.Request) (did string, err error) {
	do := r.PostFormValue("do")
	if do == "dismiss" {
		return "dismissed", s.Dismiss(ctx, who, r.PostFormValue("flag"))
	}
	hash, err := cas.ParseHash(strings.TrimSpace(r.PostFormValue("hash")))
	if err != nil {
		return "", err
	}
	if do == "unblock" {
		return "unblocked", s.Unblock(ctx, who, hash)
	}
	return "blocked", s.Block(ctx, who, hash, strings.TrimSpace(r.PostFormValue("reason")))
}
