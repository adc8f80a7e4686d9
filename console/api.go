package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"plumb/engines/web"
	"plumb/face"
)

// apiView is pages/api.html: one system's part of the OpenAPI document.
type apiView struct {
	Title string
	Ops   []operation
	Base  string
}

// operation is one operation, told with an example that works when copied.
type operation struct {
	ID, Method, Path, Summary, Text, Access string
	Params                                  []param
	Body                                    []field // of a JSON body
	BodyKinds                               string  // content types
	Answers                                 []reply
	Curl                                    string
}

type param struct {
	Name, In, Type, Text string
	Required             bool
}

type field struct {
	Path, Type, Text string
	Required         bool
}

type reply struct {
	Status, Text, Example string
	Fields                []field
}

// apiTab shows the operations of one system.
func (c *Console) apiTab(f face.Face) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := apiView{Title: f.Title, Base: c.base(r), Ops: describe(c.n.API.Document(), f.Name, c.base(r))}
		return c.show(w, r, web.View{System: f.Name, Tab: "api", Title: "API", Template: "api", Data: v})
	}
}

// describe reads a system's operations out of the document, by path and then
// in the order in which a client uses them.
func describe(doc *huma.OpenAPI, system, base string) []operation {
	prefix := "/api/v1/" + system + "/"
	var list []operation
	for path, item := range doc.Paths {
		if !strings.HasPrefix(path, prefix) {
			continue
		}
		for _, o := range []*huma.Operation{item.Post, item.Get, item.Put, item.Patch, item.Delete} {
			if o != nil {
				list = append(list, tell(doc, o, path, base))
			}
		}
	}
	verbs := []string{"POST", "GET", "PUT", "PATCH", "DELETE"}
	slices.SortFunc(list, func(a, b operation) int {
		if a.Path != b.Path {
			return strings.Compare(a.Path, b.Path)
		}
		return slices.Index(verbs, a.Method) - slices.Index(verbs, b.Method)
	})
	return list
}

func tell(doc *huma.OpenAPI, o *huma.Operation, path, base string) operation {
	s := sketch{doc.Components.Schemas}
	op := operation{ID: anchor(o.Method + " " + path), Method: o.Method, Path: path, Summary: o.Summary, Text: o.Description}
	op.Access, _ = o.Extensions["x-access"].(string)
	for _, p := range o.Parameters {
		op.Params = append(op.Params, param{p.Name, p.In, s.kind(p.Schema), or(p.Description, text(p.Schema)), p.Required})
	}
	var body string
	if o.RequestBody != nil {
		var kinds []string
		for kind, m := range o.RequestBody.Content {
			kinds = append(kinds, kind)
			if kind == "application/json" && m.Schema != nil {
				op.Body = s.fields(m.Schema, "", 0)
				body = s.example(m.Schema)
			}
		}
		slices.Sort(kinds)
		op.BodyKinds = strings.Join(kinds, ", ")
	}
	for status, resp := range o.Responses {
		if status == "default" {
			continue // every operation's: a problem document
		}
		a := reply{Status: status, Text: resp.Description}
		if m := resp.Content["application/json"]; m != nil && m.Schema != nil {
			a.Fields, a.Example = s.fields(m.Schema, "", 0), s.example(m.Schema)
		}
		op.Answers = append(op.Answers, a)
	}
	slices.SortFunc(op.Answers, func(a, b reply) int { return strings.Compare(a.Status, b.Status) })
	op.Curl = curl(op, base, body)
	return op
}

