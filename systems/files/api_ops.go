package files

import (
	"context"
	"time"

	"plumb/engines/cas"
)

// The operators' part of the API, and what is counted.

type quotaOut struct {
	Files int64 `json:"files"`
	Used  int64 `json:"used_bytes" doc:"Versions and bin included"`
	Limit int64 `json:"limit_bytes,omitempty" doc:"Absent: none"`
}

func (s *System) getQuota(ctx context.Context, _ *struct{}) (*answer[quotaOut], error) {
	u, err := s.Quota(ctx, person(ctx))
	return answered(quotaOut(u), err)
}

type quotaIn struct {
	Person string `path:"person" maxLength:"64" doc:"A name"`
	Body   quotaBody
}

type quotaBody struct {
	Limit int64 `json:"limit_bytes" minimum:"-1" doc:"0 for the house's usual quota, -1 for none"`
}

func (s *System) putQuota(ctx context.Context, in *quotaIn) (*answer[quotaOut], error) {
	u, err := s.SetQuota(ctx, person(ctx), in.Person, in.Body.Limit)
	return answered(quotaOut(u), err)
}

type savedOut struct {
	SameFile    int64 `json:"same_file" doc:"Bytes of whole contents that are there already"`
	SameChunks  int64 `json:"same_chunks" doc:"Bytes of parts that other contents hold too"`
	Compression int64 `json:"compression"`
}

type statsOut struct {
	Files   int64     `json:"files"`
	Logical int64     `json:"logical_bytes" doc:"What owners see, versions and bins included: everybody's for an operator, else one's own"`
	Stored  *int64    `json:"stored_bytes,omitempty" doc:"Bytes of live chunks as they lie; for operators, as all below"`
	Waiting *int64    `json:"waiting_bytes,omitempty" doc:"Bytes that wait for the collector"`
	Blobs   *int64    `json:"blobs,omitempty"`
	Chunks  *int64    `json:"chunks,omitempty"`
	Packs   *int64    `json:"packs,omitempty" doc:"Objects in the bucket"`
	Bad     *int64    `json:"bad_chunks,omitempty" doc:"In quarantine"`
	Saved   *savedOut `json:"saved,omitempty"`
}

func (t Totals) out() statsOut {
	out := statsOut{Files: t.Files, Logical: t.Logical}
	if c := t.Store; c != nil {
		out.Stored, out.Waiting, out.Blobs, out.Chunks, out.Packs, out.Bad = &c.Stored, &c.Waiting, &c.Blobs, &c.Chunks, &c.Packs, &c.Bad
		saved := t.Saved()
		out.Saved = &savedOut{saved.SameFile, saved.SameChunks, saved.Compression}
	}
	return out
}

func (s *System) getStats(ctx context.Context, _ *struct{}) (*answer[statsOut], error) {
	t, err := s.Stats(ctx, person(ctx))
	return answered(t.out(), err)
}

type flagIn struct {
	Retryable
	Body flagBody
}

