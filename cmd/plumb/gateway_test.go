package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/engines/lab/child"
	"plumb/engines/sqldb"
)

// gateway sends audits of its own machines, batch after batch, and each batch again
// until all of it is answered, as a telemetry provider does.
type gateway struct {
	machines []string
	acked    map[string]bool // "machine/file"
	fault    string
}

// batch is an audit of each machine, without a checksum; every counter stands at n.
func (g *gateway) batch(n int) []byte {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for _, id := range g.machines {
		enc.Encode(map[string]string{"machine": id, "file": fmt.Sprintf("DXS*1\nST*001*0001\nID1*S%s\nPA1*11*150*COLA\nPA2*%d*0\nSE*4*0001\nDXE*1*1\n", id, n)})
	}
	return body.Bytes()
}

func (g *gateway) run(ctx context.Context, server *atomic.Pointer[child.Server]) {
	for n := 1; ctx.Err() == nil && g.fault == ""; n++ {
		for body := g.batch(n); ctx.Err() == nil && g.fault == "" && !g.send(ctx, server.Load(), body); {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// send says whether every line was answered as durable.
func (g *gateway) send(ctx context.Context, s *child.Server, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/vending/dts", bytes.NewReader(body))
	if err != nil {
		g.fault = err.Error()
		return false
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := s.Client.Do(req)
	if err != nil || res.StatusCode == http.StatusServiceUnavailable {
		if err == nil {
			res.Body.Close()
		}
		return false
	}
	defer res.Body.Close()
	durable := 0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		var l struct{ Machine, Status, ID, Detail string }
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			break // cut off in the middle
		}
		switch l.Status {
		case "stored", "duplicate":
			g.acked[l.Machine+"/"+l.ID] = true
			durable++
		case "refused":
		default:
			g.fault = fmt.Sprintf("%d %s", res.StatusCode, lines.Text())
		}
	}
	return durable == len(g.machines)
}

// TestCrashKill9Gateway kills the server while gateways send audits: every file that
// was answered is there, and no sale is lost or counted twice.
func TestCrashKill9Gateway(t *testing.T) {
	kills, every := 3, time.Second
	if soak() {
		kills, every = 40, 3*time.Second
	}
	dir := t.TempDir()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	var server atomic.Pointer[child.Server]
	server.Store(s)
	newFleet(t, s, 900)
	gateways := make([]*gateway, 3)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range gateways {
		gateways[i] = &gateway{acked: map[string]bool{}}
		for k := i; k < 900; k += len(gateways) {
			gateways[i].machines = append(gateways[i].machines, machineID(k))
		}
		all.Go(func() { gateways[i].run(ctx, &server) })
	}
	for range kills {
		time.Sleep(every)
		s.Kill9()
		if s, err = child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir}); err != nil {
			t.Fatal(err)
		}
		server.Store(s)
	}
	time.Sleep(every)
	stop()
	all.Wait()
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	judgeAudits(t, "sqlite:"+filepath.Join(dir, "plumb.db"), gateways)
}

// judgeAudits compares what was answered with what the database holds.
func judgeAudits(t *testing.T, url string, gateways []*gateway) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, sold, stands := map[string]bool{}, map[string]int{}, map[string]int{}
	read := func(query string, each func(machine, text string)) {
		err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			rows, err := tx.Query(ctx, query)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var machine, text string
				if err := rows.Scan(&machine, &text); err != nil {
					return err
				}
				each(machine, text)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	counter := func(text string) (n int) {
		if _, err := fmt.Sscanf(strings.TrimSpace(text), `{"11":%d}`, &n); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return n
	}
	read(`SELECT machine, id FROM vending_audits`, func(machine, id string) { found[machine+"/"+id] = true })
	read(`SELECT machine, body FROM vending_sales`, func(machine, body string) { sold[machine] += counter(body) })
	read(`SELECT machine, body FROM vending_meters`, func(machine, body string) { stands[machine] = counter(body) })
	acked, lost, wrong := 0, 0, 0
	for _, g := range gateways {
		if g.fault != "" {
			t.Error(g.fault)
		}
		for key := range g.acked {
			acked++
			if !found[key] {
				lost++
			}
		}
		for _, id := range g.machines {
			if stands[id] > 0 && sold[id] != stands[id]-1 { // from 1, which the first said
				wrong++
			}
		}
	}
	if acked == 0 {
		t.Fatal("nothing was acknowledged: the test says nothing")
	}
	if lost > 0 || wrong > 0 {
		t.Errorf("%d of %d acknowledged files lost; the sales of %d machines do not fit their counters", lost, acked, wrong)
	}
	t.Logf("%d files acknowledged, %d in the database, %d lost", acked, len(found), lost)
}
