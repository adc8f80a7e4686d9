package photos

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/engines/links"
)

// Wire types and handlers of albums and links.

type albumOut struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Cover   string    `json:"cover,omitempty" doc:"A photo's id: the chosen one, else the first"`
	Photos  int64     `json:"photos" doc:"Those in the bin are not counted"`
	Made    time.Time `json:"made_at"`
	Changed time.Time `json:"changed_at"`
}

func (a Album) out() albumOut {
	return albumOut{a.ID, a.Title, a.Cover, a.Photos, a.Made, a.Changed}
}

type albumsIn struct {
	Paged
	Photo string `query:"photo" maxLength:"64" doc:"Only those that it is in"`
}

type albumsOut struct {
	Albums []albumOut `json:"albums"`
	Next   string     `json:"next,omitempty"`
}

func (s *System) getAlbums(ctx context.Context, in *albumsIn) (*answer[albumsOut], error) {
	list, next, err := s.Albums(ctx, person(ctx), in.Photo, in.Cursor, in.Limit)
	out := albumsOut{Albums: []albumOut{}, Next: next}
	for _, a := range list {
		out.Albums = append(out.Albums, a.out())
	}
	return answered(out, err)
}

type albumIn struct {
	Retryable
	Body albumBody
}

type albumBody struct {
	Title  string   `json:"title" minLength:"1" maxLength:"200"`
	Photos []string `json:"photos,omitempty" maxItems:"1000" doc:"Ids"`
}

func albumAnswer(a Album, err error) (*answer[albumOut], error) { return answered(a.out(), err) }

func (s *System) postAlbum(ctx context.Context, in *albumIn) (*answer[albumOut], error) {
	return albumAnswer(s.MakeAlbum(in.again(ctx), person(ctx), in.Body.Title, in.Body.Photos))
}

func (s *System) getAlbum(ctx context.Context, in *idIn) (*answer[albumOut], error) {
	return albumAnswer(s.Album(ctx, person(ctx), in.ID))
}

type albumChangeIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body albumChangeBody
}

type albumChangeBody struct {
	Title *string `json:"title,omitempty" minLength:"1" maxLength:"200"`
	Cover *string `json:"cover,omitempty" maxLength:"64" doc:"A photo of the album; \"\": the first"`
}

func (s *System) patchAlbum(ctx context.Context, in *albumChangeIn) (*answer[albumOut], error) {
	return albumAnswer(s.ChangeAlbum(in.again(ctx), person(ctx), in.ID, AlbumChanges(in.Body)))
}

func (s *System) deleteAlbum(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.RemoveAlbum(in.again(ctx), person(ctx), in.ID)
}

type albumPhotosIn struct {
	ID string `path:"id" maxLength:"64"`
	Paged
}

func (s *System) getAlbumPhotos(ctx context.Context, in *albumPhotosIn) (*answer[photosOut], error) {
	return photosAnswer(s.List(ctx, person(ctx), Filter{Album: in.ID, Cursor: in.Cursor, Limit: in.Limit}))
}

type albumPutIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body photosBody
}

func (s *System) postAlbumPhotos(ctx context.Context, in *albumPutIn) (*answer[albumOut], error) {
	return albumAnswer(s.AddTo(in.again(ctx), person(ctx), in.ID, in.Body.Photos...))
}

func (s *System) postTakeOut(ctx context.Context, in *albumPutIn) (*answer[albumOut], error) {
	return albumAnswer(s.TakeOut(in.again(ctx), person(ctx), in.ID, in.Body.Photos...))
}

type orderIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body orderBody
}

type orderBody struct {
	Photos []string `json:"photos" minItems:"1" maxItems:"1000" doc:"Ids"`
	Before string   `json:"before,omitempty" maxLength:"64" doc:"A photo of the album; absent: its end"`
}

func (s *System) postOrder(ctx context.Context, in *orderIn) (*answer[albumOut], error) {
	return albumAnswer(s.Move(in.again(ctx), person(ctx), in.ID, in.Body.Before, in.Body.Photos...))
}

type linkIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body linkBody
}

type linkBody struct {
	Password     string     `json:"password,omitempty" maxLength:"256"`
	Expires      *time.Time `json:"expires,omitempty" doc:"When it ends; after the house's usual time (30 days), when absent"`
	LifeS        *int64     `json:"expires_in_s,omitempty" minimum:"0" doc:"Or how many seconds it is good; 0: until it is revoked"`
	Downloads    bool       `json:"downloads,omitempty" doc:"Originals may be saved, without their places"`
	KeepLocation bool       `json:"keep_location,omitempty" doc:"What it gives tells where it was taken"`
}

