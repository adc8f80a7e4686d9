package fleet

import (
	"net/url"
	"time"

	"plumb/base/errs"
)

// Moved is the answer of a server that is not this machine's any more: another one
// is. It is a Denied error. Deliver follows it; who calls Send decides for itself.
type Moved struct {
	Endpoint string // of that server, without the path of reports
	err      error
}

func (m *Moved) Error() string { return m.err.Error() }
func (m *Moved) Unwrap() error { return m.err }

// follow turns to the server that m names, and returns how long to wait before: not
// at all the first time, and as after a failure from then on, since two servers that
// disagree would send the machine to and fro.
func (c *Client) follow(m *Moved) time.Duration {
	next, err := elsewhere(c.URL, m.Endpoint)
	if err != nil || c.moves > 0 {
		wait := c.caller.Failed(c.Rand)
		if err != nil {
			return wait // what it was told is of no use: ask again
		}
		c.before, c.URL = c.URL, next
		return wait
	}
	c.moves++
	c.before, c.URL = c.URL, next
	return 0
}

// goBack returns to the server that sent the machine elsewhere, where nobody knows
// it yet, and says how long to wait before; ok is false when none did.
func (c *Client) goBack() (wait time.Duration, ok bool) {
	if c.before == "" {
		return 0, false
	}
	c.URL, c.before = c.before, ""
	return c.caller.Failed(c.Rand), true
}

// elsewhere returns the address of reports on another server. The machine's token
// goes there, so that it must not be in plain text where it was not before. Errors:
// Invalid.
func elsewhere(at, endpoint string) (string, error) {
	from, err := url.Parse(at)
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "the address %.256q cannot be called", at)
	}
	to, err := url.Parse(endpoint)
	switch {
	case err != nil || to.Host == "" || to.User != nil || to.Scheme != "https" && to.Scheme != "http":
		return "", errs.New(errs.Invalid, "the endpoint %.256q cannot be called", endpoint)
	case from.Scheme == "https" && to.Scheme != "https":
		return "", errs.New(errs.Invalid, "the endpoint %.256q does not speak TLS", endpoint)
	}
	to.RawQuery, to.Fragment = "", ""
	return to.JoinPath(from.Path).String(), nil
}
