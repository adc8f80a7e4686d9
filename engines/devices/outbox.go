package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
)

// Command is something that a device is to do. It is delivered at least once: a
// device remembers the ids of those that it must not do twice.
type Command struct {
	ID        string          // as ids.New: they sort by time
	Name      string          // "reboot"; 1 to 64 characters
	Body      json.RawMessage // nil: none; up to 4 KiB
	Sent      time.Time
	Expires   time.Time // not delivered any more after this
	Delivered time.Time // zero: not yet
}

// State is the word for where the command is: waiting, delivered or expired.
func (c Command) State(now time.Time) string {
	switch {
	case !c.Delivered.IsZero():
		return "delivered"
	case !now.Before(c.Expires):
		return "expired"
	}
	return "waiting"
}

// most commands may wait for a device, or a device that never asks fills the table.
const most = 100

const (
	sendSQL = `
		INSERT INTO devices_outbox (id, device, name, body, sent_at, expires_at, delivered_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0)`
	waitingSQL   = `SELECT count(*) FROM devices_outbox WHERE device = $1 AND delivered_at = 0 AND expires_at > $2`
	commandsSQL  = `SELECT id, name, body, sent_at, expires_at, delivered_at FROM devices_outbox WHERE device = $1`
	pendingSQL   = commandsSQL + ` AND delivered_at = 0 AND expires_at > $2 ORDER BY id LIMIT 64`
	historySQL   = commandsSQL + ` ORDER BY sent_at DESC, id DESC LIMIT 50`
	deliveredSQL = `UPDATE devices_outbox SET delivered_at = $3 WHERE id = $1 AND device = $2 AND delivered_at = 0`
	devicesSQL   = `SELECT DISTINCT device FROM devices_outbox WHERE delivered_at = 0 AND device LIKE $1 AND expires_at > $2`
	pruneSQL     = `DELETE FROM devices_outbox WHERE expires_at < $1`
)

// Send adds a command in the caller's transaction; Announce must follow the
// commit. Errors: Invalid; Conflict when too many wait already.
func Send(ctx context.Context, tx *sqldb.Tx, to Device, c Command) error {
	if len(c.Name) < 1 || len(c.Name) > 64 || len(c.Body) > 4<<10 || c.Body != nil && !json.Valid(c.Body) || !c.Expires.After(c.Sent) {
		return errs.New(errs.Invalid, "a command needs a name of 1 to 64 characters, a body of JSON up to 4 KiB, and must expire after it is sent")
	}
	var n int64
	if err := tx.QueryRow(ctx, waitingSQL, to.Key(), c.Sent.UnixMicro()).Scan(&n); err != nil {
		return fmt.Errorf("send a command to %s: %w", to.Key(), err)
	}
	if n >= most {
		return errs.New(errs.Conflict, "%d commands wait for %s already", n, to.ID)
	}
	_, err := tx.Exec(ctx, sendSQL, c.ID, to.Key(), c.Name, string(c.Body), c.Sent.UnixMicro(), c.Expires.UnixMicro())
	if err != nil {
		return fmt.Errorf("send a command to %s: %w", to.Key(), err)
	}
	return nil
}

// Pending returns the commands that wait for a device, the oldest first, 64 at
// most; for devices that ask by other ways than MQTT.
func Pending(ctx context.Context, tx *sqldb.Tx, d Device, now time.Time) ([]Command, error) {
	return commands(ctx, tx, pendingSQL, d.Key(), now.UnixMicro())
}

// History returns the last 50 commands for a device, the newest first.
func History(ctx context.Context, tx *sqldb.Tx, d Device) ([]Command, error) {
	return commands(ctx, tx, historySQL, d.Key())
}

func commands(ctx context.Context, tx *sqldb.Tx, q string, args ...any) ([]Command, error) {
	rows, err := tx.Query(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	defer rows.Close()
	var list []Command
	for rows.Next() {
		var c Command
		var body string
		var sent, expires, delivered int64
		if err := rows.Scan(&c.ID, &c.Name, &body, &sent, &expires, &delivered); err != nil {
			return nil, fmt.Errorf("read commands: %w", err)
		}
		if body != "" {
			c.Body = json.RawMessage(body)
		}
		c.Sent, c.Expires = time.UnixMicro(sent).UTC(), time.UnixMicro(expires).UTC()
		if delivered != 0 {
			c.Delivered = time.UnixMicro(delivered).UTC()
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// Done notes that a device has a command, in the caller's transaction. Errors:
// NotFound for one that does not wait for it.
func Done(ctx context.Context, tx *sqldb.Tx, d Device, id string, now time.Time) error {
	n, err := tx.Exec(ctx, deliveredSQL, id, d.Key(), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("note command %s: %w", id, err)
	}
	if n == 0 {
		return errs.New(errs.NotFound, "no command %.64s waits for %s", id, d.ID)
	}
	return nil
}

// Prune deletes commands that expired before a moment.
func Prune(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, pruneSQL, before.UnixMicro())
	return err
}

// Announce tells the process that holds the device's connection to look.
func (d *Devices) Announce(ctx context.Context, to Device) {
	if err := Wake(ctx, d.n.Bus, to); err != nil {
		d.n.Log.Debug("a command was not announced; the device gets it when it connects", "device", to.Key(), "error", err)
	}
}

// Wake is Announce for a room, which has the bus and not the door. An error means
// that the device hears of its command when it connects the next time.
func Wake(ctx context.Context, b bus.Bus, to Device) error {
	return b.Publish(ctx, subject, []byte(to.Key()))
}

// Waiting returns the ids of a realm's devices for which commands wait, in no order.
func Waiting(ctx context.Context, tx *sqldb.Tx, realm string, now time.Time) ([]string, error) {
	rows, err := tx.Query(ctx, devicesSQL, realm+"/%", now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read whom commands wait for: %w", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("read whom commands wait for: %w", err)
		}
		if d := deviceOf(key); d.Realm == realm { // a realm's name may hold a wildcard: _
			list = append(list, d.ID)
		}
	}
	return list, rows.Err()
}

// wire is how a command looks on REALM/ID/cmd.
type wire struct {
	ID      string          `json:"id"`
	Name    string          `json:"kind"`
	Body    json.RawMessage `json:"body,omitempty"`
	Expires time.Time       `json:"expires_at"`
}

// offer sends what waits for a device, if it listens here.
func (d *Devices) offer(key string) {
	if d.closing.Load() || len(d.broker.Topics.Subscribers(key+"/"+topicCommand).Subscriptions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handleTime)
	defer cancel()
	var list []Command
	err := d.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = Pending(ctx, tx, deviceOf(key), d.n.Clock.Now())
		return err
	})
	if err != nil {
		d.n.Log.Warn("commands were not read; the device gets them when it connects again", "device", key, "error", err)
		return
	}
	for _, c := range list {
		text, err := json.Marshal(wire{c.ID, c.Name, c.Body, c.Expires})
		if err == nil {
			err = d.broker.Publish(key+"/"+topicCommand, text, false, 1)
		}
		if err != nil {
			d.n.Log.Warn("a command was not sent", "device", key, "error", err)
		}
	}
}

// delivered notes that a device acknowledged a command.
func (d *Devices) delivered(who Device, id string) {
	err := d.n.DB.Batch(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		err := Done(ctx, tx, who, id, d.n.Clock.Now())
		if errs.Is(err, errs.NotFound) {
			return nil // another connection of the device was first
		}
		return err
	})
	if err != nil {
		d.n.Log.Warn("a delivered command was not noted, and will be sent again", "device", who.Key(), "command", id, "error", err)
		return
	}
	d.measures.commands.Inc()
}
