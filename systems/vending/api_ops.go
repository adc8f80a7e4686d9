package vending

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/engines/fleet/rollout"
	"plumb/engines/web"
)

// The wire types of rollouts, alerts and commands, and the operations on them.

// opsAPI lists the operations.
func (s *System) opsAPI() []web.Op {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary}
	}
	put := op("PUT", "/rollouts/{name}", "Begin or change a rollout: the version that a cohort's machines are to run, and how many of them")
	put.Description = "What is left out stays as it is. A new target is a new revision, active; raising the percentage only adds machines. pause true stops it, false lets it go on, also after the brake."
	end := op("DELETE", "/rollouts/{name}", "Forget a rollout and its history; machines stay as they are")
	end.DefaultStatus = noContent
	send := op("POST", "/machines/{id}/commands", "Send a command to a machine")
	send.DefaultStatus = 202
	send.Description = "Delivered at least once: by MQTT on vending/ID/cmd, or with the answers to its reports over HTTP until it says done."
	done := op("POST", "/commands/{id}/done", "A machine says what came of a command")
	done.DefaultStatus = noContent
	return []web.Op{
		web.Operation(web.Person, op("GET", "/rollouts", "Rollouts, and how far each has come"), s.getRollouts),
		web.Operation(web.Person, op("GET", "/rollouts/{name}", "A rollout with its history"), s.getRollout),
		web.Operation(web.Operator, put, s.putRollout),
		web.Operation(web.Operator, op("POST", "/rollouts/{name}/undo", "Take a rollout back: machines on its target are told what ran before"), s.postUndo),
		web.Operation(web.Operator, end, s.deleteRollout),
		web.Operation(web.Operator, op("PUT", "/cohorts/{name}", "Put machines into a named cohort; - takes them out of theirs"), s.putCohort),
		web.Operation(web.Person, op("GET", "/cohorts", "Named cohorts; GET /machines?cohort= lists the machines of one"), s.getCohorts),
		web.Operation(web.Person, op("GET", "/alerts", "What somebody should look at, the newest first"), s.getAlerts),
		web.Operation(web.Operator, op("POST", "/alerts/{id}/ack", "Say that somebody sees to an alert"), s.postAck),
		web.Operation(web.Operator, send, s.postCommand),
		web.Operation(web.Person, op("GET", "/machines/{id}/commands", "The last commands of a machine, the newest first"), s.getCommands),
		web.Operation(web.Machine, done, s.postDone),
	}
}

type versionOut struct {
	Firmware string `json:"firmware,omitempty" maxLength:"64" doc:"Absent: stays as it is"`
	Config   string `json:"config,omitempty" maxLength:"64" doc:"The version of the settings; absent: stays as it is"`
}

type brakeOut struct {
	BadPercent float64 `json:"bad_percent" doc:"Of the machines on the target, late or faulty: with more, the rollout stops"`
	Least      int     `json:"least" doc:"Machines on the target, before it is judged"`
}

type rolloutOut struct {
	Name     string     `json:"name"`
	City     string     `json:"city,omitempty"`
	Cohort   string     `json:"cohort,omitempty" doc:"Without city and cohort: the whole fleet"`
	Revision int        `json:"revision"`
	Target   versionOut `json:"target"`
	Back     versionOut `json:"back" doc:"What undo goes back to"`
	Percent  float64    `json:"percent"`
	State    string     `json:"state" enum:"active,paused,braked,undone"`
	Because  string     `json:"because"`
	Brake    brakeOut   `json:"brake"`
	Changed  time.Time  `json:"changed_at"`
	Machines int        `json:"machines" doc:"Of the cohort, in good standing"`
	Arrived  int        `json:"arrived" doc:"Run the target"`
	Bad      int        `json:"bad" doc:"Of those, late or faulty"`
	Steps    []stepOut  `json:"steps,omitempty" doc:"What was done to it, the newest first"`
}

type stepOut struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty" doc:"Absent: the brake"`
	What string    `json:"what"`
}

func (d RolloutDetail) out() rolloutOut {
	out := rolloutOut{
		Name: d.Name, City: d.City, Cohort: d.Cohort, Revision: d.Revision, Target: versionOut(d.To), Back: versionOut(d.Back), Percent: d.Percent,
		State: string(d.State), Because: d.Because, Brake: brakeOut{d.Brake.Percent, d.Brake.Least}, Changed: d.Changed,
		Machines: d.Machines, Arrived: d.Arrived, Bad: d.Bad,
	}
	for _, st := range d.Steps {
		out.Steps = append(out.Steps, stepOut(st))
	}
	return out
}

