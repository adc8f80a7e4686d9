package vending

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const reportsPath = apiRoot + "/reports"

func TestAReportIsStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		a := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1"))
		night := time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC) // midnight in Berlin
		next, err := time.Parse(time.RFC3339, a.NextReportAt)
		if a.Status != "stored" || a.ReportID != "r-1" || err != nil || next.Before(night) || !next.Before(night.Add(time.Hour)) {
			t.Fatalf("%+v", a)
		}
		if in := next.Sub(noon).Seconds(); a.NextReportInS < in-0.01 || a.NextReportInS > in+0.01 {
			t.Errorf("next in %f s, want %f", a.NextReportInS, in)
		}
		if a.ServerTime != "2026-03-04T12:00:00.000Z" {
			t.Error(a.ServerTime)
		}
		if a := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1")); a.Status != "duplicate" {
			t.Errorf("again: %+v", a)
		}
		other := with(h.report("r-1"), "slots", []map[string]any{{"slot": "A1", "sku": "cola", "remaining": 2, "capacity": 10}})
		problem(t, h.call("POST", reportsPath, token, other), 409, "r-1")
		problem(t, h.call("POST", reportsPath, token, with(h.report("r-1"), "taken_at", noon.Add(-time.Minute))), 409, "r-1")
		if n := h.count(); n != 1 {
			t.Errorf("%d rows", n)
		}
		if v := value(t, h.measures.reports.WithLabelValues("conflict")); v != 2 {
			t.Errorf("%v conflicts counted", v)
		}
		// The same id of another machine is another report.
		if a := get[receiptOut](h, 200, "POST", reportsPath, h.enrol("m-2"), h.report("r-1")); a.Status != "stored" {
			t.Errorf("%+v", a)
		}
	})
}

func TestFiftyAtOnceStoreOne(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		var mu sync.Mutex
		got := map[string]int{}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				w := h.call("POST", reportsPath, token, h.report("r-1"))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case w.Code == 200 && strings.Contains(w.Body.String(), `"stored"`):
					got["stored"]++
				case w.Code == 200 && strings.Contains(w.Body.String(), `"duplicate"`):
					got["duplicate"]++
				default:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if got["stored"] != 1 || got["duplicate"] != 49 || h.count() != 1 {
			t.Errorf("%v, %d rows", got, h.count())
		}
	})
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		slot := func(k string, v any) any {
			return []any{with(map[string]any{"slot": "A1", "sku": "c", "remaining": 1, "capacity": 10}, k, v)}
		}
		r := h.report("r-1")
		for _, c := range []struct {
			body   any
			status int
			says   string
		}{
			{map[string]any{"report_id": "x"}, 422, "slots"},
			{with(r, "slots", slot("remaining", -1)), 422, "slots[0].remaining"},
			{with(r, "slots", slot("remaining", 11)), 422, "slots[0].remaining"},
			{with(r, "slots", slot("remaining", nil)), 422, "slots[0].remaining is missing"},
			{with(r, "slots", []any{map[string]any{"slot": "A1", "sku": "c", "remaining": 1}}), 422, "slots[0].capacity is missing"},
			{with(r, "slots", slot("capacity", 0)), 422, "slots[0].capacity"},
			{with(r, "slots", slot("price", -5)), 422, "slots[0].price"},
			{with(r, "slots", slot("colour", "red")), 422, "slots[0].colour"},
			{with(r, "slots", slot("sku", "a\x00b")), 422, "control character"},
			{with(r, "slots", []any{map[string]any{"slot": "A1", "sku": "c", "remaining": 1, "capacity": 2}, map[string]any{"slot": "A1", "sku": "d", "remaining": 1, "capacity": 2}}), 422, "stands twice"},
			{with(r, "faults", []any{map[string]any{"code": "ghost"}}), 422, "faults[0].code"},
			{with(r, "faults", []any{map[string]any{"code": "other", "severity": "cosmic"}}), 422, "faults[0].severity"},
			{with(r, "taken_at", "yesterday"), 422, "taken_at"},
			{with(r, "report_id", ""), 422, "report_id"},
			{with(r, "report_id", strings.Repeat("x", 129)), 422, "report_id"},
			{with(r, "mood", "fine"), 422, "mood"},
			{`{"report_id": "x"`, 400, "line 1"},
			{``, 400, "empty"},
			{`{} {}`, 400, "line 1"},
			{`{"report_id":"` + strings.Repeat("x", batchBytes) + `"}`, 413, "larger"},
		} {
			problem(t, h.call("POST", reportsPath, token, c.body), c.status, c.says)
		}
		problem(t, h.call("POST", reportsPath, "", r), 401, "")
		problem(t, h.call("POST", reportsPath, "nope", r), 401, "")
		problem(t, h.call("POST", reportsPath, boss, r), 403, "")
		if n := h.count(); n != 0 {
			t.Errorf("%d rows", n)
		}
		if s := h.door.admission.State(noon); s.Waiting != 0 {
			t.Errorf("places are still taken: %+v", s)
		}
	})
}

