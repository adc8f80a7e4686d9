package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/demand"
)

const demandSQL = `SELECT m.city, d.body FROM vending_demand AS d JOIN vending_machines AS m ON m.id = d.machine WHERE d.machine = $1`

// Expected returns how many items each slot of a machine is expected to sell in
// the next 24 hours, by slot, as it was learnt until the city's last plan; nil
// when nothing is known of it yet.
func (s *System) Expected(ctx context.Context, machine string) (map[string]float64, error) {
	var city, text string
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, demandSQL, machine).Scan(&city, &text)
	})
	if err == sqldb.ErrNoRows {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("demand of machine %.64s: %w", machine, err)
	}
	var d demand.Machine
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("demand of machine %s as it is kept: %w", machine, err)
	}
	zone := time.UTC
	if c, ok := s.city(city); ok {
		zone = c.zone
	}
	now := s.n.Clock.Now()
	list := make(map[string]float64, len(d.Slots))
	for i, sells := range d.Forecast(now, now.Add(24*time.Hour), zone) {
		list[d.Slots[i].Slot] = sells
	}
	return list, nil
}
