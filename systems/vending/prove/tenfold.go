package prove

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/engines/lab/child"
	"plumb/engines/routing"
	"plumb/systems/vending/internal/dispatch"
)

// Tenfold asks what gives way first when the fleet is ten times as large.
func Tenfold() lab.Experiment {
	return lab.Experiment{
		System: "vending", Name: "tenfold", Title: "ten times the fleet",
		Question: "1.9 million machines: what saturates first, and with which window does it fit again?",
		Metrics: []lab.Metric{
			{Name: "lost", Unit: "reports", Text: "not stored by 02:00", Better: "less"},
			{Name: "tries", Unit: "calls", Text: "calls a machine", Better: "less"},
			{Name: "peak_per_s", Unit: "calls/s", Text: "busiest second", Better: "less"},
			{Name: "wait_p99_s", Unit: "s", Text: "from own first call to stored, 99th percentile", Better: "less"},
			{Name: "done_min", Unit: "min", Text: "last report stored, after midnight"},
			{Name: "window_min", Unit: "min", Text: "window"},
			{Name: "needed_per_s", Unit: "reports/s", Text: "capacity that a window of 60 min needs", Better: "less"},
			{Name: "cpu_share_pct", Unit: "%", Text: "of this computer's processors, in the window", Better: "less"},
			{Name: "plan_share_pct", Unit: "%", Text: "of them, to plan all cities in the hour after", Better: "less"},
			{Name: "plan_cpu_ms", Unit: "ms", Text: "processor time to plan a machine"},
			{Name: "session_kb", Unit: "KiB", Text: "server's memory for an MQTT session that stays open"},
			{Name: "memory_gib", Unit: "GiB", Text: "memory for connections: all open, or open for 5 s a call", Better: "less"},
			{Name: "plan_over_reports", Unit: "", Text: "planning's share over the reports' share"},
		},
		Claims: []lab.Claim{
			{ID: "midnight", Text: "at midnight ten times the fleet loses reports", Design: "naive", Metric: "lost", Op: ">", Value: new(0.0)},
			{ID: "kept", Text: "in the window that fits none is lost", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "once", Text: "with hardly a second call", Design: "built", Metric: "tries", Op: "<=", Value: new(1.05)},
			{ID: "calm", Text: "and a tenth of the wait of the old window", Design: "built", Metric: "wait_p99_s", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "wait_p99_s", Times: 0.1}},
			{ID: "needed", Text: "the old window fits where a server stores N/60 min and 6% more", Design: "built", Metric: "needed_per_s", Op: "<=", Value: new(1.06 * tenfold / 3600)},
			{ID: "planner", Text: "planning saturates first, not the reports", Design: "built", Metric: "plan_over_reports", Op: ">", Value: new(1.0)},
			{ID: "short", Text: "short calls take under a fiftieth of the memory of open sessions", Design: "built", Metric: "memory_gib", Op: "<",
				Than: &lab.Than{Design: "naive", Metric: "memory_gib", Times: 0.02}},
		},
		Picture: []string{"wait_p99_s", "peak_per_s", "done_min"},
		Run:     runTenfold,
	}
}

const (
	tenfold = 10 * fleetSize
	// A server for which the fleet fits into an hour, and ten times the fleet does not.
	smallServer = 400.0
)

