package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
)

type enrolIn struct {
	City string `path:"city" maxLength:"20"`
	N    int    `query:"n" minimum:"1" maximum:"9" default:"1"`
	Body struct {
		ID     string `json:"id" minLength:"1" maxLength:"64"`
		Secret string `json:"secret,omitempty" maxLength:"4"`
	}
}

type enrolOut struct {
	Status int
	Body   struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
}

func house1(t *testing.T) (http.Handler, *API) {
	t.Helper()
	mux := http.NewServeMux()
	g := NewGate(people, quiet())
	api := NewAPI(mux, g, "0.1")
	api.Add(
		Operation(Operator, huma.Operation{Method: "POST", Path: "/api/v1/vending/cities/{city}/machines", Summary: "Enrol a machine"},
			func(_ context.Context, in *enrolIn) (*enrolOut, error) {
				switch in.Body.ID {
				case "twice":
					return nil, errs.New(errs.Conflict, "machine %s is enrolled", in.Body.ID)
				case "busy":
					return nil, errs.TryAfter(3*time.Second, "busy")
				case "broken":
					return nil, errors.New("disk on fire")
				case "panic":
					panic("late")
				case "bounds":
					return nil, errs.WithDetails("bad", []errs.Detail{{Where: "body.id", What: "is odd"}})
				}
				out := &enrolOut{Status: 201}
				out.Body.ID, out.Body.Token = in.Body.ID, "t"
				return out, nil
			}),
		RawOperation(Machine, huma.Operation{Method: "POST", Path: "/api/v1/vending/machines/{id}/dts", Summary: "Send an audit file", MaxBodyBytes: 8},
			func(w http.ResponseWriter, r *http.Request) error {
				WriteJSON(w, 200, report{ReportID: r.PathValue("id")})
				return nil
			}).Describe(nil, report{}),
	)
	return House(mux, g, Options{}), api
}

func TestOperations(t *testing.T) {
	h, _ := house1(t)
	path := "/api/v1/vending/cities/Berlin/machines"
	for _, c := range []struct {
		name, path, token, body string
		status                  int
		want                    string
	}{
		{"good", path, "op", `{"id":"m-1"}`, 201, `{"id":"m-1","token":"t"}`},
		{"stranger", path, "", `{"id":"m-1"}`, 401, "Sign in"},
		{"machine", path, "m-1", `{"id":"m-1"}`, 403, "a machine"},
		{"conflict", path, "op", `{"id":"twice"}`, 409, "machine twice is enrolled"},
		{"busy", path, "op", `{"id":"busy"}`, 503, "busy"},
		{"internal", path, "op", `{"id":"broken"}`, 500, "Something went wrong"},
		{"panic", path, "op", `{"id":"panic"}`, 500, "Something went wrong"},
		{"details", path, "op", `{"id":"bounds"}`, 422, `"errors":[{"location":"body.id","message":"is odd"}]`},
		{"unknown field", path, "op", `{"id":"a","x":1}`, 422, `"location":"body.x"`},
		{"missing", path, "op", `{}`, 422, `"location":"body"`},
		{"query", path + "?n=10", "op", `{"id":"a"}`, 422, `"location":"query.n"`},
		{"syntax", path, "op", `{"id":`, 400, "line 1, column 7"},
		{"empty", path, "op", ``, 400, "body"},
		{"too large", path, "op", `{"id":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "body"},
		{"other content", path, "op", `<id/>`, 400, "JSON"},
	} {
		w := do(h, ask{method: "POST", path: c.path, token: c.token, body: c.body, kind: "application/json"})
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if c.status >= 400 {
			var d Document
			if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.Title == "" || d.Status != c.status || d.ID == "" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: not a problem document: %v %s", c.name, w.Header(), w.Body)
			}
			if strings.Contains(w.Body.String(), "fire") || strings.Contains(w.Body.String(), "$schema") {
				t.Errorf("%s: %s", c.name, w.Body)
			}
		}
		if c.status == 503 && w.Header().Get("Retry-After") != "3" {
			t.Errorf("%s: %v", c.name, w.Header())
		}
	}
	w := do(h, ask{method: "POST", path: path, token: "op", body: `{"id":"a","secret":"hunter2"}`, kind: "application/json"})
	if w.Code != 422 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("a value was quoted: %s", w.Body)
	}
	raw := "/api/v1/vending/machines/m-1/dts"
	if w := do(h, ask{method: "POST", path: raw, token: "m-1", body: "x"}); w.Code != 200 || !strings.Contains(w.Body.String(), "m-1") {
		t.Errorf("raw: %d %s", w.Code, w.Body)
	}
	if w := do(h, ask{method: "GET", path: raw, token: "m-1"}); w.Code != 405 {
		t.Errorf("raw: %d %s", w.Code, w.Body)
	}
}

func TestDocument(t *testing.T) {
	h, _ := house1(t)
	w := do(h, ask{path: "/openapi.json"})
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Tags        []string
			Access      string `json:"x-access"`
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct{ Content map[string]any }
			Security    []map[string][]string
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Fatal(err, w.Body)
	}
	enrol := d.Paths["/api/v1/vending/cities/{city}/machines"]["post"]
	dts := d.Paths["/api/v1/vending/machines/{id}/dts"]["post"]
	for _, o := range []string{enrol.Tags[0], dts.Tags[0]} {
		if o != "vending" {
			t.Error(o)
		}
	}
	if enrol.OperationID != "post-vending-cities-city-machines" || enrol.Access != "operator" || len(enrol.Security) != 1 {
		t.Errorf("%+v", enrol)
	}
	if _, ok := enrol.Responses["default"].Content["application/problem+json"]; !ok {
		t.Errorf("%+v", enrol.Responses)
	}
	if len(dts.Parameters) != 1 || dts.Parameters[0].Name != "id" || dts.Responses["200"].Content["application/json"] == nil {
		t.Errorf("%+v", dts)
	}
	for _, unwanted := range []string{"ErrorModel", "ErrorDetail"} {
		if d.Components.Schemas[unwanted] != nil {
			t.Errorf("%s is described but never sent", unwanted)
		}
	}
	if d.Components.Schemas["Document"] == nil || strings.Contains(w.Body.String(), "$schema") {
		t.Errorf("%v", d.Components.Schemas)
	}
	if again := do(h, ask{path: "/openapi.json", header: map[string]string{"If-None-Match": w.Header().Get("ETag")}}); again.Code != 304 || again.Body.Len() != 0 {
		t.Error(again.Code)
	}
	if w := do(h, ask{method: "DELETE", path: "/openapi.json"}); w.Code != 405 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Error(w.Code, w.Header())
	}
}
