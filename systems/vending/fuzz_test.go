package vending

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"plumb/base/errs"
)

// FuzzReport: whatever a machine sends is either refused with a reason, or reads
// back as what is kept of it.
func FuzzReport(f *testing.F) {
	f.Add(fullReport("r-1"))
	f.Add([]byte(`{"report_id":"x","taken_at":"2026-03-04T13:00:00.123456789+01:00","slots":[{"slot":"\"\\","sku":"ü\u2028<>&","remaining":0,"capacity":1,"price":0}],"faults":[{"code":"other","slot":"a\\","since":"2026-03-04T13:00:00Z"},{"code":"coin_jam","severity":"high"}]}`))
	for _, s := range []string{"", "{}", "null", "[]", `{"report_id":"x","slots":null}`, `{"report_id":"x","taken_at":"0000-01-01T00:00:00Z","slots":[{}]}`,
		`{"report_id":"x","slots":[{"slot":"A","sku":"c","remaining":1e99,"capacity":10}]}`, `{"report_id":"\ud800","slots":[]}`, "{\"report_id\":\"\xff\"}", strings.Repeat("[", 100)} {
		f.Add([]byte(s))
	}
	s := &System{c: Defaults()}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decodeReport(text)
		if err == nil {
			err = r.check()
		}
		if err != nil {
			if !errs.Is(err, errs.Invalid) || errs.Message(err) == "" || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		row, _ := s.row(&r, noon)
		var back body
		if err := json.Unmarshal([]byte(row.body), &back); err != nil {
			t.Fatalf("%q is kept as %s: %v", text, row.body, err)
		}
		if !reflect.DeepEqual(back.Slots, r.Slots) || len(back.Faults) != len(r.Faults) || strings.ContainsRune(row.body, 0) || !utf8.ValidString(row.body) {
			t.Fatalf("%q is kept as %s", text, row.body)
		}
		again, _ := s.row(&Report{ID: r.ID, Taken: r.Taken, Slots: back.Slots, Faults: back.Faults}, noon)
		if again.body != row.body {
			t.Fatalf("%s reads back as %s", row.body, again.body)
		}
	})
}

// FuzzScan: what the scanner reads, the strict decoder reads the same.
func FuzzScan(f *testing.F) {
	f.Add(fullReport("r-1"))
	for _, s := range []string{`{"report_id":"x","taken_at":"2026-03-04T13:00:00.123456789+01:00","slots":[{"slot":"ü","sku":"c","remaining":-0,"capacity":1,"price":0}],"faults":[{"code":"other","since":"2026-03-04T13:00:00Z"},{}],"firmware":"1","config":""}`,
		`{"slots":[{"slot":"A","sku":"c","remaining":01,"capacity":10}]}`, `{"slots":[{"slot":"A","sku":"c","remaining":1.0,"capacity":10}]}`, `{"slots":[{"slot":"A","slot":"B","remaining":1,"capacity":10}]}`,
		`{"slots":[{"slot":"A","remaining":1}]}`, `{"report_id":"a","report_id":"b"}`, `{"Report_ID":"a"}`, ` {} `, `{} {}`, `{"slots":[]}`, `{"faults":[],"slots":[ ] }`, `{"slots":[{"remaining":999999999999999999,"capacity":9223372036854775807}]}`,
		`{"taken_at":"2026-03-04t13:00:00z"}`, `{"taken_at":"2026-03-04T24:00:00Z"}`, `{"taken_at":"0000-01-01T00:00:00Z"}`, "{\"report_id\":\"\xff\"}", "{\"report_id\":\"a\x7f\u2028\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fast, ok := scanReport(text)
		if !ok {
			return
		}
		strict, err := decodeStrictly(text)
		if err != nil {
			t.Fatalf("%q is refused: %v", text, err)
		}
		if len(fast.Slots) == 0 && len(strict.Slots) == 0 {
			fast.Slots, strict.Slots = nil, nil
		}
		if !reflect.DeepEqual(fast, strict) {
			t.Fatalf("%q\nfast   %+v\nstrict %+v", text, fast, strict)
		}
	})
}

// FuzzScanID: the id that a refusal names is the one that the decoder reads, or none;
// and it is found in a report as nearly every machine writes it.
func FuzzScanID(f *testing.F) {
	f.Add(fullReport("r-1"))
	for _, s := range []string{`{"report_id":"x"}`, `{"slots":[{"slot":"A","sku":"}]{","remaining":1,"capacity":10}],"faults":[],"report_id":"ü"}`, ` { "taken_at" : null , "report_id" : "x" } `,
		`{"slots":[{"report_id":"y"}],"report_id":"x"}`, `{"report_id":"a","report_id":"b"}`, `{"firmware":"a\\","report_id":"x"}`, `{"report\u005fid":"x"}`, `{"report_id":7}`, `[{"report_id":"x"}]`,
		`{"faults":]],"report_id":"x"}`, `{"report_id":"x`, "", strings.Repeat(" ", 4090) + `{"report_id":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id := scanID(text)
		if r, err := decodeReport(text); err == nil && id != "" && id != r.ID {
			t.Fatalf("%q has the id %q, not %q", text, r.ID, id)
		}
		if r, ok := scanReport(text); ok && len(text) <= 4<<10 && id != r.ID {
			t.Fatalf("%q has the id %q, not %q", text, r.ID, id)
		}
	})
}

// FuzzCSV: each line is told with its number, in order, whatever the file holds.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"id,city\nm-1,Berlin\n", "\ufeffid;city\nx;y\n", "id,city,lat,lon\na,b,1,2\n\"", "id,city\n\"a\nb\",c\n", "city,id\r\n,\r\n", "id,city\n\x00,\xff\n", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := openCSV(strings.NewReader(text))
		if err != nil {
			if !errs.Is(err, errs.Invalid) || !utf8.ValidString(errs.Message(err)) {
				t.Fatal(err)
			}
			return
		}
		last := 1
		for {
			row, err := rows.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if row.out.Line <= last {
				t.Fatalf("line %d after line %d", row.out.Line, last)
			}
			last = row.out.Line
			if row.out.Err != nil && (!errs.Is(row.out.Err, errs.Invalid) || !utf8.ValidString(row.out.Why())) {
				t.Fatal(row.out.Err)
			}
		}
	})
}

// FuzzCursor: no cursor reaches the database as anything but a place in a list.
func FuzzCursor(f *testing.F) {
	f.Add("", true)
	f.Add(cursor(Filter{}, Machine{ID: "m-1"}), false)
	f.Add("AAAA", true)
	f.Fuzz(func(t *testing.T, text string, late bool) {
		q, args, err := Filter{Cursor: text, Late: late, Limit: 1}.query(noon)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if strings.Count(q, "$") != len(args) {
			t.Fatalf("%s has %d arguments", q, len(args))
		}
	})
}

func TestLinesOfABatchNeverStopEachOther(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		text := "null\n[]\n{\"report_id\":\"\xff\"}\n" + strings.Repeat("[", 1000) + "\n" + ndjson(h.report("good"))
		l := lines(t, h.call("POST", reportsPath, token, text, "Content-Type", "application/x-ndjson"))
		if len(l) != 5 || l[4].Status != "stored" {
			t.Fatalf("%+v", l)
		}
		for _, r := range l[:4] {
			if r.Status != "invalid" || r.Detail == "" {
				t.Errorf("%+v", r)
			}
		}
		if _, err := h.Machine(context.Background(), "m-1"); err != nil {
			t.Error(err)
		}
	})
}
