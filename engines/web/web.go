// Package web is the house's one way to speak HTTP: who asks, may they, what
// went wrong, and how the answer looks. A room writes handlers that return an
// error; this package authorises the request before, and turns the error into
// a status and a document after.
//
//	gate := web.NewGate(web.First(people, machines), log)
//	mux := http.NewServeMux()
//	mux.Handle("GET /vending/{$}", gate.Wrap(web.Person, func(w http.ResponseWriter, r *http.Request) error {
//		who := web.WhoIs(r.Context())
//		return shell.Show(w, r, pages, web.View{System: "vending", Tab: "use", Template: "fleet", Data: s.fleet(who)})
//	}))
//	api := web.NewAPI(mux, gate, "0.1")
//	api.Add(web.Operation(web.Operator, huma.Operation{...}, s.enrol))
//	srv := http.Server{Handler: web.House(mux, gate, web.Options{Metrics: metrics})}
//
// What holds:
//   - Every route declares its Access; an undeclared one stops the program at
//     start, and Gate.Wrap is the only place that lets a request through.
//   - A request that a browser sends with its cookie changes nothing without
//     the session's CSRF token.
//   - An error that nobody classified is answered with 500 and nothing else,
//     and logged once with the request's id.
//   - Everything sent carries the security headers; pages may load from this
//     server only.
package web

import (
	"context"
	"errors"
	"html/template"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"time"

	"plumb/base/errs"
)

// Access says who may use a route. Every route declares one.
type Access string

// The house's one list of roles. Operator and Admin are also roles of people.
const (
	Public            Access = "public"              // anybody
	Person            Access = "person"              // whoever signed in
	Machine           Access = "machine"             // an enrolled device, with its own token
	Operator          Access = "operator"            // people who run the systems
	MachineOrOperator Access = "machine-or-operator" // a device, or an operator on its behalf: the handler says for which
	Admin             Access = "admin"               // people who also manage people and tokens
)

// Declared says whether a is one of these.
func (a Access) Declared() bool {
	return slices.Contains([]Access{Public, Person, Machine, Operator, MachineOrOperator, Admin}, a)
}

// Who is the one who asks. The zero Who is a stranger.
type Who struct {
	Kind   string   // "" for a stranger, "person" or "machine"
	ID     string   // of the person or machine
	Name   string   // to show and to log
	Roles  []Access // of a person: Operator, Admin
	CSRF   string   // the session's token, to be sent back with every change
	Cookie bool     // came with a cookie, which a browser sends unasked
	Basic  bool     // came with Basic authentication, which a browser repeats unasked
}

// May says whether w may use a route of access a. An admin may all but what is
// a machine's; an operator may what any person may.
func (w Who) May(a Access) bool {
	switch a {
	case Public:
		return true
	case Machine:
		return w.Kind == "machine"
	case Person:
		return w.Kind == "person"
	case Operator:
		return w.Kind == "person" && (slices.Contains(w.Roles, Operator) || slices.Contains(w.Roles, Admin))
	case MachineOrOperator:
		return w.May(Machine) || w.May(Operator)
	case Admin:
		return w.Kind == "person" && slices.Contains(w.Roles, Admin)
	}
	return false // an access that nobody declared
}

// Authenticator finds out who asks.
type Authenticator interface {
	// Authenticate returns the zero Who for a request without credentials (an
	// expired session counts as none), and an Unknown error for wrong ones.
	// Any other error means that it could not be found out.
	Authenticate(r *http.Request) (Who, error)
}

// First asks each authenticator in turn and returns the first who is known. A
// token that one calls wrong may be good for the next (people's tokens and
// machines' look the same); it is wrong when all have refused it.
func First(list ...Authenticator) Authenticator { return first(list) }

type first []Authenticator

func (f first) Authenticate(r *http.Request) (Who, error) {
	var wrong error
	for _, a := range f {
		who, err := a.Authenticate(r)
		switch {
		case err == nil && who.Kind != "":
			return who, nil
		case err != nil && !errs.Is(err, errs.Unknown):
			return Who{}, err
		case err != nil:
			wrong = errors.Join(wrong, err)
		}
	}
	return Who{}, wrong
}

