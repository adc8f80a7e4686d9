package vending

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/devices"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const regionsPath = apiRoot + "/regions"

// cells opens two houses, north and south, that know each other. Each has a
// database of its own; south's is SQLite.
func cells(t *testing.T, fn func(t *testing.T, north, south *house)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		north := open(t, db, func(c *Config) { c.Region = "north" })
		south := open(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), func(c *Config) { c.Region = "south" })
		for _, h := range []*house{north, south} {
			for _, name := range []string{"north", "south"} {
				get[regionOut](h, 200, "PUT", regionsPath+"/"+name, boss, map[string]any{"endpoint": "https://" + name + ".test/", "mqtt_endpoint": "mqtts://" + name + ".test:8883", "fallback": "https://spare.test"})
			}
		}
		fn(t, north, south)
	})
}

func cellNamed(name string) cellOut {
	return cellOut{name, "https://" + name + ".test", "mqtts://" + name + ".test:8883", "https://spare.test"}
}

func TestMachinesAreToldWhereTheyBelong(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		e := get[enrolledOut](north, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Berlin"})
		if e.Endpoint != "https://north.test" || e.Cell == nil || *e.Cell != cellNamed("north") {
			t.Errorf("enrolled: %+v", e)
		}
		if r := north.runs(e.Token, "r-1", "", ""); r.Cell == nil || *r.Cell != cellNamed("north") {
			t.Errorf("reported: %+v", r)
		}
		for city, want := range map[string]string{"Berlin": "north", "rome": "south"} {
			b := get[bootstrapOut](north, 200, "GET", apiRoot+"/bootstrap?city="+city, "", nil)
			if b.cellOut != cellNamed(want) || b.Here != (want == "north") || b.NextReportAt != "" || b.ServerTime == "" {
				t.Errorf("bootstrap of %s: %+v", city, b)
			}
		}
		b := get[bootstrapOut](north, 200, "GET", apiRoot+"/bootstrap", e.Token, nil)
		if b.City != "Berlin" || b.cellOut != cellNamed("north") || b.NextReportAt == "" || b.NextInS == nil || *b.NextInS <= 0 {
			t.Errorf("bootstrap of a machine: %+v", b)
		}
		problem(t, north.call("GET", apiRoot+"/bootstrap", "", nil), 422, "city")
		problem(t, north.call("GET", apiRoot+"/bootstrap?city=Atlantis", "", nil), 404, "Atlantis")
		// A machine is enrolled where it will report.
		problem(t, north.call("POST", machinesPath, boss, map[string]any{"id": "m-2", "city": "Rome"}), 403, "https://south.test")
		w := north.call("POST", machinesPath+"/import", boss, "id,city\nm-3,Rome\nm-4,Berlin\n", "Content-Type", "text/csv")
		if !strings.Contains(w.Body.String(), `"id":"m-3","status":"invalid"`) || !strings.Contains(w.Body.String(), `"id":"m-4","status":"enrolled"`) {
			t.Error(w.Body)
		}
		problem(t, north.call("POST", plansPath, boss, map[string]any{"city": "Rome", "date": "2026-03-04"}), 403, "https://south.test")
	})
}

// handOver brings a city's machines from one cell to another, and returns what
// became of each.
func handOver(t *testing.T, from, to *house, city string) []takenOverOut {
	t.Helper()
	var all []takenOverOut
	for cursor := ""; ; {
		w := from.call("GET", apiRoot+"/handover?city="+city+"&limit=2&cursor="+cursor, boss, nil)
		if w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "\"token\"") {
			t.Error("a token is handed over")
		}
		page := w.Body.String() // goes to the new cell as it came
		all = append(all, get[takenOut](to, 200, "POST", apiRoot+"/handover", boss, page).Machines...)
		var got handoverOut
		if err := json.Unmarshal([]byte(page), &got); err != nil {
			t.Fatal(err)
		}
		if cursor = got.Next; cursor == "" {
			return all
		}
	}
}

