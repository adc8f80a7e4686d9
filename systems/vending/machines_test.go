package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

const machinesPath = apiRoot + "/machines"

func TestCities(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		put := func(city string, body any) cityOut {
			return get[cityOut](h, 200, "PUT", apiRoot+"/cities/"+url.PathEscape(city), boss, body)
		}
		want := cityOut{"Berlin", "Europe/Berlin", point{52.52, 13.40}, 5, 1, 400, 480, ""}
		if c := put("berlin", map[string]any{}); c != want {
			t.Errorf("%+v", c)
		}
		want.Vehicles, want.Technicians, want.Shift = 12, 3, 360
		if c := put("Berlin", map[string]any{"vehicles": 12, "technicians": 3, "shift_minutes": 360}); c != want {
			t.Errorf("%+v", c)
		}
		small := map[string]any{"zone": "Europe/Berlin", "depot": map[string]any{"lat": 51.05, "lon": 8.4}}
		put("Winterberg", small)
		for city, body := range map[string]any{
			"Atlantis": map[string]any{}, "Nowhere": map[string]any{"zone": "Europe/Berlin"}, "Berlin": map[string]any{"zone": "Mars/Olympus"},
			"London": map[string]any{"zone": "Local"}, "Paris": map[string]any{"vehicles": -1}, "Rome": map[string]any{"depot": map[string]any{"lat": 91, "lon": 0}}, "Oslo": map[string]any{"colour": 1},
		} {
			problem(t, h.call("PUT", apiRoot+"/cities/"+city, boss, body), 422, "")
		}
		list := get[citiesOut](h, 200, "GET", apiRoot+"/cities", boss, nil)
		if len(list.Cities) != 2 || list.Cities[0] != want || list.Cities[1].City != "Winterberg" {
			t.Errorf("%+v", list)
		}
		problem(t, h.call("PUT", apiRoot+"/cities/Berlin", "", map[string]any{}), 401, "")
	})
}

func TestEnrolAndRevoke(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		e := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "são paulo", "lat": -23.5, "lon": -46.6, "model": "Snack 24"})
		if e.ID != "m-1" || len(e.Token) != 43 || e.Endpoint != "http://plumb.test" || e.ReportAt == "" {
			t.Errorf("%+v", e)
		}
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Berlin"}), 409, "m-1")
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m-2", "city": "Atlantis"}), 422, "Atlantis")
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m/2", "city": "Berlin"}), 422, "id")
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m-2", "city": "Berlin", "lat": 4}), 422, "lat")
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m-2", "city": "Berlin", "colour": "red"}), 422, "colour")
		m := get[detailOut](h, 200, "GET", machinesPath+"/m-1", boss, nil)
		if m.City != "Sao Paulo" || m.State != "new" || *m.Lat != -23.5 || !m.HasToken || m.NextReportAt == nil {
			t.Errorf("%+v", m)
		}
		problem(t, h.call("GET", machinesPath+"/m-9", boss, nil), 404, "m-9")
		problem(t, h.call("GET", machinesPath+"/m-1", "", nil), 401, "")
		problem(t, h.call("GET", machinesPath+"/m-1", e.Token, nil), 403, "")

		get[receiptOut](h, 200, "POST", reportsPath, e.Token, h.report("r-1"))
		get[struct{}](h, 204, "DELETE", machinesPath+"/m-1", boss, nil)
		problem(t, h.call("POST", reportsPath, e.Token, h.report("r-2")), 401, "")
		if m := get[detailOut](h, 200, "GET", machinesPath+"/m-1", boss, nil); m.State != "revoked" || m.NextReportAt != nil || m.ReportID != "r-1" {
			t.Errorf("%+v", m)
		}
		problem(t, h.call("POST", machinesPath+"/m-1/code", boss, nil), 403, "revoked")
		get[struct{}](h, 204, "POST", machinesPath+"/m-1/restore", boss, nil)
		get[receiptOut](h, 200, "POST", reportsPath, e.Token, h.report("r-2"))
		problem(t, h.call("DELETE", machinesPath+"/m-9", boss, nil), 404, "m-9")
	})
}

func TestACodeIsGoodOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		old := h.enrol("m-1")
		c := get[codeOut](h, 200, "POST", machinesPath+"/m-1/code", boss, nil)
		enrol := apiRoot + "/enrol"
		typed := strings.ToLower(strings.ReplaceAll(c.Code, "-", " "))
		e := get[enrolledOut](h, 200, "POST", enrol, "", map[string]any{"code": typed})
		if e.ID != "m-1" || e.Token == old {
			t.Errorf("%+v", e)
		}
		problem(t, h.call("POST", enrol, "", map[string]any{"code": c.Code}), 401, "not good")
		problem(t, h.call("POST", reportsPath, old, h.report("r-1")), 401, "")
		get[receiptOut](h, 200, "POST", reportsPath, e.Token, h.report("r-1"))
		first := get[codeOut](h, 200, "POST", machinesPath+"/m-1/code", boss, nil)
		last := get[codeOut](h, 200, "POST", machinesPath+"/m-1/code", boss, nil)
		problem(t, h.call("POST", enrol, "", map[string]any{"code": first.Code}), 401, "not good")
		h.clock.Advance(31 * 24 * time.Hour)
		problem(t, h.call("POST", enrol, "", map[string]any{"code": last.Code}), 401, "not good")
	})
}

// file imports a CSV text and returns the answers by line.
func (h *house) file(text, query string) map[int]importedOut {
	h.t.Helper()
	w := h.call("POST", machinesPath+"/import"+query, boss, text, "Content-Type", "text/csv")
	if w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := map[int]importedOut{}
	dec := json.NewDecoder(w.Body)
	for dec.More() {
		var o importedOut
		if err := dec.Decode(&o); err != nil {
			h.t.Fatal(err)
		}
		got[o.Line] = o
	}
	return got
}

func TestImportIsResumable(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("b-1")
		text := "\ufeffid;city;model;lat;lon\r\n" +
			"b-1;Berlin;;;\r\n" + // there before
			"b-2;Berlin;Snack 24;52.5;13.4\r\n" +
			"b-1;London;;;\r\n" + // elsewhere
			"b 3;Berlin;;;\r\n" +
			"b-4;Atlantis;;;\r\n" +
			"b-5;Berlin;;abc;\r\n" +
			"b-6;Berlin;;1;2;3\r\n" +
			"b-7;Berlin;;52,5;13\r\n" +
			"b-2;Berlin;;;\r\n" + // twice in the file
			"b-8;\"Berlin\"x;;;\r\n" +
			"b-9;Tokyo\r\n"
		want := map[int]string{2: "unchanged", 3: "enrolled", 4: "conflict", 5: "invalid", 6: "invalid", 7: "invalid", 8: "invalid", 9: "invalid", 10: "unchanged", 11: "invalid", 12: "enrolled"}
		got := h.file(text, "")
		for line, status := range want {
			o := got[line]
			if o.Status != status || (status == "enrolled") != (o.Token != "") || (status == "invalid" || status == "conflict") != (o.Detail != "") {
				t.Errorf("line %d: %+v, want %s", line, o, status)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d answers", len(got))
		}
		get[receiptOut](h, 200, "POST", reportsPath, got[3].Token, h.report("r-1"))
		again := h.file(text, "")
		if again[3].Status != "unchanged" || again[12].Status != "unchanged" || again[5].Status != "invalid" {
			t.Errorf("again: %+v", again)
		}
		get[receiptOut](h, 200, "POST", reportsPath, got[12].Token, h.report("r-1")) // still good
	})
}

