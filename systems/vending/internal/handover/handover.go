// Package handover brings a city's machines from one cell to another, by the two
// cells' own APIs.
//
//	r, err := handover.Run(ctx, handover.Options{City: "Rome", From: handover.Cell{URL: "https://north.example", Token: a}, To: handover.Cell{URL: "https://south.example", Token: b}})
//
// The steps are those of docs/decisions/0007: copy, change the city's region, copy
// what came between. Each may be repeated, and so may all of it: a run that ended
// early has at worst copied machines that the old cell still serves. The region is
// changed only once every machine was taken.
package handover

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
)

// Cell is one of the two.
type Cell struct {
	URL   string // https://...
	Token string // of an operator there
}

// Options says what to hand over.
type Options struct {
	City     string
	From, To Cell
	Client   *http.Client               // nil: one of its own, that gives up after a minute
	Progress func(taken int, id string) // after each page; nil: none
}

// Result is what became of it.
type Result struct {
	City    string    `json:"city"`
	Region  string    `json:"region"`  // that serves it now
	Taken   int       `json:"taken"`   // machines that the new cell has
	Refused []Refused `json:"refused"` // and those that it has not
	Moved   bool      `json:"moved"`   // the old cell sends machines to the new one
}

// Refused is a machine that the new cell did not take.
type Refused struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}

// root is where both cells have their operations.
const root = "/api/v1/vending"

// mover is one run.
type mover struct {
	o      Options
	result Result
	known  map[string]bool // machines that were taken
}

// Run hands a city over. Errors: Invalid; those of the cells, as their kinds;
// Conflict when machines were refused, which the Result names.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: time.Minute}
	}
	m := &mover{o: o, known: map[string]bool{}, result: Result{City: o.City, Refused: []Refused{}}}
	if err := m.prepare(ctx); err != nil {
		return m.result, fmt.Errorf("prepare to hand over %s: %w", o.City, err)
	}
	if err := m.copy(ctx); err != nil {
		return m.result, fmt.Errorf("hand over %s: %w", o.City, err)
	}
	if len(m.result.Refused) > 0 {
		return m.result, errs.New(errs.Conflict, "%d machines of %s were refused, and the city stays where it is", len(m.result.Refused), o.City)
	}
	if err := m.call(ctx, o.From, "PUT", "/cities/"+url.PathEscape(m.result.City), map[string]string{"region": m.result.Region}, nil); err != nil {
		return m.result, fmt.Errorf("change the region of %s: %w", o.City, err)
	}
	m.result.Moved = true
	// Machines that were enrolled in the meantime; no more can come.
	if err := m.copy(ctx); err != nil {
		return m.result, fmt.Errorf("hand over the last machines of %s: %w", o.City, err)
	}
	if len(m.result.Refused) > 0 {
		return m.result, errs.New(errs.Conflict, "%d machines that were enrolled meanwhile were refused", len(m.result.Refused))
	}
	return m.result, nil
}

// prepare finds the regions' names and defines the city in the new cell.
func (m *mover) prepare(ctx context.Context) error {
	type regions struct {
		Here    string `json:"here"`
		Regions []struct {
			Name string `json:"name"`
		} `json:"regions"`
	}
	var from, to regions
	if err := m.call(ctx, m.o.From, "GET", "/regions", nil, &from); err != nil {
		return err
	}
	if err := m.call(ctx, m.o.To, "GET", "/regions", nil, &to); err != nil {
		return err
	}
	switch {
	case from.Here == "" || to.Here == "":
		return errs.New(errs.Invalid, "both cells need a name: start them with --vending-region")
	case from.Here == to.Here:
		return errs.New(errs.Invalid, "both are the cell %q", to.Here)
	}
	m.result.Region = to.Here
	known := false
	for _, r := range from.Regions {
		known = known || r.Name == to.Here
	}
	if !known {
		return errs.New(errs.Invalid, "the old cell does not know the region %q, and could not say where to go: PUT it to /regions/%s there", to.Here, to.Here)
	}
	var list struct {
		Cities []map[string]any `json:"cities"`
	}
	if err := m.call(ctx, m.o.From, "GET", "/cities", nil, &list); err != nil {
		return err
	}
	for _, c := range list.Cities {
		name, _ := c["city"].(string)
		if !strings.EqualFold(name, m.o.City) {
			continue
		}
		m.result.City = name
		delete(c, "city") // it stands in the path
		c["region"] = to.Here
		return m.call(ctx, m.o.To, "PUT", "/cities/"+url.PathEscape(name), c, nil)
	}
	return errs.New(errs.NotFound, "the old cell has no city %q", m.o.City)
}

// copy brings every machine of the city.
func (m *mover) copy(ctx context.Context) error {
	for cursor := ""; ; {
		var page struct {
			Machines []json.RawMessage `json:"machines"`
			Next     string            `json:"next"`
		}
		q := url.Values{"city": {m.result.City}, "limit": {"100"}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		if err := m.call(ctx, m.o.From, "GET", "/handover?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		if len(page.Machines) > 0 {
			var out struct {
				Machines []Refused `json:"machines"`
			}
			if err := m.call(ctx, m.o.To, "POST", "/handover", map[string]any{"machines": page.Machines}, &out); err != nil {
				return err
			}
			m.note(out.Machines)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// note counts what the new cell says of a page.
func (m *mover) note(list []Refused) {
	last := ""
	for _, r := range list {
		last = r.ID
		if r.Status != "taken" {
			m.result.Refused = append(m.result.Refused, r)
		} else if !m.known[r.ID] {
			m.known[r.ID] = true
			m.result.Taken++
		}
	}
	if m.o.Progress != nil {
		m.o.Progress(m.result.Taken, last)
	}
}

// answerMost bounds what a cell may answer: a page of the largest machines.
const answerMost = 64 << 20

// call asks a cell. Errors: Internal without a good answer; Denied, Invalid and so
// on as the cell says.
func (m *mover) call(ctx context.Context, c Cell, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+root+path, body)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "the address %.256q cannot be called", c.URL)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := m.o.Client.Do(req)
	if err != nil {
		return errs.Wrap(errs.Busy, err, "%s does not answer", c.URL)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerMost))
	if err != nil {
		return errs.Wrap(errs.Busy, err, "%s broke off its answer", c.URL)
	}
	if res.StatusCode/100 != 2 {
		var problem struct{ Title, Detail string }
		if json.Unmarshal(text, &problem) != nil {
			problem.Title = "no problem document"
		}
		return errs.New(errs.Invalid, "%s %s%s answers %s: %s %s", method, c.URL, path, res.Status, problem.Title, problem.Detail)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return errs.Wrap(errs.Invalid, err, "%s %s%s answers what cannot be read", method, c.URL, path)
	}
	return nil
}