func TestACityIsHandedOver(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		// Rome begins in the north, with three machines.
		tokens := map[string]string{}
		for _, id := range []string{"m-1", "m-2", "m-3"} {
			tokens[id] = get[enrolledOut](north, 201, "POST", machinesPath, boss, map[string]any{"id": id, "city": "Rome", "lat": 41.9, "lon": 12.5, "model": "big"}).Token
		}
		north.runs(tokens["m-1"], "r-1", "1.4", "c7", map[string]any{"code": "door_open"})
		north.call("DELETE", machinesPath+"/m-3", boss, nil)
		get[cohortOut](north, 200, "PUT", apiRoot+"/cohorts/canary", boss, map[string]any{"machines": []string{"m-2"}})

		for range 2 { // the same again changes nothing
			for _, m := range handOver(t, north, south, "Rome") {
				if m.Status != "taken" {
					t.Fatalf("%+v", m)
				}
			}
		}
		// Until the city is the south's, the north takes its reports.
		if r := north.runs(tokens["m-1"], "r-2", "1.4", "c7"); r.Status != "stored" || r.Cell.Region != "north" {
			t.Errorf("%+v", r)
		}
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})

		// From then on it says where to go, and has not taken the report.
		w := north.call("POST", reportsPath, tokens["m-1"], north.report("r-3"))
		problem(t, w, 421, "https://south.test")
		var doc moved
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Cell != cellNamed("south") {
			t.Errorf("%+v, %v", doc, err)
		}
		if r := south.runs(tokens["m-1"], "r-3", "1.4", "c7"); r.Status != "stored" || r.Cell.Region != "south" {
			t.Errorf("%+v", r)
		}
		// What the north stored, and whose answer may have been lost, is a duplicate in
		// both: in the north whatever it was, in the south what came with the machine.
		again := with(with(with(north.report("r-1"), "firmware", "1.4"), "config", "c7"), "faults", []map[string]any{{"code": "door_open"}})
		for _, h := range []*house{north, south} {
			if r := get[receiptOut](h, 200, "POST", reportsPath, tokens["m-1"], again); r.Status != "duplicate" || r.Cell.Region != "south" {
				t.Errorf("%+v", r)
			}
		}
		if n := north.count(); n != 2 {
			t.Errorf("the north has %d reports", n)
		}

		// The south knows the machine as the north did.
		d := get[detailOut](south, 200, "GET", machinesPath+"/m-1", boss, nil)
		if d.City != "Rome" || d.Model != "big" || *d.Lat != 41.9 || d.Firmware != "1.4" || d.ReportID != "r-3" || !d.HasToken {
			t.Errorf("%+v", d)
		}
		if d := get[detailOut](south, 200, "GET", machinesPath+"/m-3", boss, nil); d.State != "revoked" {
			t.Errorf("%+v", d)
		}
		if w := south.call("POST", reportsPath, tokens["m-3"], south.report("r-1")); w.Code != 401 {
			t.Errorf("a revoked machine reports in its new cell: %d", w.Code)
		}
		south.known.mu.RLock()
		if south.known.cohorts["m-2"] != "canary" {
			t.Errorf("%v", south.known.cohorts)
		}
		south.known.mu.RUnlock()

		// The north counts, plans and alerts for Rome no more, and nobody is late there.
		if list := north.watched(); len(list) != 0 {
			t.Errorf("%q", list)
		}
		north.clock.Advance(48 * time.Hour)
		if list := north.watched(); len(list) != 0 {
			t.Errorf("%q", list)
		}
		if late := get[machinesOut](north, 200, "GET", machinesPath+"?late=true", boss, nil).Machines; len(late) != 0 {
			t.Errorf("%+v", late)
		}
		if err := north.openGates(context.Background()); err != nil {
			t.Error(err)
		}
		if list, err := north.Plans(context.Background(), "", 10); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
		// Should the city come home, its machines are expected again, but no revoked one.
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "north"})
		north.watched()
		for _, m := range get[machinesOut](north, 200, "GET", machinesPath, boss, nil).Machines {
			if (m.NextReportAt == nil) != (m.State == "revoked") || m.Late {
				t.Errorf("%+v", m)
			}
		}
	})
}