// curl writes the call as a command for a POSIX shell. Whoever has PLUMB_TOKEN
// set can run it as it is.
func curl(o operation, base, body string) string {
	path := o.Path
	for _, p := range o.Params {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", strings.ToUpper(p.Name))
		}
	}
	parts := []string{"curl"}
	if o.Method != http.MethodGet {
		parts[0] += " -X " + o.Method
	}
	if o.Access != string(web.Public) {
		parts = append(parts, `-H "Authorization: Bearer $PLUMB_TOKEN"`)
	}
	kind := "application/json"
	if body == "" && o.BodyKinds != "" {
		kind, _, _ = strings.Cut(o.BodyKinds, ", ")
	}
	switch {
	case body != "":
		parts = append(parts, "-H 'Content-Type: "+kind+"'", "-d "+quote(body))
	case o.BodyKinds != "":
		parts = append(parts, "-H 'Content-Type: "+kind+"'", "--data-binary @FILE")
	}
	parts = append(parts, quote(base+path))
	return strings.Join(parts, " \\\n  ")
}

// quote quotes s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// anchor turns "POST /api/v1/x/{id}" into a fragment.
func anchor(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '{' || r == '}':
			return -1
		}
		return '-'
	}, s), "-")
}

// sketch reads schemas, following references.
type sketch struct{ reg huma.Registry }

func (s sketch) at(sc *huma.Schema) *huma.Schema {
	if sc != nil && sc.Ref != "" {
		if to := s.reg.SchemaFromRef(sc.Ref); to != nil {
			return to
		}
	}
	if sc == nil {
		return &huma.Schema{}
	}
	return sc
}

// kind says a schema's type in words.
func (s sketch) kind(sc *huma.Schema) string {
	sc = s.at(sc)
	switch {
	case sc.Type == "array":
		return "list of " + s.kind(sc.Items)
	case sc.Format == "date-time":
		return "time"
	case sc.Type == "":
		return "any"
	}
	return sc.Type
}

func text(sc *huma.Schema) string {
	if sc == nil {
		return ""
	}
	return sc.Description
}

// deepest bounds how far fields are listed: a schema may contain itself.
const deepest = 4

// fields lists an object's fields, those of objects within it below them.
func (s sketch) fields(sc *huma.Schema, at string, depth int) []field {
	sc = s.at(sc)
	if sc.Type == "array" {
		return s.fields(sc.Items, at+"[]", depth)
	}
	if depth >= deepest {
		return nil
	}
	var list []field
	for _, name := range s.names(sc) {
		p := sc.Properties[name]
		path := name
		if at != "" {
			path = at + "." + name
		}
		list = append(list, field{path, s.kind(p), or(text(p), text(s.at(p))), slices.Contains(sc.Required, name)})
		if in := s.at(p); in.Type == "object" || in.Type == "array" {
			list = append(list, s.fields(p, path, depth+1)...)
		}
	}
	return list
}

// names are an object's properties, those required first.
func (s sketch) names(sc *huma.Schema) []string {
	var names []string
	for name := range sc.Properties {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		ra, rb := slices.Contains(sc.Required, a), slices.Contains(sc.Required, b)
		if ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

// example writes an example as JSON, its fields in the order of their names.
func (s sketch) example(sc *huma.Schema) string {
	b, err := json.MarshalIndent(s.value(sc, 0), "", "  ")
	if err != nil {
		return "" // an example of the schema's own that JSON cannot hold
	}
	return string(b)
}

func (s sketch) value(sc *huma.Schema, depth int) any {
	if sc != nil && len(sc.Examples) > 0 {
		return sc.Examples[0]
	}
	sc = s.at(sc)
	switch {
	case len(sc.Examples) > 0:
		return sc.Examples[0]
	case sc.Default != nil:
		return sc.Default
	case len(sc.Enum) > 0:
		return sc.Enum[0]
	}
	switch sc.Type {
	case "object":
		obj := map[string]any{}
		if depth < deepest {
			for name, p := range sc.Properties {
				obj[name] = s.value(p, depth+1)
			}
		}
		return obj
	case "array":
		if depth >= deepest {
			return []any{}
		}
		return []any{s.value(sc.Items, depth+1)}
	case "integer", "number":
		if sc.Minimum != nil && *sc.Minimum > 1 {
			return *sc.Minimum
		}
		return 1
	case "boolean":
		return true
	case "string":
		if sc.Format == "date-time" {
			return "2026-11-22T21:40:00Z"
		}
		return "text"
	}
	return nil
}
