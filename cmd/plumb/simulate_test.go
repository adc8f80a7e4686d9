package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSimulate plays a small night over both transports, on lines of which some
// break, against a server of its own: nothing is lost, and the server says so too.
func TestSimulate(t *testing.T) {
	code, out, errText := plumb(t, "vending", "simulate", "--machines", "300", "--window", "1m", "--speed", "30x", "--transport", "both", "--bad-lines", "3%", "--json")
	var r struct {
		Machines, Stored, Lost, Calls, Failed, Checked, Missing int
		TookS                                                   float64 `json:"took_s"`
		FirstError                                              string  `json:"first_error"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != good {
		t.Fatalf("exit %d, %v\n%s\n%s", code, err, out, errText)
	}
	if r.Stored != 300 || r.Lost != 0 || r.Missing != 0 || r.Checked < 100 || r.Calls < 300 || r.TookS <= 0 {
		t.Errorf("%+v", r)
	}
	if r.Calls != 300+r.Failed || r.Failed > 0 && r.FirstError == "" {
		t.Errorf("calls without an answer do not add up: %+v", r)
	}
}

func TestSimulateRefusesBadInput(t *testing.T) {
	t.Setenv("PLUMB_TOKEN", "")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--machines", "0"}, "machines must be 1"},
		{[]string{"--speed", "fast"}, "--speed"},
		{[]string{"--speed", "0x"}, "speed must be more than 0"},
		{[]string{"--bad-lines", "95%"}, "bad lines"},
		{[]string{"--transport", "pigeon"}, "pigeon"},
		{[]string{"--prefix", "a b"}, "prefix"},
		{[]string{"--server", "http://127.0.0.1:1"}, "PLUMB_TOKEN"},
	} {
		code, out, errText := plumb(t, append([]string{"vending", "simulate"}, c.args...)...)
		if code == good || !strings.Contains(errText, c.says) || out != "" {
			t.Errorf("%v: exit %d, %q, %q", c.args, code, out, errText)
		}
	}
	t.Setenv("PLUMB_TOKEN", "some-token-of-nobody")
	if code, _, errText := plumb(t, "vending", "simulate", "--server", "http://127.0.0.1:1"); code != failed || !strings.Contains(errText, "enrol") {
		t.Errorf("without a server: exit %d, %q", code, errText)
	}
}
