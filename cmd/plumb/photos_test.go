package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

const photosAPI = "/api/v1/photos"

// keeper is somebody who keeps photos, and remembers what was acknowledged.
type keeper struct {
	id, token string
	client    *http.Client

	mu     sync.Mutex
	kept   []keptPhoto // guarded by mu
	gone   []string    // ids of what was removed
	albums []keptAlbum
}

// keptPhoto is an acknowledged photo.
type keptPhoto struct {
	id  string
	sum [sha256.Size]byte
}

// keptAlbum is an album, and what was put into it.
type keptAlbum struct {
	id, link string // the link's path
	photos   []string
}

// newKeepers makes people in a house's database.
func newKeepers(t *testing.T, sql string, n int) []*keeper {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sql, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a, err := accounts.New(t.Context(), accounts.Needs{DB: db, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true}}
	t.Cleanup(client.CloseIdleConnections)
	list := make([]*keeper, n)
	for i := range list {
		name := fmt.Sprintf("p%03d", i)
		p, err := a.Add(t.Context(), web.Who{Name: "test"}, name)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := a.NewToken(t.Context(), web.Who{Name: "test"}, name, "test", 0)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = &keeper{id: p.ID, token: token, client: client}
	}
	return list
}

// statusError is an answer that is none of the good ones.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// statusOf is the status of a failed call; 0 without an answer.
func statusOf(err error) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.code
	}
	return 0
}

// ask sends one request. in is nil, a reader with a photo, or what JSON is made of; out is
// nil, *[]byte, or what JSON is read into. token "" is a stranger.
func ask(ctx context.Context, client *http.Client, method, url, token string, in, out any) error {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body, kind = in, "image/jpeg"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	switch out := out.(type) {
	case nil:
	case *[]byte:
		*out = got
	default:
		if err == nil && res.StatusCode < 300 {
			err = json.Unmarshal(got, out)
		}
	}
	if err == nil && res.StatusCode >= 300 {
		err = &statusError{res.StatusCode, fmt.Sprintf("%.300s", got)}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}

func (k *keeper) ask(ctx context.Context, method, url string, in, out any) error {
	return ask(ctx, k.client, method, url, k.token, in, out)
}

// put uploads a photo, and remembers it once it is acknowledged.
func (k *keeper) put(ctx context.Context, at string, body []byte) (id string, err error) {
	var out struct{ ID string }
	if err := k.ask(ctx, "POST", at+photosAPI, bytes.NewReader(body), &out); err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, keptPhoto{out.ID, sha256.Sum256(body)})
	return out.ID, nil
}

// get reads an original and compares it with what was sent.
func (k *keeper) get(ctx context.Context, at string, p keptPhoto) error {
	var got []byte
	if err := k.ask(ctx, "GET", at+photosAPI+"/"+p.id+"/original", nil, &got); err != nil {
		return err
	}
	if sha256.Sum256(got) != p.sum {
		return fmt.Errorf("photo %s came back as %d other bytes", p.id, len(got))
	}
	return nil
}

// some is a photo that was acknowledged before; false: there is none.
func (k *keeper) some(r *rand.Rand) (keptPhoto, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.kept) == 0 {
		return keptPhoto{}, false
	}
	return k.kept[r.IntN(len(k.kept))], true
}

// shareAlbum makes an album of all that was acknowledged, and a link to it.
func (k *keeper) shareAlbum(ctx context.Context, at string) error {
	a := keptAlbum{}
	k.mu.Lock()
	for _, p := range k.kept {
		a.photos = append(a.photos, p.id)
	}
	k.mu.Unlock()
	var album struct{ ID string }
	if err := k.ask(ctx, "POST", at+photosAPI+"/albums", map[string]any{"title": "Holiday", "photos": a.photos}, &album); err != nil {
		return err
	}
	var link struct{ URL string }
	if err := k.ask(ctx, "POST", at+photosAPI+"/albums/"+album.ID+"/links", map[string]any{}, &link); err != nil {
		return err
	}
	_, token, ok := strings.Cut(link.URL, "/p/") // processes have ports of their own
	if !ok {
		return fmt.Errorf("a link has no address: %q", link.URL)
	}
	a.id, a.link = album.ID, "/p/"+token
	k.mu.Lock()
	defer k.mu.Unlock()
	k.albums = append(k.albums, a)
	return nil
}

// view follows a link to an album, as somebody without an account.
func (k *keeper) view(ctx context.Context, at string) error {
	k.mu.Lock()
	list := k.albums
	k.mu.Unlock()
	for _, a := range list {
		var page []byte
		if err := ask(ctx, k.client, "GET", at+a.link, "", nil, &page); err != nil {
			return err
		}
		for _, id := range a.photos {
			if !bytes.Contains(page, []byte(id)) {
				return fmt.Errorf("a link's page does not show photo %s of %d", id, len(a.photos))
			}
		}
	}
	return nil
}

// judge looks at everything that was acknowledged.
func (k *keeper) judge(t *testing.T, at string) {
	t.Helper()
	ctx := t.Context()
	for _, p := range k.kept {
		if err := k.get(ctx, at, p); err != nil {
			t.Errorf("an acknowledged photo: %v", err)
			break // the others mostly say the same
		}
	}
	for _, id := range k.gone {
		var out struct {
			Removed *time.Time `json:"removed_at"`
		}
		if err := k.ask(ctx, "GET", at+photosAPI+"/"+id, nil, &out); err != nil && statusOf(err) != http.StatusNotFound || err == nil && out.Removed == nil {
			t.Errorf("photo %s, whose removal was acknowledged, is there (%v)", id, err)
		}
	}
	for _, a := range k.albums {
		var out struct{ Photos []struct{ ID string } }
		if err := k.ask(ctx, "GET", at+photosAPI+"/albums/"+a.id+"/photos?limit=1000", nil, &out); err != nil {
			t.Errorf("an album: %v", err)
		}
		for i, id := range a.photos {
			if i >= len(out.Photos) || out.Photos[i].ID != id {
				t.Errorf("album %s has other photos than were put into it, or in another order", a.id)
				break
			}
		}
	}
	if err := k.view(ctx, at); err != nil {
		t.Errorf("a link: %v", err)
	}
}

