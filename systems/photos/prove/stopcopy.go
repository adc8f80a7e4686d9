package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"plumb/base/ids"
	"plumb/engines/lab"
	"plumb/engines/placement"
	"plumb/engines/sqldb"
)

// stopCopy is photo sharing as the question describes it: each shard a folder and a
// database, a rule that says whose photos lie where (letters, or hash mod n), and for
// another number of shards: stop, move what changed its shard, go on. It keeps its
// promises otherwise: file, folder and row are synced before an answer.
type stopCopy struct {
	dir      string
	strategy string
	people   []string // their names

	mu      sync.RWMutex // held to write while everything is stopped
	stopped atomic.Bool
	at      *placement.Snapshot
	shards  map[string]*plainShard

	server *http.Server
	client *http.Client
	url    string
}

// plainShard is a folder and a database.
type plainShard struct {
	dir string
	db  *sqldb.DB
}

const plainSchema = `CREATE TABLE IF NOT EXISTS plain_photos (id TEXT PRIMARY KEY, owner BIGINT NOT NULL, name TEXT NOT NULL, size BIGINT NOT NULL)`

func shardNames(n int) []placement.Node {
	var list []placement.Node
	for i := range n {
		list = append(list, placement.Node{Name: fmt.Sprintf("shard-%02d", i), Weight: 1})
	}
	return list
}

// newStopCopy opens one on n shards behind a door of its own.
func newStopCopy(ctx context.Context, b *lab.Bench, strategy string, n int, people []string) (*stopCopy, error) {
	dir, err := b.TempDir()
	if err != nil {
		return nil, err
	}
	s := &stopCopy{dir: dir, strategy: strategy, people: people, shards: map[string]*plainShard{}}
	if s.at, err = placement.New(strategy, shardNames(n)); err != nil {
		return nil, err
	}
	for _, node := range s.at.Nodes() {
		if err := s.open(ctx, node.Name); err != nil {
			s.close()
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.close()
		return nil, fmt.Errorf("serve %s: %w", strategy, err)
	}
	s.server = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(l)
	s.url = "http://" + l.Addr().String()
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}, Timeout: 30 * time.Second}
	return s, nil
}

func (s *stopCopy) open(ctx context.Context, name string) error {
	sh := &plainShard{dir: filepath.Join(s.dir, name)}
	if err := os.MkdirAll(filepath.Join(sh.dir, "photos"), 0o700); err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	var err error
	if sh.db, err = sqldb.Open(ctx, "sqlite:"+filepath.Join(sh.dir, "photos.db"), sqldb.Options{}); err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	s.shards[name] = sh
	return sh.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, plainSchema)
		return err
	})
}

func (s *stopCopy) close() {
	if s.server != nil {
		s.client.CloseIdleConnections()
		s.server.Close()
	}
	for _, sh := range s.shards {
		sh.db.Close()
	}
}

// of returns the shard of a person. s.mu is held.
func (s *stopCopy) of(owner int) *plainShard {
	return s.shards[s.at.Node(s.at.Place(s.people[owner])).Name]
}

func (s *stopCopy) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(w http.ResponseWriter, r *http.Request, owner int) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if s.stopped.Load() || !s.mu.TryRLock() { // refused, not kept waiting: the move takes long
				http.Error(w, "closed while photos are moved", http.StatusServiceUnavailable)
				return
			}
			defer s.mu.RUnlock()
			var owner int
			if _, err := fmt.Sscan(r.PathValue("owner"), &owner); err != nil || owner < 0 || owner >= len(s.people) {
				http.NotFound(w, r)
				return
			}
			switch err := fn(w, r, owner); {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, sqldb.ErrNoRows):
				http.NotFound(w, r)
			case err != nil:
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	handle("POST /{owner}", func(w http.ResponseWriter, r *http.Request, owner int) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		id := ids.New(time.Now())
		if err := s.of(owner).keep(r.Context(), id, owner, r.URL.Query().Get("name"), body); err != nil {
			return err
		}
		_, err = io.WriteString(w, id)
		return err
	})
	handle("GET /{owner}/{id}", func(w http.ResponseWriter, r *http.Request, owner int) error {
		body, err := s.of(owner).look(r.Context(), r.PathValue("id"))
		if err == nil {
			_, err = w.Write(body)
		}
		return err
	})
	return mux
}

