package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
	"plumb/engines/sqldb"
)

// traveller is a machine that reports without pause, loses every third answer, and
// goes where it is told.
type traveller struct {
	id, token string
	at        *house
	stored    map[string]int // report -> how often it was told "stored", heard or not
	settled   []string       // reports that it deleted, since they were answered
}

// send brings a report until it hears that it is stored.
func (m *traveller) send(report string, north, south *house, rnd *rand.Rand) error {
	for range 1000 {
		w := m.at.call("POST", reportsPath, m.token, with(north.report(report), "taken_at", noon))
		var r receiptOut
		if w.Code == 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
				return err
			}
			if r.Status == "stored" {
				m.stored[report]++
			}
		}
		if rnd.IntN(3) == 0 {
			continue // the answer was lost on the line
		}
		switch w.Code {
		case 200:
			m.settled = append(m.settled, report)
			return nil
		case 421:
			m.at = south
		default:
			return fmt.Errorf("%s: %d %s", report, w.Code, w.Body)
		}
	}
	return fmt.Errorf("%s was never taken", report)
}

// While a city is handed over its machines go on reporting, and lose answers: each
// report is stored once, by one of the cells, and none that was answered is lost.
func TestNothingIsLostOrDoubledInAHandOver(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		var machines []*traveller
		for i := range 8 {
			id := fmt.Sprint("m-", i)
			machines = append(machines, &traveller{id: id, token: north.enrol2(id, "Rome"), at: north, stored: map[string]int{}})
		}
		var wg sync.WaitGroup
		moved := make(chan struct{})
		for i, m := range machines {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 12))
				for n, after := 0, 0; after < 5; n++ {
					if err := m.send(fmt.Sprint(m.id, "-", n), north, south, rnd); err != nil {
						t.Error(err)
						return
					}
					select {
					case <-moved:
						after++
					default:
					}
				}
			})
		}
		for _, got := range handOver(t, north, south, "Rome") {
			if got.Status != "taken" {
				t.Errorf("%+v", got)
			}
		}
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		close(moved)
		wg.Wait()
		for _, m := range machines {
			if m.at != south {
				t.Errorf("%s is still in the north", m.id)
			}
			have := map[string]bool{}
			for _, h := range []*house{north, south} {
				for _, id := range h.reportsOf(m.id) {
					have[id] = true
				}
			}
			for _, id := range m.settled {
				if !have[id] || m.stored[id] != 1 {
					t.Errorf("%s: there: %v, stored %d times", id, have[id], m.stored[id])
				}
			}
		}
	})
}

// reportsOf returns the ids of a machine's reports.
func (h *house) reportsOf(machine string) (list []string) {
	h.t.Helper()
	err := h.n.DB.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM vending_reports WHERE machine = $1`, machine)
		if err != nil {
			return err
		}
		defer rows.Close()
		list = nil
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			list = append(list, id)
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// The machine's own client, over real sockets: it is sent to a cell that does not know
// it yet, goes back and forth with pauses, and brings its report once that does.
func TestAMachineFollowsItsCell(t *testing.T) {
	cells(t, func(t *testing.T, north, south *house) {
		token := north.enrol2("m-1", "Rome")
		url := map[string]string{}
		for name, h := range map[string]*house{"north": north, "south": south} {
			srv := httptest.NewServer(h.http)
			t.Cleanup(srv.Close)
			url[name] = srv.URL
		}
		for _, h := range []*house{north, south} {
			for name, at := range url {
				get[regionOut](h, 200, "PUT", regionsPath+"/"+name, boss, map[string]any{"endpoint": at})
			}
		}
		text, err := json.Marshal(north.report("r-1"))
		if err != nil {
			t.Fatal(err)
		}
		page, _, err := north.HandOver(context.Background(), "Rome", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		get[cityOut](north, 200, "PUT", apiRoot+"/cities/Rome", boss, map[string]any{"region": "south"})
		c := fleet.Client{URL: url["north"] + reportsPath, Token: token, Backoff: slots.Backoff{Base: time.Millisecond, Cap: 20 * time.Millisecond}, Rand: rand.New(rand.NewPCG(1, 1))}
		done := make(chan error, 1)
		go func() {
			a, err := c.Deliver(context.Background(), text)
			if err == nil && a.Status != "stored" {
				err = fmt.Errorf("%+v", a)
			}
			done <- err
		}()
		time.Sleep(50 * time.Millisecond) // it may try meanwhile; nothing depends on how often
		if got, err := south.TakeOver(context.Background(), page); err != nil || got[0].Status != "taken" {
			t.Fatal(got, err)
		}
		if err := <-done; err != nil || c.URL != url["south"]+reportsPath {
			t.Errorf("%v, now at %s", err, c.URL)
		}
		if n, s := north.reportsOf("m-1"), south.reportsOf("m-1"); len(n) != 0 || len(s) != 1 {
			t.Errorf("north %v, south %v", n, s)
		}
	})
}
