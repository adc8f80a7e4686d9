package photos

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/engines/picture"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Visit is a request through a link.
type Visit struct {
	Token    string // the last part of the link's address
	Password string // "": none was given
	Remote   string // address of who asks, for which tries of passwords are counted
}

// Shared is what a link shows: a page of photos, without what is their owner's to know.
type Shared struct {
	Link   Link   // without its id, views and dates but its end
	Title  string // of the album, or the photo's caption
	Single bool   // a photo, not an album
	Total  int64  // photos
	Photos []Photo
	Next   string // cursor of the next page
}

// opened is a link that opened, for whose person the rest is done.
type opened struct {
	owner Person
	link  Link
}

// errOver is the one answer for a link that opens nothing, as the links' engine has it.
func errOver() error {
	return errs.New(errs.NotFound, "this link is not good, or no longer: ask for a new one")
}

// open finds a visit's link. A token that nobody gave out is refused without a look into
// any database. Errors: those of View.
func (s *System) open(ctx context.Context, v Visit) (opened, error) {
	token, at, err := s.set.Find(ctx, v.Token)
	if err != nil {
		return opened{}, err
	}
	l, err := at.Links.Open(ctx, realm, token, v.Password, v.Remote)
	if err != nil {
		return opened{}, err
	}
	return opened{Person{ID: l.Owner}, linkOf(l, 0, 0, "")}, nil
}

// inside runs fn on a snapshot, with the link as the room knows it.
func inside[T any](ctx context.Context, s *System, o *opened, fn func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) (T, error)) (T, error) {
	return read(ctx, s, "open a link", o.owner, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) (T, error) {
		var none T
		var downloads, keeps int64
		if err := tx.QueryRow(ctx, linkSQL, o.owner.ID, o.link.ID).Scan(&downloads, &keeps); err != nil {
			if err == sqldb.ErrNoRows {
				err = errOver()
			}
			return none, err
		}
		o.link.Downloads, o.link.KeepLocation = downloads == 1, keeps == 1
		return fn(ctx, tx, at)
	})
}

// View opens a link and returns a page of what it shows. The first page counts as a view.
// Errors: NotFound for a link that is unknown, over, or was revoked, alike; Unknown where
// a password is wanted and the one given, if any, is wrong; Busy after too many tries.
func (s *System) View(ctx context.Context, v Visit, cursor string, limit int) (Shared, error) {
	began := s.n.Clock.Now()
	o, err := s.open(ctx, v)
	if err != nil {
		return Shared{}, err
	}
	q, err := (Filter{Album: o.link.Target.Album}).query(o.owner.ID)
	if err != nil {
		return Shared{}, err
	}
	from := spot{math.MinInt64, ""}
	if cursor != "" {
		if from, err = readSpot(cursor); err != nil {
			return Shared{}, err
		}
	}
	limit = page(limit)
	sh, err := inside(ctx, s, &o, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (Shared, error) {
		if id := o.link.Target.Photo; id != "" {
			photo, err := own(ctx, tx, o.owner.ID, id)
			if err != nil || !photo.Binned.IsZero() {
				return Shared{}, gone(err)
			}
			return Shared{Title: photo.title(), Single: true, Total: 1, Photos: []Photo{photo}}, nil
		}
		al, err := s.album(ctx, tx, o.owner.ID, o.link.Target.Album)
		if err != nil {
			return Shared{}, gone(err)
		}
		list, err := q.run(ctx, tx, from, false, limit+1)
		sh := Shared{Title: al.Title, Total: al.Photos}
		list, sh.Next = trim(list, limit, func(sp spotted) string { return sp.String() })
		for _, sp := range list {
			sh.Photos = append(sh.Photos, sp.photo)
		}
		return sh, err
	})
	if err != nil {
		return Shared{}, err
	}
	for i := range sh.Photos {
		sh.Photos[i] = sh.Photos[i].forViewers(o.link)
	}
	sh.Link = Link{Password: o.link.Password, Downloads: o.link.Downloads, KeepLocation: o.link.KeepLocation, Expires: o.link.Expires}
	if cursor == "" {
		s.viewed(ctx, o)
	}
	s.set.Count(o.owner.ID, 0, 0, s.n.Clock.Now().Sub(began), 0)
	return sh, nil
}

// gone answers for a target that is not there any more as for a link that is over.
func gone(err error) error {
	if err == nil || errs.Is(err, errs.NotFound) {
		return errOver()
	}
	return err
}

// forViewers is the photo as a link shows it.
func (p Photo) forViewers(l Link) Photo {
	out := Photo{ID: p.ID, Name: p.Name, Type: p.Type, Size: p.Size, Width: p.Width, Height: p.Height, Taken: p.Taken, TakenKnown: p.TakenKnown,
		Camera: p.Camera, Lens: p.Lens, Exposure: p.Exposure, Caption: p.Caption, Blur: p.Blur, State: p.State}
	if l.KeepLocation || p.KeepLocation {
		out.HasPlace, out.Lat, out.Lon, out.Place, out.KeepLocation = p.HasPlace, p.Lat, p.Lon, p.Place, true
	}
	return out
}

