package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/systems/vending/internal/dts"
)

// audit is a sealed file of a machine with those counters, by selection.
func audit(serial, taken string, sold map[string]int64, more ...string) string {
	set := "ST*001*0001\nID1*" + serial + "*SNACK*1\n"
	if taken != "" {
		set += "ID5*" + taken + "\n"
	}
	for id, n := range sold {
		set += fmt.Sprintf("PA1*%s*150*COLA*10\nPA2*%d*%d*%d*0\n", id, n, n*150, n%11)
	}
	for _, m := range more {
		set += m + "\n"
	}
	return "DXS*1*VA*V0/6*1\n" + set + dts.Seal([]byte(set)) + "\nSE*9*0001\nDXE*1*1\n"
}

func dtsPath(machine string) string { return machinesPath + "/" + machine + "/dts" }

// send sends a file of a machine as an operator.
func (h *house) send(machine, file string) auditOut {
	h.t.Helper()
	return get[auditOut](h, 200, "POST", dtsPath(machine), boss, file, "Content-Type", "text/plain")
}

func TestAuditOverHTTP(t *testing.T) {
	text, err := os.ReadFile("internal/dts/testdata/animo.eva_dts")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, h *house) {
		token, other := h.enrol("m-1"), h.enrol("m-2")
		plain := []string{"Content-Type", "text/plain"}
		a := get[auditOut](h, 200, "POST", dtsPath("m-1"), token, string(text), plain...)
		if a.Status != "stored" || a.Verdict != "ok" || len(a.Sets) != 1 || a.Sets[0].Machine != "ANIKraftver" || len(a.Sets[0].Products) != 24 || a.Sets[0].Sold != 8161 || len(a.ID) != 64 {
			t.Errorf("%+v", a)
		}
		if m := get[machineOut](h, 200, "GET", machinesPath+"/m-1", boss, nil); m.ReceivedAt == nil || !m.ReceivedAt.Equal(noon) || m.NextReportAt == nil || !m.NextReportAt.After(noon) {
			t.Errorf("after an audit the machine is %+v", m)
		}
		h.clock.Advance(time.Minute)
		if again := get[auditOut](h, 200, "POST", dtsPath("m-1"), token, string(text), plain...); again.Status != "duplicate" || again.ID != a.ID {
			t.Errorf("again: %+v", again)
		}
		list := get[auditsOut](h, 200, "GET", machinesPath+"/m-1/audits", boss, nil)
		if list.Serial != "ANIKraftver" || len(list.Audits) != 1 || list.Audits[0].ID != a.ID || !list.Audits[0].Received.Equal(noon) {
			t.Errorf("%+v", list)
		}
		if kept := get[auditOut](h, 200, "GET", machinesPath+"/m-1/audits/"+a.ID, boss, nil); kept.Verdict != "ok" || len(kept.Sets) != 1 {
			t.Errorf("%+v", kept)
		}
		if w := h.call("GET", machinesPath+"/m-1/audits/"+a.ID+"/file", boss, nil); w.Code != 200 || w.Body.String() != string(text) || w.Header().Get("Content-Type") != "text/plain" {
			t.Errorf("the file as it is kept: %d %q %.100q", w.Code, w.Header(), w.Body)
		}
		problem(t, h.call("GET", machinesPath+"/m-1/audits/abc", boss, nil), 404, "abc")
		problem(t, h.call("GET", machinesPath+"/m-1/audits/abc/file", boss, nil), 404, "abc")
		problem(t, h.call("GET", machinesPath+"/m-9/sales", boss, nil), 404, "m-9")
		problem(t, h.call("GET", machinesPath+"/m-9/audits", boss, nil), 404, "m-9")
		problem(t, h.call("POST", dtsPath("m-1"), other, string(text), plain...), 403, "its own audits")
		problem(t, h.call("POST", dtsPath("m-1"), "nope", string(text), plain...), 401, "")
		problem(t, h.call("POST", dtsPath("m-1"), "", string(text), plain...), 401, "")
		problem(t, h.call("POST", dtsPath("m-9"), boss, string(text), plain...), 404, "m-9")
		problem(t, h.call("POST", dtsPath("m-1"), token, "not an audit", plain...), 422, "line 1")
		problem(t, h.call("POST", dtsPath("m-1"), token, strings.Repeat("x", dts.MaxBytes+1), plain...), 413, "")
		problem(t, h.call("POST", dtsPath("m-1"), token, strings.Repeat("ST*1\n", 100), plain...), 413, "64 sets")
		problem(t, h.call("POST", dtsPath("m-2"), other, string(text)+audit("ANOTHER", "", nil), plain...), 409, "two machines")

		if w := h.call("DELETE", machinesPath+"/m-1", boss, nil); w.Code != 204 {
			t.Fatal(w.Body)
		}
		problem(t, h.call("POST", dtsPath("m-1"), token, string(text), plain...), 401, "")
		problem(t, h.call("POST", dtsPath("m-1"), boss, string(text), plain...), 403, "revoked")
	})
}