func runTenfold(ctx context.Context, b *lab.Bench) error {
	// Virtual time costs the same a machine: quick plays the tenth part of the
	// fleet on the tenth part of a server.
	part := 1.0
	if !b.Full {
		part = 10
	}
	w := world{machines: int(tenfold / part), capacity: smallServer / part, spread: 2 * time.Second, abandoned: 1, horizon: 2 * time.Hour, seed: b.Seed}
	b.Progress(0, "measuring a session's memory")
	session, err := measureSession(ctx, b)
	if err != nil {
		return err
	}
	b.Progress(0.15, "measuring a plan's processor time")
	planCPU, err := measurePlan(ctx, b)
	if err != nil {
		return err
	}
	b.Progress(0.3, "measuring a report's processor time")
	cost, err := measureIngest(ctx, b)
	if err != nil {
		return err
	}
	t := &tenfolds{b: b, w: w, part: part, session: session, planCPU: planCPU, reportCPU: cost.ReportCPU}
	b.Note("A server of %s reports/s; all machines in one zone, which is the worst. Virtual time; the slots and the admission are the code that runs. "+
		"Measured on this computer (%d CPUs): %.2f ms of processor a report with its TLS, %.1f ms to plan a machine of a city of 300 where half of the visits find no vehicle (the setting plan-cpu bounds that, 10 s a city), %.0f KiB a session.",
		units.Short(smallServer), runtime.NumCPU(), 1e3*cost.ReportCPU, 1e3*planCPU, session/1024)
	if part > 1 {
		b.Note("Quick: a tenth of the machines on a tenth of a server.")
	}
	return t.run(ctx)
}

// tenfolds is one run.
type tenfolds struct {
	b                           *lab.Bench
	w                           world
	part                        float64
	session, planCPU, reportCPU float64 // bytes, seconds, seconds
}

// at plays the fleet with a window on a server.
func (t *tenfolds) at(d design, minutes, capacity float64) outcome {
	d.window = time.Duration(minutes * float64(time.Minute))
	w := t.w
	w.capacity = capacity / t.part
	return w.run(d, nil)
}

// fits says whether the night is calm: nearly every machine is stored by its first call.
func fits(o outcome) bool { return o.lost == 0 && o.tries <= 1.02 }

func (t *tenfolds) run(ctx context.Context) error {
	fitting := 0.0
	for minutes := 60.0; minutes <= 115; minutes += 5 { // all are to be in by 02:00
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o := t.at(window, minutes, smallServer)
		t.b.Point(map[string]float64{"window_min": minutes}, window.name, map[string]float64{"tries": o.tries, "wait_p99_s": o.p99.Seconds(), "lost": float64(o.lost)})
		t.b.Progress(0.5+0.2*(minutes-60)/60, "a window of %.0f min", minutes)
		if fitting == 0 && fits(o) {
			fitting = minutes
		}
		if fitting > 0 && minutes >= fitting+10 {
			break
		}
	}
	if fitting == 0 {
		return fmt.Errorf("no window up to 02:00 holds the fleet at %.0f reports/s", smallServer)
	}
	low, high := 200.0, 1000.0 // reports a second: too few, enough
	for high-low > 4 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if middle := (low + high) / 2; fits(t.at(window, 60, middle)) {
			high = middle
		} else {
			low = middle
		}
		t.b.Progress(0.8, "a window of 60 min on %.0f reports/s", high)
	}
	t.b.BreakEven("capacity with which 1.9 million machines fit into 60 min", high, "reports/s")
	built, old := window, window
	built.name, built.text = "wider window", fmt.Sprintf("A window of %.0f min, the narrowest that fits; the same slots.", fitting)
	old.name, old.text = "window of 60 min", "The fleet's window as it was; the slots work off what does not fit."
	open := midnight
	open.name, open.text = "midnight, sessions open", "Everybody reports at 00:00, over sessions that stay open."
	for _, d := range []struct {
		design
		kind    lab.Kind
		minutes float64
	}{{open, lab.Naive, 0}, {old, lab.Textbook, 60}, {built, lab.Built, fitting}} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o := t.at(d.design, d.minutes, smallServer)
		row := t.b.Design(d.name, d.kind, "durable", "once").Describe(d.text)
		t.record(row, o, d.minutes)
		if d.kind == lab.Built {
			row.Set("needed_per_s", high)
		}
		t.b.Progress(0.95, "%s", d.name)
	}
	return nil
}

