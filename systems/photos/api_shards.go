package photos

import (
	"context"
	"time"

	"plumb/engines/web"
)

// Wire types and handlers of shards, for operators.

// shardOps lists the operations.
func (s *System) shardOps() []web.Op {
	return []web.Op{
		web.Operation(web.Operator, op("GET", "/shards", "The shards, with their load"), s.getShards),
		web.Operation(web.Operator, created(op("POST", "/shards", "Add a shard; its share of the people moves there while they go on")), s.postShard),
		web.Operation(web.Operator, accepted(op("PATCH", "/shards/{name}", "Give a shard another weight")), s.patchShard),
		web.Operation(web.Operator, none(op("DELETE", "/shards/{name}", "Forget a shard that is drained")), s.deleteShard),
		web.Operation(web.Operator, accepted(op("POST", "/shards/{name}/drain", "Move everybody away from a shard")), s.postDrain),
		web.Operation(web.Operator, op("GET", "/migrations", "Who moves and moved, the latest first"), s.getMigrations),
		web.Operation(web.Operator, op("GET", "/migrations/{id}", "A migration"), s.getMigration),
		web.Operation(web.Operator, op("POST", "/migrations/{id}/pause", "Stop its moves until it is resumed"), s.postPause),
		web.Operation(web.Operator, op("POST", "/migrations/{id}/resume", "Go on with it"), s.postResume),
		web.Operation(web.Operator, op("GET", "/alarms", "Thresholds that are passed now, and what the webhook told"), s.getAlarms),
		web.Operation(web.Operator, op("GET", "/hot", "People who are asked for most"), s.getHot),
		web.Operation(web.Operator, created(op("POST", "/proposals", "Moves that would even a load; nothing is moved yet")), s.postProposal),
		web.Operation(web.Operator, accepted(op("POST", "/proposals/{id}/execute", "Make a proposal's moves")), s.postExecute),
		web.Operation(web.Operator, accepted(op("PUT", "/pins/{person}", "Keep a person on a shard, or no longer")), s.putPin),
	}
}