// A machine that is refused leaves no city behind of those that only the table of
// the world's cities has; one that stands there defines it.
func TestWhatIsRefusedDefinesNoCity(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		cities := func() (names []string) {
			h.clock.Advance(time.Minute)
			n, err := h.Tonight(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range n.Cities {
				names = append(names, c.City)
			}
			return names
		}
		h.enrol("m-1")
		if got := h.file("id,city\nm-1,Paris\nb ad,Lima\nm-2,Berlin\nm-2,Tokyo\n", ""); got[2].Status != "conflict" || got[3].Status != "invalid" || got[5].Status != "conflict" {
			t.Errorf("%+v", got)
		}
		problem(t, h.call("POST", machinesPath, boss, map[string]any{"id": "m-1", "city": "Rome"}), 409, "m-1")
		problem(t, h.call("POST", machinesPath+"/m-9/move", boss, map[string]any{"city": "Madrid"}), 404, "m-9")
		if list, err := h.TakeOver(ctx, []Handed{{ID: "m-1", City: "Cairo", Enrolled: noon}}); err != nil || list[0].Status != "conflict" {
			t.Errorf("%+v, %v", list, err)
		}
		if got := cities(); !slices.Equal(got, []string{"Berlin"}) {
			t.Errorf("the cities are %q", got)
		}
		if got := h.file("id,city\nm-3,Paris\nm-4,paris\n", ""); got[2].Status != "enrolled" || got[3].Status != "enrolled" {
			t.Errorf("%+v", got)
		}
		get[map[string]any](h, 201, "POST", machinesPath, boss, map[string]any{"id": "m-5", "city": "rome"})
		get[map[string]any](h, 204, "POST", machinesPath+"/m-5/move", boss, map[string]any{"city": "Madrid"})
		if list, err := h.TakeOver(ctx, []Handed{{ID: "m-6", City: "Cairo", Enrolled: noon, Credential: strings.Repeat("ab", 32)}}); err != nil || list[0].Status != "taken" {
			t.Errorf("%+v, %v", list, err)
		}
		if got := cities(); !slices.Equal(got, []string{"Berlin", "Cairo", "Madrid", "Paris", "Rome"}) {
			t.Errorf("the cities are %q", got)
		}
	})
}

func TestImportOfThousands(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		var b strings.Builder
		b.WriteString("city,id\n")
		for i := range 3000 {
			fmt.Fprintf(&b, "%s,m-%04d\n", []string{"Berlin", "Cairo", "Atlantis"}[i%3], i)
		}
		got := h.file(b.String(), "?credentials=code")
		enrolled := 0
		for _, o := range got {
			if o.Status == "enrolled" && len(o.Code) == 19 && o.Token == "" {
				enrolled++
			}
		}
		if len(got) != 3000 || enrolled != 2000 {
			t.Errorf("%d answers, %d enrolled", len(got), enrolled)
		}
		e := get[enrolledOut](h, 200, "POST", apiRoot+"/enrol", "", map[string]any{"code": got[2].Code})
		if e.ID != "m-0000" {
			t.Errorf("%+v", e)
		}
		problem(t, h.call("POST", machinesPath+"/import?credentials=gold", boss, "id,city\n", "Content-Type", "text/csv"), 422, "credentials")
		for _, bad := range []string{"", "id\nm-1\n", "id,city,colour\n", "id,city,id\n"} {
			problem(t, h.call("POST", machinesPath+"/import", boss, bad, "Content-Type", "text/csv"), 422, "")
		}
		if got := h.file("id,city\n", ""); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// walk reads a list to its end and returns the ids.
func (h *house) walk(query string) []string {
	h.t.Helper()
	var ids []string
	for cursor := ""; ; {
		p := get[machinesOut](h, 200, "GET", machinesPath+"?"+query+"&cursor="+cursor, boss, nil)
		for _, m := range p.Machines {
			ids = append(ids, m.ID)
		}
		if cursor = p.Next; cursor == "" {
			return ids
		}
	}
}

func TestListsAndTheNight(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		// The order is that of the bytes, on both databases.
		ids := []string{"A-1", "B", "a-1", "a-10", "a-2", "a_1", "b"}
		tokens := map[string]string{}
		for _, id := range ids {
			tokens[id] = h.enrol(id)
		}
		london := get[enrolledOut](h, 201, "POST", machinesPath, boss, map[string]any{"id": "l-1", "city": "London"})
		if got := fmt.Sprint(h.walk("limit=2")); got != "[A-1 B a-1 a-10 a-2 a_1 b l-1]" {
			t.Error(got)
		}
		if got := fmt.Sprint(h.walk("limit=1&q=a-1")); got != "[a-1 a-10]" {
			t.Error(got)
		}
		if got := fmt.Sprint(h.walk("limit=3&city=London")); got != "[l-1]" {
			t.Error(got)
		}
		// Noon: all are new. Nobody was expected today any more.
		n := get[tonightOut](h, 200, "GET", apiRoot+"/tonight", boss, nil)
		if (n.Total != counts{Machines: 8, New: 8}) || len(n.Cities) != 2 || n.Cities[0].Date != "2026-03-04" || n.Cities[0].Progress != 1 {
			t.Errorf("%+v", n)
		}
		h.clock.Set(time.Date(2026, 3, 4, 23, 30, 0, 0, time.UTC)) // half past midnight in Berlin, half past eleven in London
		fine := with(h.report("r"), "faults", nil)
		get[receiptOut](h, 200, "POST", reportsPath, tokens["a-1"], fine)
		get[receiptOut](h, 200, "POST", reportsPath, tokens["b"], h.report("r"))
		n = get[tonightOut](h, 200, "GET", apiRoot+"/tonight", boss, nil)
		berlin := n.Cities[0]
		if berlin.Reported != 2 || berlin.Waiting+berlin.Late != 5 || berlin.Faulty != 1 || berlin.Progress != 0.5 || n.Total.New != 1 || berlin.Date != "2026-03-05" {
			t.Errorf("%+v", n)
		}
		h.clock.Set(time.Date(2026, 3, 5, 0, 20, 0, 0, time.UTC)) // Berlin's window and grace are over
		n = get[tonightOut](h, 200, "GET", apiRoot+"/tonight", boss, nil)
		if n.Cities[0].Late != 5 || n.Cities[0].Reported != 2 || n.Cities[0].Waiting != 0 {
			t.Errorf("%+v", n)
		}
		if got := h.walk("late=true&limit=2&city=Berlin"); len(got) != 5 {
			t.Error(got)
		}
		if got := fmt.Sprint(h.walk("faulty=true")); got != "[b]" {
			t.Error(got)
		}
		get[struct{}](h, 204, "DELETE", machinesPath+"/B", boss, nil)
		if got := h.walk("late=true&limit=2"); len(got) < 4 || strings.Contains(fmt.Sprint(got), "B") {
			t.Error(got)
		}
		if got := fmt.Sprint(h.walk("revoked=true")); got != "[B]" {
			t.Error(got)
		}
		// A late machine that reports is no longer late.
		get[receiptOut](h, 200, "POST", reportsPath, tokens["a-2"], with(h.report("r"), "faults", nil))
		if got := fmt.Sprint(h.walk("late=true")); strings.Contains(got, "a-2") {
			t.Error(got)
		}
		get[receiptOut](h, 200, "POST", reportsPath, london.Token, fine)
		for _, bad := range []string{"limit=0", "limit=1001", "cursor=***", "late=true&cursor=" + cursor(Filter{}, Machine{ID: "x"})} {
			problem(t, h.call("GET", machinesPath+"?"+bad, boss, nil), 422, "")
		}
		if err := h.Check(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestOldReportsArePruned(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("old"))
		h.clock.Advance(399 * 24 * time.Hour)
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("new"))
		h.clock.Advance(2 * 24 * time.Hour)
		if err := h.prune(context.Background()); err != nil {
			t.Fatal(err)
		}
		past := get[historyOut](h, 200, "GET", machinesPath+"/m-1/reports", boss, nil)
		if len(past.Reports) != 1 || past.Reports[0].ReportID != "new" {
			t.Errorf("%+v", past)
		}
	})
}

