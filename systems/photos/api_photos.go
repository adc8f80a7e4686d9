package photos

import (
	"context"
	"time"

	"plumb/base/errs"
)

// Wire types and handlers of photos. A list of photos in a body has MaxChange at most,
// which the verbs check.

type placeOut struct {
	Lat  float64 `json:"lat"`
	Lon  float64 `json:"lon"`
	Name string  `json:"name,omitempty"`
}

type photoOut struct {
	ID           string     `json:"id"`
	Name         string     `json:"name,omitempty" doc:"Of the file"`
	Type         string     `json:"type" doc:"Media type of the original, by its bytes"`
	SHA256       string     `json:"sha256" doc:"Of the original; its ETag too"`
	Size         int64      `json:"size" doc:"Bytes of the original"`
	Width        int64      `json:"width" doc:"Pixels, upright"`
	Height       int64      `json:"height"`
	Taken        time.Time  `json:"taken_at" doc:"As the camera's clock showed it, with its zone where that is known"`
	TakenKnown   bool       `json:"taken_known" doc:"false: nobody says when it was taken; taken_at is the file's time, or when it came"`
	Camera       string     `json:"camera,omitempty"`
	Lens         string     `json:"lens,omitempty"`
	Exposure     string     `json:"exposure,omitempty"`
	Place        *placeOut  `json:"place,omitempty"`
	Caption      string     `json:"caption,omitempty"`
	Favourite    bool       `json:"favourite,omitempty"`
	KeepLocation bool       `json:"keep_location,omitempty" doc:"Viewers may know the place"`
	State        string     `json:"state" enum:"new,ready,broken" doc:"new: its sizes are being made; broken: they cannot be"`
	Fault        string     `json:"fault,omitempty" doc:"Why it is broken"`
	Made         time.Time  `json:"made_at" doc:"When it came"`
	Binned       *time.Time `json:"removed_at,omitempty"`
	DuplicateOf  string     `json:"duplicate_of,omitempty" doc:"The photo that has the same bytes, and was there: this one"`
}