type flagBody struct {
	Path   string `json:"path,omitempty" maxLength:"4096" doc:"Of a file that you may read"`
	Link   string `json:"link,omitempty" maxLength:"64" doc:"Or the token of a link, with path below its folder"`
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

type flagOut struct {
	ID     string    `json:"id"`
	Node   string    `json:"node"`
	SHA256 string    `json:"sha256"`
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Person string    `json:"person,omitempty" doc:"Id of who reported it; absent for a stranger"`
	At     time.Time `json:"at"`
	State  string    `json:"state" enum:"open,blocked,dismissed"`
}

func (f Flag) out() flagOut {
	return flagOut{f.ID, f.Node, f.Hash.String(), f.Name, f.Reason, f.Person, f.At, f.State}
}

func (s *System) postFlag(ctx context.Context, in *flagIn) (*answer[flagOut], error) {
	var f Flag
	var err error
	if in.Body.Link != "" {
		f, err = s.FlagLinked(in.again(ctx), in.Body.Link, "", "", in.Body.Path, in.Body.Reason)
	} else {
		f, err = s.Flag(in.again(ctx), person(ctx), in.Body.Path, in.Body.Reason)
	}
	return answered(f.out(), err)
}

type flagsIn struct {
	Paged
	State string `query:"state" enum:"open,blocked,dismissed" default:"open"`
}

type flagsOut struct {
	Flags []flagOut `json:"flags"`
	Next  string    `json:"next,omitempty"`
}

func (s *System) getFlags(ctx context.Context, in *flagsIn) (*answer[flagsOut], error) {
	list, next, err := s.Flags(ctx, person(ctx), in.State, in.Cursor, in.Limit)
	out := flagsOut{Flags: []flagOut{}, Next: next}
	for _, f := range list {
		out.Flags = append(out.Flags, f.out())
	}
	return answered(out, err)
}

func (s *System) postDismiss(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Dismiss(in.again(ctx), person(ctx), in.ID)
}

type blockedOut struct {
	Blocked []blockedOne `json:"blocked"`
	Next    string       `json:"next,omitempty"`
}

type blockedOne struct {
	SHA256 string    `json:"sha256"`
	Reason string    `json:"reason"`
	Person string    `json:"person"`
	At     time.Time `json:"at"`
}

func (s *System) getBlocked(ctx context.Context, in *Paged) (*answer[blockedOut], error) {
	list, next, err := s.Blocked(ctx, person(ctx), in.Cursor, in.Limit)
	out := blockedOut{Blocked: []blockedOne{}, Next: next}
	for _, b := range list {
		out.Blocked = append(out.Blocked, blockedOne{b.Hash.String(), b.Reason, b.Person, b.At})
	}
	return answered(out, err)
}

type blockIn struct {
	SHA256 string `path:"sha256" maxLength:"64"`
	Body   blockBody
}

type blockBody struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

func (s *System) putBlocked(ctx context.Context, in *blockIn) (*struct{}, error) {
	h, err := cas.ParseHash(in.SHA256)
	if err != nil {
		return nil, err
	}
	return nil, s.Block(ctx, person(ctx), h, in.Body.Reason)
}

type hashIn struct {
	SHA256 string `path:"sha256" maxLength:"64"`
}

func (s *System) deleteBlocked(ctx context.Context, in *hashIn) (*struct{}, error) {
	h, err := cas.ParseHash(in.SHA256)
	if err != nil {
		return nil, err
	}
	return nil, s.Unblock(ctx, person(ctx), h)
}

type collectOut struct {
	Blobs  int64 `json:"blobs"`
	Chunks int64 `json:"chunks"`
	Packs  int64 `json:"packs"`
	Freed  int64 `json:"freed_bytes"`
	Moved  int64 `json:"moved_bytes" doc:"Rewritten to free others"`
}

func (s *System) postCollect(ctx context.Context, _ *struct{}) (*answer[collectOut], error) {
	r, err := s.Collect(ctx, nil)
	return answered(collected(r), err)
}

func collected(r cas.CollectResult) collectOut {
	return collectOut{r.Blobs, r.Chunks, r.Packs, r.Freed, r.Moved}
}

type scrubOut struct {
	Chunks   int64    `json:"chunks"`
	Bytes    int64    `json:"bytes"`
	Bad      int64    `json:"bad"`
	Repaired int64    `json:"repaired"`
	Orphans  int64    `json:"orphans" doc:"Objects that nothing named; they were removed"`
	Faults   []string `json:"faults"`
}

func scrubbed(r cas.ScrubResult) scrubOut {
	out := scrubOut{r.Chunks, r.Bytes, r.Bad, r.Repaired, r.Orphans, r.Faults}
	if out.Faults == nil {
		out.Faults = []string{}
	}
	return out
}

type rekeyOut struct {
	Packs int64 `json:"packs"`
}

func (s *System) postRekey(ctx context.Context, _ *struct{}) (*answer[rekeyOut], error) {
	n, err := s.Rekey(ctx)
	return answered(rekeyOut{n}, err)
}
