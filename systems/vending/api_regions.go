package vending

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
	"plumb/engines/web"
)

// The wire types of regions and of handing machines over, and the operations on them.

const (
	noContent     = 204
	handoverBytes = 64 << 20 // 200 machines with the largest reports
)

// regionsAPI lists the operations.
func (s *System) regionsAPI() []web.Op {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary}
	}
	drop := op("DELETE", "/regions/{name}", "Forget a region that no city belongs to")
	drop.DefaultStatus = noContent
	give := op("GET", "/handover", "The machines of a city as another cell takes them over; changes nothing")
	give.Description = "Three steps, each of which may be repeated: fetch here, POST to the new cell's /handover, then change the city's region here. From then on reports here are answered with 421 and the new endpoint."
	take := op("POST", "/handover", "Take over machines of another cell, with the tokens that they have")
	take.MaxBodyBytes = handoverBytes
	move := op("POST", "/machines/{id}/move", "Put a machine into another city")
	move.DefaultStatus = noContent
	return []web.Op{
		web.Operation(web.Public, op("GET", "/bootstrap", "Where a machine reports: of a city, or with a machine's token its own"), s.getBootstrap),
		web.Operation(web.Person, op("GET", "/regions", "The cells, and which one this is"), s.getRegions),
		web.Operation(web.Operator, op("PUT", "/regions/{name}", "Define or change a cell; to be done in every cell"), s.putRegion),
		web.Operation(web.Operator, drop, s.deleteRegion),
		web.Operation(web.Operator, give, s.getHandover),
		web.Operation(web.Operator, take, s.postHandover),
		web.Operation(web.Operator, move, s.postMove),
	}
}

type cellOut struct {
	Region   string `json:"region,omitempty"`
	Endpoint string `json:"endpoint" doc:"Where to report"`
	MQTT     string `json:"mqtt_endpoint,omitempty"`
	Fallback string `json:"fallback,omitempty" doc:"Where to ask for the bootstrap when the endpoint does not answer"`
}

// out writes a cell; nil for none.
func (c *Cell) out() *cellOut {
	if c == nil {
		return nil
	}
	return &cellOut{c.Region, c.Endpoint, c.MQTT, c.Fallback}
}

type bootstrapIn struct {
	City string `query:"city" maxLength:"64" doc:"May be left out by a machine that sends its token"`
}

type bootstrapOut struct {
	City string `json:"city"`
	Zone string `json:"zone"`
	cellOut
	Here         bool     `json:"here" doc:"This house is that cell"`
	ServerTime   string   `json:"server_time" format:"date-time"`
	NextReportAt string   `json:"next_report_at,omitempty" format:"date-time" doc:"For a machine that asks for itself"`
	NextInS      *float64 `json:"next_report_in_s,omitempty"`
}

func (s *System) getBootstrap(ctx context.Context, in *bootstrapIn) (*answer[bootstrapOut], error) {
	var b Bootstrap
	var err error
	who := web.WhoIs(ctx)
	switch {
	case in.City != "":
		b, err = s.BootstrapOf(in.City)
	case who.Kind == "machine":
		m, known := s.n.Fleet.ByWho(ctx, realm, who)
		if known != nil {
			return nil, known
		}
		b, err = s.BootstrapFor(m)
	default:
		err = errs.New(errs.Invalid, "city is needed, or a machine's token")
	}
	if err != nil {
		return nil, err
	}
	now := s.n.Clock.Now()
	out := bootstrapOut{City: b.City, Zone: b.Zone, cellOut: *b.Cell.out(), Here: b.Here, ServerTime: now.UTC().Format(wireTime)}
	if !b.Next.IsZero() {
		in := inSeconds(b.Next.Sub(now))
		out.NextReportAt, out.NextInS = b.Next.Format(wireTime), &in
	}
	return &answer[bootstrapOut]{out}, nil
}

type regionOut struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	MQTT     string `json:"mqtt_endpoint,omitempty"`
	Fallback string `json:"fallback,omitempty"`
}

type regionsOut struct {
	Here    string      `json:"here,omitempty" doc:"The region that this house is; absent where it is the only one"`
	Regions []regionOut `json:"regions"`
}