// Of two serial numbers that come at once the machine gets one, and keeps it until
// somebody unbinds it.
func TestSerialRace(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for i := range 8 {
			machine := fmt.Sprint("m-", i)
			h.enrol(machine)
			var all sync.WaitGroup
			codes := make([]int, 4)
			for k := range codes {
				all.Go(func() {
					codes[k] = h.call("POST", dtsPath(machine), boss, audit(fmt.Sprint("SN-", k), "", map[string]int64{"1": 5}), "Content-Type", "text/plain").Code
				})
			}
			all.Wait()
			stored, bound := 0, -1
			for k, code := range codes {
				switch code {
				case 200:
					stored, bound = stored+1, k
				case 409:
				default:
					t.Errorf("%s: %d", machine, code)
				}
			}
			if stored != 1 {
				t.Fatalf("%s: %v, want one 200", machine, codes)
			}
			next := fmt.Sprint("SN-", (bound+1)%4)
			problem(t, h.call("POST", dtsPath(machine), boss, audit(next, "", map[string]int64{"1": 6}), "Content-Type", "text/plain"), 409, "unbind")
			h.send(machine, audit(fmt.Sprint("SN-", bound), "", map[string]int64{"1": 6}))
			if w := h.call("DELETE", machinesPath+"/"+machine+"/serial", boss, nil); w.Code != 204 {
				t.Fatal(w.Body)
			}
			problem(t, h.call("DELETE", machinesPath+"/"+machine+"/serial", boss, nil), 404, "serial number")
			h.send(machine, audit(next, "", map[string]int64{"1": 7}))
		}
		if n := h.rows(`SELECT count(*) FROM vending_sales`); n != 8 {
			t.Errorf("%d sales, want one for each machine: what another serial number counted is no sale", n)
		}
	})
}

// rows returns a number from the database.
func (h *house) rows(query string, args ...any) (n int64) {
	h.t.Helper()
	err := h.n.DB.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error { return tx.QueryRow(ctx, query, args...).Scan(&n) })
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// sold adds up what the database says was sold by a machine.
func (h *house) sold(machine string) map[string]int64 {
	h.t.Helper()
	sum := map[string]int64{}
	err := h.n.DB.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		clear(sum)
		rows, err := tx.Query(ctx, `SELECT since, until, body FROM vending_sales WHERE machine = $1 ORDER BY until`, machine)
		if err != nil {
			return err
		}
		defer rows.Close()
		last := int64(0)
		for rows.Next() {
			var since, until int64
			var body string
			if err := rows.Scan(&since, &until, &body); err != nil {
				return err
			}
			if since <= 0 || until <= since || since < last {
				return fmt.Errorf("sales from %d to %d after %d", since, until, last)
			}
			last = until
			var n map[string]int64
			if err := json.Unmarshal([]byte(body), &n); err != nil {
				return err
			}
			for id, sold := range n {
				if sold > 0 {
					sum[id] += sold
				}
			}
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return sum
}

func TestSalesAreToldFromCounters(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		type counters = map[string]int64
		day := 0
		step := func(what string, want counters, file string) {
			t.Helper()
			h.clock.Advance(24 * time.Hour)
			day++
			h.send("m-1", file)
			if got := h.sold("m-1"); !maps.Equal(got, want) {
				t.Errorf("%s: sold %v, want %v", what, got, want)
			}
		}
		step("the first tells nothing", counters{}, audit("S", "260305*0800", counters{"1": 100, "2": 50}))
		step("then what was added", counters{"1": 7}, audit("S", "260306*0800", counters{"1": 107, "2": 50}))
		step("free ones left it too", counters{"1": 10}, audit("S", "260307*0800", counters{"1": 107, "2": 50}, "PA1*1*150*COLA*10", "PA2*107*0*0*0", "PA4*3*0"))
		step("a new selection", counters{"1": 10}, audit("S", "260308*0800", counters{"1": 110, "2": 50, "3": 9}))
		step("one that comes late", counters{"1": 10}, audit("S", "260307*0900", counters{"1": 108, "2": 50, "3": 1}))
		step("a bad checksum", counters{"1": 10}, strings.Replace(audit("S", "260309*0800", counters{"1": 111}), "PA1*1*150", "PA1*1*151", 1))
		step("a reset", counters{"1": 10, "3": 1}, audit("S", "260310*0800", counters{"1": 0, "2": 0, "3": 10}))
		step("and on", counters{"1": 14, "3": 1}, audit("S", "260311*0800", counters{"1": 4, "2": 0, "3": 10}))
		step("a clock that was reset", counters{"1": 16, "3": 1}, audit("S", "200101*0000", counters{"1": 6, "2": 0, "3": 10}))
		step("no products", counters{"1": 16, "3": 1}, audit("S", "260313*0800", nil))
		sales := get[salesOut](h, 200, "GET", machinesPath+"/m-1/sales?limit=2", boss, nil).Sales
		if len(sales) != 2 || sales[0].Sold["1"] != 2 || sales[1].Sold["1"] != 4 || !sales[0].Since.Equal(sales[1].Until) || sales[0].Until.Sub(sales[0].Since) != 24*time.Hour {
			t.Errorf("%+v", sales)
		}
		if n := h.rows(`SELECT count(*) FROM vending_audits`); n != int64(day) {
			t.Errorf("%d files are kept, want %d", n, day)
		}
	})
}

