package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"plumb/base/errs"
)

// Op is one operation of the API: Operation or RawOperation makes it, API.Add
// opens it.
type Op struct {
	Access Access
	Method string
	Path   string // whole: /api/v1/<system>/...

	info  huma.Operation
	takes reflect.Type // of a RawOperation's JSON body, for the description
	gives reflect.Type
	add   func(a *API, o Op)
}

// Operation describes fn as an API operation. I's fields are the path, query and
// header parameters and the Body, O's the headers, Status and Body, tagged as
// huma says (https://huma.rocks). fn's errors are kinds of base/errs.
func Operation[I, O any](a Access, op huma.Operation, fn func(context.Context, *I) (*O, error)) Op {
	o := Op{Access: a, Method: strings.ToUpper(op.Method), Path: op.Path, info: op}
	o.add = func(api *API, o Op) {
		huma.Register(api.adapted(o), o.info, func(ctx context.Context, in *I) (*O, error) {
			out, err := fn(ctx, in)
			if err != nil {
				return nil, api.kept(ctx, err)
			}
			return out, nil
		})
	}
	return o
}

// RawOperation describes a plain handler as an API operation: for large bodies,
// ranges, streams and other content than JSON. op.MaxBodyBytes bounds the body
// (0: 1 MiB, negative: the handler does).
func RawOperation(a Access, op huma.Operation, h Handler) Op {
	o := Op{Access: a, Method: strings.ToUpper(op.Method), Path: op.Path, info: op}
	o.add = func(api *API, o Op) {
		api.describe(&o)
		api.huma.OpenAPI().AddOperation(&o.info)
		api.mux.Handle(o.Method+" "+o.Path, api.gate.WrapLimit(o.Access, o.info.MaxBodyBytes, h))
	}
	return o
}

// Describe returns o with the Go types of its JSON body and answer (a value of
// each; nil for none), for the OpenAPI document. An Operation knows its own.
func (o Op) Describe(takes, gives any) Op {
	o.takes, o.gives = reflect.TypeOf(takes), reflect.TypeOf(gives)
	return o
}

// API is all operations on one mux.
type API struct {
	mux  *http.ServeMux
	gate *Gate
	huma huma.API
	once sync.Once
	json []byte
	tag  string
}

// NewAPI returns an API without operations that serves its OpenAPI 3.1 document
// at /openapi.json, to everybody. version is the program's.
func NewAPI(mux *http.ServeMux, gate *Gate, version string) *API {
	a := &API{mux: mux, gate: gate}
	format := huma.Format{Marshal: encode, Unmarshal: DecodeBytes}
	a.huma = huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Plumb", Version: version, Description: "Errors are problem documents (RFC 9457). Times are RFC 3339, money is in minor units."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A person's or a machine's token"},
				},
			},
		},
		// No DocsPath (its page loads from a CDN), no SchemasPath and no link
		// transformer (it adds $schema to every answer).
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{problems},
	}, humago.NewAdapter(nil, "")) // each operation is mounted through an adapter of its own
	mux.Handle("GET /openapi.json", gate.Wrap(Public, a.serveDocument))
	return a
}

// Add opens operations. It panics at start when one is undeclared or collides.
func (a *API) Add(ops ...Op) {
	for _, o := range ops {
		a.complete(&o)
		o.add(a, o)
	}
}

// Document returns the OpenAPI document. It must not change once the server runs.
func (a *API) Document() *huma.OpenAPI { return a.huma.OpenAPI() }

// complete fills in what every operation's description has.
func (a *API) complete(o *Op) {
	// OpenAPI knows no wildcards over several parts of a path.
	o.info.Method, o.info.Path = o.Method, strings.ReplaceAll(o.Path, "...}", "}")
	parts := strings.Split(strings.Trim(o.Path, "/"), "/")
	if o.info.OperationID == "" {
		o.info.OperationID = strings.ToLower(o.Method) + strings.NewReplacer("{", "", "}", "", "/", "-", ".", "-", "api/v1/", "").Replace("-"+strings.Trim(o.Path, "/"))
	}
	if len(o.info.Tags) == 0 && len(parts) > 2 {
		o.info.Tags = []string{parts[2]}
	}
	if o.Access != Public {
		o.info.Security = []map[string][]string{{"token": {}}}
	}
	if o.info.Extensions == nil {
		o.info.Extensions = map[string]any{}
	}
	o.info.Extensions["x-access"] = string(o.Access)
	if o.info.Responses == nil {
		o.info.Responses = map[string]*huma.Response{}
	}
	schemas := a.huma.OpenAPI().Components.Schemas
	o.info.Responses["default"] = &huma.Response{Description: "The problem", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: schemas.Schema(reflect.TypeFor[Document](), true, "Problem")},
	}}
	// huma registers its own error type, which we never send, with each operation.
	defer delete(schemas.Map(), "ErrorModel")
	defer delete(schemas.Map(), "ErrorDetail")
}

