// Package remote is a client of the API of the files room, for the command line.
//
//	c, err := remote.New("http://127.0.0.1:8080", os.Getenv("PLUMB_TOKEN"))
//	list, next, err := c.List(ctx, "trips", "")
//	err = c.Put(ctx, "trips/map.pdf", file, size, modified)
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
	base  string
	token string
	http  *http.Client
}

// Node is a file or folder as the API tells of it.
type Node struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"` // file, folder
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"`
	Modified time.Time `json:"modified_at"`
}

// New returns a client of the server at address.
func New(address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errs.New(errs.Invalid, "the server is http://HOST or https://HOST, not %q", address)
	}
	if token == "" {
		return nil, errs.New(errs.Invalid, "PLUMB_TOKEN is not set: it holds a token of yours on the server")
	}
	return &Client{strings.TrimSuffix(address, "/") + "/api/v1/files", token, &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 16, DisableCompression: true, ResponseHeaderTimeout: 15 * time.Minute,
	}}}, nil
}

// escaped writes a path for an address, name by name.
func escaped(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// do sends a request and returns an answer of 2xx. Errors have the kind of the status.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader, size int64, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the address cannot be asked")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.ContentLength = size
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

// kinds are the statuses that a caller acts on.
var kinds = map[int]errs.Kind{
	400: errs.Invalid, 401: errs.Unknown, 403: errs.Denied, 404: errs.NotFound, 409: errs.Conflict, 412: errs.Stale,
	413: errs.TooLarge, 422: errs.Invalid, 429: errs.Busy, 451: errs.Barred, 503: errs.Busy, 507: errs.Busy,
}

// refused is the error of an answer that is none.
func refused(res *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var d struct{ Title, Detail string }
	if err != nil || json.Unmarshal(text, &d) != nil || d.Title == "" {
		d.Title = res.Status
	}
	if d.Detail != "" {
		d.Title += ": " + d.Detail
	}
	kind := kinds[res.StatusCode]
	if kind == "" {
		kind = errs.Internal
	}
	return errs.New(kind, "%s", d.Title)
}

// call sends JSON and reads JSON; either may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	size := int64(0)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
		body, size = bytes.NewReader(text), int64(len(text))
	}
	res, err := c.do(ctx, method, path, body, size, "Content-Type", "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return errs.Wrap(errs.Busy, err, "the server broke off its answer")
	}
	return nil
}

// Stat returns the node at path. Errors: NotFound.
func (c *Client) Stat(ctx context.Context, path string) (n Node, err error) {
	err = c.call(ctx, "GET", "/stat/"+escaped(path), nil, &n)
	return n, err
}

// List returns a page of the folder at path.
func (c *Client) List(ctx context.Context, path, cursor string) ([]Node, string, error) {
	var page struct {
		Nodes []Node `json:"nodes"`
		Next  string `json:"next"`
	}
	err := c.call(ctx, "GET", "/list/"+escaped(path)+"?limit=1000&cursor="+url.QueryEscape(cursor), nil, &page)
	return page.Nodes, page.Next, err
}

// Put stores r under path.
func (c *Client) Put(ctx context.Context, path string, r io.Reader, size int64, modified time.Time) error {
	if size == 0 {
		r = http.NoBody
	}
	res, err := c.do(ctx, "PUT", "/content/"+escaped(path), r, size, "Content-Type", "application/octet-stream", "X-Modified", modified.UTC().Format(time.RFC3339Nano))
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Mkdir makes the folder at path with those above it.
func (c *Client) Mkdir(ctx context.Context, path string) error {
	return c.call(ctx, "POST", "/folders/"+escaped(path)+"?parents=true", nil, nil)
}

// Get opens the content at path.
func (c *Client) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	res, err := c.do(ctx, "GET", "/content/"+escaped(path), nil, 0)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Ask calls an operation without a body and reads its answer into out.
func (c *Client) Ask(ctx context.Context, method, path string, out any) error {
	return c.call(ctx, method, path, nil, out)
}

// Scrub scrubs, tells how far it is, and reads the result into out.
func (c *Client) Scrub(ctx context.Context, progress func(done, total int64), out any) error {
	res, err := c.do(ctx, "POST", "/scrub", nil, 0)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var last json.RawMessage
	for dec := json.NewDecoder(res.Body); ; {
		var line json.RawMessage
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return errs.Wrap(errs.Busy, err, "the server broke off the scrub: it goes on where it is started again")
		}
		var p struct {
			Done  int64 `json:"done_bytes"`
			Total int64 `json:"total_bytes"`
		}
		if json.Unmarshal(line, &p) == nil && p.Total > 0 {
			progress(p.Done, p.Total)
		}
		last = line
	}
	if err := json.Unmarshal(last, out); err != nil {
		return errs.Wrap(errs.Internal, err, "the result of the scrub cannot be read")
	}
	return nil
}