// However files are cut into batches, and whichever come twice: what is sold is how
// far the counters moved on.
func TestSalesOfAnyBatches(t *testing.T) {
	h := open(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		machine := fmt.Sprint("m-", run)
		h.enrol(machine)
		now, first, last, told := int64(0), int64(-1), int64(0), 0
		var lines []any
		flush := func() {
			if len(lines) == 0 {
				return
			}
			h.clock.Advance(time.Hour)
			for _, l := range h.gateway(lines...) {
				if l.Status != "stored" && l.Status != "duplicate" {
					rt.Fatalf("%+v", l)
				}
			}
			// Of the first batch nobody knows since when its sales are.
			if first < 0 {
				first = now
			}
			last, lines = now, nil
		}
		for range rapid.IntRange(1, 12).Draw(rt, "files") {
			now += rapid.Int64Range(0, 30).Draw(rt, "sold")
			told++
			lines = append(lines, fileIn{Machine: machine, File: audit("S", "", map[string]int64{"1": now}, fmt.Sprint("ZZ1*", told))})
			if rapid.Bool().Draw(rt, "twice") {
				lines = append(lines, lines[len(lines)-1])
			}
			if rapid.Bool().Draw(rt, "send") {
				flush()
			}
		}
		flush()
		if got := h.sold(machine)["1"]; got != last-first {
			rt.Fatalf("sold %d, the counter moved from %d to %d", got, first, last)
		}
	})
}

// A machine that sends audits only is judged by them; one that reports, by its reports.
func TestConditionFromAudits(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		h.enrol("m-2")
		file := audit("S", "", map[string]int64{"1": 10, "2": 3}, "EA2*EGS*1*1**1", "EA2*EJL_2*1*1**1", "EA2*EGT*1*1**1", "EA2*EAD*5*5**0")
		h.send("m-2", file)
		m := get[machineOut](h, 200, "GET", machinesPath+"/m-2", boss, nil)
		if m.FaultCount != 2 || m.Severity != "high" || m.SlotCount != 2 || m.EmptyCount != 1 {
			t.Errorf("%+v", m)
		}
		h.clock.Advance(time.Hour)
		h.send("m-2", audit("S", "", map[string]int64{"1": 11, "2": 3}))
		m = get[machineOut](h, 200, "GET", machinesPath+"/m-2", boss, nil)
		if m.FaultCount != 0 || m.Severity != "" || m.EmptyCount != 0 {
			t.Errorf("repaired and refilled: %+v", m)
		}
		if w := h.call("POST", reportsPath, token, h.report("r-1")); w.Code != 200 {
			t.Fatal(w.Body)
		}
		h.send("m-1", file)
		m = get[machineOut](h, 200, "GET", machinesPath+"/m-1", boss, nil)
		if m.FaultCount != 1 || m.Severity != "medium" || m.SlotCount != 1 {
			t.Errorf("with reports: %+v", m)
		}
	})
}

func TestAuditsOfAnotherCell(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		file := audit("S", "", nil)
		h.send("m-1", file)
		if _, err := h.SetRegion(context.Background(), Region{Name: "south", Endpoint: "https://south.test"}); err != nil {
			t.Fatal(err)
		}
		south := "south"
		if _, err := h.SetCity(context.Background(), "Berlin", NewCity{Region: &south}); err != nil {
			t.Fatal(err)
		}
		if l := h.gateway(fileIn{Machine: "m-1", File: audit("S", "", nil, "ZZ*2")}); l[0].Status != "moved" || l[0].Cell == nil || l[0].Cell.Endpoint != "https://south.test" {
			t.Errorf("%+v", l)
		}
		problem(t, h.call("POST", dtsPath("m-1"), boss, audit("S", "", nil, "ZZ*3"), "Content-Type", "text/plain"), 421, "south.test")
	}, func(c *Config) { c.Region = "north" })
}

func TestOldAuditsArePruned(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		for i := range int64(3) {
			h.send("m-1", audit("S", "", map[string]int64{"1": 5 * i}))
			h.clock.Advance(24 * time.Hour)
		}
		h.clock.Advance(h.c.Retention - 47*time.Hour) // the first two are too old
		if err := h.prune(context.Background()); err != nil {
			t.Fatal(err)
		}
		if a, s := h.rows(`SELECT count(*) FROM vending_audits`), h.rows(`SELECT count(*) FROM vending_sales`); a != 1 || s != 1 {
			t.Errorf("%d audits and %d sales are left, want one of each", a, s)
		}
	})
}
