package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet/slots"
)

const plansPath = apiRoot + "/plans"

// stand enrols n machines about Berlin; each has sold a slot nearly empty over the
// nights before, and tells so by its report of now.
func (h *house) stand(n int, remaining int64) (tokens []string) {
	h.t.Helper()
	for i := range n {
		id := fmt.Sprintf("m-%03d", i)
		e := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": id, "city": "Berlin", "lat": 52.5 + float64(i%10)/200, "lon": 13.3 + float64(i/10)/200})
		tokens = append(tokens, e.Token)
		h.tell(e.Token, "r-0", remaining)
	}
	return tokens
}

// tell reports three slots, of which one has so many items left.
func (h *house) tell(token, id string, remaining int64, faults ...map[string]any) {
	h.t.Helper()
	get[receiptOut](h, 200, "POST", reportsPath, token, map[string]any{"report_id": id, "taken_at": h.clock.Now(), "faults": append([]map[string]any{}, faults...), "slots": []map[string]any{
		{"slot": "A1", "sku": "cola", "remaining": remaining, "capacity": 10}, {"slot": "A2", "sku": "water", "remaining": 9, "capacity": 10}, {"slot": "A3", "sku": "nuts", "remaining": 10, "capacity": 10}}})
}

// work runs the plans that are queued, as the background work would.
func (h *house) work() {
	h.t.Helper()
	list, err := h.Plans(context.Background(), "", 100)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range list {
		if p.State == planQueued || p.State == planPlanning {
			text, _ := json.Marshal(planKey{p.City, p.Date.String(), int64(p.Revision)})
			if err := h.plan(context.Background(), text); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

func hasty(c *Config) { c.PlanCPU = 20 * time.Millisecond }

func TestNightFromGateToSecondRevision(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		tokens := h.stand(20, 1)
		zone := zoneOf(t, "Europe/Berlin")
		date, start := slots.NextNight(h.clock.Now(), zone)
		look := func(after time.Duration) []Plan {
			h.clock.Set(start.Add(after))
			h.tonight.forget()
			if err := h.openGates(ctx); err != nil {
				t.Fatal(err)
			}
			h.work()
			list, err := h.Plans(ctx, "Berlin", 10)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		h.clock.Set(start.Add(10 * time.Minute))
		for i, token := range tokens[:18] {
			h.tell(token, fmt.Sprintf("night-%d", i), 0)
		}
		if list := look(30 * time.Minute); len(list) != 0 {
			t.Fatalf("planned at 00:30: %+v", list)
		}
		if list := look(61 * time.Minute); len(list) != 0 {
			t.Fatalf("planned with 18 of 20 in at 01:01: %+v", list)
		}
		h.tell(tokens[18], "late", 0)
		h.tell(tokens[19], "later", 0)
		list := look(70 * time.Minute)
		if len(list) != 1 || list[0].Because != "20 of 20 machines are in" || list[0].Stale != 0 || list[0].Date != date || list[0].State != planDone || list[0].Visits != 20 {
			t.Fatalf("%+v", list)
		}
		if list = look(119 * time.Minute); len(list) != 1 {
			t.Fatalf("planned twice: %+v", list)
		}
		p, err := h.Plan(ctx, "berlin", date, 0)
		if err != nil || len(p.Routes) == 0 {
			t.Fatalf("%+v, %v", p, err)
		}
		seen := map[string]bool{}
		for _, r := range p.Routes {
			carried := int64(0)
			for _, v := range r.Stops {
				if seen[v.Machine] || len(v.Load) == 0 || v.Arrive.Before(r.Leave) || v.Arrive.After(r.Back) {
					t.Errorf("%+v", v)
				}
				seen[v.Machine] = true
				carried += v.Items
			}
			if carried != r.Items || carried > usualCapacity || r.Back.Sub(r.Leave) > usualShift {
				t.Errorf("vehicle %d carries %d and is back at %s", r.Vehicle, carried, r.Back)
			}
		}
		if len(seen) != 20 {
			t.Errorf("%d machines are visited", len(seen))
		}
		if want := time.Date(date.Year, date.Month, date.Day, 6, 0, 0, 0, zone); !p.Routes[0].Leave.Equal(want) {
			t.Errorf("vehicles leave at %s, not %s", p.Routes[0].Leave, want)
		}
		// A coin jam at 03:00 is medium and waits; an open door is grave.
		h.clock.Set(start.Add(3 * time.Hour))
		h.tell(tokens[3], "jam", 0, map[string]any{"code": "coin_jam"})
		if list = look(181 * time.Minute); len(list) != 1 {
			t.Errorf("planned again for a coin jam: %+v", list)
		}
		h.tell(tokens[4], "hot", 0, map[string]any{"code": "temperature"})
		list = look(182 * time.Minute)
		if len(list) != 2 || list[0].Revision != 2 || !strings.Contains(list[0].Because, "m-004") {
			t.Fatalf("%+v", list)
		}
		if list = look(183 * time.Minute); len(list) != 2 {
			t.Errorf("the same fault planned again: %+v", list)
		}
		if p, err = h.Plan(ctx, "Berlin", date, 2); err != nil || p.Routes[0].Kind != "repair" || len(p.Routes[0].Stops) != 2 {
			t.Errorf("%+v, %v", p, err)
		}
	}, hasty)
}

func zoneOf(t *testing.T, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestDeadlinePlansTheLateFromTheirLastReport(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.stand(5, 2)
		_, start := slots.NextNight(h.clock.Now(), zoneOf(t, "Europe/Berlin"))
		for _, at := range []time.Duration{119 * time.Minute, 120 * time.Minute} {
			h.clock.Set(start.Add(at))
			if err := h.openGates(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		h.work()
		list, err := h.Plans(context.Background(), "Berlin", 10)
		if err != nil || len(list) != 1 || list[0].Stale != 5 || !strings.Contains(list[0].Because, "deadline, with 0 of 5") || list[0].Visits != 5 {
			t.Errorf("%+v, %v", list, err)
		}
	}, hasty)
}

func TestPlansOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.stand(3, 0)
		ask := map[string]any{"city": "Berlin", "date": "2026-03-04"}
		p := get[planOut](h, 202, "POST", plansPath, boss, ask)
		if p.State != planQueued || p.Revision != 1 {
			t.Errorf("%+v", p)
		}
		if p = get[planOut](h, 200, "POST", plansPath, boss, ask); p.Revision != 1 {
			t.Errorf("asked twice: %+v", p)
		}
		h.work()
		path := plansPath + "/Berlin/2026-03-04"
		if p = get[planOut](h, 200, "GET", path, boss, nil); p.State != planDone || p.Visits != 3 || len(p.Routes) != 1 {
			t.Errorf("%+v", p)
		}
		ask["again"] = true
		if p = get[planOut](h, 202, "POST", plansPath, boss, ask); p.Revision != 2 {
			t.Errorf("%+v", p)
		}
		h.work()
		if list := get[plansOut](h, 200, "GET", plansPath+"?city=Berlin", boss, nil); len(list.Plans) != 2 {
			t.Errorf("%+v", list)
		}
		csv := h.call("GET", path+"/routes.csv", boss, nil)
		if lines := strings.Split(strings.TrimSpace(csv.Body.String()), "\r\n"); csv.Code != 200 || len(lines) != 7 || !strings.HasPrefix(lines[1], "restock,1,1,1,2026-03-04 06:") {
			t.Errorf("%d\n%s", csv.Code, csv.Body)
		}
		var geo struct {
			Type     string
			Features []struct{ Geometry struct{ Type string } }
		}
		if err := json.Unmarshal(h.call("GET", path+"/routes.geojson", boss, nil).Body.Bytes(), &geo); err != nil || geo.Type != "FeatureCollection" || len(geo.Features) != 5 {
			t.Errorf("%+v, %v", geo, err)
		}
		for body, status := range map[[2]string]int{
			{"Berlin", "2026-13-01"}: 422, {"Berlin", "2027-03-04"}: 422, {"Berlin", "soon"}: 422, {"Atlantis", "2026-03-04"}: 404,
		} {
			problem(t, h.call("POST", plansPath, boss, map[string]any{"city": body[0], "date": body[1]}), status, "")
		}
		problem(t, h.call("GET", plansPath+"/Berlin/2026-03-05", boss, nil), 404, "")
		problem(t, h.call("GET", plansPath+"/Berlin/x/routes.csv", boss, nil), 422, "")
		if w := h.call("POST", plansPath, "", ask); w.Code != http.StatusUnauthorized {
			t.Errorf("a stranger's plan: %d", w.Code)
		}
	}, hasty)
}

