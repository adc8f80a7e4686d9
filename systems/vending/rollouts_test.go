package vending

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
)

const rolloutsPath = apiRoot + "/rollouts"

// runs reports with what runs on the machine, and returns the answer.
func (h *house) runs(token, report, firmware, config string, faults ...map[string]any) receiptOut {
	h.t.Helper()
	r := with(with(h.report(report), "firmware", firmware), "config", config)
	return get[receiptOut](h, 200, "POST", reportsPath, token, with(r, "faults", append([]map[string]any{}, faults...)))
}

// cohort enrols n machines in Berlin which run firmware 1, by their ids.
func (h *house) cohort(n int) map[string]string {
	h.t.Helper()
	tokens := map[string]string{}
	for i := range n {
		id := fmt.Sprintf("m-%02d", i)
		tokens[id] = h.enrol(id)
		h.runs(tokens[id], "r-0", "1", "")
	}
	return tokens
}

func TestARolloutInStages(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		tokens := h.cohort(30)
		put := func(body map[string]any) rolloutOut {
			t.Helper()
			h.clock.Advance(time.Second)
			return get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, body)
		}
		report := 0
		told := func() map[string]bool {
			t.Helper()
			report++
			list := map[string]bool{}
			for id, token := range tokens {
				if r := h.runs(token, fmt.Sprint("r-", report), "1", ""); r.Target != nil {
					if *r.Target != (versionOut{Firmware: "2"}) {
						t.Errorf("%s is told %+v", id, *r.Target)
					}
					list[id] = true
				}
			}
			return list
		}
		r := put(map[string]any{"city": "berlin", "target": versionOut{Firmware: "2"}})
		if r.Revision != 1 || r.State != "active" || r.City != "Berlin" || r.Back.Firmware != "1" || r.Machines != 30 || r.Percent != 0 || r.Brake != (brakeOut{10, 20}) {
			t.Fatalf("%+v", r)
		}
		if list := told(); len(list) != 0 {
			t.Errorf("0%%: %v", list)
		}
		put(map[string]any{"percent": 30})
		some := told()
		put(map[string]any{"percent": 60})
		more := told()
		for id := range some {
			if !more[id] {
				t.Errorf("%s was in the first 30%% and is not in the first 60%%", id)
			}
		}
		if len(some) == 0 || len(some) >= len(more) || len(more) == 30 {
			t.Errorf("30%%: %d, 60%%: %d of 30", len(some), len(more))
		}
		// Whoever has it, and whoever does not say what runs on it, is told nothing.
		for id := range more {
			if r := h.runs(tokens[id], "has", "2", ""); r.Target != nil {
				t.Errorf("%s has it, and is told %+v", id, r.Target)
			}
			if r := h.runs(tokens[id], "silent", "", ""); r.Target != nil {
				t.Errorf("%s does not say, and is told %+v", id, r.Target)
			}
		}
		if r := put(map[string]any{"pause": true}); r.Arrived != len(more) || r.State != "paused" {
			t.Errorf("%+v, want %d arrived", r, len(more))
		}
		if list := told(); len(list) != 0 {
			t.Errorf("paused: %v", list)
		}
		put(map[string]any{"pause": false})

		// Undone: those that changed are told to change back, and nobody else.
		h.clock.Advance(time.Second)
		undone := get[rolloutOut](h, 200, "POST", rolloutsPath+"/spring/undo", boss, nil)
		if undone.State != "undone" || len(undone.Steps) != 6 || undone.Steps[0].What != "undone: back to firmware 1" || undone.Steps[0].By != "boss" {
			t.Errorf("%+v", undone)
		}
		if list := told(); len(list) != 0 {
			t.Errorf("undone: %v", list)
		}
		for id := range more {
			if r := h.runs(tokens[id], "back", "2", ""); r.Target == nil || *r.Target != (versionOut{Firmware: "1"}) {
				t.Errorf("%s runs what was undone, and is told %+v", id, r.Target)
			}
			break
		}
		// A new target is a new revision, and goes first to others.
		if r := put(map[string]any{"target": versionOut{Firmware: "3"}, "percent": 30}); r.Revision != 2 || r.State != "active" {
			t.Errorf("%+v", r)
		}
		if w := h.call("DELETE", rolloutsPath+"/spring", boss, nil); w.Code != 204 {
			t.Error(w.Code, w.Body)
		}
		problem(t, h.call("GET", rolloutsPath+"/spring", boss, nil), 404, "no rollout")
		if list := get[rolloutsOut](h, 200, "GET", rolloutsPath, boss, nil); len(list.Rollouts) != 0 {
			t.Error(list)
		}
	})
}

