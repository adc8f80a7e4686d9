package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/sqldb"
)

const (
	insertSQL = `INSERT INTO hooks_messages (id, hook, event, body, made, state, tries, next, done, why)
		VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $5, 0, '')`
	findSQL = `SELECT hook, body, tries, next FROM hooks_messages WHERE id = $1 AND state = 'waiting'`
	// A job that ran twice at once counts one try, whichever ends last; what arrived has arrived.
	triedSQL = `UPDATE hooks_messages SET state = $3, tries = $2 + 1, next = $4, done = $5, why = $6
		WHERE id = $1 AND state = 'waiting' AND (tries = $2 OR $3 = 'delivered')`
	pruneSQL = `DELETE FROM hooks_messages WHERE id IN
		(SELECT id FROM hooks_messages WHERE done > 0 ORDER BY done DESC, id DESC LIMIT 1000 OFFSET $1)`
	listSQL = `SELECT id, hook, event, made, state, tries, next, done, why FROM hooks_messages
		WHERE id IN (SELECT id FROM (SELECT id FROM hooks_messages WHERE done > 0 ORDER BY done DESC, id DESC LIMIT $1) AS a)
		OR id IN (SELECT id FROM (SELECT id FROM hooks_messages WHERE done = 0 ORDER BY id DESC LIMIT $1) AS b)
		ORDER BY id DESC`
)

// newClient returns a client that waits and reads for so long, and follows no redirect.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer,
			ForceAttemptHTTP2:      true,
		},
	}
}

// message is one that waits.
type message struct {
	id, hook, body string
	tries, next    int64
}

// deliver is the job: one try. What it returns says when to come again.
func (h *Hooks) deliver(ctx context.Context, payload []byte) error {
	var j job
	if err := json.Unmarshal(payload, &j); err != nil {
		return errs.Wrap(errs.Invalid, err, "deliver a webhook message: the job cannot be read")
	}
	m := message{id: j.Message}
	err := h.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, findSQL, m.id).Scan(&m.hook, &m.body, &m.tries, &m.next)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil // it is over: this job was run once more
	}
	if err != nil {
		return fmt.Errorf("deliver webhook message %s: %w", m.id, err)
	}
	now := h.n.Clock.Now()
	if wait := when(m.next).Sub(now); wait > 0 {
		return errs.TryAfter(wait, "deliver webhook message %s: it is not its time", m.id)
	}
	t, _ := h.target(m.hook)
	if t == nil {
		return h.note(ctx, m, Failed, 0, errors.New("the webhook is not configured any more"))
	}
	after, err := h.try(ctx, t, m, now)
	switch {
	case err == nil:
		return h.note(ctx, m, Delivered, 0, nil)
	case ctx.Err() != nil:
		return fmt.Errorf("deliver webhook message %s: %w", m.id, err) // the house is closing: no try
	case errors.Is(err, errGone) || m.tries >= int64(len(h.n.Pauses)):
		h.n.Log.Warn("webhook message given up", "hook", m.hook, "message", m.id, "tries", m.tries+1, "err", err)
		return h.note(ctx, m, Failed, 0, err)
	}
	pause := max(after, spread(h.n.Pauses[m.tries], m))
	if err := h.note(ctx, m, Waiting, pause, err); err != nil {
		return err
	}
	return errs.TryAfter(pause, "webhook message %s: %s", m.id, err)
}

// spread adds up to a tenth to a pause, so that those that failed together come apart.
func spread(pause time.Duration, m message) time.Duration {
	f := fnv.New32a()
	fmt.Fprint(f, m.id, m.tries)
	return pause + time.Duration(float64(pause)/10*float64(f.Sum32())/(1<<32))
}

// try sends a message once. after is what the receiver asks for.
func (h *Hooks) try(ctx context.Context, t *target, m message, now time.Time) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader([]byte(m.body)))
	if err != nil {
		return 0, withoutURL(err)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "plumb")
	req.Header.Set("Webhook-Id", m.id)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", t.sign(m.id, stamp, m.body))
	res, err := h.client.Do(req)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // so that the connection can be used again
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return 0, nil
	case s == http.StatusGone:
		return 0, errGone
	case s >= 300 && s < 400:
		return 0, fmt.Errorf("answered %d; redirects are not followed", s)
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
			after = time.Duration(min(n, 86400)) * time.Second
		}
	}
	return after, fmt.Errorf("answered %d", res.StatusCode)
}

// withoutURL leaves out what may hold a credential.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return fmt.Errorf("no answer within %v", patience)
		}
		return u.Err
	}
	return err
}

// note writes down how a try ended.
func (h *Hooks) note(ctx context.Context, m message, s State, pause time.Duration, why error) error {
	now := h.n.Clock.Now()
	next, done, text := int64(0), now.UnixMicro(), ""
	if s == Waiting {
		next, done = now.Add(pause).UnixMicro(), 0
	}
	if why != nil {
		text = bounds.Plain(why.Error(), 500)
	}
	err := h.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, triedSQL, m.id, m.tries, string(s), next, done, text); err != nil || s == Waiting {
			return err
		}
		_, err := tx.Exec(ctx, pruneSQL, int64(kept))
		return err
	})
	if err != nil {
		return fmt.Errorf("note webhook message %s: %w", m.id, err)
	}
	return nil
}