func TestHistoryHasPagesWithoutGaps(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		var all []any
		for i := range 25 { // all taken in the same second
			all = append(all, h.report(fmt.Sprintf("r-%02d", i)))
		}
		lines(t, h.call("POST", reportsPath, token, ndjson(all...), "Content-Type", "application/x-ndjson"))
		seen := map[string]bool{}
		for cursor := ""; ; {
			p := get[historyOut](h, 200, "GET", machinesPath+"/m-1/reports?limit=10&cursor="+cursor, boss, nil)
			for _, r := range p.Reports {
				seen[r.ReportID] = true
			}
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		if len(seen) != 25 {
			t.Errorf("%d of 25 seen", len(seen))
		}
		problem(t, h.call("GET", machinesPath+"/nobody/reports", boss, nil), 404, "nobody")
	})
}

func TestTheDemonstrationReports(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- h.Demo(ctx) }()
		before := int64(0)
		for h.count() == before || before == 0 { // history, then live reports
			n := h.count()
			if before == 0 && n > 0 {
				if h.rows(`SELECT count(*) FROM vending_plans`) == int64(len(demoCities)) { // asked for last
					before = h.count()
				}
			}
			if before > 0 {
				h.clock.Advance(demoEvery)
			}
			time.Sleep(5 * time.Millisecond)
		}
		stop()
		h.clock.Advance(demoEvery)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		n := get[tonightOut](h, 200, "GET", apiRoot+"/tonight", boss, nil)
		if len(n.Cities) != 6 || n.Total.Machines != 240 || n.Total.Reported < 200 || n.Total.Late == 0 || n.Total.Faulty == 0 {
			t.Errorf("%+v", n.Total)
		}
		h.look("/vending/")
		h.look("/vending/machines/demo-berlin-01")
	})
}