func TestTheBrake(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		tokens := h.cohort(10)
		body := map[string]any{"city": "Berlin", "target": versionOut{Firmware: "2"}, "percent": 100, "brake": map[string]any{"bad_percent": 20, "least": 5}}
		get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, body)
		look := func() rolloutOut {
			t.Helper()
			if err := h.watch(context.Background()); err != nil {
				t.Fatal(err)
			}
			return get[rolloutOut](h, 200, "GET", rolloutsPath+"/spring", boss, nil)
		}
		jam := map[string]any{"code": "coin_jam"}
		for i := range 4 { // all bad, but too few to tell
			h.runs(tokens[fmt.Sprintf("m-%02d", i)], "r-1", "2", "", jam)
		}
		if r := look(); r.State != "active" || r.Arrived != 4 || r.Bad != 4 {
			t.Errorf("%+v", r)
		}
		for i := range 4 { // repaired
			h.runs(tokens[fmt.Sprintf("m-%02d", i)], "r-2", "2", "")
		}
		h.runs(tokens["m-04"], "r-2", "2", "", jam)
		if r := look(); r.State != "active" || r.Arrived != 5 || r.Bad != 1 {
			t.Errorf("20%% of 5: %+v", r)
		}
		h.runs(tokens["m-05"], "r-2", "2", "", jam)
		h.clock.Advance(time.Second)
		r := look()
		if r.State != "braked" || r.Because != "2 of 6 machines on firmware 2 are late or faulty" || r.Steps[0].By != "" {
			t.Errorf("2 of 6: %+v", r)
		}
		if r := h.runs(tokens["m-06"], "r-2", "1", ""); r.Target != nil {
			t.Errorf("braked, and told %+v", r.Target)
		}
		alerts := get[alertsOut](h, 200, "GET", apiRoot+"/alerts?kind=rollout_braked", boss, nil)
		if len(alerts.Alerts) != 1 || alerts.Alerts[0].Subject != "spring" {
			t.Errorf("%+v", alerts)
		}
		// A higher percentage does not release it; a person does.
		if r := get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, map[string]any{"percent": 99}); r.State != "braked" {
			t.Errorf("%+v", r)
		}
		get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, map[string]any{"pause": false, "brake": map[string]any{"bad_percent": 50}})
		if r := look(); r.State != "active" {
			t.Errorf("released: %+v", r)
		}
		if a := get[alertsOut](h, 200, "GET", apiRoot+"/alerts?kind=rollout_braked", boss, nil); len(a.Alerts) != 0 {
			t.Errorf("its alert is still open: %+v", a)
		}
	})
}

func TestTheNamedCohortGoesBeforeTheCityAndThatBeforeTheFleet(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		tokens := h.cohort(3)
		for name, body := range map[string]map[string]any{
			"fleet":  {"target": versionOut{Config: "fleet"}},
			"city":   {"city": "Berlin", "target": versionOut{Config: "city"}},
			"canary": {"cohort": "canary", "target": versionOut{Config: "canary"}},
		} {
			get[rolloutOut](h, 200, "PUT", rolloutsPath+"/"+name, boss, with(body, "percent", 100))
		}
		if c := get[cohortOut](h, 200, "PUT", apiRoot+"/cohorts/canary", boss, map[string]any{"machines": []string{"m-00", "nobody"}}); c.Changed != 1 {
			t.Errorf("%+v", c)
		}
		if list := get[cohortsOut](h, 200, "GET", apiRoot+"/cohorts", boss, nil).Cohorts; len(list) != 1 || list[0] != (cohortCountOut{"canary", 1}) {
			t.Errorf("%+v", list)
		}
		if list := get[machinesOut](h, 200, "GET", machinesPath+"?cohort=canary", boss, nil).Machines; len(list) != 1 || list[0].ID != "m-00" || list[0].Cohort != "canary" {
			t.Errorf("%+v", list)
		}
		token := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "r-1", "city": "Rome"}).Token
		want := func(token, config string) {
			t.Helper()
			if r := h.runs(token, fmt.Sprint(config, time.Now().UnixNano()), "1", "old"); r.Target == nil || r.Target.Config != config {
				t.Errorf("told %+v, want %s", r.Target, config)
			}
		}
		want(tokens["m-00"], "canary")
		want(tokens["m-01"], "city")
		want(token, "fleet")
		get[cohortOut](h, 200, "PUT", apiRoot+"/cohorts/-", boss, map[string]any{"machines": []string{"m-00"}})
		want(tokens["m-00"], "city")
		if w := h.call("DELETE", rolloutsPath+"/city", boss, nil); w.Code != 204 {
			t.Error(w.Body)
		}
		want(tokens["m-00"], "fleet")
	})
}