func TestOlderReportsNeverOverwriteNewerState(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("now"))
		h.clock.Advance(time.Minute)
		// Two nights without a line, brought in one batch, the newer first.
		late := func(id string, ago time.Duration) any {
			return with(with(h.report(id), "taken_at", noon.Add(-ago)), "faults", nil)
		}
		w := h.call("POST", reportsPath, token, ndjson(late("b", 24*time.Hour), late("a", 48*time.Hour)), "Content-Type", "application/x-ndjson")
		if l := lines(t, w); len(l) != 2 || l[0].Status != "stored" || l[1].Status != "stored" || l[0].Line != 1 {
			t.Fatalf("%+v", l)
		}
		m := get[detailOut](h, 200, "GET", apiRoot+"/machines/m-1", boss, nil)
		if m.ReportID != "now" || m.FaultCount != 1 || !m.TakenAt.Equal(noon) || !m.ReceivedAt.Equal(noon.Add(time.Minute)) {
			t.Errorf("%+v", m)
		}
		past := get[historyOut](h, 200, "GET", apiRoot+"/machines/m-1/reports", boss, nil)
		if len(past.Reports) != 3 || past.Reports[0].ReportID != "now" || past.Reports[2].ReportID != "a" || !past.Reports[2].TakenAt.Equal(noon.Add(-48*time.Hour)) {
			t.Errorf("%+v", past)
		}
		// Taken in the same second: whoever comes last is the newest.
		get[receiptOut](h, 200, "POST", reportsPath, token, with(h.report("same"), "taken_at", noon))
		if m := get[detailOut](h, 200, "GET", apiRoot+"/machines/m-1", boss, nil); m.ReportID != "same" {
			t.Errorf("%s", m.ReportID)
		}
	})
}

func TestAClockThatIsOffIsNotBelieved(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		for id, taken := range map[string]any{"years-ahead": noon.AddDate(20, 0, 0), "ahead": noon.Add(6 * time.Minute), "reset": time.Unix(0, 0).UTC(), "old": noon.AddDate(-2, 0, 0)} {
			a := get[receiptOut](h, 200, "POST", reportsPath, token, with(h.report(id), "taken_at", taken))
			if a.Status != "stored" || a.TakenAt != "2026-03-04T12:00:00.000Z" {
				t.Errorf("%s: %+v", id, a)
			}
			if a := get[receiptOut](h, 200, "POST", reportsPath, token, with(h.report(id), "taken_at", taken)); a.Status != "duplicate" {
				t.Errorf("%s again: %+v", id, a)
			}
		}
		if a := get[receiptOut](h, 200, "POST", reportsPath, token, with(h.report("near"), "taken_at", noon.Add(4*time.Minute))); a.TakenAt != "" {
			t.Errorf("4 minutes ahead: %+v", a)
		}
		none := h.report("none")
		delete(none, "taken_at")
		if a := get[receiptOut](h, 200, "POST", reportsPath, token, none); a.Status != "stored" || a.TakenAt != "" {
			t.Errorf("without a clock: %+v", a)
		}
		if v := value(t, h.measures.clockOff); v != 4 {
			t.Errorf("%v clocks counted", v)
		}
	})
}

