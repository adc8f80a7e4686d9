package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/devices"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// topics is what machines say over MQTT: vending/ID/report, with the same JSON as
// over HTTP, one report a message; the answer is on vending/ID/ack. Commands come on
// vending/ID/cmd, and what came of them is said on vending/ID/done.
func (s *System) topics() []devices.Topic {
	return []devices.Topic{{Realm: realm, Name: "report", Handle: s.heard}, {Realm: realm, Name: "done", Handle: s.heardDone}}
}

// heard takes a report from a device. An error means that it was not taken, and is
// to be brought again. What can never be stored is kept aside instead, since a
// client that got no PUBACK would bring it for ever.
func (s *System) heard(ctx context.Context, d devices.Device, payload []byte) ([]byte, error) {
	m, err := s.n.Fleet.ByWho(ctx, realm, web.Who{Kind: "machine", ID: d.Key()})
	if err != nil {
		return nil, err // revoked since it logged in
	}
	var id string
	receipts, err := s.Report(ctx, m, 1, func() ([]Report, error) {
		one, err := decodeReport(payload)
		id = one.ID
		return []Report{one}, err
	})
	if err == nil {
		if err = receipts[0].Err; err == nil {
			return ack(receipts[0].out())
		}
	}
	if id == "" { // refused before it was read, or no report
		id = scanID(payload)
	}
	answer, writing := ack(refusedMessage(id, err))
	if writing != nil {
		return nil, writing
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Conflict, errs.TooLarge:
		if kept := s.putAside(ctx, m.ID, errs.Message(err), payload); kept != nil {
			return nil, kept // then nobody may take it for settled
		}
		return answer, nil
	}
	return answer, err
}

// heardDone takes what a device says of a command: {"id", "ok", "detail"} on
// vending/ID/done. What it says of none that was sent to it is dropped, since it
// would be brought for ever otherwise.
func (s *System) heardDone(ctx context.Context, d devices.Device, payload []byte) ([]byte, error) {
	m, err := s.n.Fleet.ByWho(ctx, realm, web.Who{Kind: "machine", ID: d.Key()})
	if err != nil {
		return nil, err
	}
	var in doneMessage
	if err = web.DecodeBytes(payload, &in); err == nil {
		err = s.Done(ctx, m, in.ID, in.OK, in.Detail)
	}
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.NotFound) {
		s.n.Log.Debug("what a machine said of a command was dropped", "machine", m.ID, "error", err)
		return nil, nil
	}
	return nil, err
}

// ack writes an answer.
func ack(o receiptOut) ([]byte, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write an answer: %w", err)
	}
	return text, nil
}

// refusedMessage is refusedLine with the seconds as MQTT has them.
func refusedMessage(id string, err error) receiptOut {
	if errs.Is(err, errs.Internal) {
		return receiptOut{ReportID: id, Status: "refused", Detail: "something went wrong here; bring the report again", RetryAfter: 60}
	}
	o := refusedLine(id, err)
	var door *Refused
	if errors.As(err, &door) || o.RetryInS > 0 {
		o.RetryAfter = int(max(1, math.Ceil(o.RetryInS)))
	}
	return o
}

// Refusal is a message that could not be stored as a report.
type Refusal struct {
	ID       string
	Received time.Time
	Why      string
	Body     string // cut after 16 KiB
}

// What is kept of a machine's refused messages.
const (
	refusals     = 10
	refusedBytes = 16 << 10
)

const (
	asideSQL = `INSERT INTO vending_refused (machine, id, received_at, why, body) VALUES ($1, $2, $3, $4, $5)`
	shedSQL  = `
		DELETE FROM vending_refused WHERE machine = $1 AND id NOT IN
			(SELECT id FROM vending_refused WHERE machine = $1 ORDER BY id DESC LIMIT $2)`
	refusedSQL = `SELECT id, received_at, why, body FROM vending_refused WHERE machine = $1 ORDER BY id DESC`
)

// putAside keeps a message that is no report.
func (s *System) putAside(ctx context.Context, machine, why string, payload []byte) error {
	payload = payload[:min(len(payload), refusedBytes)]
	text := strings.ToValidUTF8(string(bytes.ReplaceAll(payload, []byte{0}, []byte("\uFFFD"))), "\uFFFD")
	now := s.n.Clock.Now()
	id := ids.New(now)
	err := s.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, asideSQL, machine, id, now.UnixMicro(), why, text); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, shedSQL, machine, int64(refusals))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a message of machine %s that is no report: %w", machine, err)
	}
	return nil
}

// Refusals returns the last messages of a machine that could not be stored, the
// newest first. Errors: NotFound.
func (s *System) Refusals(ctx context.Context, machine string) ([]Refusal, error) {
	var list []Refusal
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		if _, err := s.store.cityOf(ctx, tx, machine); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, refusedSQL, machine)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r Refusal
			var at int64
			if err := rows.Scan(&r.ID, &at, &r.Why, &r.Body); err != nil {
				return err
			}
			r.Received = instant(at)
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("refused messages of machine %.64s: %w", machine, err)
	}
	return list, nil
}
