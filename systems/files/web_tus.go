package files

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/upload"
	"plumb/engines/web"
)

// Uploads that survive a cut line, by the tus protocol (engines/upload). Where a file
// goes stands in its Upload-Metadata: "path", which a slash at its end makes a folder
// for what follows; else "relativePath", as browsers call a path in a folder that was
// chosen; else "filename". "filetype" is its content type, "modified" its time, as RFC
// 3339 has it or in milliseconds since 1970; "overwrite" "false" refuses to replace.

// openUploads makes the engine behind /api/v1/files/tus/.
func (s *System) openUploads(ctx context.Context) (err error) {
	s.uploads, err = upload.New(ctx, upload.Needs{DB: s.n.DB, CAS: s.n.CAS, Once: s.n.Once, Clock: s.n.Clock, Log: s.n.Log,
		Realm: realm, Lane: lane, Begin: s.mayUpload, Finish: s.uploaded}, upload.Options{})
	return err
}

// tusOps are the operations of tus, below /api/v1/files/tus/.
func (s *System) tusOps() []web.Op { return s.uploads.Routes(apiRoot+"/tus/", web.Person) }

// mayUpload refuses before the first byte what cannot become a file anyway: a bad or
// forbidden path, or more bytes than the quota has room for, open uploads included.
func (s *System) mayUpload(ctx context.Context, who web.Who, u *upload.Upload) error {
	err := s.checkUpload(ctx, Person{ID: who.ID, Operator: who.May(web.Operator)}, u)
	if err != nil {
		s.measures.refuse(err)
		return fmt.Errorf("begin an upload: %w", err)
	}
	return nil
}

func (s *System) checkUpload(ctx context.Context, who Person, u *upload.Upload) error {
	open, err := s.uploads.Reserved(ctx, u.Owner)
	if err != nil {
		return err
	}
	open -= u.Offset // counted there too, when its length becomes known later
	if u.Kind == upload.Final {
		open = 0 // its bytes are its parts', which end with it
	}
	var left roomLeft
	if u.Kind == upload.Partial {
		// Where it goes is not known yet. Its bytes count as the sender's until then.
		left, err = s.roomOf(ctx, who.ID)
	} else {
		p, o, bad := uploadPlace(*u)
		if bad != nil {
			return bad
		}
		left, err = s.room(ctx, who, p, o)
	}
	if err != nil {
		return err
	}
	if left.limit >= 1<<62 {
		return nil // no quota: cas.MaxSize bounds each
	}
	left.left -= open
	if u.Length > left.left || left.left <= 0 && u.Length != 0 {
		return left.over()
	}
	u.Limit = max(left.left, 0)
	return nil
}

// roomOf is how much a person may still keep.
func (s *System) roomOf(ctx context.Context, person string) (roomLeft, error) {
	return read(ctx, s, "look for room", func(ctx context.Context, tx *sqldb.Tx) (roomLeft, error) {
		var most, used, files int64
		if err := tx.QueryRow(ctx, usedSQL, person).Scan(&most, &used, &files); err != nil && err != sqldb.ErrNoRows {
			return roomLeft{}, err
		}
		limit := s.limit(most)
		return roomLeft{limit: limit, left: limit - used}, nil
	})
}

// uploaded makes the file of a whole upload, in the transaction that ends it.
func (s *System) uploaded(ctx context.Context, tx *sqldb.Tx, u upload.Upload, content *cas.Pending) (func(), error) {
	p, o, err := uploadPlace(u)
	if err != nil {
		return nil, err
	}
	n, _, err := s.adopt(ctx, tx, Person{ID: u.Owner}, p, content, o)
	if err != nil {
		return nil, err
	}
	return func() {
		s.measures.wrote(n)
		s.changed(context.WithoutCancel(ctx), n, "written")
	}, nil
}

// uploadPlace reads an upload's metadata.
func uploadPlace(u upload.Upload) (place, WriteOptions, error) {
	o := WriteOptions{Size: u.Length, Type: u.Meta["filetype"]}
	if u.Meta["overwrite"] == "false" {
		o.IfNoneMatch = "*"
	}
	if text := u.Meta["modified"]; text != "" {
		var err error
		if o.Modified, err = time.Parse(time.RFC3339Nano, text); err != nil {
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil || ms < 0 || ms > 1<<48 {
				return place{}, o, web.Malformed(errs.New(errs.Invalid, "modified is a time as RFC 3339 has it, or milliseconds since 1970"))
			}
			o.Modified = time.UnixMilli(ms)
		}
	}
	name := u.Meta["relativePath"]
	if name == "" || name == "null" { // what some clients write for none
		name = u.Meta["filename"]
	}
	switch path := u.Meta["path"]; {
	case strings.HasSuffix(path, "/"):
		name = path + strings.TrimPrefix(name, "/")
	case path != "":
		name = path
	}
	if name == "" || strings.HasSuffix(name, "/") {
		return place{}, o, badPath("an upload needs a name: filename or path in its Upload-Metadata")
	}
	p, err := parsePath(name)
	return p, o, err
}
