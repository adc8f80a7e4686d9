package vending

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/devices"
	"plumb/engines/fleet"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

// Commands reach a machine by MQTT on vending/ID/cmd, or with the answer to a
// report over HTTP, at least once: a machine remembers the ids of those that it must
// not do twice. It says what came of one on vending/ID/done, or at
// POST /commands/{id}/done.

// Command is something that a machine is to do.
type Command struct {
	ID        string
	Kind      string          // reboot, set_window, fetch, ...: what the machine's firmware knows
	Body      json.RawMessage // nil: none
	Sent      time.Time
	By        string    // who sent it
	Expires   time.Time // not delivered any more after this
	Delivered time.Time // zero: not yet
	Answered  time.Time // zero: the machine has not said what came of it
	OK        bool      // it did it
	Detail    string    // what it says
	State     string    // waiting, delivered, expired, done, failed
}

// NewCommand is what a person says of a command.
type NewCommand struct {
	Kind string          // 1 to 64 of a-z 0-9 _ and -
	Body json.RawMessage // JSON, up to 4 KiB; nil: none
	TTL  time.Duration   // how long it may wait for the machine; 1 min to 30 days, two nights if 0
}

// usualTTL lets a machine miss a night.
const usualTTL = 48 * time.Hour

// answeredMost is how many commands go with an answer: it must stay small on cellular.
const answeredMost = 4

// SendCommand sends a command to a machine on somebody's behalf, and returns when it
// is durable; a request that comes again sends it once. Errors: Invalid; NotFound;
// Denied when the machine is revoked; Conflict when too many wait for it.
func (s *System) SendCommand(ctx context.Context, by, machine string, in NewCommand, again once.Request) (Command, error) {
	var b bounds.Check
	checkName(&b, "kind", in.Kind)
	if len(in.Body) > 4<<10 {
		b.Fault("body", "must have at most 4096 bytes, not %d", len(in.Body))
	}
	if in.TTL == 0 {
		in.TTL = usualTTL
	}
	if in.TTL < time.Minute || in.TTL > 30*24*time.Hour {
		b.Fault("ttl_s", "must be 60 to 2592000")
	}
	if err := b.Err("the command is not valid"); err != nil {
		return Command{}, err
	}
	now := s.n.Clock.Now()
	c := devices.Command{ID: ids.New(now), Name: in.Kind, Body: in.Body, Sent: now.Truncate(time.Microsecond), Expires: now.Add(in.TTL).Truncate(time.Microsecond)}
	to := devices.Device{Realm: realm, ID: machine}
	var out Command
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = once.Give(ctx, s.n.Once, tx, s.asked(again, "command", []any{machine, in}), func() (Command, error) {
			m, err := s.store.machine(ctx, tx, machine)
			if err != nil {
				return Command{}, err
			}
			if !m.Revoked.IsZero() {
				return Command{}, errs.New(errs.Denied, "machine %s is revoked, and hears nothing", machine)
			}
			if err := devices.Send(ctx, tx, to, c); err != nil {
				return Command{}, err
			}
			_, err = tx.Exec(ctx, sentSQL, machine, c.ID, c.Sent.UnixMicro(), by)
			return command(c, answered{by: by}, now), err
		})
		return err
	})
	if err != nil {
		return Command{}, fmt.Errorf("send a command to machine %.64s: %w", machine, err)
	}
	if out.ID != c.ID {
		return out, nil // it was sent before
	}
	s.measures.commands.WithLabelValues("sent").Inc()
	s.expectCommand(machine)
	s.announce(ctx, subjectCommand, machine)
	if err := devices.Wake(ctx, s.n.Bus, to); err != nil {
		s.n.Log.Debug("a command was not announced; the machine gets it when it connects", "machine", machine, "error", err)
	}
	return out, nil
}

// expectCommand remembers that a command waits for a machine.
func (s *System) expectCommand(machine string) {
	s.known.mu.Lock()
	s.known.waiting[machine], s.known.since[machine] = struct{}{}, struct{}{}
	s.known.mu.Unlock()
}

// answered is what the room knows of a command beside the outbox.
type answered struct {
	by     string
	at     int64
	ok     bool
	detail string
}

// command joins what the outbox and the room know.
func command(c devices.Command, a answered, now time.Time) Command {
	out := Command{ID: c.ID, Kind: c.Name, Body: c.Body, Sent: c.Sent.UTC(), By: a.by, Expires: c.Expires.UTC(), Delivered: c.Delivered, Answered: instant(a.at), OK: a.ok, Detail: a.detail, State: c.State(now)}
	switch {
	case a.at > 0 && a.ok:
		out.State = "done"
	case a.at > 0:
		out.State = "failed"
	}
	return out
}