// judgeAll looks at what all keepers have, several at once.
func judgeAll(t *testing.T, people []*keeper, at string) {
	t.Helper()
	var all sync.WaitGroup
	n := 0
	for i := range 4 {
		all.Go(func() {
			for j := i; j < len(people); j += 4 {
				people[j].judge(t, at)
			}
		})
	}
	all.Wait()
	for _, k := range people {
		n += len(k.kept)
	}
	t.Logf("%d acknowledged photos of %d people were read at %s", n, len(people), at)
}

// sizesMade waits until no photo waits for its sizes.
func sizesMade(t *testing.T, people []*keeper, at string) {
	t.Helper()
	for _, k := range people {
		awaitLong(t, "the sizes of all photos", func() bool {
			var out struct {
				Photos []struct{ State, Fault string }
			}
			if err := k.ask(t.Context(), "GET", at+photosAPI+"?limit=1000", nil, &out); err != nil {
				t.Fatal(err)
			}
			waits := false
			for _, p := range out.Photos {
				waits = waits || p.State == "new"
				if p.State == "broken" {
					t.Fatalf("a sound photo is called broken: %s", p.Fault)
				}
			}
			return !waits
		})
	}
}

// awaitLong is await for what takes a lease's time.
func awaitLong(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited three minutes for %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// moves is what the API says of a migration.
type moves struct {
	ID, State, Error string
	People           int64
	PeopleDone       int64 `json:"people_done"`
	Failed           int64
}

// addShard adds one and returns its migration.
func addShard(t *testing.T, client *http.Client, at, token string, shard map[string]any) moves {
	t.Helper()
	var out struct{ Migration moves }
	if err := ask(t.Context(), client, "POST", at+photosAPI+"/shards", token, shard, &out); err != nil {
		t.Fatal(err)
	}
	return out.Migration
}

// look asks anew how a migration goes; a process that does not answer is asked again.
func (m *moves) look(t *testing.T, client *http.Client, at, token string) {
	t.Helper()
	await(t, "a migration's state", func() bool {
		return ask(t.Context(), client, "GET", at+photosAPI+"/migrations/"+m.ID, token, nil, m) == nil
	})
}

// photo returns a photo of about so many bytes: a small picture, and noise behind it, as
// phones append their films. No two seeds give the same.
func photo(seed uint64, extra int) []byte {
	img := image.NewGray(image.Rect(0, 0, 48, 32))
	for i := range img.Pix {
		img.Pix[i] = byte(i) ^ byte(seed)
	}
	var b bytes.Buffer
	jpeg.Encode(&b, img, nil) // into memory: it cannot fail
	return append(b.Bytes(), noise(seed, extra+16)...)
}

// eachOnce wants everybody on one of the shards, and says how many are on each.
func eachOnce(t *testing.T, people []*keeper, shards ...string) []int {
	t.Helper()
	where, counts := map[string]int{}, make([]int, len(shards))
	for i, url := range shards {
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			counts[i] = 0
			rows, err := tx.Query(ctx, `SELECT owner FROM photos_owners WHERE state IN ('here', 'leaving')`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var owner string
				if err := rows.Scan(&owner); err != nil {
					return err
				}
				where[owner]++
				counts[i]++
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range people {
		if where[k.id] != 1 {
			t.Errorf("%s is on %d shards", k.id, where[k.id])
		}
	}
	t.Logf("people on shards: %v", counts)
	return counts
}

// judgeShard looks at a shard's contents when its processes are gone: what its people have
// is there, whole. Unless its bucket was lost and healed, every count is exact too, and
// all that lies there as it was: what people left behind who moved away is not healed.
func judgeShard(t *testing.T, sql string, b bucket.Bucket, key []byte, healed bool) {
	t.Helper()
	ctx := t.Context()
	db, err := sqldb.Open(ctx, sql, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: b, Key: key, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, cas.Options{Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	hashes, err := originals(ctx, db)
	if err != nil || len(hashes) == 0 {
		t.Errorf("a shard has %d originals, %v", len(hashes), err)
	}
	for _, h := range hashes {
		if err := store.Verify(ctx, h); err != nil {
			t.Errorf("an original at its shard: %v", err)
			break
		}
	}
	if healed {
		return
	}
	if err := store.Check(ctx); err != nil {
		t.Error(err)
	}
	if found, err := store.Scrub(ctx, nil); err != nil || found.Bad != 0 || found.Chunks == 0 {
		t.Errorf("%d chunks, %d bad, %v: %.300v", found.Chunks, found.Bad, err, found.Faults)
	}
}

// originals are what the people of a shard have uploaded.
func originals(ctx context.Context, db *sqldb.DB) (list []cas.Hash, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT p.hash FROM photos_photos AS p JOIN photos_owners AS o ON o.owner = p.owner WHERE p.gone = 0 AND o.state IN ('here', 'leaving')`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			var h cas.Hash
			if n, err := hex.Decode(h[:], []byte(text)); err != nil || n != len(h) {
				return fmt.Errorf("%q is no hash", text)
			}
			list = append(list, h)
		}
		return rows.Err()
	})
	return list, err
}