func (t *tenfolds) record(row *lab.Design, o outcome, minutes float64) {
	cpus := float64(runtime.NumCPU())
	span := math.Max(minutes, o.done.Minutes()) * 60
	row.Set("lost", float64(o.lost)*t.part).Set("tries", o.tries).Set("peak_per_s", float64(o.peak)*t.part).Set("wait_p99_s", o.p99.Seconds()).
		Set("window_min", minutes).Set("cpu_share_pct", 100*tenfold*t.reportCPU/span/cpus).
		Set("plan_cpu_ms", 1e3*t.planCPU).Set("plan_share_pct", 100*tenfold*t.planCPU/3600/cpus).
		Set("session_kb", t.session/1024).Set("plan_over_reports", t.planCPU/3600/(t.reportCPU/span))
	if minutes > 0 {
		row.Set("memory_gib", 5*float64(o.peak)*t.part*t.session/(1<<30))
	} else {
		row.Set("memory_gib", tenfold*t.session/(1<<30))
	}
	if o.lost == 0 {
		row.Set("done_min", o.done.Minutes())
	}
}

// measureSession opens MQTT sessions to a server and returns what its memory grew
// by for each, in bytes.
func measureSession(ctx context.Context, b *lab.Bench) (float64, error) {
	sessions := 500
	if b.Full {
		sessions = 4000
	}
	dir, err := b.TempDir()
	if err != nil {
		return 0, err
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: dir})
	if err != nil {
		return 0, err
	}
	defer s.Kill9()
	machines, err := enrol(ctx, s, sessions)
	if err != nil {
		return 0, err
	}
	open := func(m enrolled) (mqtt.Client, error) {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.MQTT).SetClientID(m.id).SetUsername(m.id).SetPassword(m.token).
			SetAutoReconnect(false).SetKeepAlive(5 * time.Minute).SetConnectTimeout(giveUp))
		for _, do := range []func() mqtt.Token{c.Connect, func() mqtt.Token { return c.Subscribe("vending/"+m.id+"/ack", 1, nil) }} {
			token := do()
			if !token.WaitTimeout(giveUp) {
				return nil, fmt.Errorf("machine %s: no answer by MQTT", m.id)
			}
			if err := token.Error(); err != nil {
				return nil, fmt.Errorf("machine %s by MQTT: %w", m.id, err)
			}
		}
		return c, nil
	}
	warm := sessions / 5 // the first ones also pay for what is there once
	var before float64
	for i, m := range machines {
		if i == warm {
			if before, err = resident(s.Pid()); err != nil {
				return 0, err
			}
		}
		c, err := open(m)
		if err != nil {
			return 0, err
		}
		defer c.Disconnect(0)
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	after, err := resident(s.Pid())
	if err != nil {
		return 0, err
	}
	return max(1024, (after-before)/float64(sessions-warm)), nil
}

// resident returns a process's memory in bytes.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb float64
			if _, err := fmt.Sscan(rest, &kb); err != nil {
				return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
			}
			return kb * 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d does not tell its memory", pid)
}

// measurePlan plans a city as the room does, and returns the processor seconds
// for each of its machines.
func measurePlan(ctx context.Context, b *lab.Bench) (float64, error) {
	const machines = 300
	r := b.Rand("plan")
	depot := routing.Place{Lat: 52.5, Lon: 13.4}
	var list []dispatch.Machine
	for i := range machines {
		m := dispatch.Machine{ID: fmt.Sprint("m-", i), Place: &routing.Place{Lat: depot.Lat + r.NormFloat64()*0.05, Lon: depot.Lon + r.NormFloat64()*0.08}}
		for s := range reportSlots {
			m.Slots = append(m.Slots, dispatch.Slot{Slot: fmt.Sprint(s), SKU: "x", Stock: int64(r.IntN(11)), Capacity: 10, Demand: 4 * r.Float64()})
		}
		list = append(list, m)
	}
	// The room takes 1,500 steps a machine; a step takes the same from first to last.
	const steps, measured = 1500 * machines, 40_000
	begun := time.Now()
	_, err := dispatch.Make(ctx, dispatch.City{Depot: depot, Vehicles: 12, Technicians: 2, Capacity: 2500, Shift: 8 * time.Hour}, list,
		dispatch.Budget{Steps: measured, Seed: b.Seed})
	// One goroutine: its time is processor time, where nobody else works.
	return time.Since(begun).Seconds() * steps / measured / machines, err
}
