package vending

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/engines/web"
	"plumb/systems/vending/internal/dts"
)

// The wire types of EVA-DTS audits, over HTTP and on the command line.

// auditsAPI lists the operations.
func (s *System) auditsAPI() []web.Op {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary}
	}
	audit := op("POST", "/machines/{id}/dts", "Take an EVA-DTS audit file of the machine (text/plain)")
	audit.MaxBodyBytes = dts.MaxBytes
	audit.Description = "Answered when the file is durable. The first serial number that a machine's files name belongs to it; a file of another is refused with 409. A file with a wrong checksum is kept, and its counters are not believed."
	audit.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}
	gateway := op("POST", "/dts", "Take EVA-DTS files of many machines: NDJSON, answered line by line")
	gateway.MaxBodyBytes = gatewayBytes
	gateway.Description = "For a telemetry gateway, with an operator's token: each line is {machine, file} or {machine, base64}. A line that is answered with stored or duplicate is durable, and stops no other; send refused ones again after retry_in_s."
	unbind := op("DELETE", "/machines/{id}/serial", "Forget the serial number of a machine that was exchanged")
	unbind.DefaultStatus = noContent
	return []web.Op{
		web.RawOperation(web.MachineOrOperator, audit, s.postAudit).Describe(nil, auditOut{}),
		web.RawOperation(web.Operator, gateway, s.postAudits).Describe(fileIn{}, fileLine{}),
		web.Operation(web.Person, op("GET", "/machines/{id}/audits", "A machine's EVA-DTS files, the newest first, and its serial number"), s.getAudits),
		web.Operation(web.Person, op("GET", "/machines/{id}/audits/{audit}", "An EVA-DTS file, read anew"), s.getAudit),
		web.RawOperation(web.Person, op("GET", "/machines/{id}/audits/{audit}/file", "An EVA-DTS file, byte for byte as it came"), s.getFile),
		web.Operation(web.Person, op("GET", "/machines/{id}/sales", "What a machine sold between its audits, the newest first"), s.getSales),
		web.Operation(web.Operator, unbind, s.deleteSerial),
	}
}

type auditOut struct {
	ID       string   `json:"id,omitempty" doc:"SHA-256 of the file"`
	Status   string   `json:"status,omitempty" enum:"stored,duplicate"`
	Received string   `json:"received_at,omitempty" format:"date-time"`
	File     string   `json:"file,omitempty" doc:"On the command line: its name"`
	Verdict  string   `json:"verdict" enum:"ok,no_checksum,bad_checksum" doc:"The worst of its sets"`
	Sets     []setOut `json:"sets"`
	Warnings []string `json:"warnings"`
	Problem  string   `json:"problem,omitempty" doc:"On the command line: why the file was not read"`
}

type setOut struct {
	Verdict  string       `json:"verdict" enum:"ok,no_checksum,bad_checksum"`
	Machine  string       `json:"machine" doc:"Serial number"`
	Model    string       `json:"model,omitempty"`
	Decimals int          `json:"decimals" doc:"Of all money here"`
	Currency string       `json:"currency,omitempty" doc:"ISO 4217"`
	Taken    string       `json:"taken_at_local,omitempty" doc:"By the machine's clock, in no zone"`
	Sold     int64        `json:"sold" doc:"Vends since the machine was initialised"`
	Value    int64        `json:"value"`
	Cash     cashOut      `json:"cash"`
	Products []productOut `json:"products"`
	Events   []eventOut   `json:"events"`
	Unknown  int          `json:"unknown_records" doc:"Of kinds that are not read; they are kept"`
}

type cashOut struct {
	Sales int64 `json:"sales" doc:"Paid in cash since the machine was initialised"`
	Box   int64 `json:"box"`
	Tubes int64 `json:"tubes"`
}

type productOut struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Price      int64  `json:"price"`
	Capacity   int64  `json:"capacity,omitempty"`
	Sold       int64  `json:"sold"`
	Value      int64  `json:"value"`
	SinceReset int64  `json:"sold_since_reset,omitempty"`
	Free       int64  `json:"free,omitempty" doc:"Given away since the machine was initialised"`
	SoldOut    bool   `json:"sold_out,omitempty" doc:"At least once since the interval was reset"`
}