func TestABatchIsAnsweredLineByLine(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		var all []any
		for i := range 600 { // more than two chunks
			all = append(all, h.report(fmt.Sprint("r-", i)))
		}
		all[3] = `{"report_id": "broken"`
		all[7] = with(h.report("r-7"), "slots", []any{})
		all[9] = h.report("r-8")                        // twice in one batch
		all[11] = with(h.report("r-10"), "faults", nil) // and with other content
		text := "\n" + ndjson(all...) + "\n  \n"        // empty lines count, but are not answered
		w := h.call("POST", reportsPath, token, text, "Content-Type", "application/x-ndjson; charset=utf-8")
		l := lines(t, w)
		if w.Code != 200 || len(l) != 600 {
			t.Fatalf("%d, %d lines", w.Code, len(l))
		}
		for i, r := range l {
			want := map[int]string{3: "invalid", 7: "invalid", 9: "duplicate", 11: "conflict"}[i]
			if want == "" {
				want = "stored"
			}
			if r.Status != want || r.Line != i+2 || want == "stored" && (r.NextReportAt == "" || r.ReportID == "") || want == "invalid" && r.Detail == "" {
				t.Errorf("line %d: %+v, want %s", i, r, want)
			}
		}
		if n := h.count(); n != 596 {
			t.Errorf("%d rows", n)
		}
		again := lines(t, h.call("POST", reportsPath, token, text, "Content-Type", "application/x-ndjson"))
		if again[599].Status != "duplicate" || again[0].Status != "duplicate" || h.count() != 596 {
			t.Errorf("again: %+v, %d rows", again[599], h.count())
		}
		problem(t, h.call("POST", reportsPath, token, "\n\n", "Content-Type", "application/x-ndjson"), 400, "no report")
	})
}

func TestOneMachineMayNotFloodTheRest(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token, quiet := h.enrol("m-1"), h.enrol("m-2")
		for i := range 20 {
			get[receiptOut](h, 200, "POST", reportsPath, token, h.report(fmt.Sprint("r-", i)))
		}
		w := h.call("POST", reportsPath, token, h.report("r-20"))
		problem(t, w, 429, `"retry_in_s":0.05`)
		if w.Header().Get("Retry-After") != "1" || h.count() != 20 {
			t.Errorf("Retry-After %q, %d rows", w.Header().Get("Retry-After"), h.count())
		}
		get[receiptOut](h, 200, "POST", reportsPath, quiet, h.report("r-0"))
		h.clock.Advance(50 * time.Millisecond)
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-20"))
		// A batch beyond the rate: what fits is stored, the rest is told when.
		h.clock.Advance(time.Second)
		var all []any
		for i := range 30 {
			all = append(all, h.report(fmt.Sprint("n-", i)))
		}
		l := lines(t, h.call("POST", reportsPath, token, ndjson(all...), "Content-Type", "application/x-ndjson"))
		if len(l) != 30 || l[19].Status != "stored" || l[20].Status != "refused" || l[20].RetryInS != 0.5 {
			t.Errorf("%+v", l[19:21])
		}
	}, func(c *Config) { c.Rate = 20 })
}

func TestAFullQueueRefusesWithASlot(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		for i := 0; ; i++ { // others wait for the database
			if _, ok := h.door.admission.Arrive(noon, fmt.Sprint("other-", i), 1); !ok {
				break
			}
		}
		w := h.call("POST", reportsPath, token, h.report("r-1"))
		problem(t, w, 503, `"reason":"busy"`)
		d := get[refused](h, 503, "POST", reportsPath, token, h.report("r-1"))
		if d.RetryInS < 1 || d.RetryInS > 2 || w.Header().Get("Retry-After") != "2" || d.RetryAt == "" || h.count() != 0 {
			t.Errorf("%+v, Retry-After %s", d, w.Header().Get("Retry-After"))
		}
		problem(t, h.call("POST", reportsPath, token, ndjson(h.report("r-1")), "Content-Type", "application/x-ndjson"), 503, `"reason":"busy"`)
		h.clock.Advance(time.Duration(d.RetryInS * float64(time.Second)))
		if a := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1")); a.Status != "stored" {
			t.Errorf("at its slot: %+v", a)
		}
	}, func(c *Config) { c.Capacity, c.Queue = 100, time.Second })
}

