package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/engines/bucket"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/lab/child"
)

// crowd are people who use a room while things happen to it. A call that fails is a
// fault, unless the process that was asked is one that was killed.
type crowd struct {
	people []*keeper

	mu     sync.Mutex
	urls   []string                  // guarded by mu
	faults map[string]map[string]int // by the process that was asked; guarded by mu
	calls  map[string]*[4]int        // reads, uploads, lists, views that were good; guarded by mu
	seed   atomic.Uint64
}

// use has people read, upload, list and follow links until ctx ends.
func (c *crowd) use(ctx context.Context, worker int) {
	r := rand.New(rand.NewPCG(uint64(worker), 8))
	for i := 0; ctx.Err() == nil; i++ {
		c.mu.Lock()
		at := c.urls[(worker+i)%len(c.urls)]
		c.mu.Unlock()
		k := c.people[r.IntN(len(c.people))]
		kind, err := 0, error(nil)
		switch n := r.IntN(10); {
		case n < 5:
			if p, ok := k.some(r); ok {
				err = k.get(context.WithoutCancel(ctx), at, p)
			}
		case n < 7:
			kind = 1
			_, err = k.put(context.WithoutCancel(ctx), at, photo(c.seed.Add(1), 1<<(10+r.IntN(7))))
		case n < 8:
			kind = 2
			err = k.ask(context.WithoutCancel(ctx), "GET", at+photosAPI+"?limit=20", nil, nil)
		default:
			kind = 3
			err = k.view(context.WithoutCancel(ctx), at)
		}
		c.mu.Lock()
		if c.calls[at] == nil {
			c.calls[at], c.faults[at] = new([4]int), map[string]int{}
		}
		if err != nil {
			c.faults[at][err.Error()]++
		} else {
			c.calls[at][kind]++
		}
		c.mu.Unlock()
		time.Sleep(60 * time.Millisecond)
	}
}

func (c *crowd) at(urls ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.urls = urls
}

func (c *crowd) good(at string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[at] != nil {
		for _, v := range c.calls[at] {
			n += v
		}
	}
	return n
}

// TestPhotosClusterCrash adds to a house with two shards a third whose rows lie in another
// database and whose contents lie in another bucket, kills the process that moves people
// there while people use both, and starts it again: the other one refuses nothing, what was
// acknowledged is there, everybody is on one shard. Then all that is the first shard's goes
// from its bucket: its photos are served from copies, and healed.
func TestPhotosClusterCrash(t *testing.T) {
	c := startCluster(t, "photos", "PLUMB_PHOTOS_THROTTLE=400000", "PLUMB_PHOTOS_CACHE=-1")
	bank := buckettest.StartS3(t)
	sql := c.pg.Database(t)
	people := newKeepers(t, c.sql, 16)
	u := &crowd{people: people, faults: map[string]map[string]int{}, calls: map[string]*[4]int{}}
	u.seed.Store(1000)
	client := c.one.Client
	m := addShard(t, client, c.one.URL, c.one.Token, map[string]any{"name": "second"})
	awaitLong(t, "a shard for nobody yet", func() bool { m.look(t, client, c.other.URL, c.one.Token); return m.State == "done" })
	c.fill(t, people)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	u.at(c.one.URL, c.other.URL)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() { u.use(ctx, w) })
	}
	m = addShard(t, client, c.other.URL, c.one.Token, map[string]any{"name": "third", "sql": sql, "bucket": bank.URL})
	// The one that dies is the one that moves.
	var dead, left *child.Server
	awaitLong(t, "people who move", func() bool {
		for _, s := range []*child.Server{c.one, c.other} {
			if moved(t, s) > 0 {
				dead = s
			}
		}
		return dead != nil
	})
	data := c.data[1]
	if left = c.one; dead == c.one {
		left, data = c.other, c.data[0]
	}
	m.look(t, client, left.URL, c.one.Token)
	if m.State == "done" {
		t.Errorf("all %d people moved before the mover could be killed", m.People)
	}
	dead.Kill9()
	u.at(left.URL) // the balancer has noticed
	t.Logf("killed the mover when %d of %d people had moved", m.PeopleDone, m.People)
	before := u.good(left.URL)
	await(t, "people who use the process that is left", func() bool { return u.good(left.URL) > before+30 })
	again := c.start(data)
	u.at(left.URL, again.URL)
	awaitLong(t, "the end of the migration", func() bool { m.look(t, client, left.URL, c.one.Token); return m.State == "done" })
	stop()
	all.Wait()
	for at, n := range u.calls {
		t.Logf("at %s: reads, uploads, lists, views %v", at, *n)
	}
	for at, faults := range u.faults {
		for text, n := range faults {
			if at != dead.URL {
				t.Errorf("%d times at %s: %s", n, at, text)
			}
		}
	}
	judgeAll(t, people, left.URL)
	judgeAll(t, people, again.URL)
	shards := []string{schemaOf(t, c.sql, "photos_first"), schemaOf(t, c.sql, "photos_second"), sql}
	for i, n := range eachOnce(t, people, shards...) {
		if n == 0 {
			t.Errorf("shard number %d holds nobody", i+1)
		}
	}
	house := openBucket(t, c.s3)
	var buckets []bucket.Bucket
	for _, name := range []string{"first", "second"} {
		b, err := bucket.Under(house, "photos/"+name)
		if err != nil {
			t.Fatal(err)
		}
		buckets = append(buckets, b)
	}
	buckets = append(buckets, openBucket(t, bank.URL))
	c.emptied(t, people, buckets[0], left, again)
	for _, s := range []*child.Server{left, again} {
		if err := s.Stop(); err != nil {
			t.Errorf("end after SIGTERM: %v", err)
		}
	}
	for i := range shards {
		judgeShard(t, shards[i], buckets[i], c.key, i == 0)
	}
}