// look opens a page and checks what holds for each.
func (h *house) look(path string) string {
	h.t.Helper()
	w := h.call("GET", path, boss, nil)
	h.lookAt(path, w, 200)
	return w.Body.String()
}

func (h *house) lookAt(path string, w *httptest.ResponseRecorder, status int) {
	h.t.Helper()
	text := w.Body.String()
	if w.Code != status || !strings.Contains(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(text, "<h2") {
		h.t.Errorf("%s: %d %.300s", path, w.Code, text)
	}
	for _, bad := range []string{" style=", " onclick=", " onsubmit=", "<script", "<no value>", "0xc0", "%!"} {
		if strings.Contains(text, bad) {
			h.t.Errorf("%s holds %q", path, bad)
		}
	}
}

func TestPages(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		has := func(path string, words ...string) {
			t.Helper()
			text := h.look(path)
			for _, w := range words {
				if !strings.Contains(text, w) {
					t.Errorf("%s does not say %q:\n%s", path, w, text)
				}
			}
		}
		has("/vending/", "No machine is enrolled yet", "/vending/enrol")
		has("/vending/machines", "No machine is enrolled yet")
		has("/vending/cities", "No city is defined yet")
		has("/vending/enrol", "id,city,lat,lon,model", "Buenos Aires")

		form := func(path string, values url.Values) *httptest.ResponseRecorder {
			return h.call("POST", path, boss, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		}
		w := form("/vending/enrol", url.Values{"id": {"m 1"}, "city": {"Atlantis"}, "lat": {"north"}})
		h.lookAt("enrol", w, 422)
		w = form("/vending/enrol", url.Values{"id": {"m-1"}, "city": {"Atlantis"}})
		h.lookAt("enrol", w, 422)
		if !strings.Contains(w.Body.String(), "Define a city") || !strings.Contains(w.Body.String(), `value="m-1"`) {
			t.Error(w.Body)
		}
		w = form("/vending/enrol", url.Values{"id": {"m-1"}, "city": {"Berlin"}, "model": {"<b>Snack</b>"}})
		h.lookAt("enrol", w, 200)
		token := between(w.Body.String(), "<pre><code>", "</code>")
		if len(token) != 43 || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatal(w.Body)
		}
		h.lookAt("enrol", form("/vending/enrol", url.Values{"id": {"m-1"}, "city": {"Berlin"}}), 409)
		has("/vending/machines/m-1", "It has not reported yet", "&lt;b&gt;Snack", "Revoke m-1")
		get[receiptOut](h, 200, "POST", reportsPath, token, h.report("r-1"))
		get[receiptOut](h, 200, "POST", reportsPath, token, with(h.report("r-2"), "taken_at", noon.AddDate(9, 0, 0)))
		has("/vending/machines/m-1", "coin_jam", "<meter", "1.50", "r-1", "not believed", "faulty")
		has("/vending/machines?state=faulty", "m-1")
		has("/vending/machines?state=late&city=Berlin", "No machine is late in Berlin")
		has("/vending/machines?find=zz", "begins with “zz”")
		has("/vending/", "Berlin", "closed", "100%")

		w = form("/vending/machines/m-1/code", nil)
		h.lookAt("code", w, 200)
		if code := between(w.Body.String(), "once: <code>", "</code>"); len(code) != 19 {
			t.Error(w.Body)
		}
		if w := form("/vending/machines/m-1/revoke", nil); w.Code != 303 || w.Header().Get("Location") != "/vending/machines/m-1?did=revoked" {
			t.Error(w.Code, w.Header())
		}
		has("/vending/machines/m-1?did=revoked", "Revoked.", "Undo: restore m-1")
		has("/vending/machines?state=revoked", "m-1")
		if w := form("/vending/machines/m-1/restore", nil); w.Code != 303 {
			t.Error(w.Code)
		}
		has("/vending/machines/m-1?did=restored", "Restored.")

		h.lookAt("cities", form("/vending/cities", url.Values{"city": {"Winterberg"}, "vehicles": {"many"}}), 422)
		if w := form("/vending/cities", url.Values{"city": {"Winterberg"}, "zone": {"Europe/Berlin"}, "lat": {"51.1"}, "lon": {"8.4"}, "shift": {"300"}}); w.Code != 303 {
			t.Error(w.Code, w.Body)
		}
		has("/vending/cities?saved=Winterberg&edit=Winterberg", "Winterberg is saved", `value="300"`)
		if w := h.call("GET", "/vending/machines/nobody", boss, nil); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

func TestImportByPage(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		send := func(text string) *httptest.ResponseRecorder {
			var b bytes.Buffer
			m := multipart.NewWriter(&b)
			m.WriteField("credentials", "token")
			if text != "" {
				f, _ := m.CreateFormFile("file", "fleet.csv")
				f.Write([]byte(text))
			}
			m.Close()
			return h.call("POST", "/vending/import", boss, b.String(), "Content-Type", m.FormDataContentType())
		}
		w := send("id,city\nm-1,Berlin\nm-2,Atlantis\n")
		h.lookAt("import", w, 200)
		if text := w.Body.String(); !strings.Contains(text, "fleet.csv") || !strings.Contains(text, "Atlantis") || !strings.Contains(text, `href="/vending/machines/m-1"`) {
			t.Error(text)
		}
		h.lookAt("import", send("colour\nred\n"), 200)
		h.lookAt("import", send(""), 422)
		var many strings.Builder
		many.WriteString("id,city\n")
		for i := range 501 {
			fmt.Fprintf(&many, "n-%d,Berlin\n", i)
		}
		w = send(many.String())
		if w.Code != 200 || !strings.Contains(w.Header().Get("Content-Disposition"), "enrolled.csv") || strings.Count(w.Body.String(), ",enrolled,") != 501 {
			t.Errorf("%d %s %.200s", w.Code, w.Header(), w.Body)
		}
	})
}

