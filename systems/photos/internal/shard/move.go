package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// pin is a row of photos_pins.
type pin struct {
	owner     string
	shard     int64
	want      int64
	epoch     int64
	migration string
	why       string
	photos    int64
	bytes     int64
	moved     int64 // bytes copied by earlier runs
	tries     int64
}

// move is one owner on the way from one shard to another.
type move struct {
	s        *Set
	pin      pin
	from, to *Shard
	turn     int64        // of the row at from, once it is leaving
	toTurn   int64        // of the row at to
	moved    atomic.Int64 // bytes copied so far
}

// switchTime bounds how long writes of an owner wait: the last changes are copied in it,
// or else the owner stays for now.
const switchTime = 2 * time.Second

// run moves the owner one shard on, from wherever an earlier run ended. Steps, each of
// which may be repeated:
//
//	begin    to: coming, from: is being copied
//	copy     rows and contents, in batches, and again what changed meanwhile
//	leave    from: leaving. Writes wait from here on
//	last     the last changes, links, kept answers; compare
//	ready    to: ready
//	switch   from: gone. This is the switch
//	here     to: here
func (m *move) run(ctx context.Context) error {
	st, err := m.begin(ctx)
	if err != nil {
		return err
	}
	if st.state == here {
		if err := m.copyAll(ctx); err != nil {
			return err
		}
		if err := m.copyLinks(ctx); err != nil {
			return err
		}
		if err := m.s.step("leave"); err != nil {
			return err
		}
		if m.turn, err = m.leave(ctx, st.turn); err != nil {
			return err
		}
	} else {
		m.turn = st.turn
	}
	if err := m.pass(ctx); err != nil {
		if !errors.Is(err, errDropped) {
			m.back(ctx)
		}
		return err
	}
	if err := m.s.step("here"); err != nil {
		return err
	}
	return m.to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerSettle, m.pin.owner, m.toTurn)
		return err
	})
}

// errDropped is what a test's hook returns for a process that ends there.
var errDropped = errors.New("dropped")

// pass is what happens while writes wait.
func (m *move) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	if err := m.s.step("last"); err != nil {
		return err
	}
	st, found, err := m.from.standing(ctx, m.pin.owner)
	if err != nil {
		return err
	}
	if !found || st.state != leaving || st.turn != m.turn {
		return errStepped
	}
	for done := false; !done; {
		if _, done, err = m.copyRound(ctx, st.rev); err != nil {
			return err
		}
	}
	if err := m.copyLinks(ctx); err != nil {
		return err
	}
	if err := m.copyAnswers(ctx); err != nil {
		return err
	}
	if err := m.compare(ctx); err != nil {
		return err
	}
	if err := m.s.step("ready"); err != nil {
		return err
	}
	if m.toTurn, err = m.setReady(ctx, st); err != nil {
		return err
	}
	if err := m.s.step("switch"); err != nil {
		return err
	}
	until := m.s.n.Clock.Now().Add(max(m.s.c.Grace, 0)).UnixMicro()
	// Whether this committed, when the database went away, is for the next run to see.
	return m.from.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlOwnerGone, m.pin.owner, m.turn, m.to.No, until)
		if err == nil && n == 0 {
			err = errStepped
		}
		return err
	})
}

// back ends the waiting of writes: the owner stays for now. Nobody is harmed when it
// cannot be done: whoever waits does the same.
func (m *move) back(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), switchTime)
	defer cancel()
	if err := m.from.unleave(ctx, m.pin.owner, m.turn); err != nil {
		m.s.n.Log.Debug("an owner still waits to be moved", "owner", m.pin.owner, "err", err)
	}
}

// unleave takes a leaving back.
func (at *Shard) unleave(ctx context.Context, owner string, turn int64) error {
	return at.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerStay, owner, turn)
		return err
	})
}

// begin brings both rows into the states that a copy begins or goes on with, and returns
// the row at from: here or leaving. Each of them gets a new turn, in this order: look at
// to, turn from, turn to. So whoever was at it before can neither switch nor write any
// more, and if somebody else begins at the same moment, one of both steps back.
func (m *move) begin(ctx context.Context) (from standing, err error) {
	if err := m.s.step("begin"); err != nil {
		return from, err
	}
	owner := m.pin.owner
	to, found, err := m.to.standing(ctx, owner)
	if err == nil && found && to.state == gone && to.until != 0 {
		// What an earlier stay left goes first.
		if err = m.s.eraseGone(ctx, m.to, owner, to); err == nil {
			to, found, err = m.to.standing(ctx, owner)
		}
	}
	if err != nil {
		return from, err
	}
	if found && (to.state == here || to.state == leaving || to.state == gone && to.until != 0) {
		return from, errStepped
	}
	err = m.from.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var known bool
		var err error
		if from, known, err = readStanding(ctx, tx, owner); err != nil {
			return err
		}
		if !known || from.state != here && (from.state != leaving || from.peer != m.to.No) {
			return errStepped
		}
		from.turn++
		_, err = tx.Exec(ctx, sqlOwnerTurn, owner, m.to.No, from.turn)
		return err
	})
	if err != nil {
		return from, err
	}
	return from, m.beginTarget(ctx, from, to, found)
}

