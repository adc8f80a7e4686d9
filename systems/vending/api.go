package vending

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/web"
)

const (
	apiRoot    = "/api/v1/vending"
	batchBytes = 4 << 20  // of an NDJSON body
	batchLines = 10_000   // in it
	fileBytes  = 64 << 20 // of a CSV file: about a million machines
)

// api lists the operations.
func (s *System) api() []web.Op {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary}
	}
	enrol := op("POST", "/machines", "Enrol a machine; its token is shown this once")
	enrol.DefaultStatus = http.StatusCreated
	revoke := op("DELETE", "/machines/{id}", "Revoke a machine: its token ends, its history stays")
	revoke.DefaultStatus = http.StatusNoContent
	restore := op("POST", "/machines/{id}/restore", "Undo a revocation: the same token is good again")
	restore.DefaultStatus = http.StatusNoContent
	reports := op("POST", "/reports", "Report: one JSON object, or NDJSON (application/x-ndjson) answered line by line")
	reports.MaxBodyBytes = batchBytes
	reports.Description = "Answered when the reports are durable; each report id is stored once. 503 and 429 carry Retry-After and retry_in_s: a place is kept for this machine then. " +
		"A taken_at more than 5 minutes ahead or older than the retention is not believed: the report is kept under the time it came, and the answer names that."
	file := op("POST", "/machines/import", "Enrol the machines of a CSV file (id, city, lat, lon, model), answered line by line as NDJSON")
	file.MaxBodyBytes = fileBytes
	file.Description = "Resumable: what is answered is durable, a bad line stops no other, and a machine that stands there already is answered with unchanged. After a failure send the same file again."
	file.Parameters = []*huma.Param{{Name: "credentials", In: "query", Description: "token (the default) or code: what each new machine gets", Schema: &huma.Schema{Type: "string", Enum: []any{"token", "code"}}}}
	file.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}}}
	plan := op("POST", "/plans", "Plan a city's night: the newest plan there is, or a new one")
	plan.Description = "200 with the plan that is there, 202 with one that was queued; a night's plan is made by itself when its reports are in, with a deadline. The same request again does nothing more."
	return append([]web.Op{
		web.Operation(web.Operator, plan, s.postPlan),
		web.Operation(web.Person, op("GET", "/plans", "Plans, the newest nights first"), s.getPlans),
		web.Operation(web.Person, op("GET", "/plans/{city}/{date}", "A night's plan with its routes"), s.getPlan),
		web.RawOperation(web.Person, op("GET", "/plans/{city}/{date}/routes.csv", "A plan's stops and loads as CSV"), s.exported("csv", "text/csv; charset=utf-8")),
		web.RawOperation(web.Person, op("GET", "/plans/{city}/{date}/routes.geojson", "A plan's routes as GeoJSON (RFC 7946)"), s.exported("geojson", "application/geo+json")),
		web.Operation(web.Operator, op("PUT", "/cities/{city}", "Define or change a city"), s.putCity),
		web.Operation(web.Person, op("GET", "/cities", "The defined cities"), s.getCities),
		web.Operation(web.Person, op("GET", "/tonight", "How the night stands, by city"), s.getTonight),
		web.Operation(web.Operator, enrol, s.postMachine),
		web.RawOperation(web.Operator, file, s.postImport).Describe(nil, importedOut{}),
		web.Operation(web.Person, op("GET", "/machines", "List machines"), s.getMachines),
		web.Operation(web.Person, op("GET", "/machines/{id}", "A machine and its newest report"), s.getMachine),
		web.Operation(web.Operator, revoke, s.deleteMachine),
		web.Operation(web.Operator, restore, s.postRestore),
		web.Operation(web.Operator, op("POST", "/machines/{id}/code", "Make a one-time code with which the machine gets a new token"), s.postCode),
		web.Operation(web.Person, op("GET", "/machines/{id}/reports", "A machine's reports, the newest first"), s.getHistory),
		web.Operation(web.Person, op("GET", "/machines/{id}/refused", "Messages of a machine that could not be stored as reports, the newest first"), s.getRefused),
		web.Operation(web.Public, op("POST", "/enrol", "Change a one-time code for the machine's token"), s.postEnrol),
		web.RawOperation(web.Machine, reports, s.postReports).Describe(reportIn{}, receiptOut{}),
	}, slices.Concat(s.auditsAPI(), s.opsAPI(), s.regionsAPI())...)
}

// postReports takes reports of the machine whose token came with them.
func (s *System) postReports(w http.ResponseWriter, r *http.Request) error {
	m, err := s.n.Fleet.ByWho(r.Context(), realm, web.WhoIs(r.Context()))
	if err != nil {
		return err
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-ndjson" || kind == "application/jsonl" || kind == "application/ndjson" {
		text, err := readAll(r)
		if err != nil {
			return err
		}
		// The status goes out with the first line; until then a refusal has its own.
		out := &lazy{w: w, kind: "application/x-ndjson"}
		return s.refusal(w, r, s.stream(r.Context(), m, text, out))
	}
	// Read before it is let in: a body that trickles in would keep its place in
	// the queue from everybody else.
	text, err := readAll(r)
	if err != nil {
		return err
	}
	receipts, err := s.Report(r.Context(), m, 1, func() ([]Report, error) {
		one, err := decodeReport(text)
		return []Report{one}, err
	})
	if err == nil {
		err = receipts[0].Err
	}
	if err != nil {
		return s.refusal(w, r, err)
	}
	out := receipts[0].out()
	out.Commands = commandsOut(s.waitingFor(r.Context(), m.ID))
	web.WriteJSON(w, http.StatusOK, out)
	return nil
}

