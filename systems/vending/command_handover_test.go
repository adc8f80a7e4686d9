package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/systems/vending/internal/handover"
)

// bothServed opens both cells' doors on sockets, and returns their addresses.
func bothServed(t *testing.T, north, south *house) (from, to string) {
	t.Helper()
	a, b := httptest.NewServer(north.http), httptest.NewServer(south.http)
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	return a.URL, b.URL
}

// runHandover runs `plumb vending handover`.
func runHandover(args ...string) (out, log string, err error) {
	cmd := handoverCommand()
	var o, e bytes.Buffer
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(context.Background())
	return o.String(), e.String(), err
}

func TestHandoverOnTheCommandLine(t *testing.T) {
	t.Setenv("PLUMB_TOKEN", boss)
	cells(t, func(t *testing.T, north, south *house) {
		from, to := bothServed(t, north, south)
		var file strings.Builder
		file.WriteString("id,city\n")
		for i := range 250 { // three pages
			fmt.Fprintf(&file, "m-%03d,Rome\n", i)
		}
		if w := north.call("POST", machinesPath+"/import", boss, file.String(), "Content-Type", "text/csv"); w.Code != 200 {
			t.Fatal(w.Body)
		}
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"vehicles": 7, "technicians": 2, "shift_minutes": 300})
		for range 2 { // and again
			out, log, err := runHandover("rome", "--from", from, "--to", to+"/", "--json")
			var r handover.Result
			if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.City != "Rome" || r.Region != "south" || r.Taken != 250 || !r.Moved || len(r.Refused) != 0 {
				t.Fatalf("%v\n%s\n%s", err, out, log)
			}
			if !strings.Contains(log, "250 machines, up to m-249") {
				t.Errorf("progress: %s", log)
			}
		}
		if out, _, err := runHandover("Rome", "--from", from, "--to", to); err != nil || out != "Rome and its 250 machines are served by south now.\n" {
			t.Error(out, err)
		}
		c, _ := south.city("Rome")
		if c.Vehicles != 7 || c.Technicians != 2 || c.Shift.Minutes() != 300 || south.foreign(c) {
			t.Errorf("%+v", c)
		}
		if c, _ := north.city("Rome"); !north.foreign(c) {
			t.Errorf("%+v", c)
		}
	})
}

// A machine that the new cell refuses keeps its city where it is.
func TestHandoverThatIsRefused(t *testing.T) {
	t.Setenv("PLUMB_TOKEN", boss)
	cells(t, func(t *testing.T, north, south *house) {
		from, to := bothServed(t, north, south)
		north.enrol2("m-1", "Rome")
		north.enrol2("m-2", "Rome")
		south.enrol2("m-1", "Milan")
		_, log, err := runHandover("Rome", "--from", from, "--to", to)
		if err == nil || !strings.Contains(err.Error(), "the city stays where it is") || !strings.Contains(log, "m-1: conflict: machine m-1 stands in Milan already") {
			t.Errorf("%v\n%s", err, log)
		}
		if c, _ := north.city("Rome"); north.foreign(c) {
			t.Error("the old cell sends machines away that nobody took")
		}
	})
}

func TestHandoverThatCannotBegin(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		from, to := bothServed(t, north, south)
		north.enrol2("m-1", "Rome")
		if _, _, err := runHandover("Rome", "--from", from, "--to", to); err == nil || !strings.Contains(err.Error(), "PLUMB_TOKEN") {
			t.Errorf("without a token: %v", err)
		}
		t.Setenv("PLUMB_TOKEN", boss)
		html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }))
		defer html.Close()
		for _, c := range []struct {
			args []string
			says string
		}{
			{[]string{"Rome"}, `"from", "to"`},
			{[]string{"--from", from, "--to", to}, "accepts 1 arg"},
			{[]string{"Rome", "--from", from, "--to", from}, `both are the cell "north"`},
			{[]string{"Atlantis", "--from", from, "--to", to}, `no city "Atlantis"`},
			{[]string{"Rome", "--from", from, "--to", "http://127.0.0.1:1"}, "does not answer"},
			{[]string{"Rome", "--from", from, "--to", html.URL}, "what cannot be read"},
			{[]string{"Rome", "--from", "http://\x00", "--to", to}, "cannot be called"},
		} {
			if _, _, err := runHandover(c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v, want %s", c.args, err, c.says)
			}
		}
		if w := north.call("DELETE", regionsPath+"/south", boss, nil); w.Code != 204 {
			t.Fatal(w.Body)
		}
		if _, _, err := runHandover("Rome", "--from", from, "--to", to); err == nil || !strings.Contains(err.Error(), "could not say where to go") {
			t.Error(err)
		}
		t.Setenv("PLUMB_TO_TOKEN", "wrong")
		if _, _, err := runHandover("Rome", "--from", from, "--to", to); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("a wrong token for the new cell: %v", err)
		}
		alone := open(t, north.n.DB)
		single := httptest.NewServer(alone.http)
		defer single.Close()
		t.Setenv("PLUMB_TO_TOKEN", "")
		if _, _, err := runHandover("Rome", "--from", from, "--to", single.URL); err == nil || !strings.Contains(err.Error(), "need a name") {
			t.Error(err)
		}
	})
}