func (p Photo) out() photoOut {
	o := photoOut{ID: p.ID, Name: p.Name, Type: p.Type, SHA256: p.Hash.String(), Size: p.Size, Width: p.Width, Height: p.Height, Taken: p.Taken, TakenKnown: p.TakenKnown,
		Camera: p.Camera, Lens: p.Lens, Exposure: p.Exposure, Caption: p.Caption, Favourite: p.Favourite, KeepLocation: p.KeepLocation, State: string(p.State), Fault: p.Fault, Made: p.Made}
	if p.HasPlace {
		o.Place = &placeOut{p.Lat, p.Lon, p.Place}
	}
	o.Binned = optional(p.Binned)
	return o
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type photosOut struct {
	Photos []photoOut `json:"photos"`
	Next   string     `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func photosAnswer(list []Photo, next string, err error) (*answer[photosOut], error) {
	out := photosOut{Photos: make([]photoOut, 0, len(list)), Next: next}
	for _, p := range list {
		out.Photos = append(out.Photos, p.out())
	}
	return answered(out, err)
}

type listIn struct {
	Paged
	Query     string `query:"q" maxLength:"200" doc:"Words, each the beginning of one in the caption, the file's name, the camera or the place"`
	Camera    string `query:"camera" maxLength:"200" doc:"Words in the camera or lens"`
	Place     string `query:"place" maxLength:"200" doc:"Words in the place's name"`
	From      string `query:"from" maxLength:"40" doc:"Taken from this date or time on"`
	To        string `query:"to" maxLength:"40" doc:"Taken up to this date, or before this time"`
	Favourite bool   `query:"favourite" doc:"Only those"`
	Broken    bool   `query:"broken" doc:"Only those"`
	Album     string `query:"album" maxLength:"64" doc:"Only those of this album, in its order"`
}

func (in *listIn) filter() (f Filter, err error) {
	f = Filter{Text: in.Query, Camera: in.Camera, Place: in.Place, Favourite: in.Favourite, Broken: in.Broken, Album: in.Album, Cursor: in.Cursor, Limit: in.Limit}
	if f.From, err = readTime("from", in.From, false); err == nil {
		f.To, err = readTime("to", in.To, true)
	}
	return f, err
}

func (s *System) getList(ctx context.Context, in *listIn) (*answer[photosOut], error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	return photosAnswer(s.List(ctx, person(ctx), f))
}

type monthOut struct {
	Month  string `json:"month" doc:"2026-11"`
	Photos int64  `json:"photos"`
	Cursor string `json:"cursor" doc:"A list with it begins with the month's last photo"`
}

type monthsOut struct {
	Months []monthOut `json:"months"`
}

func (s *System) getMonths(ctx context.Context, _ *struct{}) (*answer[monthsOut], error) {
	list, err := s.Months(ctx, person(ctx))
	out := monthsOut{Months: []monthOut{}}
	for _, m := range list {
		out.Months = append(out.Months, monthOut{time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC).Format("2006-01"), m.Count, m.First})
	}
	return answered(out, err)
}

type statsOut struct {
	Photos int64 `json:"photos" doc:"Those in the bin included"`
	Bytes  int64 `json:"bytes" doc:"Of originals, bin included"`
	Limit  int64 `json:"limit_bytes,omitempty" doc:"Absent: none"`
	Binned int64 `json:"removed"`
	Albums int64 `json:"albums"`
}

func (s *System) getStats(ctx context.Context, _ *struct{}) (*answer[statsOut], error) {
	t, err := s.Totals(ctx, person(ctx))
	return answered(statsOut(t), err)
}

type idIn struct {
	Retryable
	ID string `path:"id" maxLength:"64"`
}

func (s *System) getPhoto(ctx context.Context, in *idIn) (*answer[photoOut], error) {
	p, err := s.Get(ctx, person(ctx), in.ID)
	return answered(p.out(), err)
}

type changeIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body changeBody
}

type changeBody struct {
	Caption      *string `json:"caption,omitempty" maxLength:"1000"`
	Favourite    *bool   `json:"favourite,omitempty"`
	Taken        *string `json:"taken_at,omitempty" maxLength:"40" doc:"As RFC 3339 has it; \"\": what the file says"`
	KeepLocation *bool   `json:"keep_location,omitempty" doc:"Viewers may know where it was taken"`
}

func (s *System) patchPhoto(ctx context.Context, in *changeIn) (*answer[photoOut], error) {
	c := Changes{Caption: in.Body.Caption, Favourite: in.Body.Favourite, KeepLocation: in.Body.KeepLocation}
	if text := in.Body.Taken; text != nil {
		var t time.Time
		if *text != "" {
			var err error
			if t, err = time.Parse(time.RFC3339Nano, *text); err != nil {
				return nil, errs.WithDetails("taken_at is no time", []errs.Detail{{Where: "taken_at", What: "must be as RFC 3339 has it, such as 2026-11-22T21:40:00+01:00"}})
			}
		}
		c.Taken = &t
	}
	p, err := s.Change(in.again(ctx), person(ctx), in.ID, c)
	return answered(p.out(), err)
}

func (s *System) deletePhoto(ctx context.Context, in *idIn) (*struct{}, error) {
	n, err := s.Remove(in.again(ctx), person(ctx), in.ID)
	if err == nil && n == 0 {
		err = errNone("photo", in.ID)
	}
	return nil, err
}

type photosBody struct {
	Photos []string `json:"photos" minItems:"1" maxItems:"1000" doc:"Ids"`
}

type photosIn struct {
	Retryable
	Body photosBody
}

type changedOut struct {
	Changed int `json:"changed" doc:"How many; those that are not there, or are so already, are passed over"`
}

type favouritesIn struct {
	Retryable
	Body favouritesBody
}

type favouritesBody struct {
	Photos    []string `json:"photos" minItems:"1" maxItems:"1000" doc:"Ids"`
	Favourite *bool    `json:"favourite,omitempty" doc:"false: no longer"`
}

func (s *System) postFavourites(ctx context.Context, in *favouritesIn) (*answer[changedOut], error) {
	yes := in.Body.Favourite == nil || *in.Body.Favourite
	n, err := s.Favour(in.again(ctx), person(ctx), yes, in.Body.Photos...)
	return answered(changedOut{n}, err)
}

func (s *System) getBin(ctx context.Context, in *Paged) (*answer[photosOut], error) {
	return photosAnswer(s.Bin(ctx, person(ctx), in.Cursor, in.Limit))
}

func (s *System) postBin(ctx context.Context, in *photosIn) (*answer[changedOut], error) {
	n, err := s.Remove(in.again(ctx), person(ctx), in.Body.Photos...)
	return answered(changedOut{n}, err)
}

func (s *System) postRestore(ctx context.Context, in *photosIn) (*answer[changedOut], error) {
	n, err := s.Restore(in.again(ctx), person(ctx), in.Body.Photos...)
	return answered(changedOut{n}, err)
}

func (s *System) deleteBinned(ctx context.Context, in *idIn) (*struct{}, error) {
	n, err := s.Purge(in.again(ctx), person(ctx), in.ID)
	if err == nil && n == 0 {
		err = errs.New(errs.NotFound, "there is no photo %.64q in the bin", in.ID)
	}
	return nil, err
}

type emptiedOut struct {
	Purged int `json:"purged"`
}

func (s *System) deleteBin(ctx context.Context, _ *struct{}) (*answer[emptiedOut], error) {
	n, err := s.EmptyBin(ctx, person(ctx))
	return answered(emptiedOut{n}, err)
}