// Commands returns the last commands of a machine, the newest first; 50 at most.
// Errors: NotFound.
func (s *System) Commands(ctx context.Context, machine string) ([]Command, error) {
	var list []Command
	now := s.n.Clock.Now()
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		if _, err := s.store.cityOf(ctx, tx, machine); err != nil {
			return err
		}
		sent, err := devices.History(ctx, tx, devices.Device{Realm: realm, ID: machine})
		if err != nil {
			return err
		}
		said, err := s.store.answered(ctx, tx, machine)
		if err != nil {
			return err
		}
		for _, c := range sent {
			list = append(list, command(c, said[c.ID], now))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("commands of machine %.64s: %w", machine, err)
	}
	return list, nil
}

// waitingFor returns the commands to go with an answer to a machine over HTTP, the
// oldest first. They come again with each answer until the machine says Done. An
// error is logged only: the report is stored, and that is what the answer is about.
func (s *System) waitingFor(ctx context.Context, machine string) []Command {
	s.known.mu.RLock()
	_, some := s.known.waiting[machine]
	s.known.mu.RUnlock()
	if !some {
		return nil
	}
	var list []Command
	now := s.n.Clock.Now()
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		waiting, err := devices.Pending(ctx, tx, devices.Device{Realm: realm, ID: machine}, now)
		for _, c := range waiting[:min(len(waiting), answeredMost)] {
			list = append(list, command(c, answered{}, now))
		}
		return err
	})
	if err != nil {
		s.n.Log.Warn("commands did not go with an answer; they will with the next", "machine", machine, "error", err)
		return nil
	}
	if len(list) == 0 {
		// Delivered, or expired. One that is sent at this very moment is found
		// again by the next look at all.
		s.known.mu.Lock()
		delete(s.known.waiting, machine)
		s.known.mu.Unlock()
	}
	return list
}

// Done notes what a machine says of a command; saying it again changes nothing.
// Errors: Invalid; NotFound for a command that was never sent to it.
func (s *System) Done(ctx context.Context, m fleet.Machine, id string, ok bool, detail string) error {
	var b bounds.Check
	b.Text("id", id, 1, 64)
	b.Text("detail", detail, 0, 500)
	if err := b.Err("the answer to a command is not valid"); err != nil {
		return err
	}
	now := s.n.Clock.Now()
	first := false
	yes := int64(0)
	if ok {
		yes = 1
	}
	err := s.n.DB.Batch(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, askAnswerSQL, m.ID, id).Scan(&at)
		if err == sqldb.ErrNoRows {
			return errs.New(errs.NotFound, "no command %.64q was sent to machine %s", id, m.ID)
		}
		if err != nil {
			return err
		}
		if first = at == 0; !first {
			return nil
		}
		if _, err := tx.Exec(ctx, answerSQL, m.ID, id, now.UnixMicro(), yes, detail); err != nil {
			return err
		}
		err = devices.Done(ctx, tx, devices.Device{Realm: realm, ID: m.ID}, id, now)
		if errs.Is(err, errs.NotFound) {
			return nil // MQTT has delivered it
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("note what machine %s did: %w", m.ID, err)
	}
	if first {
		outcome := "failed"
		if ok {
			outcome = "done"
		}
		s.measures.commands.WithLabelValues(outcome).Inc()
	}
	return nil
}

const (
	sentSQL      = `INSERT INTO vending_commands (machine, id, sent_at, sent_by, answered_at, ok, detail) VALUES ($1, $2, $3, $4, 0, 0, '')`
	askAnswerSQL = `SELECT answered_at FROM vending_commands WHERE machine = $1 AND id = $2`
	answerSQL    = `UPDATE vending_commands SET answered_at = $3, ok = $4, detail = $5 WHERE machine = $1 AND id = $2 AND answered_at = 0`
	answeredSQL  = `SELECT id, sent_by, answered_at, ok, detail FROM vending_commands WHERE machine = $1 ORDER BY id DESC LIMIT 50`
	dropSentSQL  = `DELETE FROM vending_commands WHERE sent_at < $1`
)

// answered returns what machine said of its last commands, by their ids.
func (store) answered(ctx context.Context, tx *sqldb.Tx, machine string) (map[string]answered, error) {
	rows, err := tx.Query(ctx, answeredSQL, machine)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[string]answered{}
	for rows.Next() {
		var id string
		var a answered
		var ok int64
		if err := rows.Scan(&id, &a.by, &a.at, &ok, &a.detail); err != nil {
			return nil, err
		}
		a.ok = ok == 1
		list[id] = a
	}
	return list, rows.Err()
}