// options reads the body's times.
func (b linkBody) options(now time.Time) (LinkOptions, error) {
	o := LinkOptions{Password: b.Password, Downloads: b.Downloads, KeepLocation: b.KeepLocation}
	switch {
	case b.Expires != nil && b.LifeS != nil:
		return o, errs.New(errs.Invalid, "a link has one end: give expires or expires_in_s")
	case b.Expires != nil:
		if o.Life = b.Expires.Sub(now); o.Life <= 0 {
			return o, errs.New(errs.Invalid, "expires is over")
		}
	case b.LifeS != nil && *b.LifeS == 0:
		o.Life = -1
	case b.LifeS != nil:
		o.Life = time.Duration(min(*b.LifeS, int64(links.MaxLife/time.Second)+1)) * time.Second
	}
	return o, nil
}

type linkOut struct {
	ID           string     `json:"id"`
	URL          string     `json:"url,omitempty" doc:"The address; told this once"`
	Album        string     `json:"album,omitempty" doc:"What it leads to"`
	Photo        string     `json:"photo,omitempty"`
	Title        string     `json:"title,omitempty"`
	Password     bool       `json:"password"`
	Downloads    bool       `json:"downloads"`
	KeepLocation bool       `json:"keep_location"`
	Views        int64      `json:"views"`
	Made         time.Time  `json:"made_at"`
	Expires      *time.Time `json:"expires,omitempty"`
	Revoked      *time.Time `json:"revoked_at,omitempty"`
}

func (l Link) out() linkOut {
	return linkOut{l.ID, l.URL, l.Target.Album, l.Target.Photo, l.Title, l.Password, l.Downloads, l.KeepLocation, l.Views, l.Made, optional(l.Expires), optional(l.Revoked)}
}

func (s *System) postLink(ctx context.Context, in *linkIn, t Target) (*answer[linkOut], error) {
	o, err := in.Body.options(s.n.Clock.Now())
	if err != nil {
		return nil, err
	}
	l, err := s.MakeLink(in.again(ctx), person(ctx), t, o)
	return answered(l.out(), err)
}

func (s *System) postAlbumLink(ctx context.Context, in *linkIn) (*answer[linkOut], error) {
	return s.postLink(ctx, in, Target{Album: in.ID})
}

func (s *System) postPhotoLink(ctx context.Context, in *linkIn) (*answer[linkOut], error) {
	return s.postLink(ctx, in, Target{Photo: in.ID})
}

type linksIn struct {
	Paged
	Album string `query:"album" maxLength:"64" doc:"Only those to this album"`
	Photo string `query:"photo" maxLength:"64" doc:"Only those to this photo"`
}

type linksOut struct {
	Links []linkOut `json:"links"`
	Next  string    `json:"next,omitempty"`
}

func (s *System) getLinks(ctx context.Context, in *linksIn) (*answer[linksOut], error) {
	list, next, err := s.Links(ctx, person(ctx), Target{in.Album, in.Photo}, in.Cursor, in.Limit)
	out := linksOut{Links: []linkOut{}, Next: next}
	for _, l := range list {
		out.Links = append(out.Links, l.out())
	}
	return answered(out, err)
}

func (s *System) deleteLink(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.RevokeLink(in.again(ctx), person(ctx), in.ID)
}

type revokeIn struct {
	Retryable
	Body revokeBody
}

type revokeBody struct {
	Album string `json:"album,omitempty" maxLength:"64"`
	Photo string `json:"photo,omitempty" maxLength:"64"`
	All   bool   `json:"all,omitempty" doc:"All you made"`
}

type revokedOut struct {
	Revoked int `json:"revoked" doc:"Links that were good"`
}

func (s *System) postRevoke(ctx context.Context, in *revokeIn) (*answer[revokedOut], error) {
	t := Target{in.Body.Album, in.Body.Photo}
	if in.Body.All != (t == Target{}) {
		return nil, errs.New(errs.Invalid, "name an album or a photo, or say all")
	}
	n, err := s.RevokeAll(in.again(ctx), person(ctx), t)
	return answered(revokedOut{n}, err)
}