// fill has everybody upload at one process and at the other, and share an album.
func (c *cluster) fill(t *testing.T, people []*keeper) {
	t.Helper()
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := w; i < len(people); i += 4 {
				for j := range 3 {
					if _, err := people[i].put(t.Context(), []string{c.one.URL, c.other.URL}[(i+j)%2], photo(uint64(100*i+j), 60_000+10_000*j)); err != nil {
						t.Error(err)
					}
				}
				if err := people[i].shareAlbum(t.Context(), []string{c.other.URL, c.one.URL}[i%2]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// The same photo from both sides at once is one.
	same, ids := photo(99_999, 200_000), [4]string{}
	for i := range ids {
		all.Go(func() {
			await(t, "one of several who send the same", func() bool {
				id, err := people[0].put(t.Context(), []string{c.one.URL, c.other.URL}[i%2], same)
				ids[i] = id
				if err != nil && statusOf(err) != http.StatusServiceUnavailable { // told to come again
					t.Error(err)
				}
				return err == nil || t.Failed()
			})
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the same photo became several: %v", ids)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// emptied loses all that is in the first shard's bucket.
func (c *cluster) emptied(t *testing.T, people []*keeper, b bucket.Bucket, one, other *child.Server) {
	t.Helper()
	before := drop(t, b)
	if before < 10 {
		t.Errorf("the bucket held %d objects only", before)
	}
	judgeAll(t, people, one.URL) // from copies
	var repair struct {
		ID, State, Error    string
		Photos, Fixed, Lost int64
	}
	if err := ask(t.Context(), one.Client, "POST", other.URL+photosAPI+"/shards/first/heal", c.one.Token, nil, &repair); err != nil {
		t.Fatal(err)
	}
	awaitLong(t, "the heal", func() bool {
		if err := ask(t.Context(), one.Client, "GET", one.URL+photosAPI+"/repairs/"+repair.ID, c.one.Token, nil, &repair); err != nil {
			t.Fatal(err)
		}
		return repair.State != "running"
	})
	t.Logf("%d objects were lost; the heal: %+v", before, repair)
	if repair.State != "done" || repair.Lost != 0 || repair.Fixed == 0 {
		t.Errorf("the heal: %+v", repair)
	}
	judgeAll(t, people, other.URL)
}

// drop empties a bucket and returns how many objects it had.
func drop(t *testing.T, b bucket.Bucket) (n int) {
	t.Helper()
	for {
		list, err := b.List(t.Context(), "", "", bucket.MaxList)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if err := b.Delete(t.Context(), o.Key); err != nil {
				t.Fatal(err)
			}
		}
		if n += len(list); len(list) < bucket.MaxList {
			return n
		}
	}
}

func openBucket(t *testing.T, url string) bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// schemaOf is the address of a schema in a database.
func schemaOf(t *testing.T, address, schema string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

var movedMetric = regexp.MustCompile(`(?m)^plumb_photos_owners_moved_total (\S+)$`)

// moved is how many people a process moved; -1: it does not say.
func moved(t *testing.T, s *child.Server) float64 {
	t.Helper()
	var text []byte
	if err := ask(t.Context(), s.Client, "GET", s.URL+"/metrics", "", nil, &text); err != nil {
		t.Fatal(err)
	}
	m := movedMetric.FindSubmatch(bytes.TrimSpace(text))
	if m == nil {
		t.Fatal("the metrics do not say how many people were moved")
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", m[0], err))
	}
	return v
}
