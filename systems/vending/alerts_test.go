package vending

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const alertsPath = apiRoot + "/alerts"

// watched looks the fleet over and returns the open alerts as "kind subject", sorted.
func (h *house) watched() []string {
	h.t.Helper()
	h.clock.Advance(time.Millisecond) // ids sort by milliseconds
	h.tonight.forget()
	if err := h.watch(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	list := []string{}
	for _, a := range get[alertsOut](h, 200, "GET", alertsPath, boss, nil).Alerts {
		list = append(list, a.Kind+" "+a.Subject)
	}
	slices.Sort(list)
	return list
}

func (h *house) wantAlerts(when string, want ...string) {
	h.t.Helper()
	if got := h.watched(); !slices.Equal(got, append([]string{}, want...)) {
		h.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func TestAlertsAreRaisedAndCloseByThemselves(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		tokens := []string{h.enrol("m-1"), h.enrol("m-2")}
		full := func(id string, remaining int64, faults ...map[string]any) {
			t.Helper()
			h.tell(tokens[0], id, remaining, faults...)
		}
		bare := func(id string, empty int) {
			t.Helper()
			var list []map[string]any
			for i := range 4 {
				left := 5
				if i < empty {
					left = 0
				}
				list = append(list, map[string]any{"slot": fmt.Sprint("A", i), "sku": "cola", "remaining": left, "capacity": 10})
			}
			get[receiptOut](h, 200, "POST", reportsPath, tokens[0], map[string]any{"report_id": id, "slots": list})
		}
		full("r-1", 5)
		h.tell(tokens[1], "r-1", 5)
		h.wantAlerts("all is well")
		full("r-2", 5, map[string]any{"code": "coin_jam"})
		h.wantAlerts("a medium fault")
		full("r-3", 5, map[string]any{"code": "door_open"})
		h.wantAlerts("a grave fault", "grave_fault m-1")
		h.wantAlerts("it lasts", "grave_fault m-1")
		bare("r-4", 1)
		h.wantAlerts("one slot of four is sold out")
		bare("r-5", 2)
		h.wantAlerts("half are", "stock_out m-1")
		full("r-6", 5)
		h.wantAlerts("refilled")

		// Nobody reports in the night: late after the grace, too few at the deadline.
		_, start := slots.NextNight(h.clock.Now(), zoneOf(t, "Europe/Berlin"))
		h.clock.Set(start.Add(30 * time.Minute))
		h.watched()
		h.clock.Set(start.Add(time.Hour + h.c.Grace + time.Second))
		h.wantAlerts("after the window", "late_machine m-1", "late_machine m-2")
		h.clock.Set(start.Add(h.c.GateDeadline))
		h.wantAlerts("at the deadline", "late_machine m-1", "late_machine m-2", "low_share Berlin")
		full("night", 5)
		h.wantAlerts("one came", "late_machine m-2")
		if w := h.call("DELETE", machinesPath+"/m-2", boss, nil); w.Code != 204 {
			t.Error(w.Body)
		}
		h.wantAlerts("the other was revoked")

		// Closed ones are still listed, the newest first, in pages.
		var all []alertOut
		for cursor := ""; ; {
			p := get[alertsOut](h, 200, "GET", alertsPath+"?all=true&limit=2&cursor="+cursor, boss, nil)
			all = append(all, p.Alerts...)
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		if len(all) != 5 || all[len(all)-1].Kind != "grave_fault" {
			t.Errorf("%+v", all)
		}
		for _, a := range all {
			if a.ClosedAt == nil || a.RaisedAt.After(*a.ClosedAt) || a.City != "Berlin" || a.What == "" {
				t.Errorf("%+v", a)
			}
		}
	})
}

func TestAlertsAreAcknowledgedOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		h.tell(token, "r-1", 5, map[string]any{"code": "door_open"})
		h.watched()
		a := get[alertsOut](h, 200, "GET", alertsPath+"?city=berlin", boss, nil).Alerts[0]
		first := get[alertOut](h, 200, "POST", alertsPath+"/"+a.ID+"/ack", boss, nil)
		if first.AckedAt == nil || first.AckedBy != "boss" || first.ClosedAt != nil {
			t.Errorf("%+v", first)
		}
		h.clock.Advance(time.Minute)
		if again := get[alertOut](h, 200, "POST", alertsPath+"/"+a.ID+"/ack", boss, nil); !again.AckedAt.Equal(*first.AckedAt) {
			t.Errorf("%+v", again)
		}
		h.wantAlerts("acknowledged, and it lasts", "grave_fault m-1")
		problem(t, h.call("POST", alertsPath+"/nothing/ack", boss, nil), 404, "no alert")
		if w := h.call("POST", alertsPath+"/"+a.ID+"/ack", token, nil); w.Code != 403 {
			t.Errorf("a machine acknowledges: %d", w.Code)
		}
		// The same cause anew is another alert, that nobody has seen to.
		h.tell(token, "r-2", 5)
		h.wantAlerts("over")
		h.clock.Advance(time.Minute)
		h.tell(token, "r-3", 5, map[string]any{"code": "door_open"})
		h.watched()
		if b := get[alertsOut](h, 200, "GET", alertsPath, boss, nil).Alerts; len(b) != 1 || b[0].ID == a.ID || b[0].AckedAt != nil {
			t.Errorf("%+v", b)
		}
		for _, bad := range []string{"?limit=0", "?limit=501"} {
			if w := h.call("GET", alertsPath+bad, boss, nil); w.Code != 422 {
				t.Errorf("%s: %d", bad, w.Code)
			}
		}
	})
}

