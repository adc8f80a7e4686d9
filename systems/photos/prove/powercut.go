package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/powercut"
)

// PowerCut takes the power away while photos are uploaded and people move.
func PowerCut() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "powercut", Title: "when the power goes",
		Question: "People delete photos from their phone once they are uploaded. The power goes while photos are uploaded, captioned, put into albums and shared, and while people move between shards: is everything there that was acknowledged?",
		Metrics: []lab.Metric{
			{Name: "cuts", Unit: "cuts", Text: "power cuts"},
			{Name: "moving", Unit: "cuts", Text: "of them while people were to move"},
			{Name: "acknowledged", Unit: "answers", Text: "photos, captions, albums and links acknowledged"},
			{Name: "lost", Unit: "photos", Text: "photos acknowledged, and gone or not as they were", Better: "less"},
			{Name: "lost_words", Unit: "captions", Text: "captions lost", Better: "less"},
			{Name: "lost_albums", Unit: "albums", Text: "albums lost, or without a photo of theirs", Better: "less"},
			{Name: "lost_links", Unit: "links", Text: "links that lead nowhere", Better: "less"},
			{Name: "lost_all", Unit: "answers", Text: "of all of them", Better: "less"},
			{Name: "ruined", Unit: "cuts", Text: "cuts after which the house did not open", Better: "less"},
			{Name: "astray", Unit: "people", Text: "whom no shard has, or two", Better: "less"},
			{Name: "unsynced", Unit: "writes", Text: "writes that the cuts dropped or tore"},
		},
		Claims: []lab.Claim{
			{ID: "worked", Text: "there were answers before the cuts", Design: "built", Metric: "acknowledged", Op: ">", Value: new(0.0)},
			{ID: "moved", Text: "and people on their way", Design: "built", Metric: "moving", Op: ">", Value: new(0.0)},
			{ID: "photos", Text: "every acknowledged photo is there byte for byte", Design: "built", Metric: "lost", Op: "==", Value: new(0.0)},
			{ID: "words", Text: "so is every caption", Design: "built", Metric: "lost_words", Op: "==", Value: new(0.0)},
			{ID: "albums", Text: "every album", Design: "built", Metric: "lost_albums", Op: "==", Value: new(0.0)},
			{ID: "links", Text: "and every link", Design: "built", Metric: "lost_links", Op: "==", Value: new(0.0)},
			{ID: "opens", Text: "the house opens after every cut", Design: "built", Metric: "ruined", Op: "==", Value: new(0.0)},
			{ID: "once", Text: "and everybody is on one shard", Design: "built", Metric: "astray", Op: "==", Value: new(0.0)},
			{ID: "void", Text: "with its syncs switched off the same server loses some: the cuts do cut", Design: "naive", Metric: "lost_all", Op: ">", Value: new(0.0)},
			{ID: "less", Text: "so it is the syncs that keep them", Design: "built", Metric: "lost_all", Op: "<", Than: &lab.Than{Design: "naive", Metric: "lost_all"}, Apart: true},
		},
		Picture: []string{"lost_all"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return cutAll(ctx, b, 24, 4, nil)
			}
			return cutAll(ctx, b, 2, 1, nil)
		},
	}
}