func (s *System) getRegions(context.Context, *struct{}) (*answer[regionsOut], error) {
	out := regionsOut{Here: s.HomeRegion(), Regions: []regionOut{}}
	for _, r := range s.Regions() {
		out.Regions = append(out.Regions, regionOut(r))
	}
	return &answer[regionsOut]{out}, nil
}

type putRegionIn struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		Endpoint string `json:"endpoint" maxLength:"256" doc:"https://..., where the region's machines report"`
		MQTT     string `json:"mqtt_endpoint,omitempty" maxLength:"256" doc:"mqtts://host:port"`
		Fallback string `json:"fallback,omitempty" maxLength:"256" doc:"Where to ask when the endpoint does not answer: another way to the cell, or another cell"`
	}
}

func (s *System) putRegion(ctx context.Context, in *putRegionIn) (*answer[regionOut], error) {
	r, err := s.SetRegion(ctx, Region{in.Name, in.Body.Endpoint, in.Body.MQTT, in.Body.Fallback})
	if err != nil {
		return nil, err
	}
	return &answer[regionOut]{regionOut(r)}, nil
}

type nameIn struct {
	Name string `path:"name" maxLength:"64"`
}

func (s *System) deleteRegion(ctx context.Context, in *nameIn) (*struct{}, error) {
	return nil, s.DropRegion(ctx, in.Name)
}

type getHandoverIn struct {
	City   string `query:"city" minLength:"1" maxLength:"64" required:"true"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"200"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type handoverOut struct {
	Machines []Handed `json:"machines"`
	Next     string   `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func (s *System) getHandover(ctx context.Context, in *getHandoverIn) (*answer[handoverOut], error) {
	list, next, err := s.HandOver(ctx, in.City, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &answer[handoverOut]{handoverOut{append([]Handed{}, list...), next}}, nil
}

type postHandoverIn struct {
	Body struct {
		Machines []Handed `json:"machines" minItems:"1" maxItems:"200"`
		Next     string   `json:"next,omitempty" doc:"As the old cell answered; not used"`
	}
}

type takenOut struct {
	Machines []takenOverOut `json:"machines"`
}

type takenOverOut struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"taken,invalid,conflict"`
	Detail string `json:"detail,omitempty"`
}

func (s *System) postHandover(ctx context.Context, in *postHandoverIn) (*answer[takenOut], error) {
	list, err := s.TakeOver(ctx, in.Body.Machines)
	if err != nil {
		return nil, err
	}
	out := takenOut{Machines: make([]takenOverOut, len(list))}
	for i, t := range list {
		out.Machines[i] = takenOverOut{t.ID, t.Status, errs.Message(t.Err)}
	}
	return &answer[takenOut]{out}, nil
}

type moveIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		City string   `json:"city" minLength:"1" maxLength:"64"`
		Lat  *float64 `json:"lat,omitempty" minimum:"-90" maximum:"90" doc:"Left out: it stays where it is on the map"`
		Lon  *float64 `json:"lon,omitempty" minimum:"-180" maximum:"180"`
	}
}

func (s *System) postMove(ctx context.Context, in *moveIn) (*struct{}, error) {
	return nil, s.Move(ctx, in.ID, in.Body.City, in.Body.Lat, in.Body.Lon)
}

// commandOut is a command on the wire.
type commandOut struct {
	ID          string     `json:"id" doc:"The same whenever it comes again: a machine remembers those that it must not do twice"`
	Kind        string     `json:"kind"`
	Body        any        `json:"body,omitempty"`
	State       string     `json:"state" enum:"waiting,delivered,expired,done,failed"`
	SentAt      time.Time  `json:"sent_at"`
	SentBy      string     `json:"sent_by,omitempty"`
	ExpiresAt   time.Time  `json:"expires_at"`
	DeliveredAt *time.Time `json:"delivered_at,omitempty"`
	AnsweredAt  *time.Time `json:"answered_at,omitempty"`
	Detail      string     `json:"detail,omitempty" doc:"What the machine says came of it"`
}
