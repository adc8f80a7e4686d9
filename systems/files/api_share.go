package files

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/engines/links"
)

type publishIn struct {
	Retryable
	Body publishBody
}

type publishBody struct {
	Path   string `json:"path" minLength:"1" maxLength:"4096"`
	Public bool   `json:"public"`
}

func (s *System) postPublish(ctx context.Context, in *publishIn) (*answer[nodeOut], error) {
	n, err := s.Publish(in.again(ctx), person(ctx), in.Body.Path, in.Body.Public)
	return answered(n.out(), err)
}

func (s *System) getPublic(ctx context.Context, in *Paged) (*answer[nodesOut], error) {
	return nodesAnswer(s.Public(ctx, in.Cursor, in.Limit))
}

func (s *System) getShared(ctx context.Context, in *Paged) (*answer[nodesOut], error) {
	return nodesAnswer(s.SharedWithMe(ctx, person(ctx), in.Cursor, in.Limit))
}

type shareOut struct {
	Person string    `json:"person" doc:"A name"`
	Rights string    `json:"rights" enum:"read,write"`
	At     time.Time `json:"at"`
}

func (sh Shared) out() shareOut { return shareOut{sh.Name, sh.Rights.String(), sh.At} }

type sharesOut struct {
	Shares []shareOut `json:"shares"`
}

func (s *System) getShares(ctx context.Context, in *Pathed) (*answer[sharesOut], error) {
	list, err := s.Shares(ctx, person(ctx), in.Path)
	out := sharesOut{Shares: []shareOut{}}
	for _, sh := range list {
		out.Shares = append(out.Shares, sh.out())
	}
	return answered(out, err)
}

type shareIn struct {
	Retryable
	Body shareBody
}

type shareBody struct {
	Path   string `json:"path" minLength:"1" maxLength:"4096"`
	Person string `json:"person" minLength:"1" maxLength:"64" doc:"A name"`
	Rights string `json:"rights" enum:"read,write"`
}

func (s *System) postShare(ctx context.Context, in *shareIn) (*answer[shareOut], error) {
	r := Read
	if in.Body.Rights == "write" {
		r = Write
	}
	sh, err := s.Share(in.again(ctx), person(ctx), in.Body.Path, in.Body.Person, r)
	return answered(sh.out(), err)
}

type unshareIn struct {
	Path   string `query:"path" required:"true" minLength:"1" maxLength:"4096"`
	Person string `query:"person" required:"true" minLength:"1" maxLength:"64" doc:"A name"`
}

func (s *System) deleteShare(ctx context.Context, in *unshareIn) (*struct{}, error) {
	return nil, s.Unshare(ctx, person(ctx), in.Path, in.Person)
}

type linkIn struct {
	Retryable
	Body linkBody
}

type linkBody struct {
	Path     string     `json:"path" minLength:"1" maxLength:"4096"`
	Expires  *time.Time `json:"expires_at,omitempty" doc:"When it ends; never, when absent"`
	LifeS    int64      `json:"expires_in_s,omitempty" minimum:"0" doc:"Or how many seconds it is good"`
	Password string     `json:"password,omitempty" maxLength:"256"`
	Most     int64      `json:"downloads,omitempty" minimum:"0" doc:"How many downloads it gives; any number, when absent"`
}

type linkOut struct {
	ID       string     `json:"id"`
	Link     string     `json:"link,omitempty" doc:"The address; told this once"`
	Token    string     `json:"token,omitempty" doc:"Its last part"`
	Target   string     `json:"target" doc:"Id of the file or folder"`
	Password bool       `json:"password"`
	Made     time.Time  `json:"made_at"`
	Expires  *time.Time `json:"expires_at,omitempty"`
	Revoked  *time.Time `json:"revoked_at,omitempty"`
	Most     int64      `json:"downloads,omitempty"`
	Used     int64      `json:"downloaded"`
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *System) linkOut(l links.Link) linkOut {
	o := linkOut{ID: l.ID, Token: l.Token, Target: l.Target, Password: l.Password, Made: l.Made, Expires: optional(l.Expires), Revoked: optional(l.Revoked), Most: l.Most, Used: l.Used}
	if l.Token != "" {
		o.Link = s.n.URL + "/f/" + l.Token
	}
	return o
}

func (s *System) postLink(ctx context.Context, in *linkIn) (*answer[linkOut], error) {
	o := LinkOptions{Life: time.Duration(min(in.Body.LifeS, int64(links.MaxLife/time.Second)+1)) * time.Second, Password: in.Body.Password, Most: in.Body.Most}
	if in.Body.Expires != nil {
		if o.Life = in.Body.Expires.Sub(s.n.Clock.Now()); o.Life <= 0 {
			return nil, errs.New(errs.Invalid, "expires_at is over")
		}
	}
	l, err := s.Link(in.again(ctx), person(ctx), in.Body.Path, o)
	return answered(s.linkOut(l), err)
}

type linksIn struct {
	Paged
	Path string `query:"path" maxLength:"4096" doc:"Only those to this file or folder"`
}

type linksOut struct {
	Links []linkOut `json:"links"`
	Next  string    `json:"next,omitempty"`
}

func (s *System) getLinks(ctx context.Context, in *linksIn) (*answer[linksOut], error) {
	list, next, err := s.Links(ctx, person(ctx), in.Path, in.Cursor, in.Limit)
	out := linksOut{Links: []linkOut{}, Next: next}
	for _, l := range list {
		out.Links = append(out.Links, s.linkOut(l))
	}
	return answered(out, err)
}

func (s *System) deleteLink(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Unlink(ctx, person(ctx), in.ID)
}
