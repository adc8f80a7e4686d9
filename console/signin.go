package console

import (
	"net/http"
	"strings"

	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/web"
)

// signInView is pages/signin.html.
type signInView struct {
	Link  string // the one-time link's token; then one button signs in
	Next  string
	Name  string // as typed
	Wrong string // what was wrong with the last try
}

// signInPage shows the form. A link is not used up by looking at it: mail
// scanners and previews fetch links too. The button, or the script, sends it.
func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := signInView{Link: q.Get("link"), Next: within(q.Get("next"))}
	if v.Link == "" && web.WhoIs(r.Context()).Kind == "person" {
		http.Redirect(w, r, v.Next, http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the link's token
	return c.show(w, r, web.View{Title: "Sign in", Template: "signin", Data: v})
}

// signIn takes a link's token, a name with a password, or an API token.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return web.Malformed(errs.Wrap(errs.Invalid, err, "the form cannot be read"))
	}
	v := signInView{Link: r.PostForm.Get("link"), Next: within(r.PostForm.Get("next")), Name: r.PostForm.Get("name")}
	var s accounts.Session
	var err error
	switch {
	case v.Link != "":
		s, err = c.n.People.OpenLink(r.Context(), v.Link, web.Remote(r))
	case r.PostForm.Get("token") != "":
		s, err = c.n.People.SignInToken(r.Context(), strings.TrimSpace(r.PostForm.Get("token")), web.Remote(r))
	default:
		s, err = c.n.People.SignIn(r.Context(), v.Name, r.PostForm.Get("password"), web.Remote(r))
	}
	switch {
	case err != nil && (errs.Is(err, errs.Denied) || errs.Is(err, errs.Busy)):
		// No name stands in the log: people type passwords into that field.
		c.n.Log.Warn("sign-in refused", "request", web.RequestID(r.Context()), "from", web.Remote(r), "why", errs.Message(err))
		v.Wrong, v.Link = errs.Message(err), ""
		return c.show(w, r, web.View{Title: "Sign in", Template: "signin", Data: v, Status: web.Status(err)})
	case err != nil:
		return err
	}
	http.SetCookie(w, s.Cookie(c.secure(r)))
	http.Redirect(w, r, v.Next, http.StatusSeeOther)
	return nil
}

func (c *Console) secure(r *http.Request) bool {
	return c.n.Secure || r.TLS != nil || web.Secure(r.Context())
}

// signOut ends the session.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := c.n.People.SignOut(r.Context(), r); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: accounts.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: c.secure(r), SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// within returns next when it is a path of this house, else the start page: a
// link to the sign-in must not lead on to another site.
func within(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