func TestRolloutsThatAreRefused(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.cohort(1)
		v := versionOut{Firmware: "2"}
		put := func(name string, body map[string]any) func() {
			w := h.call("PUT", rolloutsPath+"/"+url.PathEscape(name), boss, body)
			return func() { t.Helper(); t.Log(w.Code, w.Body) }
		}
		put("one", map[string]any{"city": "Berlin", "target": v})
		for _, c := range []struct {
			name   string
			body   map[string]any
			status int
			says   string
		}{
			{"two", map[string]any{"city": "Berlin", "target": v}, 409, "rollout one is for Berlin already"},
			{"one", map[string]any{"city": "", "target": v}, 409, "begin another one for the whole fleet"},
			{"two", map[string]any{"city": "Atlantis", "target": v}, 422, "Atlantis"},
			{"two", map[string]any{"city": "Berlin", "cohort": "c", "target": v}, 422, "exclude each other"},
			{"two", map[string]any{"cohort": "c"}, 422, "a rollout has a target"},
			{"two", map[string]any{"cohort": "c d", "target": v}, 422, "cohort"},
			{"t w o", map[string]any{"cohort": "c", "target": v}, 422, "name"},
			{"two", map[string]any{"cohort": "c", "target": v, "percent": 101}, 422, "percent"},
		} {
			problem(t, h.call("PUT", rolloutsPath+"/"+url.PathEscape(c.name), boss, c.body), c.status, c.says)
		}
		problem(t, h.call("POST", rolloutsPath+"/none/undo", boss, nil), 404, "no rollout")
		// Nobody runs anything else than the target: there is no way back.
		get[rolloutOut](h, 200, "PUT", rolloutsPath+"/fleet", boss, map[string]any{"target": versionOut{Firmware: "1"}})
		problem(t, h.call("POST", rolloutsPath+"/fleet/undo", boss, nil), 409, "set back first")
		for _, path := range []string{"PUT " + rolloutsPath + "/x", "POST " + rolloutsPath + "/x/undo", "DELETE " + rolloutsPath + "/x", "PUT " + apiRoot + "/cohorts/x"} {
			var method, where string
			fmt.Sscan(path, &method, &where)
			if w := h.call(method, where, "", map[string]any{}); w.Code != 401 {
				t.Errorf("%s without a token: %d", path, w.Code)
			}
		}
	})
}

// Another process that hears nothing over the bus learns of a rollout by itself.
func TestARolloutReachesOtherProcesses(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		h.runs(token, "r-0", "1", "")
		other := open(t, h.n.DB)
		get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, map[string]any{"city": "Berlin", "target": versionOut{Firmware: "2"}, "percent": 100})
		if r := other.runs(token, "r-1", "1", ""); r.Target != nil {
			t.Errorf("told %+v by a process that cannot know", r.Target)
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ended := make(chan struct{})
		go func() { defer close(ended); other.heedOps(ctx) }()
		for i := 0; ; i++ {
			other.clock.Advance(knownEvery)
			if r := other.runs(token, fmt.Sprint("r-2-", i), "1", ""); r.Target != nil && r.Target.Firmware == "2" {
				break
			}
			if i == 1000 {
				t.Fatal("it never learnt of the rollout")
			}
			time.Sleep(5 * time.Millisecond)
		}
		stop()
		<-ended
	})
}

// However many machines a batch's reports are of, an answer says what the newest of
// them should lead to.
func TestABatchIsToldByItsNewestReport(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		get[rolloutOut](h, 200, "PUT", rolloutsPath+"/spring", boss, map[string]any{"target": versionOut{Firmware: "2"}, "percent": 100})
		old := with(with(h.report("r-1"), "firmware", "1"), "taken_at", h.clock.Now().Add(-time.Hour))
		now := with(h.report("r-2"), "firmware", "2")
		for _, l := range lines(t, h.call("POST", reportsPath, token, ndjson(now, old), "Content-Type", "application/x-ndjson")) {
			if l.Status != "stored" || l.Target != nil {
				t.Errorf("%+v", l)
			}
		}
	})
}

// What a count of a rollout costs: it is made once a minute.
func BenchmarkCountRollout(b *testing.B) {
	h := benchHouse(b, "sqlite")
	ctx := context.Background()
	const n = 50_000
	for from := 0; from < n; from += 1000 {
		err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for i := range 1000 {
				if err := h.store.add(ctx, tx, NewMachine{ID: fmt.Sprint("m-", from+i), City: "Berlin"}, noon, noon); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	r := Rollout{City: "Berlin", To: rollout.Version{Firmware: "2"}}
	for b.Loop() {
		err := h.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			c, err := h.countRollout(ctx, tx, r)
			if c.Machines != n {
				b.Errorf("%+v", c)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
