package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/base/units"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// WriteOptions say more about a file that is written.
type WriteOptions struct {
	Size     int64     // bytes that will come, -1 where that is not known; other than that many are refused
	Modified time.Time // of the content; zero: now
	Type     string    // what the sender calls it; "": by its name and its first bytes

	// As in HTTP (RFC 9110, 13.1): entity tags by commas, or *. A condition that does
	// not hold is a Stale error, and nothing is changed.
	IfMatch     string
	IfNoneMatch string
}

// ErrQuota marks a TooLarge error whose limit is the owner's quota.
var ErrQuota = errors.New("over the quota")

// Write stores r under path, making the folders that lack, and returns the node and
// whether it is new. Where a file stands already, its content becomes an earlier
// version. Nothing is seen before all of it is durable. Errors: Invalid path or size;
// NotFound, Denied; Conflict when a folder or a file stands in the way; Stale; Barred
// for content that was taken down; TooLarge, with ErrQuota where the quota is the
// limit; Busy when the disk is full.
func (s *System) Write(ctx context.Context, who Person, path string, r io.Reader, o WriteOptions) (Node, bool, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, false, err
	}
	room, err := s.room(ctx, who, p, o)
	if err != nil {
		return Node{}, false, fmt.Errorf("write %s: %w", p, err)
	}
	pending, err := s.n.CAS.Put(ctx, r, cas.PutOptions{Limit: max(room.left, 1), Trusted: s.c.Trusted})
	if err != nil {
		if errs.Is(err, errs.TooLarge) && room.left < cas.MaxSize {
			err = room.over()
		}
		return Node{}, false, fmt.Errorf("write %s: %w", p, err)
	}
	defer pending.Close()
	if o.Size >= 0 && pending.Size() != o.Size {
		return Node{}, false, errs.New(errs.Invalid, "%d bytes came, not the %d that were announced", pending.Size(), o.Size)
	}
	type written struct {
		Node    Node
		Created bool
	}
	w, err := write(ctx, s, "write", pending.Hash(), func(ctx context.Context, tx *sqldb.Tx) (w written, err error) {
		w.Node, w.Created, err = s.adopt(ctx, tx, who, p, pending, o)
		return w, err
	})
	if err != nil {
		return Node{}, false, err
	}
	s.measures.wrote(w.Node)
	s.changed(ctx, w.Node, "written")
	return w.Node, w.Created, nil
}

// Adopt is Write for content that was put into cas already, in a transaction that may
// hold more. Errors: those of Write.
func (s *System) Adopt(ctx context.Context, tx *sqldb.Tx, who Person, path string, pending *cas.Pending, o WriteOptions) (Node, bool, error) {
	p, err := parsePath(path)
	if err != nil {
		return Node{}, false, err
	}
	return s.adopt(ctx, tx, who, p, pending, o)
}

// content is what a file is to hold, and how its reference is taken.
type content struct {
	hash cas.Hash
	size int64
	head []byte
	take func(ctx context.Context, tx *sqldb.Tx) error
}

func (s *System) adopt(ctx context.Context, tx *sqldb.Tx, who Person, p place, pending *cas.Pending, o WriteOptions) (Node, bool, error) {
	return s.put(ctx, tx, who, p, content{pending.Hash(), pending.Size(), pending.Head(), func(ctx context.Context, tx *sqldb.Tx) error {
		return s.n.CAS.Take(ctx, tx, pending)
	}}, o)
}

