package files

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/engines/links"
	"plumb/engines/web"
)

// sharePage is pages/share.html.
type sharePage struct {
	heading
	Shares []Shared
	Links  []links.Link
	More   string // query of older links
	Now    time.Time
	Above  bool   // a folder above it is public
	Made   string // a link's address, shown this once
	Did    string
	Fault  string
	About  string // which form the fault is about: people or links
	Name2  string // what was typed: a person's name
	Most   string // and the number of downloads
}

func (s *System) pageShare(w http.ResponseWriter, r *http.Request) error {
	return s.showShare(w, r, sharePage{Did: r.URL.Query().Get("did")}, nil)
}

// showShare shows who may see a node. It is its owner's alone.
func (s *System) showShare(w http.ResponseWriter, r *http.Request, p sharePage, wrong error) error {
	ctx, who := r.Context(), asker(r)
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	if p.heading, err = s.head(r, path); err != nil {
		return err
	}
	if p.Shares, err = s.Shares(ctx, who, path); err != nil {
		return err
	}
	var next string
	if p.Links, next, err = s.Links(ctx, who, path, r.URL.Query().Get("cursor"), 20); err != nil {
		return err
	}
	if next != "" {
		p.More = "?cursor=" + url.QueryEscape(next)
	}
	p.Now, p.Above = s.n.Clock.Now(), !p.Public && s.everybodys(ctx, p.Node)
	status := http.StatusOK
	if wrong != nil {
		p.Fault, status = said(wrong), web.Status(wrong)
	}
	w.Header().Set("Cache-Control", "no-store") // it may show a link
	return s.show(w, r, web.View{Title: "Share " + p.Name, Template: "share.html", Data: p, Status: status})
}

// changeShare does something to a node's sharing, and shows it again.
func (s *System) changeShare(w http.ResponseWriter, r *http.Request, p sharePage, did string, do func(ctx context.Context, who Person, path string) error) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	err = do(r.Context(), asker(r), path)
	switch {
	case err == nil:
		return back(w, r, "/files/n/"+r.PathValue("id")+"/share", "did", did)
	case mayFail(err), p.About == "people" && errs.Is(err, errs.NotFound):
		return s.showShare(w, r, p, err)
	}
	return err
}

func (s *System) doPublish(w http.ResponseWriter, r *http.Request) error {
	public := r.PostFormValue("public") == "1"
	return s.changeShare(w, r, sharePage{}, map[bool]string{true: "public", false: "private"}[public], func(ctx context.Context, who Person, path string) error {
		_, err := s.Publish(ctx, who, path, public)
		return err
	})
}

// doShare shares with a person by name, or ends that.
func (s *System) doShare(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimSpace(r.PostFormValue("name"))
	p := sharePage{About: "people", Name2: name}
	if r.PostFormValue("do") == "end" {
		return s.changeShare(w, r, p, "unshared", func(ctx context.Context, who Person, path string) error {
			return s.Unshare(ctx, who, path, name)
		})
	}
	rights := Read
	if r.PostFormValue("rights") == "write" {
		rights = Write
	}
	return s.changeShare(w, r, p, "shared", func(ctx context.Context, who Person, path string) error {
		if name == "" {
			return errs.New(errs.Invalid, "name somebody to share with")
		}
		_, err := s.Share(ctx, who, path, name, rights)
		return err
	})
}

// doLink makes a link, and shows it in the answer itself: it must not stand in an
// address.
func (s *System) doLink(w http.ResponseWriter, r *http.Request) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	p := sharePage{About: "links", Most: strings.TrimSpace(r.PostFormValue("most"))}
	o := LinkOptions{Password: r.PostFormValue("password")}
	var b bounds.Check
	if p.Most != "" {
		n, err := strconv.ParseInt(p.Most, 10, 64)
		if err != nil || n < 1 {
			b.Fault("downloads", "must be a whole number from 1, or nothing")
		}
		o.Most = n
	}
	if life := r.PostFormValue("life"); life != "" {
		days, err := strconv.Atoi(life)
		if err != nil || days < 0 || days > 3650 {
			b.Fault("good for", "must be a number of days")
		}
		o.Life = time.Duration(days) * 24 * time.Hour
	}
	err = b.Err("the link is not valid")
	var made links.Link
	if err == nil {
		made, err = s.Link(r.Context(), asker(r), path, o)
	}
	if err == nil {
		return s.showShare(w, r, sharePage{Made: s.n.URL + "/f/" + made.Token}, nil)
	}
	if mayFail(err) {
		return s.showShare(w, r, p, err)
	}
	return err
}

// doUnlink ends a link, and shows the page that it was on.
func (s *System) doUnlink(w http.ResponseWriter, r *http.Request) error {
	if err := s.Unlink(r.Context(), asker(r), r.PathValue("id")); err != nil {
		return err
	}
	to, _, _ := strings.Cut(backTo(r, "/files/"), "?")
	return back(w, r, to, "did", "revoked")
}
