package vending

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// form posts what a browser would, and returns the answer.
func (h *house) form(path string, values ...string) *httptest.ResponseRecorder {
	v := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		v.Set(values[i], values[i+1])
	}
	return h.call("POST", "/vending"+path, boss, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// wantPage checks that a page has the status and says all of that.
func wantPage(t *testing.T, w *httptest.ResponseRecorder, status int, says ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("%d, want %d: %s", w.Code, status, w.Body)
	}
	for _, s := range says {
		if !strings.Contains(w.Body.String(), s) {
			t.Errorf("%q is missing in\n%s", s, w.Body)
		}
	}
}

func TestPagesOfAlerts(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		wantPage(t, h.call("GET", "/vending/alerts", boss, nil), 200, "All is well.")
		token := h.enrol("m-1")
		h.tell(token, "r-1", 5, map[string]any{"code": "door_open"})
		h.watched()
		wantPage(t, h.call("GET", "/vending/alerts?city=Berlin", boss, nil), 200, "has a grave fault", `href="/vending/machines/m-1"`, "See to it")
		list, _, err := h.Alerts(context.Background(), AlertFilter{})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if w := h.form("/alerts/" + list[0].ID + "/ack"); w.Code != 303 || w.Header().Get("Location") != "/vending/alerts" {
			t.Error(w.Code, w.Header())
		}
		wantPage(t, h.call("GET", "/vending/alerts", boss, nil), 200, "seen to by boss")
		h.tell(token, "r-2", 5)
		h.watched()
		wantPage(t, h.call("GET", "/vending/alerts", boss, nil), 200, "All is well.")
		wantPage(t, h.call("GET", "/vending/alerts?all=1", boss, nil), 200, ">closed</span>")
		if w := h.form("/alerts/none/ack"); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

func TestPagesOfRollouts(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.cohort(4)
		wantPage(t, h.call("GET", "/vending/rollouts", boss, nil), 200, "No rollout yet", `<option>Berlin</option>`)
		// What is wrong stands beside its field, and what was typed stays.
		wantPage(t, h.form("/rollouts", "name", "spring", "city", "Berlin", "percent", "ten", "firmware", "2"), 422, "is not a number", `value="spring"`, `<option selected>Berlin</option>`)
		wantPage(t, h.form("/rollouts", "name", "spring", "city", "Berlin"), 422, "a rollout has a target")
		if w := h.form("/rollouts", "name", "spring", "city", "Berlin", "firmware", "2", "percent", "25%"); w.Code != 303 || w.Header().Get("Location") != "/vending/rollouts/spring" {
			t.Fatal(w.Code, w.Body)
		}
		wantPage(t, h.form("/rollouts", "name", "other", "city", "Berlin", "firmware", "2"), 409, "rollout spring is for Berlin already")
		wantPage(t, h.call("GET", "/vending/rollouts", boss, nil), 200, "firmware 2", "25%", ">active</span>")
		page := "/vending/rollouts/spring"
		wantPage(t, h.call("GET", page, boss, nil), 200, "0 of 4", "target firmware 2 in place of firmware 1, 25%", "Pause")
		change := func(values ...string) {
			t.Helper()
			h.clock.Advance(time.Second)
			if w := h.form("/rollouts/spring", values...); w.Code != 303 {
				t.Error(w.Code, w.Body)
			}
		}
		change("do", "percent", "percent", "50")
		change("do", "pause")
		wantPage(t, h.call("GET", page, boss, nil), 200, "50% of the machines", ">paused</span>", "Let it go on")
		change("do", "resume")
		change("do", "undo")
		wantPage(t, h.call("GET", page, boss, nil), 200, ">undone</span>", "undone: back to firmware 1")
		wantPage(t, h.form("/rollouts/spring", "do", "percent", "percent", "101"), 422, `role="alert"`)
		wantPage(t, h.form("/rollouts/spring", "do", "dance"), 422, "nothing was chosen")
		change("do", "end")
		for _, w := range []*httptest.ResponseRecorder{h.call("GET", page, boss, nil), h.form("/rollouts/spring", "do", "pause")} {
			if w.Code != 404 {
				t.Error(w.Code, w.Body)
			}
		}
	})
}

func TestCommandsOnAMachinesPage(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		wantPage(t, h.call("GET", "/vending/machines/m-1", boss, nil), 200, "No command was sent to it yet")
		if w := h.form("/machines/m-1/commands", "kind", "fetch", "body", `{"log": "<b>"}`); w.Code != 303 {
			t.Fatal(w.Code, w.Body)
		}
		wantPage(t, h.call("GET", "/vending/machines/m-1?did=sent", boss, nil), 200, "Sent. The machine gets it", "fetch {&#34;log&#34;: &#34;&lt;b&gt;&#34;}", ">waiting</span>", "boss")
		wantPage(t, h.form("/machines/m-1/commands", "kind", "fetch", "body", `{`), 200, `role="alert"`)
		wantPage(t, h.form("/machines/m-1/commands", "kind", "f g"), 200, "kind")
		if w := h.form("/machines/nobody/commands", "kind", "fetch"); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}
