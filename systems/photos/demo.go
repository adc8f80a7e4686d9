package photos

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"time"

	"plumb/base/errs"
	"plumb/systems/photos/internal/painted"
)

// The demonstration is a year of travels of whoever runs the house, painted by code, and
// neighbours with a few photos each, on three shards; then people look at a shared album
// and neighbours add photos, so that the board has something to show.
const (
	demoAlbum = "Around the world"
	demoEvery = 5 * time.Second // between two things that somebody does
	demoKept  = 4               // photos that each neighbour keeps
)

// demoStop is a place of the journey.
type demoStop struct {
	city     string
	lat, lon float64
	zone     int // hours east of UTC
	caption  string
}

var demoStops = [...]demoStop{
	{"Lisbon", 38.7139, -9.1394, 0, "First evening above the river"},
	{"Marrakesh", 31.6258, -7.9891, 1, "The Atlas behind the walls"},
	{"Cape Town", -33.9628, 18.4098, 2, "From the top, before the cloud came"},
	{"Istanbul", 41.0256, 28.9744, 3, "Waiting for the ferry"},
	{"Hanoi", 21.0285, 105.8542, 7, "Morning mist over the lake"},
	{"Kyoto", 35.0116, 135.7681, 9, "Hills at dusk"},
	{"Queenstown", -45.0312, 168.6626, 12, "End of the road, for now"},
	{"Vancouver", 49.2827, -123.1207, -8, ""},
	{"Oaxaca", 17.0732, -96.7266, -6, "Dry season"},
	{"Buenos Aires", -34.6037, -58.3816, -3, ""},
	{"Reykjavík", 64.1466, -21.9426, 0, "Midnight, nearly"},
	{"Edinburgh", 55.9533, -3.1883, 0, "Home by the long way"},
}

var demoCameras = [...]painted.Facts{
	{Make: "FUJIFILM", Model: "X-T5", Lens: "XF23mmF2 R WR", Exposure: 1.0 / 320, FNumber: 5.6, ISO: 125, Focal: 23},
	{Make: "Apple", Model: "iPhone 16 Pro", Lens: "iPhone 16 Pro back camera 6.8mm f/1.78", Exposure: 1.0 / 1200, FNumber: 1.8, ISO: 80, Focal: 6.8},
	{Make: "Canon", Model: "Canon EOS R6m2", Lens: "RF24-105mm F4 L IS USM", Exposure: 1.0 / 200, FNumber: 8, ISO: 100, Focal: 35},
}

// demoNeighbours have photos and no account: they are there to be spread.
var demoNeighbours = [...]string{"demo-amina", "demo-bruno", "demo-chiara", "demo-dmitri", "demo-elif", "demo-farid", "demo-goran", "demo-hana",
	"demo-ines", "demo-jonas", "demo-kofi", "demo-linh", "demo-maya", "demo-noor", "demo-oskar", "demo-priya"}

// Demo fills the room with demonstration photos, unless they are there, and lets people
// look at them and add others until ctx ends, which is no error.
func (s *System) Demo(ctx context.Context) error {
	err := s.demo(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demonstration: %w", err)
	}
	return nil
}

func (s *System) demo(ctx context.Context) error {
	p, err := s.n.People.Named(ctx, "admin")
	if err != nil {
		return err
	}
	me := Person{ID: p.ID, Operator: true}
	album, err := s.demoHas(ctx, me)
	if err == nil && album.ID == "" {
		album, err = s.demoMake(ctx, me)
	}
	if err != nil {
		return err
	}
	link, err := s.MakeLink(ctx, me, Target{Album: album.ID}, LinkOptions{Life: 24 * time.Hour, Downloads: true})
	if err != nil {
		return err
	}
	s.n.Log.Info("the demonstration shares an album", "link", link.URL)
	return s.demoPlay(ctx, link)
}

// demoHas returns the demonstration's album, if it is there.
func (s *System) demoHas(ctx context.Context, me Person) (Album, error) {
	list, _, err := s.Albums(ctx, me, "", "", mostPage)
	for _, a := range list {
		if a.Title == demoAlbum {
			return a, nil
		}
	}
	return Album{}, err
}

