package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
)

type report struct {
	ReportID string    `json:"report_id"`
	TakenAt  time.Time `json:"taken_at"`
	Slots    []struct {
		Slot      string `json:"slot"`
		Remaining int    `json:"remaining"`
		Price     *int64 `json:"price,omitempty"`
	} `json:"slots"`
}

func TestDecodeNamesThePlace(t *testing.T) {
	for body, want := range map[string]struct {
		status      int
		where, what string
	}{
		`{"report_id":"r","slots":[{"slot":"A1","remaining":3}]}`:      {status: 200},
		` {"report_id":"r"} ` + "\n":                                   {status: 200},
		`{"report_id":"r","slots":[{"slot":"A1","remaining":"many"}]}`: {422, "slots[0].remaining", "is a text where a whole number is needed"},
		`{"report_id":"r","slots":[{"slot":"A1","remaining":1.5}]}`:    {422, "slots[0].remaining", "must be a whole number"},
		`{"report_id":"r","slots":[{"slot":"A1","remaining":1e400}]}`:  {422, "slots[0].remaining", "whole number"},
		`{"slots":[{},{"sku":1}]}`:                                     {422, "slots[1].sku", "is not a known field"},
		`{"Report_ID":"r"}`:                                            {422, "Report_ID", "is not a known field"},
		`{"taken_at":"yesterday"}`:                                     {422, "taken_at", "a time such as"},
		`[1]`:                                                          {422, "body", "is a list where an object is needed"},
		"{\n\"report_id\": \"r\",\n}":                                  {400, "line 2, column 17", ""},
		`{"report_id":"a","report_id":"b"}`:                            {400, "line 1, column 18", "stands twice"},
		`{} {}`:                                                        {400, "line 1, column 4", ""},
		`{"report_id":"` + "\xff" + `"}`:                               {400, "line 1, column 15", "UTF-8"},
		`{"report_id":"r"`:                                             {400, "line 1, column 17", "ends too early"},
		``:                                                             {400, "", ""},
		"null x":                                                       {400, "line 1, column 6", ""},
		strings.Repeat("[", 65):                                        {400, "line 1, column 65", "nests deeper"},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		var v report
		err := Decode(httptest.NewRecorder(), r, 0, &v)
		if want.status == 200 {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		if Status(err) != want.status {
			t.Errorf("%s: %d %v", body, Status(err), err)
			continue
		}
		if d := errs.Details(err); want.where != "" && (len(d) != 1 || d[0].Where != want.where || !strings.Contains(d[0].What, want.what)) {
			t.Errorf("%s: %v, want %s %s", body, d, want.where, want.what)
		}
	}
}

func TestDecodeBoundsTheBodyAndQuotesNoValue(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"report_id":"`+strings.Repeat("x", 100)+`"}`))
	if err := Decode(httptest.NewRecorder(), r, 50, &report{}); !errs.Is(err, errs.TooLarge) || !strings.Contains(errs.Message(err), "50 bytes") {
		t.Error(err)
	}
	for _, body := range []string{`{"slots":"hunter2"}`, `{"slots":[{"remaining":"hunter2"}]}`, `{"taken_at":"hunter2"}`, `{"report_id":hunter2}`} {
		err := DecodeBytes([]byte(body), &report{})
		w := httptest.NewRecorder()
		Problem(w, r, err)
		if w.Code < 400 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s", w.Body)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"report_id":"r","taken_at":"2026-11-22T21:40:00Z","slots":[{"slot":"A1","remaining":3,"price":150}]}`,
		`{"slots":[[[[]]]]}`, "{\"a\\u0000\":1}", `{"slots":null}`, "\xef\xbb\xbf{}", `{"a":{"a":{"a":"\""}}}`, `{"~1":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v report
		err := DecodeBytes(body, &v)
		if err == nil {
			// What we accept, a lenient decoder accepts too and reads alike.
			var other report
			if e := json.Unmarshal(body, &other); e != nil || v.ReportID != other.ReportID || len(v.Slots) != len(other.Slots) {
				t.Errorf("%q: %+v here, %+v, %v there", body, v, other, e)
			}
			return
		}
		if s := Status(err); s != http.StatusBadRequest && s != http.StatusUnprocessableEntity {
			t.Errorf("%q: status %d, %v", body, s, err)
		}
		w := httptest.NewRecorder()
		Problem(w, httptest.NewRequest("POST", "/", nil), err)
		if !json.Valid(bytes.TrimSpace(w.Body.Bytes())) {
			t.Errorf("%q: %s", body, w.Body)
		}
	})
}

// BenchmarkReport is the hot path of a machine's report: gate, headers, decode, answer.
func BenchmarkReport(b *testing.B) {
	g := NewGate(people, quiet())
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/vending/reports", g.Wrap(Machine, func(w http.ResponseWriter, r *http.Request) error {
		var v report
		if err := Decode(w, r, 0, &v); err != nil {
			return err
		}
		WriteJSON(w, 200, map[string]string{"report_id": v.ReportID})
		return nil
	}))
	h := House(mux, g, Options{Metrics: NewMetrics()})
	body := []byte(`{"report_id":"r-1","taken_at":"2026-11-22T21:40:00Z","slots":[` + strings.Repeat(`{"slot":"A1","remaining":3,"price":150},`, 19) + `{"slot":"A1","remaining":3}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/api/v1/vending/reports", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer m-1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkDecode is the strict decoder alone, beside BenchmarkStandardDecode.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"report_id":"r-1","taken_at":"2026-11-22T21:40:00Z","slots":[` + strings.Repeat(`{"slot":"A1","remaining":3,"price":150},`, 19) + `{"slot":"A1","remaining":3}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var v report
		if err := DecodeBytes(body, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandardDecode(b *testing.B) {
	body := []byte(`{"report_id":"r-1","taken_at":"2026-11-22T21:40:00Z","slots":[` + strings.Repeat(`{"slot":"A1","remaining":3,"price":150},`, 19) + `{"slot":"A1","remaining":3}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var v report
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			b.Fatal(err)
		}
	}
}
