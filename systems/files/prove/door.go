package prove

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/child"
)

// door is how clients reach a design: the same methods for all.
type door struct {
	url    string // before a file's name
	token  string
	client *http.Client
}

// put uploads a file and returns what the server says of it: "" of a design of this
// package, an id of the built one. An error means that nothing was acknowledged.
func (d *door) put(ctx context.Context, name string, body []byte) (id string, err error) {
	answer, err := d.do(ctx, http.MethodPut, d.url+name, body)
	if err != nil {
		return "", err
	}
	var node struct{ ID string }
	if len(answer) > 0 {
		err = json.Unmarshal(answer, &node)
	}
	return node.ID, err
}

// get reads a file. errGone: there is none.
func (d *door) get(ctx context.Context, name string) ([]byte, error) {
	return d.do(ctx, http.MethodGet, d.url+name, nil)
}

func (d *door) remove(ctx context.Context, name string) error {
	_, err := d.do(ctx, http.MethodDelete, d.url+name, nil)
	return err
}

// sum reads a file and returns its hash, for those that are large.
func (d *door) sum(ctx context.Context, name string) (out [sha256.Size]byte, err error) {
	res, err := d.ask(ctx, http.MethodGet, d.url+name, nil)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return out, fmt.Errorf("get %s: status %d", name, res.StatusCode)
	}
	h := sha256.New()
	_, err = io.Copy(h, res.Body)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// errGone is a 404.
var errGone = errors.New("it is not there")

func (d *door) ask(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	if method == http.MethodPut {
		req.Header.Set("Content-Type", "application/octet-stream")
	} else if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return d.client.Do(req)
}

func (d *door) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	res, err := d.ask(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, errGone
	case res.StatusCode >= 300:
		return nil, fmt.Errorf("%s %s: status %d: %.200s", method, url, res.StatusCode, answer)
	}
	return answer, nil
}

// right says whether a name has those bytes, and else whether it has others.
func (d *door) right(ctx context.Context, name string, want []byte) (right, other bool) {
	got, err := d.get(ctx, name)
	right = err == nil && bytes.Equal(got, want)
	return right, err == nil && !right
}

// adopter is a design that takes content by its hash alone, where it knows it.
type adopter interface {
	// adopt gives a name content that is there. Errors: fs.ErrNotExist.
	adopt(name, hash string) error
}

// serve gives a design of this package a door.
func serve(k keeper) (*door, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("serve a design: %w", err)
	}
	mux := http.NewServeMux()
	named := func(fn func(w http.ResponseWriter, r *http.Request, name string) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch err := fn(w, r, strings.ReplaceAll(r.PathValue("name"), "/", "_")); {
			case errors.Is(err, fs.ErrNotExist):
				http.Error(w, err.Error(), http.StatusNotFound)
			case err != nil:
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
	}
	mux.HandleFunc("PUT /{name...}", named(func(w http.ResponseWriter, r *http.Request, name string) error { return k.put(name, r.Body) }))
	mux.HandleFunc("DELETE /{name...}", named(func(w http.ResponseWriter, r *http.Request, name string) error { return k.remove(name) }))
	mux.HandleFunc("POST /{name...}", named(func(w http.ResponseWriter, r *http.Request, name string) error {
		a, ok := k.(adopter)
		if !ok {
			return fs.ErrNotExist
		}
		return a.adopt(name, r.URL.Query().Get("sha256"))
	}))
	mux.HandleFunc("GET /{name...}", named(func(w http.ResponseWriter, r *http.Request, name string) error {
		f, err := k.open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}, Timeout: 2 * time.Minute}
	return &door{url: "http://" + l.Addr().String() + "/", client: client}, func() { client.CloseIdleConnections(); server.Close() }, nil
}

// built is a plumb serve files on a folder of its own.
type built struct {
	*door
	*child.Server
	data string
}

// api is where the room's operations are.
func (s *built) api(path string) string { return s.URL + "/api/v1/files" + path }

func startBuilt(ctx context.Context, data string, args ...string) (*built, error) {
	c, err := child.Start(ctx, child.Options{Systems: []string{"files"}, Data: data, Args: args})
	if err != nil {
		return nil, err
	}
	c.Client.Timeout = 2 * time.Minute
	s := &built{Server: c, data: data}
	s.door = &door{url: s.api("/content/"), token: c.Token, client: c.Client}
	return s, nil
}

// newBuilt starts one on a new folder.
func newBuilt(ctx context.Context, b *lab.Bench, args ...string) (*built, error) {
	dir, err := b.TempDir()
	if err != nil {
		return nil, err
	}
	return startBuilt(ctx, dir, args...)
}

// stats is what the server says that it holds.
type stats struct {
	Files, Blobs int64
	Logical      int64 `json:"logical_bytes"`
	Stored       int64 `json:"stored_bytes"`
	Waiting      int64 `json:"waiting_bytes"`
}

func (s *built) stats(ctx context.Context) (out stats, err error) {
	answer, err := s.do(ctx, http.MethodGet, s.api("/stats"), nil)
	if err == nil {
		err = json.Unmarshal(answer, &out)
	}
	return out, err
}

// end removes a file for good: to the bin, and out of it.
func (s *built) end(ctx context.Context, name, id string) error {
	if err := s.remove(ctx, name); err != nil {
		return err
	}
	_, err := s.do(ctx, http.MethodDelete, s.api("/bin/"+id), nil)
	return err
}

// collect frees what nothing refers to.
func (s *built) collect(ctx context.Context) error {
	_, err := s.do(ctx, http.MethodPost, s.api("/collect"), nil)
	return err
}

// scrub has everything read and verified, and returns how many chunks are bad.
func (s *built) scrub(ctx context.Context) (bad int64, err error) {
	answer, err := s.do(ctx, http.MethodPost, s.api("/scrub"), nil)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(answer)), "\n")
	var result struct {
		Bad    *int64
		Faults []string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil || result.Bad == nil {
		return 0, fmt.Errorf("the scrub ends with %.200q: %v", lines[len(lines)-1], err)
	}
	return *result.Bad, nil
}

// objects lists the packs in the server's folder of blobs.
func objects(data string) (map[string]bool, error) {
	out := map[string]bool{}
	root := filepath.Join(data, "blobs", "cas")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.Type().IsRegular() {
			out[e.Name()] = true
		}
		return err
	})
	return out, err
}

// noise returns n bytes that nothing compresses, the same for the same seed and name.
func noise(seed uint64, name string, n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, name))).Read(out)
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