// postAudit takes a file from its machine, or from an operator on its behalf.
func (s *System) postAudit(w http.ResponseWriter, r *http.Request) error {
	id, who := r.PathValue("id"), web.WhoIs(r.Context())
	m := fleet.Machine{Realm: realm, ID: id}
	if who.Kind == "machine" {
		var err error
		if m, err = s.n.Fleet.ByWho(r.Context(), realm, who); err != nil {
			return err
		}
		if m.ID != id {
			return errs.New(errs.Denied, "machine %s may send its own audits only", m.ID)
		}
	} else {
		d, err := s.Machine(r.Context(), id)
		if err != nil {
			return err
		}
		m.Cohort = d.City
	}
	text, err := readAll(r)
	if err != nil {
		return err
	}
	a, err := s.Audit(r.Context(), m, text)
	if err != nil {
		return s.refusal(w, r, err)
	}
	web.WriteJSON(w, http.StatusOK, a.out())
	return nil
}

// postAudits takes files of many machines from a gateway.
func (s *System) postAudits(w http.ResponseWriter, r *http.Request) error {
	text, err := readSome(r, gatewayBytes)
	if err != nil {
		return err
	}
	out := &lazy{w: w, kind: "application/x-ndjson"}
	return s.refusal(w, r, s.streamFiles(r.Context(), web.WhoIs(r.Context()).ID, text, out))
}

// getFile answers with the file of an audit, as it came.
func (s *System) getFile(w http.ResponseWriter, r *http.Request) error {
	text, err := s.AuditText(r.Context(), r.PathValue("id"), r.PathValue("audit"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain") // in the machine's code page: nobody knows which
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(text)
	return err
}

// exported answers with a plan's routes in a form for other programs.
func (s *System) exported(form, kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		date, err := dateIn(r.PathValue("date"))
		if err != nil {
			return err
		}
		revision, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("revision"), "0"))
		if err != nil || revision < 0 {
			return errs.New(errs.Invalid, "revision must be a whole number from 0")
		}
		p, err := s.Plan(r.Context(), r.PathValue("city"), date, revision)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := s.export(&text, form, p); err != nil {
			return err
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=\"routes-%s-%s.%s\"", ascii(p.City), date, form))
		w.Write(text.Bytes())
		return nil
	}
}

// ascii keeps the letters of a name that every browser takes in a file's name.
func ascii(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}

// readAll reads the body, which the gate has bounded.
func readAll(r *http.Request) ([]byte, error) { return readSome(r, 64<<10) }

// readSome is readAll for who is believed to send as much as it says, up to most.
func readSome(r *http.Request, most int64) ([]byte, error) {
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, most)) + bytes.MinRead) // in one piece, where the length is honest
	}
	_, err := buf.ReadFrom(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, errs.New(errs.TooLarge, "the body is larger than the limit of %d bytes", large.Limit)
	}
	if err != nil {
		return nil, web.Malformed(errs.Wrap(errs.Invalid, err, "the body could not be read to its end"))
	}
	return buf.Bytes(), nil
}

// lazy sends the header with the first byte.
type lazy struct {
	w    http.ResponseWriter
	kind string
	sent bool
}

func (l *lazy) Write(b []byte) (int, error) {
	if !l.sent {
		l.sent = true
		l.w.Header().Set("Content-Type", l.kind)
		l.w.WriteHeader(http.StatusOK)
	}
	return l.w.Write(b)
}

// refused is the problem document of a refusal at the door.
type refused struct {
	web.Document
	Reason   string  `json:"reason"`     // busy, away, rate
	RetryInS float64 `json:"retry_in_s"` // finer than Retry-After
	RetryAt  string  `json:"retry_at"`
}

// moved is the problem document for a machine of another region (RFC 9110, 15.5.20).
type moved struct {
	web.Document
	Cell cellOut `json:"cell"`
}

// refusal answers a refusal at the door, or one that names another cell, itself,
// because it says more than other errors do, and returns any other error.
func (s *System) refusal(w http.ResponseWriter, r *http.Request, err error) error {
	var away *Elsewhere
	if errors.As(err, &away) {
		d := moved{Cell: *away.Cell.out()}
		d.Title, d.Status, d.Detail, d.ID = "This machine belongs to another region", http.StatusMisdirectedRequest, errs.Message(err), web.RequestID(r.Context())
		return writeProblem(w, d.Status, d)
	}
	var door *Refused
	if !errors.As(err, &door) {
		return err
	}
	d := refused{Reason: door.Reason, RetryInS: inSeconds(door.Wait), RetryAt: s.n.Clock.Now().Add(door.Wait).UTC().Format(wireTime)}
	d.Title, d.Status, d.Detail, d.ID = "Busy; come again at the time given", http.StatusServiceUnavailable, errs.Message(err), web.RequestID(r.Context())
	if door.Reason == becauseRate {
		d.Title, d.Status = "Too many reports from this machine", http.StatusTooManyRequests
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(max(1, math.Ceil(door.Wait.Seconds())))))
	return writeProblem(w, d.Status, d)
}