type shardOut struct {
	No       int64   `json:"no"`
	Name     string  `json:"name"`
	State    string  `json:"state" enum:"active,draining,drained,lost,removed"`
	Weight   float64 `json:"weight"`
	Share    float64 `json:"share" doc:"Of everything, by weight"`
	Domain   string  `json:"domain,omitempty" doc:"What fails together"`
	Up       bool    `json:"up"`
	People   int64   `json:"people"`
	Photos   int64   `json:"photos"`
	Bytes    int64   `json:"bytes" doc:"Of originals"`
	Objects  int64   `json:"objects" doc:"Contents, sizes included"`
	Stored   int64   `json:"stored_bytes" doc:"As they lie"`
	Coming   int64   `json:"coming" doc:"People who are to move here"`
	Leaving  int64   `json:"leaving"`
	Requests float64 `json:"requests_per_s" doc:"Over the last minutes, as all rates"`
	In       float64 `json:"in_bytes_per_s"`
	Out      float64 `json:"out_bytes_per_s"`
	CPU      float64 `json:"cpu" doc:"Processor seconds a second, of making sizes"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Free     int64   `json:"free_bytes,omitempty" doc:"Of its disk, where that is known"`
	Disk     int64   `json:"disk_bytes,omitempty"`
}

func loadOut(l Load) shardOut {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return shardOut{l.No, l.Name, string(l.State), l.Weight, l.Share, l.Domain, l.Up, l.Owners, l.Photos, l.Bytes, l.Objects, l.Stored, l.Coming, l.Leaving,
		l.Requests, l.In, l.Out, l.CPU, ms(l.P50), ms(l.P99), l.Free, l.Size}
}

type shardsOut struct {
	Shards []shardOut `json:"shards"`
}

func (s *System) getShards(ctx context.Context, _ *struct{}) (*answer[shardsOut], error) {
	list, err := s.Board(ctx, person(ctx))
	out := shardsOut{Shards: []shardOut{}}
	for _, l := range list {
		out.Shards = append(out.Shards, loadOut(l))
	}
	return answered(out, err)
}

type migrationOut struct {
	ID         string     `json:"id"`
	Why        string     `json:"why"`
	State      string     `json:"state" enum:"planning,moving,paused,done"`
	Begun      time.Time  `json:"begun_at"`
	Ended      *time.Time `json:"ended_at,omitempty"`
	People     int64      `json:"people"`
	PeopleDone int64      `json:"people_done"`
	Photos     int64      `json:"photos"`
	PhotosDone int64      `json:"photos_done"`
	Bytes      int64      `json:"bytes"`
	BytesDone  int64      `json:"bytes_done" doc:"Copied so far, repeated copies included"`
	Ideal      int64      `json:"ideal_bytes" doc:"What the new shares move at least"`
	Kept       int64      `json:"kept" doc:"People who stay where they are, so that no shard gets more than its share"`
	Failed     int64      `json:"failed" doc:"Tries that failed; they are made again"`
	Error      string     `json:"error,omitempty"`
}

func migration(m Migration) migrationOut {
	return migrationOut{m.ID, m.Why, string(m.State), m.Begun, optional(m.Ended), m.Owners, m.OwnersDone, m.Photos, m.PhotosDone, m.Bytes, m.BytesDone, m.IdealBytes, m.Kept, m.Failed, m.Error}
}

func migrationAnswer(m Migration, err error) (*answer[migrationOut], error) {
	return answered(migration(m), err)
}

type newShardIn struct {
	Retryable
	Body newShardBody
}

type newShardBody struct {
	Name   string  `json:"name" minLength:"1" maxLength:"32" pattern:"^[a-z0-9-]+$"`
	Weight float64 `json:"weight,omitempty" minimum:"0" doc:"Its share, in proportion to the others'; 1 when absent"`
	Domain string  `json:"domain,omitempty" maxLength:"64" doc:"What fails together; a domain of its own, when absent"`
	SQL    string  `json:"sql,omitempty" maxLength:"2048" doc:"sqlite:PATH or postgres://...; as the house has it, when absent"`
	Bucket string  `json:"bucket,omitempty" maxLength:"2048" doc:"dir:PATH or s3://...; as the house has it, when absent"`
}

type addedOut struct {
	No        int64        `json:"no"`
	Name      string       `json:"name"`
	Migration migrationOut `json:"migration"`
}

func (s *System) postShard(ctx context.Context, in *newShardIn) (*answer[addedOut], error) {
	b := in.Body
	a, err := s.AddShard(ctx, person(ctx), NewShard{Name: b.Name, Weight: b.Weight, Domain: b.Domain, SQL: b.SQL, Bucket: b.Bucket})
	return answered(addedOut{a.No, a.Name, migration(a.Migration)}, err)
}

// Named is the shard in an address.
type Named struct {
	Name string `path:"name" maxLength:"64"`
}

type weighIn struct {
	Named
	Body weighBody
}

type weighBody struct {
	Weight float64 `json:"weight" minimum:"0"`
}

func (s *System) patchShard(ctx context.Context, in *weighIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.WeighShard(ctx, person(ctx), in.Name, in.Body.Weight))
}

func (s *System) deleteShard(ctx context.Context, in *Named) (*struct{}, error) {
	return nil, s.RemoveShard(ctx, person(ctx), in.Name)
}

func (s *System) postDrain(ctx context.Context, in *Named) (*answer[migrationOut], error) {
	return migrationAnswer(s.DrainShard(ctx, person(ctx), in.Name))
}

type migrationsOut struct {
	Migrations []migrationOut `json:"migrations"`
	Next       string         `json:"next,omitempty"`
}

func (s *System) getMigrations(ctx context.Context, in *Paged) (*answer[migrationsOut], error) {
	list, next, err := s.Migrations(ctx, person(ctx), in.Cursor, in.Limit)
	out := migrationsOut{Migrations: []migrationOut{}, Next: next}
	for _, m := range list {
		out.Migrations = append(out.Migrations, migration(m))
	}
	return answered(out, err)
}

func (s *System) getMigration(ctx context.Context, in *idIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.Migration(ctx, person(ctx), in.ID))
}

func (s *System) postPause(ctx context.Context, in *idIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.PauseMigration(ctx, person(ctx), in.ID))
}

func (s *System) postResume(ctx context.Context, in *idIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.ResumeMigration(ctx, person(ctx), in.ID))
}

type deliveryOut struct {
	ID    string    `json:"id"`
	Event string    `json:"event"`
	Made  time.Time `json:"made_at"`
	State string    `json:"state"`
	Tries int64     `json:"tries"`
	Why   string    `json:"why,omitempty" doc:"What went wrong last"`
}

type alarmsOut struct {
	Alarms     []Alarm       `json:"alarms"`
	Deliveries []deliveryOut `json:"deliveries"`
}

func (s *System) getAlarms(ctx context.Context, _ *struct{}) (*answer[alarmsOut], error) {
	list, err := s.Alarms(ctx, person(ctx))
	if err != nil {
		return nil, err
	}
	out := alarmsOut{list, []deliveryOut{}}
	told, err := s.Deliveries(ctx, person(ctx))
	for _, d := range told {
		out.Deliveries = append(out.Deliveries, deliveryOut{d.ID, d.Event, d.Made, string(d.State), d.Tries, d.Why})
	}
	return answered(out, err)
}

type hotOut struct {
	Person   string  `json:"person" doc:"An id"`
	Shard    string  `json:"shard"`
	Requests float64 `json:"requests_per_s"`
	In       float64 `json:"in_bytes_per_s"`
	Out      float64 `json:"out_bytes_per_s"`
	CPU      float64 `json:"cpu"`
}

type hotsOut struct {
	People []hotOut `json:"people"`
}

func (s *System) getHot(ctx context.Context, _ *struct{}) (*answer[hotsOut], error) {
	list, err := s.Hot(ctx, person(ctx))
	out := hotsOut{People: []hotOut{}}
	for _, h := range list {
		out.People = append(out.People, hotOut{h.Owner, h.Shard, h.Requests, h.In, h.Out, h.CPU})
	}
	return answered(out, err)
}

type proposalIn struct {
	Body proposalBody
}

type proposalBody struct {
	By string `json:"by" enum:"bytes,requests,bandwidth,cpu"`
}

type moveOut struct {
	Person string  `json:"person" doc:"An id"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Load   float64 `json:"load" doc:"Of what the proposal is by"`
	Bytes  int64   `json:"bytes" doc:"To copy"`
}