// ViewImage opens one photo that a link shows, in a size; "original" where the link gives
// downloads. Neither tells where it was taken, unless the link or the photo's owner
// says so. Errors: those of View; Denied for an original that is not given.
func (s *System) ViewImage(ctx context.Context, v Visit, photo, size string) (*Image, error) {
	o, err := s.open(ctx, v)
	if err != nil {
		return nil, err
	}
	var at *shard.Shard
	p, err := inside(ctx, s, &o, func(ctx context.Context, tx *sqldb.Tx, here *shard.Shard) (Photo, error) {
		at = here
		p, err := own(ctx, tx, o.owner.ID, photo)
		if err != nil {
			return Photo{}, err
		}
		if album := o.link.Target.Album; album != "" {
			_, err = placeOf(ctx, tx, o.owner.ID, album, photo)
		} else if photo != o.link.Target.Photo {
			err = errNone("photo", photo)
		}
		if err == nil && !p.Binned.IsZero() {
			err = errNone("photo", photo)
		}
		return p, err
	})
	if err != nil {
		return nil, err
	}
	if size == Original && !o.link.Downloads {
		return nil, errs.New(errs.Denied, "this link gives no originals")
	}
	if size != Original || o.link.KeepLocation || p.KeepLocation {
		return s.image(ctx, p, at, size)
	}
	return s.stripped(ctx, p, at)
}

// stripped opens an original without what it tells about places. Where its kind of file
// cannot be stripped, it is the large size.
func (s *System) stripped(ctx context.Context, p Photo, at *shard.Shard) (*Image, error) {
	img, err := s.image(ctx, p, at, Original)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	whole := &readerAt{r: img, size: p.Size}
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(picture.Strip(pw, whole, p.Size, picture.Keep{Camera: true, Date: true})) }()
	sp, err := s.spools.read(ctx, pr, p.Size+1<<20)
	pr.Close() // ends Strip, if it still writes
	whole.end()
	if errs.Is(err, errs.Invalid) && whole.err == nil {
		return s.image(ctx, p, at, Sizes[len(Sizes)-1].Name)
	}
	if err != nil {
		return nil, fmt.Errorf("strip photo %s: %w", p.ID, err)
	}
	return &Image{ReadSeekCloser: spooled{sp.reader(), sp}, Photo: p, Type: p.Type, ETag: `"` + p.Hash.String() + `-s"`, Bytes: sp.size, Modified: p.Made, Name: p.Name}, nil
}

// spooled is a spool as a file that is read.
type spooled struct {
	*io.SectionReader
	from *spool
}

func (s spooled) Close() error { return s.from.Close() }

// readerAt reads at any place of what can seek, by one at a time, until it ends.
type readerAt struct {
	mu   sync.Mutex
	r    io.ReadSeeker // guarded by mu
	size int64
	over bool  // guarded by mu
	err  error // of r; guarded by mu
}

func (r *readerAt) ReadAt(b []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, io.ErrClosedPipe
	}
	if off >= r.size {
		return 0, io.EOF
	}
	_, err := r.r.Seek(off, io.SeekStart)
	if err != nil {
		r.err = err
		return 0, err
	}
	n, err := io.ReadFull(r.r, b[:min(int64(len(b)), r.size-off)])
	if err != nil {
		r.err = err
		return n, err
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (r *readerAt) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// views are views that were seen and are not counted yet: a page that thousands look at
// costs a write a second, and a crash may cost the count of the last ones.
type views struct {
	mu    sync.Mutex
	links map[viewed]int64 // guarded by mu
}

type viewed struct{ owner, link string }

// mostViews is how many links' views wait to be counted.
const mostViews = 10_000

// viewsEvery is how long views wait to be counted.
const viewsEvery = time.Second

func newViews() views { return views{links: map[viewed]int64{}} }

func (s *System) viewed(ctx context.Context, o opened) {
	s.views.mu.Lock()
	s.views.links[viewed{o.owner.ID, o.link.ID}]++
	full := len(s.views.links) >= mostViews
	s.views.mu.Unlock()
	s.measures.views.Inc()
	if full {
		s.countViews(context.WithoutCancel(ctx))
	}
}

// countViews writes what was seen into the links.
func (s *System) countViews(ctx context.Context) {
	s.views.mu.Lock()
	seen := s.views.links
	s.views.links = map[viewed]int64{}
	s.views.mu.Unlock()
	for v, n := range seen {
		err := s.set.Write(ctx, v.owner, nil, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard, _ int64) error {
			return at.Links.Count(ctx, tx, v.link, n)
		})
		if err != nil {
			s.n.Log.Warn("views of a link were not counted", "views", n, "error", err)
		}
	}
}