func TestAFailedPlanIsAnAlertUntilAnotherIsDone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.tell(h.enrol("m-1"), "r-1", 5)
		date, _ := slots.Tonight(h.clock.Now(), zoneOf(t, "Europe/Berlin"))
		ctx := context.Background()
		if _, _, err := h.MakePlan(ctx, "Berlin", date, false, "test"); err != nil {
			t.Fatal(err)
		}
		end := func(revision int64, state string, b planBody) {
			t.Helper()
			err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				k := planKey{"Berlin", date.String(), revision}
				if _, err := h.store.beginPlan(ctx, tx, k, h.clock.Now()); err != nil {
					return err
				}
				return h.store.endPlan(ctx, tx, k, state, b, nil, h.clock.Now())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		h.wantAlerts("queued")
		end(1, planFailed, planBody{Problem: "no road leads there"})
		h.wantAlerts("failed", "plan_failed Berlin")
		if a := get[alertsOut](h, 200, "GET", alertsPath, boss, nil).Alerts[0]; a.What != "the plan of Berlin for 2026-03-04 failed: no road leads there" {
			t.Errorf("%+v", a)
		}
		if _, made, err := h.MakePlan(ctx, "Berlin", date, true, "again"); err != nil || !made {
			t.Fatal(made, err)
		}
		end(2, planFailed, planBody{})
		h.watched()
		if a := get[alertsOut](h, 200, "GET", alertsPath, boss, nil).Alerts[0]; a.What != "the plan of Berlin for 2026-03-04 failed: something went wrong here; the log says what" {
			t.Errorf("%+v", a)
		}
		if _, _, err := h.MakePlan(ctx, "Berlin", date, true, "again"); err != nil {
			t.Fatal(err)
		}
		h.wantAlerts("planned again")
		end(3, planDone, planBody{})
		h.wantAlerts("done")
	})
}

// A city that is late as a whole gets twenty alerts and one for the rest, and the
// longest late have their own.
func TestAnOutageIsNoFloodOfAlerts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.stand(30, 5)
		_, start := slots.NextNight(h.clock.Now(), zoneOf(t, "Europe/Berlin"))
		h.clock.Set(start.Add(90 * time.Minute))
		if list := h.watched(); len(list) != 21 || list[20] != "late_machines Berlin" {
			t.Errorf("%q", list)
		}
		for name, n := range map[string]float64{"late_machine": 20, "late_machines": 1, "grave_fault": 0} {
			if open, err := h.OpenAlerts(context.Background()); err != nil || open[name] != int(n) {
				t.Errorf("%s: %v, %v", name, open, err)
			}
			if got := gauge(t, h, name); got != n {
				t.Errorf("the gauge of %s says %g, not %g", name, got, n)
			}
		}
	})
}

// gauge reads how many alerts of a kind the metrics show.
func gauge(t *testing.T, h *house, kind string) float64 {
	t.Helper()
	families := gather(t, h)
	for _, m := range families["plumb_vending_alerts_open"].GetMetric() {
		if m.GetLabel()[0].GetValue() == kind {
			return m.GetGauge().GetValue()
		}
	}
	t.Errorf("no gauge for %s", kind)
	return -1
}

// Old alerts and commands go with old reports.
func TestOperationsArePruned(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		h.tell(token, "r-1", 5, map[string]any{"code": "door_open"})
		h.watched()
		h.tell(token, "r-2", 5)
		h.wantAlerts("over")
		get[commandOut](h, 202, "POST", machinesPath+"/m-1/commands", boss, map[string]any{"kind": "reboot"})
		h.clock.Advance(h.c.Retention + 40*24*time.Hour)
		if err := h.prune(context.Background()); err != nil {
			t.Fatal(err)
		}
		if a := get[alertsOut](h, 200, "GET", alertsPath+"?all=true", boss, nil); len(a.Alerts) != 0 {
			t.Errorf("%+v", a)
		}
		if c := get[commandsListOut](h, 200, "GET", machinesPath+"/m-1/commands", boss, nil); len(c.Commands) != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// BenchmarkWatch looks over a fleet of 20,000 machines in 20 cities, all of them
// late and one in ten gravely faulty: the worst minute. After the first round the
// alerts stand.
func BenchmarkWatch(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			h := benchHouse(b, kind)
			ctx := context.Background()
			const cities, each = 20, 1000
			for c := range cities {
				name := fmt.Sprint("Town ", c)
				lat, lon := 50.0, 10.0
				if _, err := h.SetCity(ctx, name, NewCity{Zone: "Europe/Berlin", Lat: &lat, Lon: &lon}); err != nil {
					b.Fatal(err)
				}
				err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					for i := range each {
						id := fmt.Sprintf("m-%d-%d", c, i)
						if err := h.store.add(ctx, tx, NewMachine{ID: id, City: name}, noon.Add(-48*time.Hour), noon.Add(-24*time.Hour)); err != nil {
							return err
						}
						if i%10 > 0 {
							continue
						}
						if _, err := tx.Exec(ctx, `UPDATE vending_machines SET severity = 3, faults = 1 WHERE id = $1`, id); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if err := h.watch(ctx); err != nil {
					b.Fatal(err)
				}
			}
			if open, err := h.OpenAlerts(ctx); err != nil || open["late_machine"] != cities*20 || open["late_machines"] != cities || open["grave_fault"] != cities*20 {
				b.Errorf("%v, %v", open, err)
			}
		})
	}
}