// describe adds a RawOperation's body and answer to its description.
func (a *API) describe(o *Op) {
	schemas := a.huma.OpenAPI().Components.Schemas
	if o.takes != nil && o.info.RequestBody == nil {
		o.info.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemas.Schema(o.takes, true, o.info.OperationID+"Request")},
		}}
	}
	if _, ok := o.info.Responses["200"]; !ok && len(o.info.Responses) == 1 {
		o.info.Responses["200"] = &huma.Response{Description: "OK"}
	}
	if r := o.info.Responses["200"]; r != nil && o.gives != nil && r.Content == nil {
		r.Content = map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(o.gives, true, o.info.OperationID+"Answer")}}
	}
	for _, name := range pathNames(o.Path) {
		if !hasParam(o.info.Parameters, name) {
			o.info.Parameters = append(o.info.Parameters, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
		}
	}
}

// pathNames returns the names in braces of a pattern.
func pathNames(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") && part != "{$}" {
			names = append(names, strings.TrimSuffix(strings.Trim(part, "{}"), "..."))
		}
	}
	return names
}

func hasParam(list []*huma.Param, name string) bool {
	for _, p := range list {
		if p.Name == name && p.In == "path" {
			return true
		}
	}
	return false
}

// adapted is the API with an adapter that mounts one operation behind the gate.
func (a *API) adapted(o Op) huma.API { return gated{a.huma, a, o.Access, o.Path} }

type gated struct {
	huma.API
	api    *API
	access Access
	path   string // with the mux's wildcards
}

func (g gated) Adapter() huma.Adapter { return g }

// Handle mounts what huma made of an operation. huma bounds the body itself.
func (g gated) Handle(op *huma.Operation, handler func(huma.Context)) {
	g.api.mux.Handle(op.Method+" "+g.path, g.api.gate.WrapLimit(g.access, -1, func(w http.ResponseWriter, r *http.Request) error {
		handler(humago.NewContext(op, r, w))
		return nil
	}))
	delete(g.api.huma.OpenAPI().Components.Schemas.Map(), "ErrorModel")
	delete(g.api.huma.OpenAPI().Components.Schemas.Map(), "ErrorDetail")
}

func (g gated) ServeHTTP(http.ResponseWriter, *http.Request) {}

// kept turns an operation's error into what huma writes, and keeps an Internal
// one for the gate's log.
func (a *API) kept(ctx context.Context, err error) error {
	if st := stateOf(ctx); st != nil && errs.Is(err, errs.Internal) {
		st.err = err
	}
	d := document(err)
	d.ID = RequestID(ctx)
	return &answer{&d, err}
}

// answer is an error on its way through huma.
type answer struct {
	*Document
	cause error
}

func (a *answer) Error() string { return a.cause.Error() }

// GetStatus is huma.StatusError's.
func (a *answer) GetStatus() int { return a.Status }

// GetHeaders is huma.HeadersError's.
func (a *answer) GetHeaders() http.Header {
	h := http.Header{}
	errorHeaders(h, a.Status, a.cause)
	return h
}

// ContentType is huma.ContentTypeFilter's.
func (a *answer) ContentType(string) string { return "application/problem+json" }

// problems is the transformer that turns errors, ours and huma's, into our
// documents. The offending values that huma adds are left out: one may be a secret.
func problems(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *answer:
		return e.Document, nil
	case *huma.ErrorModel:
		ctx.SetHeader("Cache-Control", "no-store")
		d := &Document{Title: statuses[errs.Invalid].title, Status: e.Status, Detail: e.Detail, ID: RequestID(ctx.Context())}
		if e.Status != http.StatusUnprocessableEntity {
			d.Title = http.StatusText(e.Status)
		}
		for _, f := range e.Errors {
			if f != nil {
				d.Errors = append(d.Errors, Fault{valid(f.Location), valid(f.Message)})
			}
		}
		return d, nil
	}
	return v, nil
}

func encode(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// serveDocument sends the OpenAPI document, written once.
func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) error {
	a.once.Do(func() {
		b, err := json.Marshal(a.huma.OpenAPI())
		if err != nil {
			return // told below
		}
		a.json, a.tag = b, etag(b)
	})
	if a.json == nil {
		return errs.New(errs.Internal, "the OpenAPI document cannot be written")
	}
	w.Header().Set("ETag", a.tag)
	w.Header().Set("Cache-Control", "no-cache")
	return Send(w, r, http.StatusOK, "application/json", a.json)
}

// schemaName names a type of a room after the room too: two of them may have wire
// types of the same name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, room, ok := strings.Cut(t.PkgPath(), "/systems/"); ok && t.Name() != "" && room != "" {
		room, _, _ = strings.Cut(room, "/")
		return strings.ToUpper(room[:1]) + room[1:] + name
	}
	return name
}