// Lists of a plan are there when they are empty, and metres have no decimals.
func TestPlansAsJSON(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		for i, token := range h.stand(3, 0) {
			h.clock.Advance(time.Second)
			h.tell(token, fmt.Sprint("jam-", i), 0, map[string]any{"code": "coin_jam"})
		}
		ask := map[string]any{"city": "Berlin", "date": "2026-03-04"}
		if text := h.call("POST", plansPath, boss, ask).Body.String(); !strings.Contains(text, `"left_out":[]`) || !strings.Contains(text, `"routes":[]`) {
			t.Errorf("queued: %s", text)
		}
		h.work()
		text := h.call("GET", plansPath+"/Berlin/2026-03-04", boss, nil).Body.String()
		geo := h.call("GET", plansPath+"/Berlin/2026-03-04/routes.geojson", boss, nil).Body.String()
		list := h.call("GET", plansPath, boss, nil).Body.String()
		if !strings.Contains(text, `"kind":"repair"`) || !strings.Contains(text, `"load":[]`) || strings.Contains(text+list, "null") {
			t.Errorf("%s\n%s", text, list)
		}
		if strings.Contains(list, "left_out") || strings.Contains(list, `"routes"`) {
			t.Errorf("a list holds parts of plans: %s", list)
		}
		if decimals := regexp.MustCompile(`"metres":\d+[.e]`).FindAllString(text+list+geo, -1); decimals != nil || !strings.Contains(geo, `"metres":`) {
			t.Errorf("%q", decimals)
		}
	}, hasty)
}

