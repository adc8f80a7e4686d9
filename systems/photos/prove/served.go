package prove

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/lab"
	"plumb/engines/lab/child"
	"plumb/engines/sqldb"
	"plumb/engines/web"
	"plumb/systems/photos/internal/painted"
	"plumb/systems/photos/prove/names"
)

// The experiments beyond arithmetic drive a plumb serve photos as a child, through its API.

// service keeps photos: the built design, or one of this package. An error means that
// nothing was acknowledged; no call is tried again.
type service interface {
	put(ctx context.Context, owner int, name string, body []byte) (id string, err error)
	get(ctx context.Context, owner int, id string) ([]byte, error) // the original, for its owner
	share(ctx context.Context, owner int, id string) (link string, err error)
	view(ctx context.Context, link string) error // what a viewer loads of a photo
}

// house is a plumb serve photos on a folder of its own, and the people in it.
type house struct {
	*child.Server
	data   string
	args   []string
	people []owner
}

// owner is somebody with photos.
type owner struct{ name, id, token string }

// newHouse makes a data folder with n people in it and serves it.
func newHouse(ctx context.Context, b *lab.Bench, n int, args ...string) (*house, error) {
	dir, err := b.TempDir()
	if err != nil {
		return nil, err
	}
	h := &house{data: dir, args: args}
	if h.people, err = settle(ctx, b.Seed, dir, n); err != nil {
		return nil, err
	}
	return h, h.start(ctx, dir)
}

// settle makes people with a token each, in a folder that nobody serves yet.
func settle(ctx context.Context, seed uint64, dir string, n int) ([]owner, error) {
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{})
	if err != nil {
		return nil, fmt.Errorf("make people: %w", err)
	}
	defer db.Close()
	a, err := accounts.New(ctx, accounts.Needs{DB: db, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("make people: %w", err)
	}
	defer a.Close()
	list, err := called(seed, n)
	if err != nil {
		return nil, err
	}
	people := make([]owner, n)
	err = eachOf(ctx, 16, n, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("p%03d", i) // the house allows fewer letters than the world has; see called
		p, err := a.Add(ctx, web.Who{Name: "lab"}, name)
		if err != nil {
			return err
		}
		token, _, err := a.NewToken(ctx, web.Who{Name: "lab"}, name, "lab", 0)
		people[i] = owner{list[i], p.ID, token}
		return err
	})
	return people, err
}

// called draws n user names, as evenness does.
func called(seed uint64, n int) ([]string, error) {
	drawn, err := names.Usernames(seed, n, names.Mix{})
	if err != nil {
		return nil, fmt.Errorf("draw %d names: %w", n, err)
	}
	var list []string
	for name := range drawn {
		list = append(list, name)
	}
	return list, nil
}

// start serves the folder at a path, which may be where a disk that forgets shows it.
func (h *house) start(ctx context.Context, at string, more ...string) error {
	s, err := child.Start(ctx, child.Options{Systems: []string{"photos"}, Data: at, Args: append(append([]string{}, h.args...), more...)})
	if err != nil {
		return err
	}
	s.Client.Timeout = 30 * time.Second
	h.Server = s
	return nil
}

// do asks the API. token "" is a stranger.
func (h *house) do(ctx context.Context, method, path, token string, in any, out any) error {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(in), "image/jpeg"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	if strings.HasPrefix(path, "/") {
		path = h.URL + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	return answered(h.Client, req, out)
}

// errStatus is an answer that is none of the good ones.
type errStatus struct {
	code int
	text string
}

func (e *errStatus) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// answered asks, and reads the answer into out: *[]byte, nil, or what JSON is read into.
func answered(c *http.Client, req *http.Request, out any) error {
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, &errStatus{res.StatusCode, fmt.Sprintf("%.200s", got)})
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = got
		return nil
	}
	return json.Unmarshal(got, out)
}

const roomAPI = "/api/v1/photos"

func (h *house) put(ctx context.Context, owner int, name string, body []byte) (string, error) {
	var out struct{ ID string }
	err := h.do(ctx, "POST", roomAPI+"?name="+url.QueryEscape(name), h.people[owner].token, body, &out)
	return out.ID, err
}

func (h *house) get(ctx context.Context, owner int, id string) (got []byte, err error) {
	err = h.do(ctx, "GET", roomAPI+"/"+id+"/original", h.people[owner].token, nil, &got)
	return got, err
}

// share makes a link to a photo. Where it leads is looked up once, as a page does.
func (h *house) share(ctx context.Context, owner int, id string) (string, error) {
	var out struct{ URL string }
	err := h.do(ctx, "POST", roomAPI+"/"+id+"/links", h.people[owner].token, map[string]any{}, &out)
	_, path, ok := strings.Cut(out.URL, "/p/") // the server may come back at another port
	if err == nil && !ok {
		err = fmt.Errorf("a link has no address: %q", out.URL)
	}
	return "/p/" + path + "/" + id + "/medium", err
}

