package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

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
