package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"plumb/base/errs"
	"plumb/engines/devices"
	"plumb/engines/fleet"
	"plumb/engines/once"
)

// gather reads the room's metrics by their names.
func gather(t *testing.T, h *house) map[string]*dto.MetricFamily {
	t.Helper()
	reg := prometheus.NewRegistry()
	for _, c := range h.measures.collectors() {
		if err := reg.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	list, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range list {
		byName[f.GetName()] = f
	}
	return byName
}

func commandsPath(id string) string { return machinesPath + "/" + id + "/commands" }

func TestACommandGoesWithTheAnswersUntilItIsDone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		other := h.enrol("m-2")
		c := get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": "set_window", "body": map[string]any{"minutes": 90}})
		if c.State != "waiting" || c.SentBy != "boss" || c.ID == "" || !c.ExpiresAt.Equal(h.clock.Now().Add(usualTTL)) {
			t.Fatalf("%+v", c)
		}
		for i := range 2 { // an answer may be lost, so that it comes again
			r := h.runs(token, fmt.Sprint("r-", i), "", "")
			if len(r.Commands) != 1 || r.Commands[0].ID != c.ID || r.Commands[0].Kind != "set_window" || fmt.Sprint(r.Commands[0].Body) != "map[minutes:90]" {
				t.Fatalf("%+v", r)
			}
		}
		batch := lines(t, h.call("POST", reportsPath, token, ndjson(h.report("b-1"), h.report("b-2"), "{"), "Content-Type", "application/x-ndjson"))
		if len(batch) != 3 || len(batch[0].Commands) != 0 || len(batch[1].Commands) != 1 || batch[1].Commands[0].ID != c.ID || len(batch[2].Commands) != 0 {
			t.Errorf("a batch is answered with %+v", batch)
		}
		if r := h.runs(other, "r-1", "", ""); len(r.Commands) != 0 {
			t.Errorf("another machine is told %+v", r.Commands)
		}
		donePath := apiRoot + "/commands/" + c.ID + "/done"
		problem(t, h.call("POST", donePath, other, map[string]any{"ok": true}), 404, "was sent to machine m-2")
		for range 2 {
			if w := h.call("POST", donePath, token, map[string]any{"ok": true, "detail": "window is 90 min"}); w.Code != 204 {
				t.Fatal(w.Code, w.Body)
			}
		}
		// What it says later does not change what it said.
		h.call("POST", donePath, token, map[string]any{"ok": false, "detail": "no"})
		list := get[commandsListOut](h, 200, "GET", commandsPath("m-1"), boss, nil).Commands
		if len(list) != 1 || list[0].State != "done" || list[0].Detail != "window is 90 min" || list[0].DeliveredAt == nil || list[0].AnsweredAt == nil {
			t.Errorf("%+v", list)
		}
		if r := h.runs(token, "r-9", "", ""); len(r.Commands) != 0 {
			t.Errorf("done, and told %+v", r.Commands)
		}
		h.known.mu.RLock()
		if len(h.known.waiting) != 0 {
			t.Errorf("%v are still thought to have commands", h.known.waiting)
		}
		h.known.mu.RUnlock()
		sent := gather(t, h)["plumb_vending_commands_total"].GetMetric()
		got := map[string]float64{}
		for _, m := range sent {
			got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
		if fmt.Sprint(got) != "map[done:1 failed:0 sent:1]" {
			t.Error(got)
		}
	})
}

func TestCommandsOverMQTTAreAnsweredOnTheirTopic(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		ctx := context.Background()
		device := devices.Device{Realm: realm, ID: "m-1"}
		one := get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": "reboot"})
		say := func(payload string) error {
			answer, err := h.heardDone(ctx, device, []byte(payload))
			if answer != nil {
				t.Errorf("%s is answered with %s", payload, answer)
			}
			return err
		}
		// Whatever can never be noted is dropped, or it would come for ever.
		for _, bad := range []string{"", "{", `{"id":""}`, `{"id":"nothing","ok":true}`, `{"id":"` + strings.Repeat("x", 100) + `"}`, `{"surprise":1}`} {
			if err := say(bad); err != nil {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := say(`{"id":"` + one.ID + `","ok":false,"detail":"the door is open"}`); err != nil {
			t.Fatal(err)
		}
		if c := get[commandsListOut](h, 200, "GET", commandsPath("m-1"), boss, nil).Commands[0]; c.State != "failed" || c.Detail != "the door is open" {
			t.Errorf("%+v", c)
		}
		if _, err := h.heardDone(ctx, devices.Device{Realm: realm, ID: "nobody"}, []byte(`{}`)); err == nil {
			t.Error("an unknown machine was heard")
		}
	})
}

func TestCommandsExpireAndAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": "reboot", "ttl_s": 60})
		h.clock.Advance(time.Minute)
		if r := h.runs(token, "r-1", "", ""); len(r.Commands) != 0 {
			t.Errorf("expired, and told %+v", r.Commands)
		}
		if c := get[commandsListOut](h, 200, "GET", commandsPath("m-1"), boss, nil).Commands[0]; c.State != "expired" {
			t.Errorf("%+v", c)
		}
		for i := range 100 {
			h.clock.Advance(time.Second)
			get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": "step", "body": i})
		}
		problem(t, h.call("POST", commandsPath("m-1"), boss, map[string]any{"kind": "step"}), 409, "100 commands wait")
		r := h.runs(token, "r-2", "", "")
		if len(r.Commands) != answeredMost {
			t.Fatalf("%d commands in one answer", len(r.Commands))
		}
		for i, c := range r.Commands { // in the order in which they were sent
			if fmt.Sprint(c.Body) != fmt.Sprint(i) {
				t.Errorf("%d: %+v", i, c)
			}
		}
	})
}

// A request whose answer was lost comes again with its key, and reboots once.
func TestACommandThatIsSentAgainIsOne(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		send := func(kind string) commandOut {
			t.Helper()
			return get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": kind}, "Idempotency-Key", "k-1")
		}
		first := send("reboot")
		h.clock.Advance(time.Minute)
		if again := send("reboot"); again.ID != first.ID || !again.SentAt.Equal(first.SentAt) {
			t.Errorf("%+v, then %+v", first, again)
		}
		problem(t, h.call("POST", commandsPath("m-1"), boss, map[string]any{"kind": "fetch"}, "Idempotency-Key", "k-1"), 409, "")
		if list := get[commandsListOut](h, 200, "GET", commandsPath("m-1"), boss, nil).Commands; len(list) != 1 {
			t.Errorf("%+v", list)
		}
	})
}

func TestCommandsThatAreRefused(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enrol("m-1")
		for _, c := range []struct {
			body   any
			status int
			says   string
		}{
			{map[string]any{"kind": ""}, 422, "kind"},
			{map[string]any{"kind": "re boot"}, 422, "kind"},
			{map[string]any{"kind": "reboot", "ttl_s": 59}, 422, "ttl_s"},
			{map[string]any{"kind": "reboot", "body": strings.Repeat("x", 4097)}, 422, "4096"},
			{`{"kind": "reboot", "body": {]}`, 400, ""},
		} {
			problem(t, h.call("POST", commandsPath("m-1"), boss, c.body), c.status, c.says)
		}
		problem(t, h.call("POST", commandsPath("nobody"), boss, map[string]any{"kind": "reboot"}), 404, "nobody")
		problem(t, h.call("GET", commandsPath("nobody"), boss, nil), 404, "nobody")
		h.call("DELETE", machinesPath+"/m-1", boss, nil)
		problem(t, h.call("POST", commandsPath("m-1"), boss, map[string]any{"kind": "reboot"}), 403, "revoked")
		if _, err := h.SendCommand(context.Background(), "x", "m-1", NewCommand{Kind: "a", Body: json.RawMessage(`{`)}, once.Request{}); !errs.Is(err, errs.Denied) && !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
	})
}

// A command that another process sent is known here once the bus says so.
func TestACommandIsKnownInEveryProcess(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.enrol("m-1")
		other := open(t, h.n.DB)
		get[commandOut](h, 202, "POST", commandsPath("m-1"), boss, map[string]any{"kind": "reboot"})
		if err := other.bus.Publish(context.Background(), subjectCommand, []byte(`"m-1"`)); err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			if r := other.runs(token, fmt.Sprint("r-", i), "", ""); len(r.Commands) == 1 {
				break
			}
			if i == 2000 {
				t.Fatal("the command never went with an answer")
			}
			time.Sleep(time.Millisecond)
		}
		// And a process that starts later finds it by itself.
		third := open(t, h.n.DB)
		if r := third.runs(token, "third", "", ""); len(r.Commands) != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// What an answer costs that says nothing beside: it is on every report's path.
func BenchmarkAdvise(b *testing.B) {
	h := benchHouse(b, "sqlite")
	h.enrol("m-1")
	m, _ := h.city("Berlin")
	rows, receipts := []*incoming{{firmware: "1"}}, make([]Receipt, 1)
	who := fleet.Machine{Realm: realm, ID: "m-1", Cohort: "Berlin"}
	for b.Loop() {
		h.advise(who, m, rows, receipts)
		h.waitingFor(context.Background(), "m-1")
	}
}
