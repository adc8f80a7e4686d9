package prove

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/child"
	"plumb/engines/lab/labtest"
	"plumb/engines/lab/powercut"
)

// The tests here drive the real program: $PLUMB, or one that is built for them.
func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// Nothing acknowledged is lost or doubled when the power goes, and with the
// syncs switched off something is: else this test would say nothing. A short
// series; make soak cuts 200 times.
func TestPowerCuts(t *testing.T) {
	labtest.NeedFUSE(t)
	cuts, machines := 3, 2000
	if os.Getenv("PLUMB_SOAK") != "" {
		cuts = 200
	}
	var built, naive *cutting
	e := PowerCut()
	e.Run = func(ctx context.Context, b *lab.Bench) error {
		built = &cutting{b: b, name: "as served", machines: machines, cuts: cuts}
		naive = &cutting{b: b, name: "answers first", args: []string{"--unsafe-no-sync"}, machines: machines, cuts: 2, fresh: true}
		for _, c := range []*cutting{naive, built} {
			if err := c.run(ctx, 0, 1); err != nil {
				return err
			}
		}
		naive.record(b.Design(naive.name, lab.Naive, "once"))
		built.record(b.Design(built.name, lab.Built, "once", "durable"))
		return nil
	}
	var out bytes.Buffer
	seed := uint64(time.Now().UnixNano())
	exit := lab.Run(t.Context(), []lab.Experiment{e}, lab.Options{Seed: seed}, &out, &out)
	t.Logf("seed %d\n%s", seed, out.String())
	if exit != lab.ExitHolds {
		t.Errorf("exit %d", exit)
	}
}

// On a full disk reports are refused, not half taken; what was acknowledged
// stays, and work goes on when there is room.
func TestDiskFull(t *testing.T) {
	labtest.NeedFUSE(t)
	ctx := t.Context()
	c := &cutting{machines: 4}
	backing, mount := t.TempDir(), t.TempDir()
	first, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: backing})
	if err != nil {
		t.Fatal(err)
	}
	machines, err := enrol(ctx, first, c.machines)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	disk, err := powercut.Open(backing, mount, powercut.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: mount})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill9()
	m := machines[0]
	send := func(id string) int {
		status, err := post(ctx, s.Client, s.URL+"/api/v1/vending/reports", m.token, reportBody(id, time.Now()), nil)
		if err != nil {
			t.Fatalf("report %s: %v\n%s", id, err, s.Tail())
		}
		return status
	}
	var acked []string
	disk.SetRoom(200 << 10)
	refused := 0
	for i := 0; refused < 5 && i < 2000; i++ {
		id := fmt.Sprintf("full-%d", i)
		if status := send(id); status == http.StatusOK {
			acked = append(acked, id)
		} else if status < 500 {
			t.Fatalf("a full disk is answered with %d", status)
		} else {
			refused++
		}
	}
	if refused == 0 || disk.Refused() == 0 {
		t.Fatalf("the disk never got full: %d acknowledged", len(acked))
	}
	disk.SetRoom(-1)
	resumed := false
	for i := range 200 { // a breaker may still be waiting
		if send(fmt.Sprintf("room-%d", i)) == http.StatusOK {
			resumed = true
			acked = append(acked, fmt.Sprintf("room-%d", i))
			break
		}
		wait(ctx, 100*time.Millisecond)
	}
	if !resumed {
		t.Error("there is room again, and no report is taken")
	}
	there, err := stored(ctx, s, m.id)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, id := range there {
		count[id]++
	}
	for _, id := range acked {
		if count[id] != 1 {
			t.Errorf("report %s was acknowledged and is there %d times", id, count[id])
		}
	}
	s.Kill9()
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
}