type eventOut struct {
	Code   string `json:"code"`
	Fault  string `json:"fault,omitempty" enum:"coin_jam,stuck_item,door_open,temperature,card_reader,other" doc:"Absent for what is no fault"`
	Count  int64  `json:"count" doc:"Since the last reset"`
	Active bool   `json:"active"`
}

func fileOut(f dts.File) auditOut {
	out := auditOut{Verdict: string(f.Verdict), Sets: []setOut{}, Warnings: append([]string{}, f.Warnings...)}
	for _, s := range f.Sets {
		o := setOut{Verdict: string(s.Verdict), Machine: s.Machine, Model: s.Model, Decimals: s.Decimals, Currency: s.Currency, Taken: s.Taken,
			Sold: s.Sold, Value: s.Value, Cash: cashOut(s.Cash), Products: []productOut{}, Events: []eventOut{}, Unknown: s.Unknown}
		for _, p := range s.Products {
			o.Products = append(o.Products, productOut{p.ID, p.Name, p.Price, p.Capacity, p.Sold, p.Value, p.SinceReset, p.Free, p.SoldOut})
		}
		for _, e := range s.Events {
			o.Events = append(o.Events, eventOut{e.Code, e.Fault(), e.Count, e.Active})
		}
		out.Sets = append(out.Sets, o)
	}
	return out
}

func (a Audit) out() auditOut {
	o := fileOut(a.File)
	o.ID, o.Status, o.Received = a.ID, "stored", a.Received.Format(wireTime)
	if a.Duplicate {
		o.Status = "duplicate"
	}
	return o
}

type auditsIn struct {
	ID     string `path:"id" maxLength:"64"`
	Cursor string `query:"cursor" maxLength:"400"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type auditsOut struct {
	Serial string         `json:"serial,omitempty" doc:"The serial number that belongs to the machine"`
	Audits []pastAuditOut `json:"audits"`
	Next   string         `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

type pastAuditOut struct {
	ID       string    `json:"id"`
	Received time.Time `json:"received_at"`
	Verdict  string    `json:"verdict"`
}

func (s *System) getAudits(ctx context.Context, in *auditsIn) (*answer[auditsOut], error) {
	if _, err := s.Machine(ctx, in.ID); err != nil {
		return nil, err
	}
	list, next, err := s.Audits(ctx, in.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	serial, err := s.Serial(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := auditsOut{Serial: serial, Audits: make([]pastAuditOut, len(list)), Next: next}
	for i, a := range list {
		out.Audits[i] = pastAuditOut(a)
	}
	return &answer[auditsOut]{out}, nil
}

type auditIn struct {
	ID    string `path:"id" maxLength:"64"`
	Audit string `path:"audit" maxLength:"64"`
}

func (s *System) getAudit(ctx context.Context, in *auditIn) (*answer[auditOut], error) {
	text, err := s.AuditText(ctx, in.ID, in.Audit)
	if err != nil {
		return nil, err
	}
	f, err := dts.Read(text)
	if err != nil {
		return nil, err
	}
	o := fileOut(f)
	o.ID = in.Audit
	return &answer[auditOut]{o}, nil
}

func (s *System) deleteSerial(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Unbind(ctx, in.ID)
}

type salesIn struct {
	ID    string `path:"id" maxLength:"64"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type salesOut struct {
	Sales []saleOut `json:"sales"`
}

type saleOut struct {
	Since time.Time        `json:"since"`
	Until time.Time        `json:"until"`
	Sold  map[string]int64 `json:"sold" doc:"Items by selection"`
}

func (s *System) getSales(ctx context.Context, in *salesIn) (*answer[salesOut], error) {
	if _, err := s.Machine(ctx, in.ID); err != nil {
		return nil, err
	}
	list, err := s.Sales(ctx, in.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	out := salesOut{Sales: make([]saleOut, len(list))}
	for i, v := range list {
		out.Sales[i] = saleOut{v.Since, v.Until, v.Items}
	}
	return &answer[salesOut]{out}, nil
}