// Handler answers a request or returns why it could not. Having returned an
// error it must not have written.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Page is one route of a room, for people.
type Page struct {
	Pattern string // as http.ServeMux has it, below /NAME: "GET /machines/{id}"
	Root    bool   // Pattern is whole, below one of the face's further prefixes: "GET /f/{link}"
	Access  Access
	Handler Handler
	Limit   int64 // most bytes of a request's body; 0: 1 MiB, negative: the handler bounds it
	// Basic authentication is taken too, a person's name with a token as the password:
	// for programs that know nothing else, such as WebDAV's. A refusal asks for it.
	Basic bool
}

// Shell puts a room's page into the house's frame. console implements it.
type Shell interface {
	// Show executes v.Template of t with v.Data and sends the page. Nothing is
	// sent when it returns an error.
	Show(w http.ResponseWriter, r *http.Request, t *template.Template, v View) error
}

// View is one page to show.
type View struct {
	System   string        // the room's name; empty for the house's own pages
	Tab      string        // "use", "prove", "plan", "api", "about"; empty: no tabs
	Title    string        // of the page, in the browser's tab
	Template string        // name within the room's templates
	Data     any           // what the template is executed with
	Status   int           // 0 means 200
	Refresh  time.Duration // the content asks for itself again so often, at least every second; 0: never
}

// ctxKey finds a request's state in its context.
type ctxKey struct{}

// state is what the house knows of one request. Gate fills who before the
// handler runs; nothing writes it after.
type state struct {
	id     string
	nonce  string
	remote string // the client's own address, where a trusted proxy told it
	secure bool   // the browser's own connection is encrypted
	who    Who
	basic  bool              // the route takes Basic authentication
	err    error             // an API operation's error, kept for the log
	bounds bool              // the handler bounds the body itself
	parts  *multipart.Reader // of a form that streams, once its token was read
}

func stateOf(ctx context.Context) *state {
	s, _ := ctx.Value(ctxKey{}).(*state)
	return s
}

// WhoIs returns who asks: the stranger outside of Gate.Wrap.
func WhoIs(ctx context.Context) Who {
	if s := stateOf(ctx); s != nil {
		return s.who
	}
	return Who{}
}

// RequestID returns the id under which the request is logged; empty outside of House.
func RequestID(ctx context.Context) string {
	if s := stateOf(ctx); s != nil {
		return s.id
	}
	return ""
}

// Remote returns the address of the client, without its port: the one that a
// trusted proxy names, else the connection's.
func Remote(r *http.Request) string {
	if s := stateOf(r.Context()); s != nil && s.remote != "" {
		return s.remote
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Secure says whether the browser's own connection is encrypted: with us, or
// with a trusted proxy before us.
func Secure(ctx context.Context) bool {
	s := stateOf(ctx)
	return s != nil && s.secure
}

// Nonce returns the request's nonce for inline scripts and styles of a page.
func Nonce(ctx context.Context) string {
	if s := stateOf(ctx); s != nil {
		return s.nonce
	}
	return ""
}

// TakesBasic says whether the request's route takes Basic authentication. Where it does
// not, an Authenticator refuses it, so that what a browser remembers for one route opens
// no other.
func TakesBasic(ctx context.Context) bool {
	s := stateOf(ctx)
	return s != nil && s.basic
}

// WithWho returns ctx as Gate hands it to a handler for who. It serves tests.
func WithWho(ctx context.Context, who Who) context.Context {
	return context.WithValue(ctx, ctxKey{}, &state{id: "test", nonce: "test", who: who})
}

// Field returns the hidden input that each form with method="post" needs.
func Field(r *http.Request) template.HTML {
	return template.HTML(`<input type="hidden" name="csrf" value="` + template.HTMLEscapeString(WhoIs(r.Context()).CSRF) + `">`)
}