type rolloutsOut struct {
	Rollouts []rolloutOut `json:"rollouts"`
}

func (s *System) getRollouts(ctx context.Context, _ *struct{}) (*answer[rolloutsOut], error) {
	list, err := s.Rollouts(ctx)
	if err != nil {
		return nil, err
	}
	out := rolloutsOut{Rollouts: make([]rolloutOut, len(list))}
	for i, d := range list {
		out.Rollouts[i] = d.out()
	}
	return &answer[rolloutsOut]{out}, nil
}

func (s *System) getRollout(ctx context.Context, in *nameIn) (*answer[rolloutOut], error) {
	return s.rolloutAnswer(ctx, in.Name)
}

func (s *System) rolloutAnswer(ctx context.Context, name string) (*answer[rolloutOut], error) {
	d, err := s.RolloutOf(ctx, name)
	if err != nil {
		return nil, err
	}
	return &answer[rolloutOut]{d.out()}, nil
}

type putRolloutIn struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		City    *string     `json:"city,omitempty" maxLength:"64"`
		Cohort  *string     `json:"cohort,omitempty" maxLength:"64"`
		Target  *versionOut `json:"target,omitempty"`
		Back    *versionOut `json:"back,omitempty" doc:"What undo goes back to; left out: what most of the cohort's machines run when the target is set"`
		Percent *float64    `json:"percent,omitempty" minimum:"0" maximum:"100" doc:"Of the cohort's machines; 0 when it begins"`
		Pause   *bool       `json:"pause,omitempty"`
		Brake   *struct {
			BadPercent *float64 `json:"bad_percent,omitempty" minimum:"0" maximum:"100" doc:"10 when it begins"`
			Least      *int     `json:"least,omitempty" minimum:"1" doc:"20 when it begins"`
		} `json:"brake,omitempty"`
	}
}

func (s *System) putRollout(ctx context.Context, in *putRolloutIn) (*answer[rolloutOut], error) {
	b := in.Body
	n := NewRollout{City: b.City, Cohort: b.Cohort, Percent: b.Percent, Pause: b.Pause}
	if b.Target != nil {
		v := rollout.Version(*b.Target)
		n.To = &v
	}
	if b.Back != nil {
		v := rollout.Version(*b.Back)
		n.Back = &v
	}
	if b.Brake != nil {
		n.BadPercent, n.Least = b.Brake.BadPercent, b.Brake.Least
	}
	if _, err := s.SetRollout(ctx, by(ctx), in.Name, n); err != nil {
		return nil, err
	}
	return s.rolloutAnswer(ctx, in.Name)
}

// by names who asks, for histories.
func by(ctx context.Context) string {
	who := web.WhoIs(ctx)
	return cmp.Or(who.Name, who.ID)
}

func (s *System) postUndo(ctx context.Context, in *nameIn) (*answer[rolloutOut], error) {
	if _, err := s.UndoRollout(ctx, by(ctx), in.Name); err != nil {
		return nil, err
	}
	return s.rolloutAnswer(ctx, in.Name)
}

func (s *System) deleteRollout(ctx context.Context, in *nameIn) (*struct{}, error) {
	return nil, s.EndRollout(ctx, in.Name)
}

type putCohortIn struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		Machines []string `json:"machines" maxItems:"1000"`
	}
}

type cohortOut struct {
	Cohort  string `json:"cohort"`
	Changed int    `json:"changed" doc:"How many of the machines there are"`
}

func (s *System) putCohort(ctx context.Context, in *putCohortIn) (*answer[cohortOut], error) {
	name := in.Name
	if name == "-" {
		name = ""
	}
	n, err := s.SetCohort(ctx, name, in.Body.Machines)
	if err != nil {
		return nil, err
	}
	return &answer[cohortOut]{cohortOut{name, n}}, nil
}

type cohortsOut struct {
	Cohorts []cohortCountOut `json:"cohorts"`
}

type cohortCountOut struct {
	Cohort   string `json:"cohort"`
	Machines int    `json:"machines"`
}

