package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/fleet/slots"
)

// Client is the machine's side: it brings one report at a time to a server, as
// often as it takes, and tells when the next is due. One goroutine uses it.
//
//	c := fleet.Client{URL: endpoint + "/api/v1/vending/reports", Token: token}
//	for report := range reports {
//		answer, err := c.Deliver(ctx, report)
//		...
//		wait := answer.NextIn()
//	}
type Client struct {
	URL     string        // where reports are posted
	Token   string        // the machine's own
	HTTP    *http.Client  // nil: one of its own, that gives up after 10 s
	Clock   clock.Clock   // nil: the system's
	Rand    *rand.Rand    // of the jitter; nil: seeded by the system
	Backoff slots.Backoff // zero: slots.Patient

	caller slots.Caller
	Tries  int    // calls made so far
	moves  int    // since the last report was stored
	before string // the URL that sent it here; "" for none
}

// Answer is what the server says to a report.
type Answer struct {
	ReportID      string    `json:"report_id"`
	Status        string    `json:"status"` // "stored", or "duplicate" of one that was stored before
	NextReportAt  time.Time `json:"next_report_at"`
	NextReportInS float64   `json:"next_report_in_s"`
	ServerTime    time.Time `json:"server_time"`
}

// NextIn returns how long to wait before the next report, by no clock but a timer.
func (a Answer) NextIn() time.Duration { return seconds(a.NextReportInS) }

// seconds converts without overflow: a server may say anything.
func seconds(s float64) time.Duration {
	if !(s > 0) { // NaN too
		return 0
	}
	return time.Duration(min(s, 7*24*3600) * float64(time.Second))
}

// Deliver posts one report until it is stored, and returns the answer. It waits
// as the server says where it says, and backs off where there is no answer. Where
// the server says that another one is this machine's, URL is that one's from now on.
// Errors: ctx's; the refusal (Invalid, Unknown, Denied, Conflict, TooLarge) where
// the server will never take this report from this machine.
func (c *Client) Deliver(ctx context.Context, report []byte) (Answer, error) {
	c.fill()
	for {
		answer, err := c.Send(ctx, report)
		if err == nil {
			c.caller.Stored()
			c.moves, c.before = 0, ""
			return answer, nil
		}
		wait, again := c.wait(err)
		if !again {
			return Answer{}, err
		}
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-c.Clock.After(wait):
		}
	}
}

// wait says how long to wait after an error; again is false where the server will
// never take this report from this machine.
func (c *Client) wait(err error) (wait time.Duration, again bool) {
	if moved, ok := errors.AsType[*Moved](err); ok {
		return c.follow(moved), true
	}
	switch errs.KindOf(err) {
	case errs.Busy:
		return c.caller.Refused(errs.RetryAfter(err), c.Rand), true
	case errs.Internal:
		return c.caller.Failed(c.Rand), true
	case errs.Unknown:
		return c.goBack()
	}
	return 0, false
}

func (c *Client) fill() {
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c.caller.Backoff = c.Backoff
}

// Send posts one report once. Errors: Busy with the time to wait, where the
// server refused for now; Internal, where there was no good answer; *Moved; else
// the kind of the refusal.
func (c *Client) Send(ctx context.Context, report []byte) (Answer, error) {
	c.fill()
	c.Tries++
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(report))
	if err != nil {
		return Answer{}, errs.Wrap(errs.Invalid, err, "the address %q cannot be called", c.URL)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("send a report: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return Answer{}, fmt.Errorf("send a report: read the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return Answer{}, refusal(res, body)
	}
	var a Answer
	if err := json.Unmarshal(body, &a); err != nil {
		return Answer{}, fmt.Errorf("send a report: read the answer: %w", err)
	}
	if a.Status == "" {
		return Answer{}, errs.New(errs.Internal, "send a report: the answer does not say whether it is stored")
	}
	return a, nil
}

// refusal turns a status into the error that Deliver acts on.
func refusal(res *http.Response, body []byte) error {
	var problem struct {
		Title    string  `json:"title"`
		Detail   string  `json:"detail"`
		RetryInS float64 `json:"retry_in_s"` // finer than Retry-After
		Cell     struct {
			Endpoint string `json:"endpoint"`
		} `json:"cell"`
	}
	if json.Unmarshal(body, &problem) != nil || problem.Title == "" {
		problem.Title = res.Status
	}
	text := problem.Title
	if problem.Detail != "" {
		text += ": " + problem.Detail
	}
	switch s := res.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable || s == http.StatusInsufficientStorage:
		wait := seconds(problem.RetryInS)
		if wait == 0 {
			whole, _ := strconv.ParseFloat(res.Header.Get("Retry-After"), 64)
			wait = seconds(whole)
		}
		return errs.TryAfter(wait, "%s", text)
	case s == http.StatusMisdirectedRequest:
		return &Moved{problem.Cell.Endpoint, errs.New(errs.Denied, "%s", text)}
	case s == http.StatusUnauthorized:
		return errs.New(errs.Unknown, "%s", text)
	case s == http.StatusForbidden:
		return errs.New(errs.Denied, "%s", text)
	case s == http.StatusConflict:
		return errs.New(errs.Conflict, "%s", text)
	case s == http.StatusRequestEntityTooLarge:
		return errs.New(errs.TooLarge, "%s", text)
	case s == http.StatusRequestTimeout || s >= 500 || s < 400:
		return errs.New(errs.Internal, "%s", text) // a proxy's, or a server's that is going down
	}
	return errs.New(errs.Invalid, "%s", text)
}