// beginTarget makes the target's row what it must be, if it still is what it was.
func (m *move) beginTarget(ctx context.Context, from, was standing, found bool) error {
	if found && was.state == ready && was.peer == m.from.No && from.state == leaving {
		m.toTurn = was.turn // all but the switch is done
		return nil
	}
	rev, how := was.rev, was.copied
	if was.state == gone || was.state == ready && was.peer != m.from.No {
		rev, how = 0, ""
	}
	m.toTurn = was.turn + 1
	return m.to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if !found {
			m.toTurn = 0
			n, err := tx.Exec(ctx, sqlOwnerComing, m.pin.owner, m.from.No, from.made)
			if err == nil && n == 0 {
				err = errStepped
			}
			return err
		}
		n, err := tx.Exec(ctx, sqlOwnerComeAgain, m.pin.owner, was.turn, m.from.No, rev, how)
		if err == nil && n == 0 {
			err = errStepped
		}
		return err
	})
}

// leave makes writes wait. The row's turn must be what it was, so that no other mover is
// at it.
func (m *move) leave(ctx context.Context, turn int64) (int64, error) {
	err := m.from.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlOwnerLeave, m.pin.owner, turn, m.to.No)
		if err == nil && n == 0 {
			err = errStepped
		}
		return err
	})
	return turn + 1, err
}

func (m *move) setReady(ctx context.Context, st standing) (turn int64, err error) {
	err = m.to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now, found, err := readStanding(ctx, tx, m.pin.owner)
		if err != nil {
			return err
		}
		if !found || now.turn != m.toTurn || now.peer != m.from.No || now.state != coming && now.state != ready {
			return errStepped
		}
		turn = now.turn + 1
		_, err = tx.Exec(ctx, sqlOwnerReady, m.pin.owner, now.turn, st.rev, st.photos, st.bytes, st.made)
		return err
	})
	return turn, err
}

// copied is how far a round of copying is, kept in the target's row.
type copied struct {
	Table int   `json:"table"`
	Upto  int64 `json:"upto"`          // the owner's number when the round began
	Rev   int64 `json:"rev,omitempty"` // of the last row of the table
	Key   []any `json:"key,omitempty"` // its key; nil: none yet
}

func parseCopied(text string, t []tableText) (copied, error) {
	var c copied
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.Table < 0 || c.Table > len(t) {
		return c, errs.New(errs.Internal, "how far a copy is cannot be read: %.80q", text)
	}
	if c.Table == len(t) || c.Key == nil {
		return c, nil
	}
	for i, at := range t[c.Table].keys {
		if i >= len(c.Key) {
			return copied{Upto: c.Upto}, nil // the key is another by now: begin anew
		}
		if f, ok := c.Key[i].(float64); ok && t[c.Table].Columns[at].Kind == IsInt {
			c.Key[i] = int64(f)
		}
	}
	return c, nil
}

// rounds bounds how often a copy goes after its owner before their writes wait.
const rounds = 8

// copyAll copies until little is left.
func (m *move) copyAll(ctx context.Context) error {
	for range rounds {
		st, found, err := m.from.standing(ctx, m.pin.owner)
		if err != nil {
			return err
		}
		if !found || st.state != here {
			return errStepped
		}
		batches, done, err := m.copyRound(ctx, st.rev)
		if err != nil {
			return err
		}
		if done && batches <= 1 {
			return nil
		}
	}
	return nil
}

// copyRound copies what changed up to a number, going on where an earlier round stopped.
// done says that all up to the number is there now: a round that was begun before ends at
// its own number.
func (m *move) copyRound(ctx context.Context, upto int64) (batches int, done bool, err error) {
	st, found, err := m.to.standing(ctx, m.pin.owner)
	if err != nil {
		return 0, false, err
	}
	if !found || st.turn != m.toTurn {
		return 0, false, errStepped
	}
	if st.state == ready { // an earlier run was further
		return 0, true, nil
	}
	c, err := parseCopied(st.copied, m.s.tables)
	if err != nil {
		return 0, false, err
	}
	if c.Upto == 0 {
		c.Upto = upto
	}
	if st.rev >= c.Upto {
		return 0, st.rev >= upto, nil
	}
	for ; c.Table < len(m.s.tables); c = (copied{Table: c.Table + 1, Upto: c.Upto}) {
		n, err := m.copyTable(ctx, &m.s.tables[c.Table], st.rev, c)
		batches += n
		if err != nil {
			return batches, false, fmt.Errorf("copy %s of %s from shard %s to %s: %w", m.s.tables[c.Table].Name, m.pin.owner, m.from.Name, m.to.Name, err)
		}
	}
	err = m.toWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, sqlOwnerCopied, m.pin.owner, c.Upto, "")
		return err
	})
	return batches, c.Upto >= upto, err
}

// toWrite writes at the target while this move is what happens there.
func (m *move) toWrite(ctx context.Context, fn sqldb.Fn) error {
	return m.to.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var state string
		var peer, turn int64
		err := tx.QueryRow(ctx, sqlOwnerState, m.pin.owner).Scan(&state, &peer, &turn)
		if err == nil && (state != coming && state != ready || turn != m.toTurn) {
			err = errStepped
		}
		if err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}
