package vending

import (
	"context"
	"time"

	"plumb/engines/once"
	"plumb/engines/web"
)

// The wire types of machines, and the operations on them.

// Retryable is the header of a request that may have to be sent again.
type Retryable struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"Chosen by the client, good for 24 hours: the same key with the same body gets the same answer and does nothing more"`
}

// request says whose key it is: a person's for themself, a stranger's for all.
func (r Retryable) request(ctx context.Context) once.Request {
	return once.Request{Scope: web.WhoIs(ctx).ID, Key: r.Key}
}

type machineIn struct {
	Retryable
	Body struct {
		ID    string   `json:"id" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$"`
		City  string   `json:"city" minLength:"1" maxLength:"64" doc:"Defined here, or in the table of the world's large cities"`
		Lat   *float64 `json:"lat,omitempty" minimum:"-90" maximum:"90"`
		Lon   *float64 `json:"lon,omitempty" minimum:"-180" maximum:"180"`
		Model string   `json:"model,omitempty" maxLength:"64"`
	}
}

type enrolledOut struct {
	ID       string `json:"id"`
	Token    string `json:"token" doc:"Shown this once"`
	Endpoint string `json:"endpoint" doc:"Where the machine reports"`
	ReportAt string `json:"report_at" format:"date-time" doc:"When it is first expected; it may report before"`

	Cell *cellOut `json:"cell,omitempty" doc:"Where it belongs, in a house of several regions"`
}

func (e Enrolled) out() enrolledOut {
	return enrolledOut{e.ID, e.Token, e.Endpoint, e.ReportAt.Format(wireTime), e.Cell.out()}
}

func (s *System) postMachine(ctx context.Context, in *machineIn) (*answer[enrolledOut], error) {
	b := in.Body
	e, err := s.EnrolOnce(ctx, NewMachine{ID: b.ID, City: b.City, Lat: b.Lat, Lon: b.Lon, Model: b.Model}, in.request(ctx))
	if err != nil {
		return nil, err
	}
	return &answer[enrolledOut]{e.out()}, nil
}

type enrolIn struct {
	Retryable
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64"`
	}
}

func (s *System) postEnrol(ctx context.Context, in *enrolIn) (*answer[enrolledOut], error) {
	e, err := s.Redeem(ctx, in.Body.Code, in.request(ctx))
	if err != nil {
		return nil, err
	}
	return &answer[enrolledOut]{e.out()}, nil
}

type idIn struct {
	ID string `path:"id" maxLength:"64"`
}

type codeOut struct {
	ID      string `json:"id"`
	Code    string `json:"code" doc:"Good once, at POST /api/v1/vending/enrol"`
	Expires string `json:"expires_at" format:"date-time"`
}

type codeIn struct {
	Retryable
	ID string `path:"id" maxLength:"64"`
}

func (s *System) postCode(ctx context.Context, in *codeIn) (*answer[codeOut], error) {
	c, err := s.Code(ctx, in.ID, in.request(ctx))
	if err != nil {
		return nil, err
	}
	return &answer[codeOut]{codeOut{in.ID, c.Code, c.Expires.UTC().Format(wireTime)}}, nil
}

func (s *System) deleteMachine(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Revoke(ctx, in.ID)
}

func (s *System) postRestore(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Restore(ctx, in.ID)
}

type machineOut struct {
	ID           string     `json:"id"`
	City         string     `json:"city"`
	Lat          *float64   `json:"lat,omitempty"`
	Lon          *float64   `json:"lon,omitempty"`
	Model        string     `json:"model,omitempty"`
	State        string     `json:"state" enum:"ok,new,faulty,late,revoked" doc:"The one word that matters most"`
	Late         bool       `json:"late"`
	EnrolledAt   *time.Time `json:"enrolled_at,omitempty"`
	RevokedAt    *time.Time `json:"revoked_at,omitempty"`
	ReportID     string     `json:"report_id,omitempty" doc:"Of the newest report by the time it was taken"`
	TakenAt      *time.Time `json:"taken_at,omitempty"`
	ReceivedAt   *time.Time `json:"received_at,omitempty" doc:"When a report last came in, however old"`
	NextReportAt *time.Time `json:"next_report_at,omitempty"`
	FaultCount   int        `json:"fault_count"`
	Severity     string     `json:"severity,omitempty" doc:"Of the worst fault"`
	SlotCount    int        `json:"slot_count"`
	EmptyCount   int        `json:"empty_count" doc:"Slots sold out"`
	Firmware     string     `json:"firmware,omitempty" doc:"That runs on the machine, as it says"`
	Config       string     `json:"config,omitempty"`
	Cohort       string     `json:"cohort,omitempty" doc:"The group that somebody put it into"`
}

// optional returns nil for the zero time.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (m Machine) out() machineOut {
	return machineOut{ID: m.ID, City: m.City, Lat: m.Lat, Lon: m.Lon, Model: m.Model, State: m.State(), Late: m.Late,
		EnrolledAt: optional(m.Added), RevokedAt: optional(m.Revoked), ReportID: m.ReportID, TakenAt: optional(m.Taken),
		ReceivedAt: optional(m.Heard), NextReportAt: optional(m.Due), FaultCount: m.Faults, Severity: m.Severity, SlotCount: m.Slots, EmptyCount: m.Empty, Firmware: m.Firmware, Config: m.Config, Cohort: m.Cohort}
}