func TestADatabaseThatFailsIsLeftAlone(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for range 5 {
			if err := h.enter("m-1", 1); err != nil {
				t.Fatal(err)
			}
			err := h.leave("m-1", 1, 0, errs.TryAfter(2*time.Second, "the database cannot be reached"))
			var r *Refused
			if !errs.Is(err, errs.Busy) || !asRefused(err, &r) || r.Wait < 2*time.Second {
				t.Fatal(err)
			}
		}
		token := h.enrol("m-2")
		problem(t, h.call("POST", reportsPath, token, h.report("r-1")), 503, `"reason":"away"`)
		if err := h.Check(context.Background()); !errs.Is(err, errs.Busy) {
			t.Errorf("check: %v", err)
		}
		h.clock.Advance(time.Second)
		// Who waits for a probe must be ready for it, or no balancer sends it one.
		if err := h.Check(context.Background()); err != nil {
			t.Errorf("check, when a probe is due: %v", err)
		}
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1")) // the probe
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-2"))
		if err := h.Check(context.Background()); err != nil {
			t.Error(err)
		}
		if s := h.door.admission.State(h.clock.Now()); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// value reads a counter.
func value(t *testing.T, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func asRefused(err error, to **Refused) bool {
	for err != nil {
		if r, ok := err.(*Refused); ok {
			*to = r
			return true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return false
		}
		err = u.Unwrap()
	}
	return false
}

// A machine that lost the answer sends again, whatever happened to the server in
// between: the report is there, once.
func TestTheReportOutlivesTheProcess(t *testing.T) {
	for _, kind := range sqldbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			url := sqldbtest.URL(t, kind)
			var token string
			for round := range 3 {
				db, err := sqldb.Open(context.Background(), url, sqldb.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Run(fmt.Sprint("start ", round), func(t *testing.T) {
					h := open(t, db)
					want := "duplicate"
					if round == 0 {
						token, want = h.enrol("m-1"), "stored"
					}
					if a := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1")); a.Status != want {
						t.Errorf("%+v", a)
					}
				})
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestReportsAreAnnounced(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		got := make(chan string, 10)
		stop, err := h.bus.Subscribe("vending.>", func(subject string, data []byte) { got <- subject + " " + string(data) })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		token := h.enrol("m-1")
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1"))
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1")) // a duplicate is no news
		var all string
		for range 3 {
			all += <-got + "\n"
		}
		for _, want := range []string{"vending.cities", `vending.reported {"machine":"m-1","city":"Berlin","stored":1`, `vending.faulty {"machine":"m-1","city":"Berlin","report_id":"r-1","codes":["coin_jam"]`} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is missing in\n%s", want, all)
			}
		}
		if len(got) > 0 {
			t.Errorf("and %s", <-got)
		}
	})
}

func TestMetricsCanBeRead(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		get[receiptOut](h, 200, "POST", reportsPath, h.enrol("m-1"), h.report("r-1"))
		reg := prometheus.NewRegistry()
		for _, c := range h.measures.collectors() {
			if err := reg.Register(c); err != nil {
				t.Error(err)
			}
		}
		families, err := reg.Gather()
		if err != nil || len(families) != 15 {
			t.Errorf("%d metrics: %v", len(families), err)
		}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "plumb_vending_") || f.GetHelp() == "" {
				t.Errorf("%s: %q", f.GetName(), f.GetHelp())
			}
		}
		if v := value(t, h.measures.reports.WithLabelValues("stored")); v != 1 {
			t.Errorf("%v stored", v)
		}
	})
}

// Whatever time it is, the machine is next expected in the night that begins
// after this report, in its city's zone.
func TestTheNextReportIsInTheCitysNextNight(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for i, city := range []string{"Cairo", "Santiago", "Havana", "Beirut", "New York", "Apia", "Kathmandu"} {
			id := fmt.Sprint("m-", i)
			token := get[enrolledOut](h, http.StatusCreated, "POST", apiRoot+"/machines", boss, map[string]any{"id": id, "city": city}).Token
			c, ok := h.city(city)
			if !ok {
				t.Fatal(city)
			}
			for _, at := range []time.Time{time.Date(2026, 4, 23, 21, 59, 0, 0, time.UTC), time.Date(2026, 9, 6, 3, 30, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)} {
				if at.After(h.clock.Now()) {
					h.clock.Set(at)
				}
				a := get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-"+at.Format(time.RFC3339)+id))
				_, night := slots.NextNight(h.clock.Now(), c.zone)
				next, err := time.Parse(time.RFC3339, a.NextReportAt)
				if err != nil || next.Before(night.Truncate(time.Millisecond)) || next.After(night.Add(time.Hour)) {
					t.Errorf("%s at %s: next %s, night begins %s", city, h.clock.Now(), a.NextReportAt, night)
				}
			}
		}
	})
}