// writeProblem writes a problem document that says more than others do.
func writeProblem(w http.ResponseWriter, status int, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("write a refusal: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body) // a machine that went away cannot be told
	return nil
}

type importedOut struct {
	Line   int    `json:"line"`
	ID     string `json:"id,omitempty"`
	Status string `json:"status" enum:"enrolled,unchanged,invalid,conflict"`
	Token  string `json:"token,omitempty"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// postImport answers after the whole file has been read: a client that only
// reads once it has sent all would otherwise wait for us, and we for it.
func (s *System) postImport(w http.ResponseWriter, r *http.Request) error {
	codes := false
	switch c := r.URL.Query().Get("credentials"); c {
	case "", "token":
	case "code":
		codes = true
	default:
		return errs.New(errs.Invalid, "credentials must be token or code, not %.20q", c)
	}
	text, err := readAll(r)
	if err != nil {
		return err
	}
	out := &lazy{w: w, kind: "application/x-ndjson"}
	enc := json.NewEncoder(out)
	err = s.Import(r.Context(), bytes.NewReader(text), codes, func(i Imported) error {
		return enc.Encode(importedOut{i.Line, i.ID, i.Status, i.Token, i.Code, errs.Message(i.Err)})
	})
	if err != nil && out.sent {
		// Half the answer is out: cut the connection, so that it does not look whole.
		s.n.Log.Error("an import ended early; the same file may be sent again", "error", err)
		panic(http.ErrAbortHandler)
	}
	if err == nil && !out.sent {
		_, err = out.Write(nil) // a header, and no machine
	}
	return err
}

type cityOut struct {
	City        string `json:"city"`
	Zone        string `json:"zone"`
	Depot       point  `json:"depot"`
	Vehicles    int    `json:"vehicles"`
	Technicians int    `json:"technicians"`
	Capacity    int    `json:"capacity"`
	Shift       int    `json:"shift_minutes"`
	Region      string `json:"region,omitempty" doc:"The cell that serves the city, where that is not this house"`
}

type point struct {
	Lat float64 `json:"lat" minimum:"-90" maximum:"90"`
	Lon float64 `json:"lon" minimum:"-180" maximum:"180"`
}

func (c City) out() cityOut {
	return cityOut{c.Name, c.Zone, point{c.Lat, c.Lon}, c.Vehicles, c.Technicians, c.Capacity, int(c.Shift / time.Minute), c.Region}
}

type putCityIn struct {
	City string `path:"city" maxLength:"64"`
	Body struct {
		Zone        string  `json:"zone,omitempty" doc:"IANA time zone; known for the world's large cities" example:"Europe/Berlin"`
		Depot       *point  `json:"depot,omitempty" doc:"Where vehicles start; the centre of a known city"`
		Vehicles    *int    `json:"vehicles,omitempty" minimum:"0" maximum:"10000" doc:"Of restockers"`
		Technicians *int    `json:"technicians,omitempty" minimum:"0" maximum:"10000" doc:"Each with a vehicle"`
		Capacity    *int    `json:"capacity,omitempty" minimum:"1" maximum:"1000000" doc:"Items that a vehicle carries"`
		Shift       *int    `json:"shift_minutes,omitempty" minimum:"1" maximum:"1440"`
		Region      *string `json:"region,omitempty" maxLength:"64" doc:"The cell that serves the city, where that is not this house"`
	}
}

// answer wraps an answer as huma wants it.
type answer[T any] struct{ Body T }

func (s *System) putCity(ctx context.Context, in *putCityIn) (*answer[cityOut], error) {
	b := in.Body
	n := NewCity{Zone: b.Zone, Vehicles: b.Vehicles, Technicians: b.Technicians, Region: b.Region, Capacity: b.Capacity}
	if b.Depot != nil {
		n.Lat, n.Lon = &b.Depot.Lat, &b.Depot.Lon
	}
	if b.Shift != nil {
		d := time.Duration(*b.Shift) * time.Minute
		n.Shift = &d
	}
	c, err := s.SetCity(ctx, in.City, n)
	if err != nil {
		return nil, err
	}
	return &answer[cityOut]{c.out()}, nil
}

type citiesOut struct {
	Cities []cityOut `json:"cities"`
}

func (s *System) getCities(context.Context, *struct{}) (*answer[citiesOut], error) {
	out := citiesOut{Cities: []cityOut{}}
	for _, c := range s.Cities() {
		out.Cities = append(out.Cities, c.out())
	}
	return &answer[citiesOut]{out}, nil
}
