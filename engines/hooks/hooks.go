// Package hooks tells other people's servers what happened: webhooks, by the rules of
// Standard Webhooks (standardwebhooks.com), so that the receiver's libraries for that
// verify them.
//
//	h, err := hooks.Open(ctx, hooks.Needs{DB: db, Jobs: queue, Clock: clock.System{}, Log: log})
//	err = queue.Register(h.Work()...)
//	err = h.Declare("photos", hooks.Hook{URL: cfg.URL, Secret: cfg.Secret})
//	...
//	err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
//		...
//		return h.Send(ctx, tx, "photos", "photo.ready", map[string]string{"id": id})
//	})
//
// What holds:
//   - A message exists if and only if the transaction that sent it committed. It is
//     delivered at least once, always under the same webhook-id, in no certain order.
//   - Delivered means answered with 2xx within 10 s. Anything else is tried again, ten
//     times within three days; 410 (Gone) ends a message. Redirects are not followed.
//   - The operator chooses the URL, so it may be a private address; it is http or https.
//     Neither it nor the secret is stored, logged or listed: they may hold credentials.
//   - What a receiver answers is read up to 64 KiB and ignored.
//
// A message is at most 64 KiB; while a receiver is away, its messages wait in the database.
// Of those that are over the newest 100 are kept, for a page.
package hooks

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schema embed.FS

const (
	maxBody   = 64 << 10
	maxAnswer = 64 << 10
	kept      = 100
	patience  = 10 * time.Second // of one try
)

// Needs is what the engine is given.
type Needs struct {
	DB    *sqldb.DB
	Jobs  *jobs.Queue
	Clock clock.Clock
	Log   *slog.Logger
	// Pauses stand between the tries: those that Standard Webhooks recommends, nine of
	// them, when nil.
	Pauses []time.Duration
}

// Hooks sends messages. It is safe for concurrent use.
type Hooks struct {
	n      Needs
	client *http.Client

	mu    sync.Mutex
	hooks map[string]*target
}

// Open brings the table up to date.
func Open(ctx context.Context, n Needs) (*Hooks, error) {
	if err := n.DB.Migrate(ctx, "hooks", schema); err != nil {
		return nil, fmt.Errorf("open the webhooks: %w", err)
	}
	if n.Pauses == nil {
		const h = time.Hour
		n.Pauses = []time.Duration{5 * time.Second, 5 * time.Minute, h / 2, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}
	}
	return &Hooks{n: n, client: newClient(), hooks: map[string]*target{}}, nil
}

// Work is what a jobs.Queue must know before it starts.
func (h *Hooks) Work() []jobs.Work {
	return []jobs.Work{{Kind: deliverKind, Max: 4, Timeout: 3 * patience, Run: h.deliver}}
}

const deliverKind = "hooks.deliver"

// job is the payload of one.
type job struct {
	Message string `json:"message"`
}

// Close lets go of connections.
func (h *Hooks) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// Hook is where messages go.
type Hook struct {
	// URL is http or https; "": nowhere, and Send does nothing.
	URL string
	// Secret signs: "whsec_" and 24 to 64 random bytes in base64, as NewSecret makes it.
	// While the receiver changes its secret there may be two, with a space between.
	Secret string
}

// Declare makes a hook known under a name (a room's, say) before the first Send and the
// queue's start. A second time it replaces the hook; messages that wait go there too.
// Errors: Invalid, which does not show the URL.
func (h *Hooks) Declare(name string, hook Hook) error {
	t, err := parse(name, hook)
	if err != nil {
		return fmt.Errorf("declare the webhook %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks[name] = t
	return nil
}

func (h *Hooks) target(name string) (t *target, declared bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, declared = h.hooks[name]
	return t, declared
}

// envelope is a message's body.
type envelope struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// Send adds a message that exists only if tx commits. event says what happened
// ("photo.ready"), data becomes JSON. Errors: Invalid; TooLarge; Internal for a hook
// that nobody declared.
func (h *Hooks) Send(ctx context.Context, tx *sqldb.Tx, hook, event string, data any) error {
	t, declared := h.target(hook)
	if !declared {
		return fmt.Errorf("send a webhook: nobody declared %q", hook)
	}
	if t == nil {
		return nil
	}
	var b bounds.Check
	b.Text("event", event, 1, 128)
	if err := b.Err("the message is not valid"); err != nil {
		return fmt.Errorf("send a webhook: %w", err)
	}
	now := h.n.Clock.Now().UTC()
	body, err := json.Marshal(envelope{event, now.Format(time.RFC3339Nano), data})
	if err != nil {
		return fmt.Errorf("send a webhook: %w", err)
	}
	if len(body) > maxBody {
		return errs.New(errs.TooLarge, "the message %s has %d bytes, more than 64 KiB", event, len(body))
	}
	id := ids.New(now)
	if _, err := tx.Exec(ctx, insertSQL, id, hook, event, string(body), now.UnixMicro()); err != nil {
		return fmt.Errorf("send a webhook: %w", err)
	}
	return h.n.Jobs.Add(ctx, tx, deliverKind, job{id})
}

// State of a message.
type State string

// The states.
const (
	Waiting   State = "waiting"
	Delivered State = "delivered"
	Failed    State = "failed"
)

// Message is one as it may be shown.
type Message struct {
	ID    string
	Hook  string
	Event string
	Made  time.Time
	State State
	Tries int64
	Next  time.Time // of a waiting one; not before
	Done  time.Time // zero while it waits
	Why   string    // the last try failed; ""
}

// List returns the newest 100 messages that are over, and as many that wait, the newest first.
func (h *Hooks) List(ctx context.Context) (list []Message, err error) {
	err = h.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, listSQL, int64(kept))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m Message
			var state string
			var made, next, done int64
			if err := rows.Scan(&m.ID, &m.Hook, &m.Event, &made, &state, &m.Tries, &next, &done, &m.Why); err != nil {
				return err
			}
			m.State, m.Made, m.Next, m.Done = State(state), when(made), when(next), when(done)
			list = append(list, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list webhook messages: %w", err)
	}
	return list, nil
}

// when reads a stored time; 0 is the zero time.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

var errGone = errors.New("the receiver wants no more of it (410)")