// keep stores a photo durably: the file, its name, and then the row.
func (sh *plainShard) keep(ctx context.Context, id string, owner int, name string, body []byte) error {
	folder := filepath.Join(sh.dir, "photos")
	if err := writeSynced(filepath.Join(folder, id), body); err != nil {
		return err
	}
	return sh.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO plain_photos (id, owner, name, size) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, id, int64(owner), name, int64(len(body)))
		return err
	})
}

func writeSynced(path string, body []byte) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// look reads a photo, by its row.
func (sh *plainShard) look(ctx context.Context, id string) ([]byte, error) {
	err := sh.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var size int64
		return tx.QueryRow(ctx, `SELECT size FROM plain_photos WHERE id = $1`, id).Scan(&size)
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(sh.dir, "photos", id))
}

// tally is what a change of the number of shards moved.
type tally struct {
	photos, bytes int64
	took          time.Duration
}

// recut changes the number of shards: everything stops, what changed its shard is copied,
// eight at a time, and ends where it was, and everything goes on.
func (s *stopCopy) recut(ctx context.Context, n int) (out tally, err error) {
	s.stopped.Store(true)
	defer s.stopped.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	next, err := placement.New(s.strategy, shardNames(n))
	if err != nil {
		return out, err
	}
	for _, node := range next.Nodes() {
		if s.shards[node.Name] == nil {
			if err := s.open(ctx, node.Name); err != nil {
				return out, err
			}
		}
	}
	type item struct {
		id, name, from, to string
		owner              int
	}
	var list []item
	for from, sh := range s.shards {
		err := sh.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			rows, err := tx.Query(ctx, `SELECT id, owner, name FROM plain_photos`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				it := item{from: from}
				var owner int64
				if err := rows.Scan(&it.id, &owner, &it.name); err != nil {
					return err
				}
				it.owner, it.to = int(owner), next.Node(next.Place(s.people[owner])).Name
				if it.to != from {
					list = append(list, it)
				}
			}
			return rows.Err()
		})
		if err != nil {
			return out, err
		}
	}
	var bytes atomic.Int64
	err = eachOf(ctx, 8, len(list), func(ctx context.Context, i int) error {
		it := list[i]
		body, err := s.shards[it.from].look(ctx, it.id)
		if err == nil {
			err = s.shards[it.to].keep(ctx, it.id, it.owner, it.name, body)
		}
		if err == nil {
			err = s.shards[it.from].drop(ctx, it.id)
		}
		bytes.Add(int64(len(body)))
		return err
	})
	s.at = next
	return tally{int64(len(list)), bytes.Load(), time.Since(began)}, err
}

func (sh *plainShard) drop(ctx context.Context, id string) error {
	err := sh.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM plain_photos WHERE id = $1`, id)
		return err
	})
	return errors.Join(err, os.Remove(filepath.Join(sh.dir, "photos", id)))
}

func (s *stopCopy) ask(ctx context.Context, method, path string, body []byte) (got []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	err = answered(s.client, req, &got)
	return got, err
}

func (s *stopCopy) put(ctx context.Context, owner int, name string, body []byte) (string, error) {
	id, err := s.ask(ctx, "POST", fmt.Sprintf("/%d?name=%s", owner, name), body)
	return string(id), err
}

func (s *stopCopy) get(ctx context.Context, owner int, id string) ([]byte, error) {
	return s.ask(ctx, "GET", fmt.Sprintf("/%d/%s", owner, id), nil)
}

// share gives the photo itself away: links are not what this design is about.
func (s *stopCopy) share(_ context.Context, owner int, id string) (string, error) {
	return fmt.Sprintf("/%d/%s", owner, id), nil
}

func (s *stopCopy) view(ctx context.Context, link string) error {
	_, err := s.ask(ctx, "GET", link, nil)
	return err
}
