package console

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/accounts"
	"plumb/engines/web"
)

// accountView is pages/account.html: a person's own page.
type accountView struct {
	Who    web.Who
	CSRF   template.HTML
	Tokens []accounts.Token
	Now    time.Time
	Secret string // a token just made, shown once
	Done   string // what was just done
}

func (c *Console) account(w http.ResponseWriter, r *http.Request) error {
	return c.showAccount(w, r, accountView{Done: done(r)})
}

func (c *Console) showAccount(w http.ResponseWriter, r *http.Request, v accountView) error {
	v.Who, v.CSRF, v.Now = web.WhoIs(r.Context()), web.Field(r), c.n.Clock.Now()
	var err error
	if v.Tokens, err = c.n.People.Tokens(r.Context(), v.Who.ID); err != nil {
		return err
	}
	if v.Secret != "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	return c.show(w, r, web.View{Title: "Your account", Template: "account", Data: v})
}

// done reads what the last change was, out of a fixed list: a link must not be
// able to make this page say something.
func done(r *http.Request) string {
	return map[string]string{"password": "The password is set.", "revoked": "The token is revoked.", "added": "The person is added.", "changed": "It is changed."}[r.URL.Query().Get("done")]
}

// newToken makes a token for oneself and shows it, once.
func (c *Console) newToken(w http.ResponseWriter, r *http.Request) error {
	days, err := strconv.Atoi(or(r.PostFormValue("days"), "90"))
	if err != nil || days < 0 || days > 3650 {
		return errs.New(errs.Invalid, "days must be a whole number from 0 (for good) to 3650")
	}
	who := web.WhoIs(r.Context())
	secret, _, err := c.n.People.NewToken(r.Context(), who, who.Name, strings.TrimSpace(r.PostFormValue("name")), time.Duration(days)*24*time.Hour)
	if err != nil {
		return err
	}
	return c.showAccount(w, r, accountView{Secret: secret})
}

// revoke ends a token and goes back to the page at path.
func (c *Console) revoke(path string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := c.n.People.Revoke(r.Context(), web.WhoIs(r.Context()), r.PathValue("id")); err != nil {
			return err
		}
		http.Redirect(w, r, path+"?done=revoked", http.StatusSeeOther)
		return nil
	}
}

// setPassword changes one's own password.
func (c *Console) setPassword(w http.ResponseWriter, r *http.Request) error {
	who := web.WhoIs(r.Context())
	if r.PostFormValue("password") == "" {
		return errs.New(errs.Invalid, "a new password is needed")
	}
	if err := c.n.People.SetPassword(r.Context(), who, who.ID, r.PostFormValue("password")); err != nil {
		return err
	}
	http.Redirect(w, r, "/account?done=password", http.StatusSeeOther)
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