// What cannot be driven is listed, with the reason.
func TestLeftOut(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		plan := func(change map[string]any) Plan {
			get[cityOut](h, 200, "PUT", apiRoot+"/cities/Berlin", boss, change)
			if _, _, err := h.MakePlan(context.Background(), "Berlin", slots.DateOf(noon), true, "test"); err != nil {
				t.Fatal(err)
			}
			h.work()
			p, err := h.Plan(context.Background(), "Berlin", slots.DateOf(noon), 0)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		h.stand(6, 0)
		lost := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "lost", "city": "Berlin"})
		h.tell(lost.Token, "r", 0)
		get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "new", "city": "Berlin"})
		p := plan(map[string]any{"vehicles": 0})
		if p.State != planDone || p.Left != 7 || p.Visits != 0 || p.Unknown != 1 || !strings.Contains(p.Problem, "no vehicles") {
			t.Errorf("without vehicles: %+v", p)
		}
		p = plan(map[string]any{"vehicles": 1})
		if p.Visits != 6 || p.Left != 1 || p.LeftOut[0].Machine != "lost" || !strings.Contains(strings.Join(p.LeftOut[0].Why, " "), "where it stands") {
			t.Errorf("%+v", p)
		}
		p = plan(map[string]any{"shift_minutes": 1})
		if p.Visits != 0 || p.Left != 7 || !strings.Contains(strings.Join(p.LeftOut[6].Why, " "), "too short") {
			t.Errorf("a shift of a minute: %+v", p)
		}
		p = plan(map[string]any{"shift_minutes": 480, "capacity": 25})
		if p.Visits != 6 || p.Left != 1 || p.Items != 66 || p.Vehicles != 1 || p.Trips != 3 || len(p.Routes) != 3 {
			t.Errorf("a small vehicle: %d visits, %d left, %d items, %d trips", p.Visits, p.Left, p.Items, p.Trips)
		}
		for i, r := range p.Routes {
			if r.Vehicle != 1 || r.Trip != i+1 || r.Trips != 3 || r.Items != 22 || len(r.Load) != 1+1 || r.Back.Sub(p.Routes[0].Leave) > 8*time.Hour || i > 0 && r.Leave != p.Routes[i-1].Back.Add(15*time.Minute) {
				t.Errorf("trip %d: %+v", i+1, r)
			}
		}
		for path, want := range map[string]string{"/vending/plans": "<td>3</td><td>6</td>", "/vending/plans/Berlin/2026-03-04": "3 trips", "/vending/plans/Berlin/2026-03-04/sheets": "Vehicle 1, trip 2 of 3",
			plansPath + "/Berlin/2026-03-04/routes.csv": "\nrestock,1,3,2,", plansPath + "/Berlin/2026-03-04/routes.geojson": `"trip":3,"vehicle":1`} {
			if text := h.call("GET", path, boss, nil).Body.String(); !strings.Contains(text, want) {
				t.Errorf("there is no %q in %s", want, text)
			}
		}
		p = plan(map[string]any{"shift_minutes": 100, "capacity": 25})
		if p.Visits != 2 || p.Left != 5 || p.Items != 22 {
			t.Errorf("a small vehicle: %d visits, %d left, %d items", p.Visits, p.Left, p.Items)
		}
		for _, v := range p.LeftOut {
			if why := v.Why[len(v.Why)-1]; v.Machine != "lost" && why != "no vehicle has room left" {
				t.Errorf("%s is left out since %s", v.Machine, why)
			}
		}
	}, hasty)
}

