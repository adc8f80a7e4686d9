package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/systems/vending/internal/dts"
)

// gateway sends lines as a gateway and returns its answers.
func (h *house) gateway(in ...any) (list []fileLine) {
	h.t.Helper()
	w := h.call("POST", apiRoot+"/dts", boss, ndjson(in...), "Content-Type", "application/x-ndjson")
	if w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	dec := json.NewDecoder(w.Body)
	for dec.More() {
		var l fileLine
		if err := dec.Decode(&l); err != nil {
			h.t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

func TestGateway(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, id := range []string{"m-1", "m-2", "m-3", "m-gone"} {
			h.enrol(id)
		}
		if err := h.Revoke(context.Background(), "m-gone"); err != nil {
			t.Fatal(err)
		}
		one := audit("S1", "", map[string]int64{"1": 5})
		lines := h.gateway(
			fileIn{Machine: "m-1", File: one},
			"",
			fileIn{Machine: "m-2", Base64: []byte(audit("S2", "", map[string]int64{"1": 5}, "ZZ*\xff\x00"))},
			fileIn{Machine: "m-1", File: one},
			fileIn{Machine: "m-1", File: audit("S9", "", nil)},
			fileIn{Machine: "m-9", File: one},
			fileIn{Machine: "m-gone", File: one},
			fileIn{Machine: "m-3", File: "Dear Sir"},
			fileIn{Machine: "m-3", File: strings.Replace(one, "*150*", "*151*", 1)},
			`{"machine":"m-3","file":7}`,
			`{"machine":"m-3"`,
			`{"machine":"m-3","file":"a","base64":"YQ=="}`,
			`{"machine":"m-3","base64":"!"}`,
			fileIn{Machine: "m-3", File: strings.Repeat("PA1*1*2\n", dts.MaxBytes/8+1)},
			fileIn{File: one},
			fileIn{Machine: "m-3", File: audit("S3", "", map[string]int64{"1": 5})},
		)
		want := []string{"1 stored", "3 stored", "4 duplicate", "5 conflict", "6 unknown", "7 denied", "8 invalid", "9 stored", "10 invalid", "11 invalid", "12 invalid", "13 invalid", "14 invalid", "15 invalid", "16 stored"}
		var got []string
		for _, l := range lines {
			got = append(got, fmt.Sprint(l.Line, " ", l.Status))
			if (l.Status == "stored" || l.Status == "duplicate") != (l.Detail == "" && len(l.ID) == 64 && l.Verdict != "" && l.Sets == 1) {
				t.Errorf("%+v", l)
			}
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), strings.Join(want, ", "))
		}
		if lines[7].Verdict != "bad_checksum" || lines[7].Warnings == 0 {
			t.Errorf("%+v", lines[7])
		}
		// A file in a machine's own code page is the same when it is read again.
		if again := get[auditOut](h, 200, "GET", machinesPath+"/m-2/audits/"+lines[1].ID, boss, nil); again.Verdict != "ok" {
			t.Errorf("%+v", again)
		}
		if w := h.call("GET", machinesPath+"/m-2/audits/"+lines[1].ID+"/file", boss, nil); !strings.Contains(w.Body.String(), "ZZ*\xff\x00") {
			t.Errorf("kept as %q", w.Body)
		}
		if n := h.rows(`SELECT count(*) FROM vending_audits`); n != 4 {
			t.Errorf("%d files are kept, want 4", n)
		}
		if n := h.rows(`SELECT count(*) FROM vending_machines WHERE heard_at > 0`); n != 3 {
			t.Errorf("%d machines were heard, want 3", n)
		}
		problem(t, h.call("POST", apiRoot+"/dts", boss, "\n\n", "Content-Type", "application/x-ndjson"), 400, "no file")
		problem(t, h.call("POST", apiRoot+"/dts", boss, strings.Repeat("\n", gatewayLines+1), "Content-Type", "application/x-ndjson"), 413, "lines")
		problem(t, h.call("POST", apiRoot+"/dts", "", ndjson(fileIn{Machine: "m-1", File: one})), 401, "")
		token := h.enrol("m-4")
		problem(t, h.call("POST", apiRoot+"/dts", token, ndjson(fileIn{Machine: "m-4", File: one})), 403, "")
	})
}

// Many batches, with the files of many machines in each, from several gateways.
func TestGatewaysAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const machines, gateways = 60, 4
		for i := range machines {
			h.enrol(fmt.Sprint("m-", i))
		}
		for round := range int64(3) {
			h.clock.Advance(time.Hour)
			var all sync.WaitGroup
			for g := range gateways {
				all.Go(func() {
					var list []any
					for i := range machines {
						k := (i*7 + g*13) % machines // each in an order of its own
						list = append(list, fileIn{Machine: fmt.Sprint("m-", k), File: audit(fmt.Sprint("S", k), "", map[string]int64{"1": 10 * round})})
					}
					for _, l := range h.gateway(list...) {
						if l.Status != "stored" && l.Status != "duplicate" {
							t.Errorf("%+v", l)
						}
					}
				})
			}
			all.Wait()
		}
		if n := h.rows(`SELECT count(*) FROM vending_audits`); n != 3*machines {
			t.Errorf("%d files are kept, want %d", n, 3*machines)
		}
		for i := range machines {
			if got := h.sold(fmt.Sprint("m-", i))["1"]; got != 20 {
				t.Errorf("m-%d sold %d, want 20", i, got)
			}
		}
	}, fast)
}

// A gateway is refused like a machine, with a time to come back, but not for how
// much it sends.
func TestGatewayIsRefused(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		line := fileIn{Machine: "m-1", File: audit("S", "", nil)}
		var many []any
		for i := range 600 { // of one machine, at a rate of 10 reports a second
			many = append(many, fileIn{Machine: "m-1", File: audit("S", "", nil, fmt.Sprint("ZZ*", i))})
		}
		if l := h.gateway(many...); len(l) != 600 || l[599].Status != "stored" {
			t.Fatalf("%d answers", len(l))
		}
		for i := 0; ; i++ {
			if _, ok := h.door.admission.Arrive(h.clock.Now(), fmt.Sprint("other-", i), 1); !ok {
				break
			}
		}
		w := h.call("POST", apiRoot+"/dts", boss, ndjson(line), "Content-Type", "application/x-ndjson")
		problem(t, w, 503, `"reason":"busy"`)
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		problem(t, h.call("POST", dtsPath("m-1"), boss, line.File, "Content-Type", "text/plain"), 503, `"reason":"busy"`)
		if n := h.rows(`SELECT count(*) FROM vending_audits`); n != 600 {
			t.Errorf("%d files are kept", n)
		}
	}, func(c *Config) { c.Rate = 10 })
}