// put gives the file at a place its content.
func (s *System) put(ctx context.Context, tx *sqldb.Tx, who Person, p place, c content, o WriteOptions) (Node, bool, error) {
	if err := s.notBlocked(ctx, tx, c.hash); err != nil {
		return Node{}, false, err
	}
	old, found, parent, err := s.target(ctx, tx, who, p)
	if err != nil {
		return Node{}, false, err
	}
	if err := o.holds(old, found); err != nil {
		return Node{}, false, err
	}
	now := s.n.Clock.Now().UTC().Truncate(time.Microsecond)
	modified := o.Modified.UTC().Truncate(time.Microsecond)
	if modified.Unix() <= 0 {
		modified = now
	}
	if found {
		n, err := s.replace(ctx, tx, old, c, fileType(o.Type, old.Name, c.head), modified, now)
		return n, false, discreet(err, who, old.Owner)
	}
	_, name := p.parent()
	n := Node{ID: ids.New(now), Owner: parent.Owner, Parent: parent.ID, Name: name, Hash: c.hash, Size: c.size,
		Type: fileType(o.Type, name, c.head), Modified: modified, Made: now, Version: 1}
	if err := c.take(ctx, tx); err != nil {
		return Node{}, false, err
	}
	added, err := s.store.insert(ctx, tx, n)
	if err == nil && !added {
		err = errs.TryAfter(time.Second, "somebody else made %q at the same moment", name)
	}
	if err == nil {
		err = s.store.index(ctx, tx, n, false)
	}
	if err == nil {
		err = s.charge(ctx, tx, n.Owner, n.Size, 1)
	}
	return n, true, discreet(err, who, n.Owner)
}

// target finds the file at a place, or the folder that it is to be made in.
func (s *System) target(ctx context.Context, tx *sqldb.Tx, who Person, p place) (old Node, found bool, parent Node, err error) {
	if len(p.names) == 0 {
		if p.node == "" {
			return Node{}, false, Node{}, badPath("a file needs a name")
		}
		if old, found, err = s.store.byID(ctx, tx, p.node); err != nil || !found {
			return Node{}, false, Node{}, errors.Join(err, errIf(err == nil, errNone(p)))
		}
		if err = s.mayChange(ctx, tx, who, old, p); err == nil && old.Folder {
			err = errs.New(errs.Conflict, "%q is a folder", old.Name)
		}
		return old, true, Node{}, err
	}
	above, name := p.parent()
	if parent, err = s.folder(ctx, tx, who, above, true); err != nil {
		return Node{}, false, Node{}, err
	}
	old, found, err = s.store.child(ctx, tx, parent.Owner, parent.ID, name)
	if err == nil && found && old.Folder {
		err = errs.New(errs.Conflict, "%q is a folder", name)
	}
	return old, found, parent, err
}

func errIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

// replace makes the old content a version and the new one the node's.
func (s *System) replace(ctx context.Context, tx *sqldb.Tx, old Node, c content, kind string, modified, now time.Time) (Node, error) {
	n := old
	n.Hash, n.Size, n.Type, n.Modified = c.hash, c.size, kind, modified
	if c.hash != old.Hash {
		n.Version++
		if err := c.take(ctx, tx); err != nil {
			return Node{}, err
		}
		if _, err := tx.Exec(ctx, addVersionSQL, old.ID, old.Version, old.Hash[:], old.Size, old.Type, old.Modified.UnixMicro(), now.UnixMicro()); err != nil {
			return Node{}, err
		}
		if err := s.charge(ctx, tx, n.Owner, n.Size, 0); err != nil {
			return Node{}, err
		}
	}
	n.Blocked = false
	_, err := tx.Exec(ctx, contentSQL, n.ID, n.Hash[:], n.Size, n.Type, n.Modified.UnixMicro(), n.Version)
	return n, err
}

// holds checks the conditions against the file that stands there, if one does.
func (o WriteOptions) holds(old Node, found bool) error {
	tag := ""
	if found && !old.Folder {
		tag = old.ETag()
	}
	if o.IfMatch != "" && !tagged(o.IfMatch, tag, false) {
		return errs.New(errs.Stale, "the file is not the one that If-Match names: somebody changed it, or it is not there")
	}
	if o.IfNoneMatch != "" && found && tagged(o.IfNoneMatch, tag, true) {
		return errs.New(errs.Stale, "there is a file already that If-None-Match names")
	}
	return nil
}