// A batch at the wrong cell is told line by line: what was stored there is a
// duplicate, the rest moved.
func TestABatchAtTheWrongCell(t *testing.T) {
	cells(t, func(t *testing.T, north, _ *house) {
		token := get[enrolledOut](north, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Rome"}).Token
		get[receiptOut](north, 200, "POST", reportsPath, token, north.report("r-1"))
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		other := with(north.report("r-1"), "slots", []map[string]any{{"slot": "B1", "sku": "nuts", "remaining": 1, "capacity": 5}})
		got := lines(t, north.call("POST", reportsPath, token, ndjson(north.report("r-1"), north.report("r-2"), "{", other), "Content-Type", "application/x-ndjson"))
		for i, want := range []string{"duplicate", "moved", "invalid", "moved"} {
			if got[i].Status != want || want == "moved" && (got[i].Cell == nil || *got[i].Cell != cellNamed("south") || got[i].Detail == "") {
				t.Errorf("%+v, want %s", got[i], want)
			}
		}
		m := gather(t, north)["plumb_vending_reports_total"].GetMetric()
		for _, c := range m {
			if c.GetLabel()[0].GetValue() == "moved" && c.GetCounter().GetValue() != 2 {
				t.Errorf("%v", c)
			}
		}
	})
}

// On MQTT the answer names the cell, and there is no PUBACK: a stock client would
// delete the report.
func TestTheWrongCellOverMQTT(t *testing.T) {
	cells(t, func(t *testing.T, north, _ *house) {
		get[enrolledOut](north, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Rome"})
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		payload, err := json.Marshal(north.report("r-1"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := north.heard(context.Background(), devices.Device{Realm: realm, ID: "m-1"}, payload)
		if err == nil {
			t.Error("the report counts as taken")
		}
		var r receiptOut
		if json.Unmarshal(answer, &r) != nil || r.Status != "moved" || r.Cell == nil || *r.Cell != cellNamed("south") {
			t.Errorf("%s", answer)
		}
		if list, err := north.Refusals(context.Background(), "m-1"); err != nil || len(list) != 0 {
			t.Errorf("kept aside: %+v %v", list, err)
		}
	})
}

// One machine goes to a city of another cell, and later comes home.
func TestAMachineMovesAndComesHome(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		for _, h := range []*house{north, south} {
			get[cityOut](h, 200, "PUT", apiRoot+"/cities/Berlin", boss, map[string]any{"region": "north"})
			get[cityOut](h, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		}
		token := get[enrolledOut](north, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Berlin"}).Token
		north.runs(token, "r-1", "", "")
		move := func(from, to *house, city string) {
			t.Helper()
			list, _, err := from.HandOver(context.Background(), map[string]string{"Rome": "Berlin", "Berlin": "Rome"}[city], "", 10)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			list[0].City = city // where it will stand
			if got := get[takenOut](to, 200, "POST", apiRoot+"/handover", boss, map[string]any{"machines": list}); got.Machines[0].Status != "taken" {
				t.Fatalf("%+v", got)
			}
			if w := from.call("POST", machinesPath+"/m-1/move", boss, map[string]any{"city": city, "lat": 1.5, "lon": 2.5}); w.Code != 204 {
				t.Fatal(w.Code, w.Body)
			}
		}
		move(north, south, "Rome")
		problem(t, north.call("POST", reportsPath, token, north.report("r-2")), 421, "south")
		south.runs(token, "r-2", "2.0", "")
		move(south, north, "Berlin")
		problem(t, south.call("POST", reportsPath, token, south.report("r-3")), 421, "north")
		if r := north.runs(token, "r-3", "", ""); r.Status != "stored" {
			t.Errorf("%+v", r)
		}
		if d := get[detailOut](north, 200, "GET", machinesPath+"/m-1", boss, nil); d.City != "Berlin" || d.Firmware != "2.0" {
			t.Errorf("what it said in the south is not known in the north: %+v", d)
		}
	})
}

func TestAMachineMovesInsideItsCell(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		if w := h.call("POST", machinesPath+"/m-1/move", boss, map[string]any{"city": "Tokyo"}); w.Code != 204 {
			t.Fatal(w.Code, w.Body)
		}
		d := get[detailOut](h, 200, "GET", machinesPath+"/m-1", boss, nil)
		next, err := time.Parse(time.RFC3339, h.runs(token, "r-1", "", "").NextReportAt)
		if err != nil || d.City != "Tokyo" || next.In(zoneOf(t, "Asia/Tokyo")).Hour() != 0 {
			t.Errorf("%+v, next %s, %v", d, next, err)
		}
		problem(t, h.call("POST", machinesPath+"/nobody/move", boss, map[string]any{"city": "Tokyo"}), 404, "nobody")
		problem(t, h.call("POST", machinesPath+"/m-1/move", boss, map[string]any{"city": "Atlantis"}), 422, "Atlantis")
		problem(t, h.call("POST", machinesPath+"/m-1/move", boss, map[string]any{"city": "Rome", "lat": 1}), 422, "lat")
		h.call("DELETE", machinesPath+"/m-1", boss, nil)
		problem(t, h.call("POST", machinesPath+"/m-1/move", boss, map[string]any{"city": "Rome"}), 403, "revoked")
	})
}

// What was learnt of a machine goes with it: its audits' counters and serial number,
// and what a plan needs.
func TestWhatIsKnownOfAMachineGoesWithIt(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		token := north.enrol2("m-1", "Rome")
		audit := func(h *house, serial string, sold int64) *httptest.ResponseRecorder {
			return h.call("POST", machinesPath+"/m-1/dts", token, auditText(serial, sold), "Content-Type", "text/plain")
		}
		if w := audit(north, "S-1", 100); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
		north.runs(token, "r-1", "", "")
		rome, _ := north.city("Rome")
		if _, _, err := north.makeRoutes(context.Background(), rome, slots.Date{Year: 2026, Month: time.March, Day: 4}, 1); err != nil { // learns
			t.Fatal(err)
		}
		handOver(t, north, south, "Rome")
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})

		north.clock.Advance(24 * time.Hour)
		south.clock.Advance(24 * time.Hour)
		problem(t, audit(north, "S-1", 107), 421, "south")
		problem(t, audit(south, "S-2", 107), 409, "S-1")
		if w := audit(south, "S-1", 107); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
		row := func(h *house, q string) (text string) {
			t.Helper()
			err := h.n.DB.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error { return tx.QueryRow(ctx, q).Scan(&text) })
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		if sold := row(south, `SELECT body FROM vending_sales`); !strings.Contains(sold, `"10":7`) {
			t.Errorf("sold across the hand-over: %s", sold)
		}
		if a, b := row(north, `SELECT body FROM vending_demand`), row(south, `SELECT body FROM vending_demand`); a != b {
			t.Errorf("learnt in the north: %s, known in the south: %s", a, b)
		}
	})
}

