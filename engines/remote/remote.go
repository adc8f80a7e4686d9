// Package remote is a client of this house's API, for the command line: a person's token,
// problem documents that become errors with their kinds, bodies that stream.
//
//	c, err := remote.New("http://127.0.0.1:8080", "/api/v1/photos", os.Getenv("PLUMB_TOKEN"))
//	var album struct{ ID string }
//	err = c.Call(ctx, "POST", "/albums", map[string]string{"title": "Holiday"}, &album)
//	res, err := c.Do(ctx, "GET", "/"+id+"/original", nil, 0)
//	defer res.Body.Close()
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
)

// Client speaks to one server, as one person. It is safe for concurrent use.
type Client struct {
	base string
	auth string
	http *http.Client
}

// New returns a client of what is below root at the server at address. Errors: Invalid.
func New(address, root, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errs.New(errs.Invalid, "the server is http://HOST or https://HOST, not %q", address)
	}
	if token == "" {
		return nil, errs.New(errs.Invalid, "PLUMB_TOKEN is not set: it holds a token of yours on the server")
	}
	return &Client{strings.TrimSuffix(address, "/") + root, "Bearer " + token, &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 16, DisableCompression: true, ResponseHeaderTimeout: 15 * time.Minute,
	}}}, nil
}

// kinds are the statuses that a caller acts on.
var kinds = map[int]errs.Kind{
	400: errs.Invalid, 401: errs.Unknown, 403: errs.Denied, 404: errs.NotFound, 409: errs.Conflict, 412: errs.Stale,
	413: errs.TooLarge, 422: errs.Invalid, 429: errs.Busy, 451: errs.Barred, 503: errs.Busy, 507: errs.Busy,
}

// Do sends a request and returns an answer of 2xx, whose Body the caller closes. size is
// the body's bytes, -1 where that is not known. headers are names and values in turn.
// Errors have the kind of the status; Busy where the server does not answer.
func (c *Client) Do(ctx context.Context, method, path string, body io.Reader, size int64, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the address cannot be asked")
	}
	req.Header.Set("Authorization", c.auth)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if req.ContentLength = size; size == 0 {
		req.Body = http.NoBody
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errs.Wrap(errs.Busy, err, "the server does not answer: %v", err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, refused(res)
}

// refused is the error of an answer that is none.
func refused(res *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var d struct {
		Title, Detail string
		Errors        []struct{ Location, Message string }
	}
	if err != nil || json.Unmarshal(text, &d) != nil || d.Title == "" {
		d.Title = res.Status
	}
	if d.Detail != "" {
		d.Title += ": " + d.Detail
	}
	for _, f := range d.Errors {
		d.Title += "; " + f.Location + " " + f.Message
	}
	kind := kinds[res.StatusCode]
	if kind == "" {
		kind = errs.Internal
	}
	return errs.New(kind, "%s", d.Title)
}

// Call sends JSON and reads JSON; either may be nil.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	size := int64(0)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
		body, size = bytes.NewReader(text), int64(len(text))
	}
	res, err := c.Do(ctx, method, path, body, size, "Content-Type", "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return Read(res, out)
}

// Read reads an answer's JSON into out, unless that is nil.
func Read(res *http.Response, out any) error {
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return errs.Wrap(errs.Busy, err, "the server broke off its answer")
	}
	return nil
}