// cutAll cuts the built design, with further flags, and the same without syncs.
func cutAll(ctx context.Context, b *lab.Bench, rounds, without int, flags []string) error {
	naive := &cutting{b: b, name: "answers first", args: []string{"--unsafe-no-sync"}, rounds: without, fresh: true}
	built := &cutting{b: b, name: "as served", args: flags, rounds: rounds, fresh: flags != nil}
	b.Note("The data folder, with the house's database and three shards, is served by FUSE and forgets what was not synced; half of the cuts treat names as ext4 does, half more strictly. %d people upload photos, caption them, and put them into albums with a link. "+
		"All the while shards get other weights, so that people move: the cut comes while they do. After each cut everything that was acknowledged since the last, and at the end everything, is read and compared.", cutters)
	for i, c := range []*cutting{naive, built} {
		c.from, c.share = float64(i)*float64(without)/float64(rounds+without), float64(c.rounds)/float64(rounds+without)
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	naive.record(b.Design(naive.name, lab.Naive).Describe("The same server with its databases' syncs switched off: it answers before the disk has it."))
	built.record(b.Design(built.name, lab.Built, "durable").Describe("plumb serve photos: an answer follows the fsync of content and rows."))
	return nil
}

const cutters = 8 // people who upload

// cutting is what one design is put through.
type cutting struct {
	b           *lab.Bench
	name        string
	args        []string
	rounds      int
	fresh       bool // a new house for each cut: what is damaged is not used again
	from, share float64

	mu                                            sync.Mutex
	cuts, moving, acked, ruined, astray, unsynced int // guarded by mu, as all here
	lostPhotos, lostWords, lostAlbums, lostLinks  int
	paint                                         *painter
	h                                             *house
	backing, mount                                string
	news, olds                                    []promised // acknowledged since the last look, and before
}

// promised is what a person was told.
type promised struct {
	kept
	caption bool   // has the caption that its name says
	album   string // an id: the photo is in it
	link    string
}

func (c *cutting) record(d *lab.Design) {
	for name, v := range map[string]int{"cuts": c.cuts, "moving": c.moving, "acknowledged": c.acked, "lost": c.lostPhotos, "lost_words": c.lostWords, "lost_albums": c.lostAlbums,
		"lost_links": c.lostLinks, "lost_all": c.lostPhotos + c.lostWords + c.lostAlbums + c.lostLinks, "ruined": c.ruined, "astray": c.astray, "unsynced": c.unsynced} {
		d.Set(name, float64(v))
	}
}

func (c *cutting) run(ctx context.Context) error {
	c.paint = &painter{seed: c.b.Seed}
	for i := range c.rounds {
		c.b.Progress(c.from+c.share*float64(i)/float64(c.rounds), "cut %d of %d, %s", i+1, c.rounds, c.name)
		if c.h == nil || c.fresh {
			if err := c.newHouse(ctx); err != nil {
				return err
			}
		}
		if err := c.cut(ctx, i); err != nil {
			return fmt.Errorf("power cut %d: %w", i+1, err)
		}
		if err := c.look(ctx, i+1 == c.rounds); err != nil {
			return fmt.Errorf("after power cut %d: %w", i+1, err)
		}
	}
	return nil
}

// newHouse makes one with three shards on a good disk: the cuts are about what comes into it.
func (c *cutting) newHouse(ctx context.Context) error {
	dir, err := c.b.TempDir()
	if err != nil {
		return err
	}
	c.backing, c.mount, c.news, c.olds = filepath.Join(dir, "disk"), filepath.Join(dir, "mount"), nil, nil
	if err := errors.Join(os.Mkdir(c.backing, 0o700), os.Mkdir(c.mount, 0o700)); err != nil {
		return fmt.Errorf("folders for power cuts: %w", err)
	}
	c.h = &house{data: c.backing, args: []string{"--photos-throttle", "300000"}}
	if c.h.people, err = settle(ctx, c.b.Seed, c.backing, cutters); err != nil {
		return err
	}
	if err := c.h.start(ctx, c.backing); err != nil {
		return err
	}
	for _, name := range []string{"second", "third"} {
		if _, err := c.h.addShard(ctx, name); err != nil {
			c.h.Kill9()
			return err
		}
	}
	return c.h.Stop()
}

// cut serves the house on a disk that forgets, has people work and move, and takes the
// power away at a random moment.
func (c *cutting) cut(ctx context.Context, round int) error {
	rng := lab.Rand(c.b.Seed, c.name+strconv.Itoa(round))
	disk, err := powercut.Open(c.backing, c.mount, powercut.Options{Ext4Names: round%2 == 0})
	if err != nil {
		return err
	}
	if err := c.h.start(ctx, c.mount, c.args...); err != nil {
		return errors.Join(err, disk.Close())
	}
	c.cuts++
	c.work(ctx, round, 700*time.Millisecond+time.Duration(rng.Int64N(int64(700*time.Millisecond))), disk.Freeze)
	report, err := disk.Cut(rng.Int64())
	c.unsynced += report.Dropped + report.Torn
	return err
}

// work has people upload, and move, until the power goes, a while after the first answer.
func (c *cutting) work(ctx context.Context, round int, calm time.Duration, power func()) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	first := make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	for k := range cutters {
		all.Go(func() { c.person(working, round, k, once) })
	}
	all.Go(func() { c.weigh(working, round) })
	select {
	case <-first:
		pause(ctx, calm)
	case <-c.h.Ended():
	case <-time.After(30 * time.Second):
	}
	c.mu.Lock()
	if m := c.onTheWay(ctx); m {
		c.moving++
	}
	c.mu.Unlock()
	// Nothing reaches the disk from here on, and then the program is gone. What it had
	// answered until then stays answered.
	power()
	c.h.Kill9()
	stop()
	all.Wait()
}