func TestWhatIsNotTakenOver(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		get[cityOut](south, 200, "PUT", apiRoot+"/cities/Berlin", boss, map[string]any{"region": "north"})
		south.enrol2("m-1", "Rome")
		south.enrol2("m-2", "Milan")
		good := func(id string) Handed {
			return Handed{ID: id, City: "Rome", Credential: strings.Repeat("ab", 32), Enrolled: noon}
		}
		change := func(id string, fn func(*Handed)) Handed {
			h := good(id)
			fn(&h)
			return h
		}
		list := []Handed{
			good("n-1"),
			change("n 2", func(*Handed) {}),
			change("n-3", func(h *Handed) { h.City = "Atlantis" }),
			change("n-4", func(h *Handed) { h.City = "Berlin" }),
			change("n-5", func(h *Handed) { h.Credential = "x" }),
			change("n-6", func(h *Handed) { h.Credential = "" }),
			good("n-7"), // has the token of n-1
			good("m-1"),
			good("m-2"),
			change("n-8", func(h *Handed) {
				h.Credential, h.Report = "", &HandedReport{ID: "r", Taken: noon, Received: noon, Body: json.RawMessage(`{"slots":[{"slot":"A1","sku":"x","remaining":9,"capacity":5}]}`)}
			}),
			change("n-9", func(h *Handed) { h.Credential, h.Demand = "", json.RawMessage(`[]`) }),
			change("n-10", func(h *Handed) { h.Credential, h.Demand = "", json.RawMessage(`{"at":"2030-01-01T00:00:00Z"}`) }),
			change("n-11", func(h *Handed) {
				h.Credential, h.Meter = "", &HandedMeter{At: noon.Add(time.Hour), Counters: json.RawMessage(`{}`)}
			}),
			change("n-12", func(h *Handed) {
				h.Credential, h.Report = "", &HandedReport{ID: "r", Taken: noon.Add(time.Hour), Received: noon, Body: json.RawMessage(`{"slots":[{"slot":"A1","sku":"x","remaining":4,"capacity":5}]}`)}
			}),
			change("n-13", func(h *Handed) {
				h.Credential, h.Demand = "", json.RawMessage(`{"at":"2026-01-01T00:00:00Z"`+strings.Repeat(" ", handedBytes)+`}`)
			}),
		}
		got, err := south.TakeOver(context.Background(), list)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"taken", "invalid", "invalid", "invalid", "invalid", "taken", "conflict", "conflict", "conflict", "invalid", "invalid", "invalid", "invalid", "invalid", "invalid"} {
			if got[i].ID != list[i].ID || got[i].Status != want || want != "taken" && errs.Message(got[i].Err) == "" {
				t.Errorf("%s: %+v, want %s", list[i].ID, got[i], want)
			}
		}
		for _, id := range []string{"n-5", "n-7", "n-8"} { // a refused machine leaves nothing
			problem(t, south.call("GET", machinesPath+"/"+id, boss, nil), 404, id)
		}
		problem(t, south.call("GET", apiRoot+"/handover?city=Atlantis", boss, nil), 404, "Atlantis")
		problem(t, south.call("GET", apiRoot+"/handover?city=Rome&limit=201", boss, nil), 422, "limit")
		if _, err := south.TakeOver(context.Background(), nil); !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		if w := south.call("GET", apiRoot+"/handover?city=Rome", "", nil); w.Code != 401 {
			t.Error(w.Code)
		}
	})
}