// tagged says whether an If-Match or If-None-Match header names tag, "" for none.
func tagged(header, tag string, weak bool) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			return tag != ""
		}
		if weak {
			part = strings.TrimPrefix(part, "W/")
		}
		if tag != "" && part == tag {
			return true
		}
	}
	return false
}

// notBlocked refuses content that was taken down.
func (s *System) notBlocked(ctx context.Context, tx *sqldb.Tx, h cas.Hash) error {
	var n int64
	if err := tx.QueryRow(ctx, isBlockedSQL, h[:]).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return errBlocked()
	}
	return nil
}

func errBlocked() error { return errs.New(errs.Barred, "this content was taken down") }

// charge counts bytes and files of a person, and refuses more than the quota. What is
// given back is always taken.
func (s *System) charge(ctx context.Context, tx *sqldb.Tx, person string, bytes, files int64) error {
	var most, used int64
	if err := tx.QueryRow(ctx, quotaSQL, person, bytes, files).Scan(&most, &used); err != nil {
		return err
	}
	if limit := s.limit(most); bytes > 0 && used > limit {
		return roomLeft{limit: limit, left: limit - (used - bytes)}.over()
	}
	return nil
}

// limit returns a person's quota in bytes, for what stands in their row.
func (s *System) limit(most int64) int64 {
	switch {
	case most > 0:
		return most
	case most < 0 || s.c.Quota == 0:
		return 1 << 62
	}
	return s.c.Quota
}

// roomLeft is how much an owner may still keep.
type roomLeft struct {
	limit, left int64
	others      bool // the owner is not who asks: how much they keep is theirs to know
}

func (r roomLeft) over() error {
	if r.others {
		return errs.Wrap(errs.TooLarge, ErrQuota, "its owner's quota has no room for this")
	}
	return errs.Wrap(errs.TooLarge, ErrQuota, "the quota of %s has room for %s only", units.Bytes(float64(r.limit)), units.Bytes(float64(max(r.left, 0))))
}

// discreet keeps an owner's numbers from others who may write.
func discreet(err error, who Person, owner string) error {
	if who.ID != owner && errors.Is(err, ErrQuota) {
		return roomLeft{others: true}.over()
	}
	return err
}

// room refuses at once what cannot be written anyway, before its bytes are taken, and
// says how many may come.
func (s *System) room(ctx context.Context, who Person, p place, o WriteOptions) (roomLeft, error) {
	r, err := read(ctx, s, "look for room", func(ctx context.Context, tx *sqldb.Tx) (roomLeft, error) {
		n, rest, err := s.walk(ctx, tx, who, p)
		if err != nil {
			return roomLeft{}, err
		}
		if len(p.names) == 0 && p.node == "" {
			return roomLeft{}, badPath("a file needs a name")
		}
		if n.ID != "" {
			if err := s.mayChange(ctx, tx, who, n, p); err != nil {
				return roomLeft{}, err
			}
		}
		if n.Folder != (len(rest) > 0) {
			return roomLeft{}, errs.New(errs.Conflict, "%q is %s", n.Name, map[bool]string{true: "a folder", false: "a file"}[n.Folder])
		}
		if err := o.holds(n, len(rest) == 0); err != nil {
			return roomLeft{}, err
		}
		var most, used, files int64
		if err := tx.QueryRow(ctx, usedSQL, n.Owner).Scan(&most, &used, &files); err != nil && err != sqldb.ErrNoRows {
			return roomLeft{}, err
		}
		limit := s.limit(most)
		return roomLeft{limit, limit - used, n.Owner != who.ID}, nil
	})
	if err != nil {
		return r, err
	}
	if r.left <= 0 && o.Size != 0 || o.Size > r.left {
		return r, r.over()
	}
	r.left = min(r.left, cas.MaxSize)
	return r, nil
}