// demoMake makes what is shown. The album comes last, so that a demonstration that was
// broken off is made whole at the next start: what is there is recognised.
func (s *System) demoMake(ctx context.Context, me Person) (Album, error) {
	for _, name := range []string{"second", "third"} {
		if _, err := s.AddShard(ctx, me, NewShard{Name: name}); err != nil && !errs.Is(err, errs.Conflict) {
			return Album{}, err
		}
	}
	var ids []string
	for i, stop := range demoStops {
		width, height := cmp.Or(s.demoEdge, 1600), cmp.Or(s.demoEdge, 1600)*2/3
		if i%4 == 3 {
			width, height = height, width
		}
		photo, err := s.demoPut(ctx, me, fmt.Sprintf("DSC_%04d.JPG", 1041+37*i), painted.Landscape(uint64(i+1), width, height), demoFacts(i, stop))
		if err == nil && stop.caption != "" {
			favourite := i%5 == 0
			_, err = s.Change(ctx, me, photo.ID, Changes{Caption: &stop.caption, Favourite: &favourite})
		}
		if err != nil {
			return Album{}, err
		}
		ids = append(ids, photo.ID)
	}
	for i, neighbour := range demoNeighbours {
		for j := range 1 + i%3 {
			if err := s.demoAdd(ctx, Person{ID: neighbour}, uint64(100+10*i+j)); err != nil {
				return Album{}, err
			}
		}
	}
	if _, err := s.MakeAlbum(ctx, me, "Mountains", []string{ids[1], ids[2], ids[6]}); err != nil {
		return Album{}, err
	}
	album, err := s.MakeAlbum(ctx, me, demoAlbum, ids)
	if err == nil {
		s.n.Log.Info("the demonstration painted photos", "photos", len(ids), "neighbours", len(demoNeighbours))
	}
	return album, err
}

// demoFacts are what the camera wrote at a stop: a month after the one before.
func demoFacts(i int, stop demoStop) painted.Facts {
	f := demoCameras[i%len(demoCameras)]
	f.Taken = time.Date(2025, time.November, 3+2*i, 7+i, (17*i)%60, (11*i)%60, 0, time.FixedZone("", stop.zone*3600)).AddDate(0, i/3*3, 0)
	f.Placed, f.Lat, f.Lon = true, stop.lat, stop.lon
	return f
}

// demoPut uploads a painted photo. What a move or a start keeps waiting is tried again.
func (s *System) demoPut(ctx context.Context, who Person, name string, img image.Image, f painted.Facts) (Photo, error) {
	body := painted.JPEG(img, f)
	for try := 0; ; try++ {
		photo, _, err := s.Upload(ctx, who, bytes.NewReader(body), UploadOptions{Name: name, Size: int64(len(body))})
		if err == nil || try == 10 || !errs.Is(err, errs.Busy) {
			return photo, err
		}
		select {
		case <-ctx.Done():
			return photo, ctx.Err()
		case <-s.n.Clock.After(time.Second):
		}
	}
}

// demoAdd uploads a neighbour's photo.
func (s *System) demoAdd(ctx context.Context, who Person, seed uint64) error {
	stop := demoStops[seed%uint64(len(demoStops))]
	f := demoFacts(int(seed%7), stop)
	_, err := s.demoPut(ctx, who, fmt.Sprintf("IMG_%04d.jpg", seed), painted.Landscape(seed, cmp.Or(s.demoEdge, 720), cmp.Or(s.demoEdge, 720)*2/3), f)
	return err
}

// demoPlay lets visitors look at the shared album, and neighbours come and go.
func (s *System) demoPlay(ctx context.Context, link Link) error {
	r := rand.New(rand.NewPCG(5, uint64(s.n.Clock.Now().UnixNano())))
	token := link.URL[len(s.n.URL)+len("/p/"):]
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(demoEvery):
		}
		err := s.demoVisit(ctx, Visit{Token: token, Remote: "demonstration"}, r.IntN(6))
		if err == nil && i%6 == 5 {
			err = s.demoSwap(ctx, Person{ID: demoNeighbours[r.IntN(len(demoNeighbours))]}, 1000+r.Uint64N(1<<20))
		}
		if err != nil && ctx.Err() == nil {
			s.n.Log.Warn("the demonstration's visitor was turned away", "error", err)
		}
	}
}

// demoVisit opens the album and looks at some photos.
func (s *System) demoVisit(ctx context.Context, v Visit, looks int) error {
	shown, err := s.View(ctx, v, "", 0)
	if err != nil {
		return err
	}
	for i := range min(looks, len(shown.Photos)) {
		img, err := s.ViewImage(ctx, v, shown.Photos[i].ID, Sizes[i%len(Sizes)].Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, img)
		img.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// demoSwap adds a neighbour's photo, and ends the oldest when there are many.
func (s *System) demoSwap(ctx context.Context, who Person, seed uint64) error {
	if err := s.demoAdd(ctx, who, seed); err != nil {
		return err
	}
	list, _, err := s.List(ctx, who, Filter{Limit: mostPage})
	if err != nil || len(list) <= demoKept {
		return err
	}
	last := list[len(list)-1].ID
	if _, err := s.Remove(ctx, who, last); err != nil {
		return err
	}
	_, err = s.Purge(ctx, who, last)
	return err
}