func (h *house) view(ctx context.Context, link string) error {
	var got []byte
	err := h.do(ctx, "GET", link, "", nil, &got)
	if err == nil && !bytes.HasPrefix(got, []byte("\xff\xd8")) {
		err = errors.New("a viewer got what is no JPEG")
	}
	return err
}

// admin asks as the operator.
func (h *house) admin(ctx context.Context, method, path string, in, out any) error {
	return h.do(ctx, method, roomAPI+path, h.Token, in, out)
}

// boardLine is a line of the operator's board.
type boardLine struct {
	No       int64
	Name     string
	State    string
	People   int64
	Photos   int64
	Bytes    int64
	Requests float64 `json:"requests_per_s"`
}

func (h *house) board(ctx context.Context) (map[string]boardLine, error) {
	var out struct{ Shards []boardLine }
	err := h.admin(ctx, "GET", "/shards", nil, &out)
	lines := map[string]boardLine{}
	for _, l := range out.Shards {
		lines[l.Name] = l
	}
	return lines, err
}

// migration is what the API says of one.
type migration struct {
	ID, State, Error string
	People, Failed   int64
	Photos           int64 `json:"photos"`
	PhotosDone       int64 `json:"photos_done"`
	Bytes            int64
	BytesDone        int64 `json:"bytes_done"`
	Ideal            int64 `json:"ideal_bytes"`
}

// addShard adds one; its people move in the background.
func (h *house) addShard(ctx context.Context, name string) (migration, error) {
	var out struct{ Migration migration }
	err := h.admin(ctx, "POST", "/shards", map[string]any{"name": name}, &out)
	return out.Migration, err
}

// moved waits for the end of a migration.
func (h *house) moved(ctx context.Context, m migration) (migration, error) {
	for m.ID != "" && m.State != "done" {
		if !pause(ctx, 100*time.Millisecond) {
			return m, ctx.Err()
		}
		if err := h.admin(ctx, "GET", "/migrations/"+m.ID, nil, &m); err != nil {
			return m, err
		}
	}
	return m, nil
}

// sizesMade waits until no photo of the first n people waits for its sizes: making them
// would run beside what is measured.
func (h *house) sizesMade(ctx context.Context) error {
	return eachOf(ctx, 4, len(h.people), func(ctx context.Context, i int) error {
		for {
			var out struct{ Photos []struct{ State string } }
			if err := h.do(ctx, "GET", roomAPI+"?limit=1000", h.people[i].token, nil, &out); err != nil {
				return err
			}
			waiting := false
			for _, p := range out.Photos {
				waiting = waiting || p.State == "new"
			}
			if !waiting {
				return nil
			}
			if !pause(ctx, 200*time.Millisecond) {
				return ctx.Err()
			}
		}
	})
}

// painter makes photos: painted by code, with what cameras write beside the pixels, and
// behind them what phones append (a short film), so that sizes have the tail that they
// have: log-normal, from some KiB to a MiB or two. The same for the same seed and name.
type painter struct {
	seed  uint64
	once  sync.Mutex
	plain [][]byte
}

// photo returns one of about so many bytes beside its pixels; no two are the same.
func (p *painter) photo(name string, extra int) []byte {
	const kinds = 12
	p.once.Lock()
	for len(p.plain) < kinds {
		i := len(p.plain)
		p.plain = append(p.plain, painted.JPEG(painted.Landscape(p.seed+uint64(i), 240, 160), painted.Facts{}))
	}
	p.once.Unlock()
	rng := lab.Rand(p.seed, "photo "+name)
	body := painted.WithFacts(p.plain[rng.IntN(kinds)], painted.Facts{
		Taken: time.Date(2024, 1, 1, 0, 0, rng.IntN(60*86400*300), 0, time.UTC), Make: "Canon", Model: "Canon EOS R6m2", Lens: "RF24-105mm F4 L IS USM",
		Exposure: 1.0 / 200, FNumber: 8, ISO: 100, Focal: 35, Placed: true, Lat: 60*rng.Float64() - 30, Lon: 180*rng.Float64() - 90,
	})
	tail := make([]byte, extra+16)
	for i := 0; i+8 <= len(tail); i += 8 {
		v := rng.Uint64()
		for j := range 8 {
			tail[i+j] = byte(v >> (8 * j))
		}
	}
	return append(body, tail...)
}

// eachOf does n things, so many at once, and returns the first error.
func eachOf(ctx context.Context, atOnce, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i := range n {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-turns }()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// pause waits, and says whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

type sum = [sha256.Size]byte
