// Package remote is a client of the API of the files room, for the command line.
//
//	c, err := remote.New("http://127.0.0.1:8080", os.Getenv("PLUMB_TOKEN"))
//	list, next, err := c.List(ctx, "trips", "")
//	err = c.Put(ctx, "trips/map.pdf", file, size, modified)
package remote

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"time"

	"plumb/base/errs"
	api "plumb/engines/remote"
)

// Client speaks to one server, as one person. It is safe for concurrent use.
type Client struct{ *api.Client }

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
	c, err := api.New(address, "/api/v1/files", token)
	return &Client{c}, err
}

// escaped writes a path for an address, name by name.
func escaped(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// Stat returns the node at path. Errors: NotFound.
func (c *Client) Stat(ctx context.Context, path string) (n Node, err error) {
	err = c.Call(ctx, "GET", "/stat/"+escaped(path), nil, &n)
	return n, err
}

// List returns a page of the folder at path.
func (c *Client) List(ctx context.Context, path, cursor string) ([]Node, string, error) {
	var page struct {
		Nodes []Node `json:"nodes"`
		Next  string `json:"next"`
	}
	err := c.Call(ctx, "GET", "/list/"+escaped(path)+"?limit=1000&cursor="+url.QueryEscape(cursor), nil, &page)
	return page.Nodes, page.Next, err
}

// Put stores r under path.
func (c *Client) Put(ctx context.Context, path string, r io.Reader, size int64, modified time.Time) error {
	res, err := c.Do(ctx, "PUT", "/content/"+escaped(path), r, size, "Content-Type", "application/octet-stream", "X-Modified", modified.UTC().Format(time.RFC3339Nano))
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Mkdir makes the folder at path with those above it.
func (c *Client) Mkdir(ctx context.Context, path string) error {
	return c.Call(ctx, "POST", "/folders/"+escaped(path)+"?parents=true", nil, nil)
}

// Get opens the content at path.
func (c *Client) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	res, err := c.Do(ctx, "GET", "/content/"+escaped(path), nil, 0)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Ask calls an operation without a body and reads its answer into out.
func (c *Client) Ask(ctx context.Context, method, path string, out any) error {
	return c.Call(ctx, method, path, nil, out)
}

// Scrub scrubs, tells how far it is, and reads the result into out.
func (c *Client) Scrub(ctx context.Context, progress func(done, total int64), out any) error {
	res, err := c.Do(ctx, "POST", "/scrub", nil, 0)
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
