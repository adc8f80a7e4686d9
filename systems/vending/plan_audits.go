package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/engines/sqldb"
	"plumb/systems/vending/internal/demand"
)

// What a plan takes from EVA-DTS audits. Of a machine that reports, too, they tell
// only what was sold; of one that has nothing else, the faults that last, and the
// stock of those selections whose capacity they name.

// told is what a machine's audits tell a plan.
type told struct {
	at            int64 // when the last good one came; 0: one without counters; -1: none
	counted       int64 // until when sales are in the demand
	stock, faults string
	sales         []sale // that are not, the oldest first
}

// sale is what was sold in a period, by selection.
type sale struct {
	since, until int64
	body         string
}

// salesMost is how many periods are folded in at once: with an audit an hour, two weeks.
const salesMost = 400

const uncountedSQL = `SELECT since, until, body FROM vending_sales WHERE machine = $1 AND until > $2 ORDER BY until LIMIT $3`

// readSales fetches the sales of a machine that were not folded in.
func (h *heardOf) readSales(ctx context.Context, tx *sqldb.Tx) error {
	if h.audits.at <= h.audits.counted {
		return nil
	}
	rows, err := tx.Query(ctx, uncountedSQL, h.id, h.audits.counted, int64(salesMost))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s sale
		if err := rows.Scan(&s.since, &s.until, &s.body); err != nil {
			return err
		}
		h.audits.sales = append(h.audits.sales, s)
	}
	return rows.Err()
}

// count folds the sales in that ended before a moment, once anything is known of the
// machine's slots.
func (t *told) count(d *demand.Machine, before int64, zone *time.Location) error {
	for !d.At.IsZero() && len(t.sales) > 0 && t.sales[0].until <= before {
		s := t.sales[0]
		t.sales = t.sales[1:]
		var sold map[string]int64
		if err := json.Unmarshal([]byte(s.body), &sold); err != nil {
			return fmt.Errorf("sales as they are kept: %w", err)
		}
		d.Count(time.UnixMicro(s.since), time.UnixMicro(s.until), sold, zone)
	}
	return nil
}

// foldAudits moves a machine's demand on by what its audits tell, after its reports.
// news says whether that changed anything.
func (h *heardOf) foldAudits(d *demand.Machine, zone *time.Location, visit demand.Refill) (news bool, err error) {
	if h.audits.at < 0 {
		return false, nil
	}
	news = len(h.audits.sales) > 0
	fail := func(err error) (bool, error) { return false, fmt.Errorf("audits of machine %s: %w", h.id, err) }
	// Before the stock, which then need not be learnt from; see Fold.
	if err := h.audits.count(d, never, zone); err != nil {
		return fail(err)
	}
	if h.report == "" {
		var stock []demand.Stock
		var faults []Fault
		if err := unpack(h.audits.stock, &stock); err != nil {
			return fail(err)
		}
		if err := unpack(h.audits.faults, &faults); err != nil {
			return fail(err)
		}
		at := h.audits.at
		if at == 0 {
			at = h.heard
		}
		news = news || time.UnixMicro(at).After(d.At)
		d.Fold(time.UnixMicro(at), stock, zone, visit)
		d.Faults = d.Faults[:0]
		for _, f := range faults {
			d.Faults = append(d.Faults, demand.Fault{Code: f.Code, Severity: f.Severity, Slot: f.Slot})
		}
	}
	if err := h.audits.count(d, never, zone); err != nil {
		return fail(err)
	}
	return news && !d.At.IsZero(), nil
}

// unpack reads a text as the database keeps it; "" stands for nothing.
func unpack(text string, into any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("as they are kept: %w", err)
	}
	return nil
}
