package handover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"plumb/systems/vending/internal/handover"
)

// cell is a house as far as a hand-over sees it.
type cell struct {
	name     string
	region   string // of Rome
	machines []string
}

// serve answers as the API does, two machines a page.
func (c *cell) serve(w http.ResponseWriter, r *http.Request) {
	say := func(v any) { json.NewEncoder(w).Encode(v) }
	switch at := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/vending"); at {
	case "GET /regions":
		say(map[string]any{"here": c.name, "regions": []any{map[string]any{"name": "north"}, map[string]any{"name": "south"}}})
	case "GET /cities":
		say(map[string]any{"cities": []any{map[string]any{"city": "Rome", "zone": "Europe/Rome"}}})
	case "PUT /cities/Rome":
		var in struct{ Region string }
		json.NewDecoder(r.Body).Decode(&in)
		c.region = in.Region
		say(map[string]any{})
	case "GET /handover":
		first := slices.IndexFunc(c.machines, func(m string) bool { return m > r.URL.Query().Get("cursor") })
		page := map[string]any{"machines": []any{}}
		if first >= 0 {
			var list []any
			last := min(first+2, len(c.machines))
			for _, m := range c.machines[first:last] {
				list = append(list, map[string]any{"id": m})
			}
			page["machines"] = list
			if last < len(c.machines) {
				page["next"] = c.machines[last-1]
			}
		}
		say(page)
	case "POST /handover":
		var in struct{ Machines []struct{ ID string } }
		json.NewDecoder(r.Body).Decode(&in)
		var out []any
		for _, m := range in.Machines {
			if !slices.Contains(c.machines, m.ID) {
				c.machines = append(c.machines, m.ID)
			}
			out = append(out, map[string]any{"id": m.ID, "status": "taken"})
		}
		say(map[string]any{"machines": out})
	default:
		w.WriteHeader(404)
	}
}

// line lets calls through until one of them, which fails before or after the cell
// has heard it.
type line struct {
	left  int
	after bool
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.left--
	if l.left != 0 {
		return http.DefaultTransport.RoundTrip(r)
	}
	if l.after {
		if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
			res.Body.Close()
		}
	}
	return nil, errors.New("the line is down")
}

// Whichever call fails, and whether the cell has heard it: the old cell never sends
// machines to a cell that has not taken all of them, and the next run completes it.
func TestEveryStepMayFail(t *testing.T) {
	for step := 1; ; step++ {
		for _, after := range []bool{false, true} {
			north := &cell{name: "north", region: "north"}
			south := &cell{name: "south"}
			for i := range 5 {
				north.machines = append(north.machines, fmt.Sprint("m-", i))
			}
			a, b := httptest.NewServer(http.HandlerFunc(north.serve)), httptest.NewServer(http.HandlerFunc(south.serve))
			o := handover.Options{City: "rome", From: handover.Cell{URL: a.URL, Token: "a"}, To: handover.Cell{URL: b.URL, Token: "b"}}
			down := &line{left: step, after: after}
			o.Client = &http.Client{Transport: down}
			_, err := handover.Run(context.Background(), o)
			if north.region == "south" && len(south.machines) != 5 {
				t.Errorf("call %d failed (heard: %v): the old cell sends machines away, and the new one has %v", step, after, south.machines)
			}
			if err == nil && down.left > 0 {
				a.Close()
				b.Close()
				if step < 10 {
					t.Errorf("only %d calls were made", step-1)
				}
				return // there are no more steps
			}
			if err == nil {
				t.Errorf("call %d failed, and nothing was said", step)
			}
			o.Client = nil
			r, err := handover.Run(context.Background(), o)
			if err != nil || !r.Moved || r.Taken != 5 || north.region != "south" || len(south.machines) != 5 {
				t.Errorf("after call %d failed: %+v %v", step, r, err)
			}
			a.Close()
			b.Close()
		}
	}
}
