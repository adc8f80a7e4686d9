package photos

import (
	"context"
	"time"

	"plumb/engines/web"
)

// Wire types and handlers of repairs, for operators.

// repairOps lists the operations.
func (s *System) repairOps() []web.Op {
	return []web.Op{
		web.Operation(web.Operator, accepted(op("POST", "/shards/{name}/heal", "Put back what a shard's bucket lost, from the copies in others")), s.postHeal),
		web.Operation(web.Operator, accepted(op("POST", "/shards/{name}/lost", "Give a shard up that will not come back; its photos are made anew elsewhere")), s.postLost),
		web.Operation(web.Operator, accepted(op("POST", "/shards/{name}/backup", "Copy a shard's photos and rows to a place of their own")), s.postBackup),
		web.Operation(web.Operator, accepted(op("POST", "/restore", "Bring back from a backup the people whom no shard has")), s.postRestoreFrom),
		web.Operation(web.Operator, op("GET", "/repairs", "Heals, rebuilds, backups and restores, the latest first"), s.getRepairs),
		web.Operation(web.Operator, op("GET", "/repairs/{id}", "A repair"), s.getRepair),
	}
}

type repairOut struct {
	ID     string     `json:"id"`
	Kind   string     `json:"kind" enum:"heal,leave,rebuild,backup,restore"`
	Shard  string     `json:"shard,omitempty"`
	Place  string     `json:"place,omitempty"`
	State  string     `json:"state" enum:"running,done,failed"`
	Begun  time.Time  `json:"begun_at"`
	Ended  *time.Time `json:"ended_at,omitempty"`
	Photos int64      `json:"photos" doc:"Looked at"`
	Fixed  int64      `json:"fixed" doc:"Put back, copied or brought back"`
	Lost   int64      `json:"lost" doc:"Of which nothing was found"`
	Bytes  int64      `json:"bytes" doc:"Written"`
	Error  string     `json:"error,omitempty"`
}

func (r *Repair) out() repairOut {
	if r == nil {
		return repairOut{}
	}
	return repairOut{r.ID, string(r.Kind), r.Shard, r.Place, r.State, r.Begun, optional(r.Ended), r.Photos, r.Fixed, r.Lost, r.Bytes, r.Error}
}

func repairAnswer(r *Repair, err error) (*answer[repairOut], error) { return answered(r.out(), err) }

func (s *System) postHeal(ctx context.Context, in *Named) (*answer[repairOut], error) {
	return repairAnswer(s.HealShard(ctx, person(ctx), in.Name))
}

func (s *System) postLost(ctx context.Context, in *Named) (*answer[repairOut], error) {
	return repairAnswer(s.LoseShard(ctx, person(ctx), in.Name))
}

type placeBody struct {
	Place string `json:"place" minLength:"1" maxLength:"2048" doc:"dir:/PATH or s3://ACCESS@host:port/bucket, as the server reaches it"`
}

type backupIn struct {
	Named
	Body placeBody
}

func (s *System) postBackup(ctx context.Context, in *backupIn) (*answer[repairOut], error) {
	return repairAnswer(s.BackupShard(ctx, person(ctx), in.Name, in.Body.Place))
}

type restoreIn struct {
	Body placeBody
}

func (s *System) postRestoreFrom(ctx context.Context, in *restoreIn) (*answer[repairOut], error) {
	return repairAnswer(s.RestoreFrom(ctx, person(ctx), in.Body.Place))
}

type repairsOut struct {
	Repairs []repairOut `json:"repairs"`
	Next    string      `json:"next,omitempty"`
}

func (s *System) getRepairs(ctx context.Context, in *Paged) (*answer[repairsOut], error) {
	list, next, err := s.Repairs(ctx, person(ctx), in.Cursor, in.Limit)
	out := repairsOut{Repairs: []repairOut{}, Next: next}
	for _, r := range list {
		out.Repairs = append(out.Repairs, r.out())
	}
	return answered(out, err)
}

func (s *System) getRepair(ctx context.Context, in *idIn) (*answer[repairOut], error) {
	return repairAnswer(s.Repair(ctx, person(ctx), in.ID))
}