// BenchmarkList reads pages of 50 out of a million machines.
func BenchmarkList(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) { benchmarkList(b, benchHouse(b, kind)) })
	}
}

func benchmarkList(b *testing.B, h *house) {
	const n, part = 1_000_000, 20_000
	ctx := context.Background()
	for from := 0; from < n; from += part {
		err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			for i := from; i < from+part; i++ {
				m := NewMachine{ID: fmt.Sprintf("m-%07d", i), City: demoCities[i%len(demoCities)]}
				if err := h.store.add(ctx, tx, m, noon, noon.Add(time.Duration(i%1000-10)*time.Hour)); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, `UPDATE vending_machines SET faults = 1 WHERE id >= $1 AND id LIKE '%7'`, fmt.Sprintf("m-%07d", from))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, city := range demoCities {
		if _, err := h.SetCity(ctx, city, NewCity{}); err != nil {
			b.Fatal(err)
		}
	}
	middle := cursor(Filter{}, Machine{ID: "m-0500000"})
	for name, f := range map[string]Filter{
		"all": {Cursor: middle}, "city": {City: "Cairo", Cursor: middle}, "late": {Late: true}, "late in a city": {Late: true, City: "Cairo"},
		"faulty": {Faulty: true, Cursor: middle}, "faulty in a city": {Faulty: true, City: "Cairo"}, "search": {Search: "m-09"}, "late and faulty": {Late: true, Faulty: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p, err := h.List(ctx, f); err != nil || len(p.Machines) != 50 {
					b.Fatal(len(p.Machines), err)
				}
			}
		})
	}
	b.Run("tonight", func(b *testing.B) {
		for b.Loop() {
			if _, err := h.countNight(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A count of a large fleet takes long: readers see the last one meanwhile.
func TestALongCountIsMadeInTheBackground(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		ctx := context.Background()
		if n, err := h.Tonight(ctx); err != nil || n.Total.Machines != 1 {
			t.Fatal(n.Total, err)
		}
		h.enrol("m-2")
		h.tonight.slow = true
		if n, err := h.Tonight(ctx); err != nil || n.Total.Machines != 1 {
			t.Errorf("%+v %v: the reader waited for the count", n.Total, err)
		}
		h.background.Wait()
		if n, err := h.Tonight(ctx); err != nil || n.Total.Machines != 2 {
			t.Errorf("%+v %v", n.Total, err)
		}
		h.enrol("m-3")
		h.tonight.slow = true
		h.clock.Advance(stale) // too old to be shown
		if n, err := h.Tonight(ctx); err != nil || n.Total.Machines != 3 {
			t.Errorf("%+v %v", n.Total, err)
		}
	})
}