// enrol2 adds a machine in a city.
func (h *house) enrol2(id, city string) string {
	h.t.Helper()
	return get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": id, "city": city}).Token
}

func TestRegionsThatAreRefused(t *testing.T) {
	cells(t, func(t *testing.T, north, _ *house) {
		for _, c := range []struct {
			name string
			body map[string]any
			says string
		}{
			{"a b", map[string]any{"endpoint": "https://x.test"}, "name"},
			{"x", map[string]any{"endpoint": ""}, "endpoint"},
			{"x", map[string]any{"endpoint": "x.test"}, "endpoint"},
			{"x", map[string]any{"endpoint": "ftp://x.test"}, "endpoint"},
			{"x", map[string]any{"endpoint": "https://u:p@x.test"}, "endpoint"},
			{"x", map[string]any{"endpoint": "https://x.test?a=b"}, "endpoint"},
			{"x", map[string]any{"endpoint": "https://x.test", "mqtt_endpoint": "https://x.test"}, "mqtt_endpoint"},
			{"x", map[string]any{"endpoint": "https://x.test", "fallback": "mqtt://x.test"}, "fallback"},
		} {
			problem(t, north.call("PUT", regionsPath+"/"+strings.ReplaceAll(c.name, " ", "%20"), boss, c.body), 422, c.says)
		}
		problem(t, north.call("PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "east"}), 422, "region")
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		problem(t, north.call("DELETE", regionsPath+"/south", boss, nil), 409, "1 cities")
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": ""})
		if w := north.call("DELETE", regionsPath+"/south", boss, nil); w.Code != 204 {
			t.Error(w.Code, w.Body)
		}
		problem(t, north.call("DELETE", regionsPath+"/south", boss, nil), 404, "south")
		got := get[regionsOut](north, 200, "GET", regionsPath, boss, nil)
		if got.Here != "north" || len(got.Regions) != 1 || got.Regions[0].Endpoint != "https://north.test" {
			t.Errorf("%+v", got)
		}
	})
}

// A house that is the only one serves every city, and says nothing of cells.
func TestAHouseWithoutRegions(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		get[cityOut](h, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "elsewhere"})
		e := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Rome"})
		if r := h.runs(e.Token, "r-1", "", ""); r.Status != "stored" || r.Cell != nil || e.Cell != nil || e.Endpoint != "http://plumb.test" {
			t.Errorf("%+v %+v", e, r)
		}
		if b := get[bootstrapOut](h, 200, "GET", apiRoot+"/bootstrap?city=Rome", "", nil); b.Endpoint != "http://plumb.test" || !b.Here {
			t.Errorf("%+v", b)
		}
		if h.HomeRegion() != "" || len(h.Regions()) != 0 {
			t.Error(h.HomeRegion(), h.Regions())
		}
	})
}
