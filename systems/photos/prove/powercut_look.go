package prove

import (
	"context"
	"errors"
	"strings"
	"time"
)

// What is looked at after a cut.

// look opens what the cut left, and reads.
func (c *cutting) look(ctx context.Context, all bool) error {
	list := c.news
	if all {
		list = append(list, c.olds...)
	}
	c.olds, c.news = append(c.olds, c.news...), nil
	if err := c.h.start(ctx, c.backing); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.ruined++
		c.lostPhotos += len(list)
		if !c.fresh { // what was lost is counted once; the next cut needs a house that opens
			return err
		}
		return nil
	}
	defer func() { c.h.Kill9() }()
	err := eachOf(ctx, 4, len(list), func(ctx context.Context, i int) error { return c.check(ctx, list[i]) })
	if err != nil || c.fresh {
		return err // of a damaged house only what is lost matters
	}
	if err := c.h.Stop(); err != nil {
		return err
	}
	// Who never uploaded is nowhere; everybody did by the first look.
	busy := map[int]bool{}
	for _, p := range c.olds {
		busy[p.owner] = true
	}
	var people []owner
	for i := range busy {
		people = append(people, c.h.people[i])
	}
	n, err := astray(ctx, c.backing, people)
	c.astray += n
	return err
}

// check compares one photo with what its owner was told.
func (c *cutting) check(ctx context.Context, p promised) error {
	got, err := c.asked(ctx, func(ctx context.Context) (bool, error) {
		l := library{s: c.h}
		return l.read(ctx, p.kept)
	})
	if err != nil {
		return err
	}
	words, album, link := true, true, true
	who := c.h.people[p.owner].token
	if p.caption {
		words, err = c.asked(ctx, func(ctx context.Context) (bool, error) {
			var out struct{ Caption string }
			err := c.h.do(ctx, "GET", roomAPI+"/"+p.id, who, nil, &out)
			return out.Caption == caption(p.kept, "said"), err
		})
	}
	if err == nil && p.album != "" {
		album, err = c.asked(ctx, func(ctx context.Context) (bool, error) {
			var out struct{ Photos []struct{ ID string } }
			err := c.h.do(ctx, "GET", roomAPI+"/albums/"+p.album+"/photos", who, nil, &out)
			return len(out.Photos) == 1 && out.Photos[0].ID == p.id, err
		})
	}
	if err == nil && p.link != "" {
		link, err = c.asked(ctx, func(ctx context.Context) (bool, error) {
			_, path, _ := strings.Cut(p.link, "/p/")
			var page []byte
			err := c.h.do(ctx, "GET", "/p/"+path, "", nil, &page)
			return strings.Contains(string(page), p.id), err
		})
	}
	c.b.Event("found", map[string]any{"design": c.name, "name": p.name, "right": got, "caption": words, "album": album, "link": link})
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, right := range map[*int]bool{&c.lostPhotos: got, &c.lostWords: words, &c.lostAlbums: album, &c.lostLinks: link} {
		if !right {
			*n++
		}
	}
	return err
}

// asked asks once more where the house says to come again: the cut left somebody half
// moved, and what is asked here is whether anything is lost.
func (c *cutting) asked(ctx context.Context, ask func(context.Context) (bool, error)) (bool, error) {
	for try := 0; ; try++ {
		right, err := ask(ctx)
		var status *errStatus
		switch {
		case err == nil:
			return right, nil
		case !errors.As(err, &status):
			return false, err // a broken connection is no answer
		case status.code == 503 && try < 20 && !c.fresh:
			if !pause(ctx, 500*time.Millisecond) {
				return false, ctx.Err()
			}
		default:
			return false, nil
		}
	}
}