func (s *System) getCohorts(ctx context.Context, _ *struct{}) (*answer[cohortsOut], error) {
	list, err := s.Cohorts(ctx)
	if err != nil {
		return nil, err
	}
	out := cohortsOut{Cohorts: []cohortCountOut{}}
	for _, c := range list {
		out.Cohorts = append(out.Cohorts, cohortCountOut(c))
	}
	return &answer[cohortsOut]{out}, nil
}

type alertsIn struct {
	All    bool   `query:"all" doc:"Closed ones too"`
	Kind   string `query:"kind" maxLength:"64"`
	City   string `query:"city" maxLength:"64"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

type alertOut struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind" enum:"late_machine,late_machines,grave_fault,grave_faults,stock_out,stock_outs,low_share,plan_failed,rollout_braked"`
	Subject  string     `json:"subject" doc:"By kind: a machine, a city, a rollout"`
	City     string     `json:"city,omitempty"`
	Severity string     `json:"severity" enum:"medium,high"`
	What     string     `json:"what"`
	RaisedAt time.Time  `json:"raised_at"`
	AckedAt  *time.Time `json:"acked_at,omitempty"`
	AckedBy  string     `json:"acked_by,omitempty"`
	ClosedAt *time.Time `json:"closed_at,omitempty" doc:"Absent: its cause lasts"`
}

func (a Alert) out() alertOut {
	return alertOut{a.ID, a.Kind, a.Subject, a.City, a.Severity, a.What, a.Raised, optional(a.Acked), a.AckedBy, optional(a.Closed)}
}

type alertsOut struct {
	Alerts []alertOut `json:"alerts"`
	Next   string     `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func (s *System) getAlerts(ctx context.Context, in *alertsIn) (*answer[alertsOut], error) {
	list, next, err := s.Alerts(ctx, AlertFilter(*in))
	if err != nil {
		return nil, err
	}
	out := alertsOut{Alerts: make([]alertOut, len(list)), Next: next}
	for i, a := range list {
		out.Alerts[i] = a.out()
	}
	return &answer[alertsOut]{out}, nil
}

func (s *System) postAck(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64"`
}) (*answer[alertOut], error) {
	a, err := s.AckAlert(ctx, by(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &answer[alertOut]{a.out()}, nil
}

type commandIn struct {
	Retryable
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Kind string          `json:"kind" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" doc:"What the machine's firmware knows: reboot, set_window, fetch, ..."`
		Body json.RawMessage `json:"body,omitempty" doc:"JSON, up to 4 KiB"`
		TTL  int             `json:"ttl_s,omitempty" minimum:"60" maximum:"2592000" doc:"How long it may wait for the machine: two nights when left out"`
	}
}

func (s *System) postCommand(ctx context.Context, in *commandIn) (*answer[commandOut], error) {
	c, err := s.SendCommand(ctx, by(ctx), in.ID, NewCommand{in.Body.Kind, in.Body.Body, time.Duration(in.Body.TTL) * time.Second}, in.request(ctx))
	if err != nil {
		return nil, err
	}
	return &answer[commandOut]{c.out()}, nil
}

func (c Command) out() commandOut {
	out := commandOut{ID: c.ID, Kind: c.Kind, State: c.State, SentAt: c.Sent, SentBy: c.By, ExpiresAt: c.Expires, DeliveredAt: optional(c.Delivered), AnsweredAt: optional(c.Answered), Detail: c.Detail}
	if c.Body != nil {
		out.Body = c.Body
	}
	return out
}

// commandsOut writes commands; nil for none.
func commandsOut(list []Command) (out []commandOut) {
	for _, c := range list {
		out = append(out, c.out())
	}
	return out
}

type commandsListOut struct {
	Commands []commandOut `json:"commands"`
}

func (s *System) getCommands(ctx context.Context, in *idIn) (*answer[commandsListOut], error) {
	list, err := s.Commands(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &answer[commandsListOut]{commandsListOut{append([]commandOut{}, commandsOut(list)...)}}, nil
}

// doneMessage is what a machine says of a command over MQTT.
type doneMessage struct {
	ID     string `json:"id"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func (s *System) postDone(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		OK     bool   `json:"ok"`
		Detail string `json:"detail,omitempty" maxLength:"500"`
	}
}) (*struct{}, error) {
	m, err := s.n.Fleet.ByWho(ctx, realm, web.WhoIs(ctx))
	if err != nil {
		return nil, err
	}
	return nil, s.Done(ctx, m, in.ID, in.Body.OK, in.Body.Detail)
}