type detailOut struct {
	machineOut
	SeenAt    *time.Time `json:"seen_at,omitempty" doc:"The last call with its token, whatever came of it; may lag by some seconds"`
	HasToken  bool       `json:"has_token" doc:"False until it changed its first code"`
	ClaimedAt *time.Time `json:"claimed_at,omitempty" doc:"The newest report's own taken_at, where it was not believed"`
	Slots     []slotOut  `json:"slots"`
	Faults    []faultOut `json:"faults"`
}

func (s *System) getMachine(ctx context.Context, in *idIn) (*answer[detailOut], error) {
	d, err := s.Machine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := detailOut{d.Machine.out(), optional(d.Seen), d.HasToken, d.Claimed, slotsOut(d.SlotList), faultsOut(d.FaultList)}
	return &answer[detailOut]{out}, nil
}

// slotOut and faultOut are the same types under names of the API's own: its
// document knows a type by its name.
type (
	slotOut  Slot
	faultOut Fault
)

func slotsOut(list []Slot) []slotOut {
	out := make([]slotOut, len(list))
	for i, s := range list {
		out[i] = slotOut(s)
	}
	return out
}

func faultsOut(list []Fault) []faultOut {
	out := make([]faultOut, len(list))
	for i, f := range list {
		out[i] = faultOut(f)
	}
	return out
}

type machinesIn struct {
	City    string `query:"city"`
	Late    bool   `query:"late" doc:"Only those whose report is overdue, the longest overdue first"`
	Faulty  bool   `query:"faulty" doc:"Only those whose newest report names faults"`
	Revoked bool   `query:"revoked" doc:"Only those that are revoked"`
	Search  string `query:"q" maxLength:"64" doc:"The beginning of the id"`
	Cohort  string `query:"cohort" maxLength:"64" doc:"Only those of a named cohort"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	Cursor  string `query:"cursor" maxLength:"300" doc:"next of the page before"`
}

type machinesOut struct {
	Machines []machineOut `json:"machines"`
	Next     string       `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func (s *System) getMachines(ctx context.Context, in *machinesIn) (*answer[machinesOut], error) {
	p, err := s.List(ctx, Filter(*in))
	if err != nil {
		return nil, err
	}
	out := machinesOut{Machines: make([]machineOut, len(p.Machines)), Next: p.Next}
	for i, m := range p.Machines {
		out.Machines[i] = m.out()
	}
	return &answer[machinesOut]{out}, nil
}

type historyIn struct {
	ID     string `path:"id" maxLength:"64"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor string `query:"cursor" maxLength:"300" doc:"next of the page before"`
}

type pastOut struct {
	ReportID   string     `json:"report_id"`
	TakenAt    time.Time  `json:"taken_at"`
	ReceivedAt time.Time  `json:"received_at"`
	ClockOff   bool       `json:"clock_off,omitempty" doc:"The machine's clock was not believed"`
	Slots      []slotOut  `json:"slots"`
	Faults     []faultOut `json:"faults"`
}

type historyOut struct {
	Reports []pastOut `json:"reports"`
	Next    string    `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func (s *System) getHistory(ctx context.Context, in *historyIn) (*answer[historyOut], error) {
	if _, err := s.Machine(ctx, in.ID); err != nil {
		return nil, err
	}
	list, next, err := s.History(ctx, in.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := historyOut{Reports: make([]pastOut, len(list)), Next: next}
	for i, p := range list {
		out.Reports[i] = pastOut{p.ID, p.Taken, p.Received, p.ClockOff, slotsOut(p.Slots), faultsOut(p.Faults)}
	}
	return &answer[historyOut]{out}, nil
}

type nightOut struct {
	City     string    `json:"city"`
	Zone     string    `json:"zone"`
	Date     string    `json:"date" format:"date"`
	Start    time.Time `json:"window_start"`
	End      time.Time `json:"window_end"`
	Progress float64   `json:"window_progress" doc:"0 to 1, by time"`
	counts
}

type counts struct {
	Machines int `json:"machines"`
	Reported int `json:"reported"`
	Waiting  int `json:"waiting"`
	Late     int `json:"late"`
	New      int `json:"new" doc:"Never heard, and not expected before the next night"`
	Faulty   int `json:"faulty"`
}

func (n Night) counts() counts {
	return counts{n.Machines, n.Reported, n.Waiting, n.Late, n.New, n.Faulty}
}

type tonightOut struct {
	Now    time.Time  `json:"now"`
	Total  counts     `json:"total"`
	Cities []nightOut `json:"cities"`
}

func (s *System) getTonight(ctx context.Context, _ *struct{}) (*answer[tonightOut], error) {
	t, err := s.Tonight(ctx)
	if err != nil {
		return nil, err
	}
	out := tonightOut{Now: t.Now.UTC(), Total: t.Total.counts(), Cities: make([]nightOut, len(t.Cities))}
	for i, n := range t.Cities {
		out.Cities[i] = nightOut{n.City, n.Zone, n.Date.String(), n.Start.UTC(), n.End.UTC(), n.Progress, n.counts()}
	}
	return &answer[tonightOut]{out}, nil
}

type refusedOut struct {
	Refused []refusalOut `json:"refused"`
}

type refusalOut struct {
	ReceivedAt time.Time `json:"received_at"`
	Why        string    `json:"why"`
	Body       string    `json:"body" doc:"As it came; cut after 16 KiB"`
}

func (s *System) getRefused(ctx context.Context, in *idIn) (*answer[refusedOut], error) {
	list, err := s.Refusals(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := refusedOut{Refused: make([]refusalOut, len(list))}
	for i, r := range list {
		out.Refused[i] = refusalOut{r.Received, r.Why, r.Body}
	}
	return &answer[refusedOut]{out}, nil
}