// onTheWay says whether a migration goes on.
func (c *cutting) onTheWay(ctx context.Context) bool {
	var out struct{ Migrations []migration }
	if err := c.h.admin(ctx, "GET", "/migrations", nil, &out); err != nil {
		return false
	}
	for _, m := range out.Migrations {
		if m.State == "moving" && m.People > 0 {
			return true
		}
	}
	return false
}

// weigh gives shards other weights, one after the other, so that people move.
func (c *cutting) weigh(ctx context.Context, round int) {
	for i := round; ctx.Err() == nil; i++ {
		pause(ctx, 250*time.Millisecond)
		shard := []string{"second", "third", "first"}[i%3]
		for _, weight := range []float64{0.2, 1} {
			if c.h.admin(ctx, "PATCH", "/shards/"+shard, map[string]float64{"weight": weight}, nil) != nil && ctx.Err() == nil {
				pause(ctx, 100*time.Millisecond)
			}
			pause(ctx, 400*time.Millisecond)
		}
	}
}

// person uploads one photo after the other; every second gets a caption, every third an
// album with a link.
func (c *cutting) person(ctx context.Context, round, k int, acked func()) {
	rng := lab.Rand(c.b.Seed, fmt.Sprint(c.name, " person ", round, " ", k))
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("c%d-r%d-%d.jpg", k, round, n)
		body := c.paint.photo(name, 4<<10+rng.IntN(60<<10))
		id, err := c.h.put(ctx, k, name, body)
		if err != nil {
			return
		}
		acked()
		p := promised{kept: kept{k, id, name, len(body), sha256.Sum256(body)}}
		if n%2 == 0 && c.h.caption(ctx, p.kept, "said") == nil {
			p.caption = true
		}
		if n%3 == 0 && ctx.Err() == nil {
			var out struct{ ID, URL string }
			who := c.h.people[k].token
			if c.h.do(ctx, "POST", roomAPI+"/albums", who, map[string]any{"title": name, "photos": []string{id}}, &out) == nil {
				p.album = out.ID
				if c.h.do(ctx, "POST", roomAPI+"/albums/"+p.album+"/links", who, map[string]any{}, &out) == nil {
					p.link = out.URL
				}
			}
		}
		c.b.Event("acknowledged", map[string]any{"design": c.name, "round": round, "name": name, "caption": p.caption, "album": p.album != "", "link": p.link != ""})
		c.mu.Lock()
		c.news = append(c.news, p)
		c.acked++
		for _, also := range []bool{p.caption, p.album != "", p.link != ""} {
			if also {
				c.acked++
			}
		}
		c.mu.Unlock()
	}
}
