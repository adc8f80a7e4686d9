package vending

import (
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/engines/devices"
	"plumb/engines/fleet"
)

// TestAPlaceAtTheDoorIsAlwaysFreed: a report that cannot be read, or that makes
// the program panic, must not take a place in the queue with it: some thousand
// of them would shut everybody out.
func TestAPlaceAtTheDoorIsAlwaysFreed(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		// Year 10,000 by UTC, which JSON cannot write.
		problem(t, h.call("POST", reportsPath, token, with(h.report("r-1"), "taken_at", "9999-12-31T23:59:59-23:59")), 422, "taken_at")
		m := fleet.Machine{Realm: realm, ID: "m-1", Cohort: "Berlin"}
		if _, err := h.Report(t.Context(), m, 1, func() ([]Report, error) { return nil, errors.New("unreadable") }); err == nil {
			t.Error("an unreadable report is stored")
		}
		func() {
			defer func() { recover() }()
			h.Report(t.Context(), m, 1, func() ([]Report, error) { panic("on the way") })
		}()
		if s := h.door.admission.State(noon); s.Waiting != 0 {
			t.Errorf("places are still taken: %+v", s)
		}
	})
}

// TestABodyThatTricklesHoldsNoPlace: it is read before the machine is let in.
func TestABodyThatTricklesHoldsNoPlace(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		body, sender := io.Pipe()
		r := httptest.NewRequest("POST", reportsPath, body)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		ended := make(chan int)
		go func() {
			w := httptest.NewRecorder()
			h.http.ServeHTTP(w, r)
			ended <- w.Code
		}()
		if _, err := io.Copy(sender, strings.NewReader(`{"report_id"`)); err != nil { // returns once it was read
			t.Fatal(err)
		}
		if s := h.door.admission.State(noon); s.Waiting != 0 {
			t.Errorf("half a body holds a place: %+v", s)
		}
		sender.Close()
		if code := <-ended; code != 400 {
			t.Errorf("half a body: %d", code)
		}
	})
}

// Over MQTT several reports may be on their way: a refusal says which it is of.
func TestARefusalOverMQTTNamesItsReport(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		said := func(payload string) (r receiptOut, err error) {
			answer, err := h.heard(t.Context(), devices.Device{Realm: realm, ID: "m-1"}, []byte(payload))
			if err := json.Unmarshal(answer, &r); err != nil {
				t.Fatalf("%s: %v", answer, err)
			}
			return r, err
		}
		if r, err := said(`{"report_id":"r-0","slots":7}`); err != nil || r.ReportID != "r-0" || r.Status != "invalid" {
			t.Errorf("%+v, %v", r, err)
		}
		for h.admit("crowd", 100) == nil {
		}
		text, _ := json.Marshal(h.report("r-1"))
		if r, err := said(string(text)); err == nil || r.ReportID != "r-1" || r.Status != "refused" || r.RetryAfter < 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := said("nothing"); err == nil || r.ReportID != "" || r.Status != "refused" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestBehindIsTheWorkThatWaits: let in and not stored, or refused with a slot.
func TestBehindIsTheWorkThatWaits(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		if b := h.Face().Behind(); b != 0 {
			t.Errorf("a quiet house is %s behind", b)
		}
		if err := h.enter("m-1", 500); err != nil {
			t.Fatal(err)
		}
		capacity := h.door.admission.State(noon).Capacity
		if b, want := h.Face().Behind().Seconds(), 500/capacity; b < want*0.99 || b > want*1.01 {
			t.Errorf("500 reports wait at %v a second: %v s behind, want %v", capacity, b, want)
		}
		wait := h.door.admission.Refuse(noon, "m-2", 1)
		if b := h.Face().Behind(); b <= wait {
			t.Errorf("behind %s, with a slot in %s", b, wait)
		}
	})
}