// A plan that fails between any two steps is taken up again, and ends once.
func TestPlanSurvivesAStopAtEveryStep(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.stand(4, 0)
		if _, _, err := h.MakePlan(context.Background(), "Berlin", slots.DateOf(noon), false, "test"); err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(planKey{"Berlin", slots.DateOf(noon).String(), 1})
		stops := 0
		for step := 1; ; step++ {
			ctx := &ending{Context: context.Background()}
			ctx.left.Store(int64(step))
			err := h.plan(ctx, text)
			p, readErr := h.Plan(context.Background(), "Berlin", slots.DateOf(noon), 0)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if p.State == planFailed {
				t.Fatalf("stopped at step %d it failed for good: %s", step, p.Problem)
			}
			if err == nil {
				if p.State != planDone || p.Visits != 4 || len(p.Routes) != 1 {
					t.Fatalf("%+v", p)
				}
				break
			}
			stops++
			if p.State == planDone && ctx.Err() == nil {
				t.Fatalf("done, with an error: %v", err)
			}
		}
		if stops == 0 {
			t.Error("it was never stopped: the test is void")
		}
		// The work comes once more, as after a crash before it was noted as done.
		before, _ := h.Plan(context.Background(), "Berlin", slots.DateOf(noon), 0)
		h.clock.Advance(time.Minute)
		if err := h.plan(context.Background(), text); err != nil {
			t.Fatal(err)
		}
		if after, _ := h.Plan(context.Background(), "Berlin", slots.DateOf(noon), 0); !after.Finished.Equal(before.Finished) {
			t.Error("a plan that is done was made again")
		}
	}, hasty)
}

// ending is a context that is cancelled after it was asked so often.
type ending struct {
	context.Context
	left atomic.Int64 // the database's goroutines ask too
}

func (e *ending) Err() error {
	if e.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestTwoProcessesMakeOnePlan(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.stand(2, 0)
		c, _ := h.city("Berlin")
		made := make(chan bool, 8)
		for range cap(made) {
			go func() {
				ok, err := h.ask(context.Background(), c, slots.DateOf(noon), true, true, "race")
				if err != nil && !errs.Is(err, errs.Busy) {
					t.Error(err)
				}
				made <- ok
			}()
		}
		n := 0
		for range cap(made) {
			if <-made {
				n++
			}
		}
		list, err := h.Plans(context.Background(), "Berlin", 10)
		if n != 1 || len(list) != 1 || err != nil {
			t.Errorf("%d were made: %+v, %v", n, list, err)
		}
	})
}