type proposalOut struct {
	ID     string    `json:"id"`
	By     string    `json:"by"`
	Made   time.Time `json:"made_at"`
	Before float64   `json:"max_over_mean_before"`
	After  float64   `json:"max_over_mean_after"`
	Moves  []moveOut `json:"moves"`
	Note   string    `json:"note,omitempty" doc:"What it cannot reach, and why"`
}

func (s *System) postProposal(ctx context.Context, in *proposalIn) (*answer[proposalOut], error) {
	p, err := s.Propose(ctx, person(ctx), in.Body.By)
	out := proposalOut{ID: p.ID, By: p.By, Made: p.Made, Before: p.Before, After: p.After, Moves: []moveOut{}, Note: p.Note}
	for _, m := range p.Moves {
		out.Moves = append(out.Moves, moveOut{m.Owner, m.From, m.To, m.Load, m.Bytes})
	}
	return answered(out, err)
}

func (s *System) postExecute(ctx context.Context, in *idIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.ExecuteProposal(ctx, person(ctx), in.ID))
}

type pinIn struct {
	Person string `path:"person" maxLength:"64" doc:"A name"`
	Body   pinBody
}

type pinBody struct {
	Shard string `json:"shard" maxLength:"32" doc:"\"\": where the placement says"`
}

func (s *System) putPin(ctx context.Context, in *pinIn) (*answer[migrationOut], error) {
	return migrationAnswer(s.PinPerson(ctx, person(ctx), in.Person, in.Body.Shard))
}
