package files

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/web"
	"plumb/systems/files/internal/dav"
)

// put stores the body. Unlike the API it makes no folders.
func (d *davRequest) put() error {
	if d.r.Header.Get("Content-Range") != "" {
		return web.Malformed(errs.New(errs.Invalid, "a part of a file cannot be put (RFC 9110, 14.5)"))
	}
	o := d.writeOptions()
	// ownCloud's way to say when the content was last modified; rclone and others know it.
	mtime, err := strconv.ParseFloat(d.r.Header.Get("X-OC-Mtime"), 64)
	if err == nil && mtime > 0 && mtime < 1<<40 {
		o.Modified = time.Unix(int64(mtime), 0)
	}
	ask := func(ctx context.Context, tx *sqldb.Tx) error {
		_, n, found, err := d.check(ctx, tx, dav.Change{Path: d.path})
		switch {
		case err != nil:
			return err
		case found && n.Folder:
			return fault(http.StatusMethodNotAllowed, "", "a folder stands there")
		case found:
			return nil
		}
		return d.mayAdd(ctx, tx)
	}
	// Before the bytes are taken, and again when they are there.
	if err := d.s.n.DB.Read(d.r.Context(), ask); err != nil {
		return err
	}
	n, created, err := d.s.Write(guarded(d.r.Context(), ask), d.who, d.path, &incoming{w: d.w, r: d.r.Body}, o)
	if err != nil {
		d.s.measures.refuse(err)
		return err
	}
	d.w.Header().Set("ETag", n.ETag())
	if !o.Modified.IsZero() {
		d.w.Header().Set("X-OC-Mtime", "accepted")
	}
	d.done(created)
	return nil
}

// mayAdd checks that the path can be added to its folder, which must be there.
func (d *davRequest) mayAdd(ctx context.Context, tx *sqldb.Tx) error {
	if _, _, _, err := d.check(ctx, tx, dav.Change{Path: d.path, Members: true}); err != nil {
		return err
	}
	up, found, err := d.node(ctx, tx, dav.Parent(d.path))
	if err == nil && (!found || !up.Folder) {
		err = errs.New(errs.Conflict, "there is no folder %q", dav.Parent(d.path))
	}
	return err
}

// done answers a change that has nothing to tell.
func (d *davRequest) done(created bool) {
	status := http.StatusNoContent
	if created {
		status = http.StatusCreated
	}
	d.w.WriteHeader(status)
}

// delete puts what is there into the bin, and ends the locks on it.
func (d *davRequest) delete() error {
	if d.path == "" {
		return errs.New(errs.Denied, "the root stays")
	}
	depth, err := dav.ParseDepth(d.r.Header.Get("Depth"))
	if err != nil {
		return malformed(err)
	}
	ctx := guarded(d.r.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		locks, n, found, err := d.check(ctx, tx, dav.Change{Path: d.path, Members: true, Below: true})
		switch {
		case err != nil:
			return err
		case !found:
			return errs.New(errs.NotFound, "there is nothing at %q", d.path)
		case n.Folder && depth != dav.Absent && depth != dav.Infinity:
			return badPath("a folder is removed with all that is below it: Depth is infinity")
		}
		return dav.Unlock(ctx, tx, d.who.ID, dav.At(locks, d.path)...)
	})
	if err := d.s.Remove(ctx, d.who, d.path); err != nil {
		return err
	}
	d.done(false)
	return nil
}

// mkcol makes a folder.
func (d *davRequest) mkcol() error {
	if n, err := io.ReadFull(d.r.Body, make([]byte, 1)); n > 0 {
		return fault(http.StatusUnsupportedMediaType, "", "MKCOL takes no body")
	} else if err != io.EOF {
		return web.Malformed(errs.Wrap(errs.Invalid, err, "the body could not be read"))
	}
	ctx := guarded(d.r.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if _, _, found, err := d.check(ctx, tx); err != nil || found {
			return errIfNot(err, fault(http.StatusMethodNotAllowed, "", "there is something already"))
		}
		return d.mayAdd(ctx, tx)
	})
	if d.path == "" {
		return fault(http.StatusMethodNotAllowed, "", "the root is there")
	}
	if _, err := d.s.Mkdir(ctx, d.who, d.path, false); err != nil {
		return err
	}
	d.done(true)
	return nil
}

// transfer is a COPY or MOVE, read.
type transfer struct {
	to        string
	overwrite bool
	depth     dav.Depth
	from      Node // what is copied or moved
	replaced  bool // something stood there
}

// transfer reads the headers of a COPY or MOVE.
func (d *davRequest) transfer() (t transfer, err error) {
	if t.overwrite, err = dav.ParseOverwrite(d.r.Header.Get("Overwrite")); err != nil {
		return t, malformed(err)
	}
	if t.depth, err = dav.ParseDepth(d.r.Header.Get("Depth")); err == nil && t.depth == dav.One {
		err = errs.New(errs.Invalid, "Depth is 0 or infinity")
	}
	if err != nil {
		return t, malformed(err)
	}
	to := d.r.Header.Get("Destination")
	if to == "" {
		return t, badPath("the header Destination is missing")
	}
	if t.to, err = d.space.Path(to); errors.Is(err, dav.ErrElsewhere) {
		return t, fault(http.StatusBadGateway, "", "%s", errs.Message(err))
	}
	if err == nil {
		t.to, err = davPath(t.to)
	}
	switch {
	case err != nil:
		return t, malformed(err)
	case t.to == d.path, t.to == "", d.path == "":
		return t, errs.New(errs.Denied, "the source and the destination are the same, or the root")
	}
	return t, nil
}

// ask checks a transfer: what is changed at the source are its changes, none for a copy.
func (d *davRequest) ask(ctx context.Context, tx *sqldb.Tx, t *transfer, source ...dav.Change) error {
	_, there, err := d.node(ctx, tx, t.to)
	if err != nil {
		return err
	}
	locks, n, found, err := d.check(ctx, tx, append(source, dav.Change{Path: t.to, Members: !there, Below: true})...)
	switch {
	case err != nil:
		return err
	case !found:
		return errs.New(errs.NotFound, "there is nothing at %q", d.path)
	case there && !t.overwrite:
		return errs.New(errs.Stale, "there is something at the destination, and Overwrite is F")
	case len(source) > 0 && n.Folder && t.depth == dav.Zero:
		return badPath("a folder is moved with all that is below it: Depth is infinity")
	}
	t.from, t.replaced = n, there
	// Locks stay where they are: neither the copy nor what was moved has them.
	var end []dav.Lock
	for _, l := range dav.At(locks, t.to) {
		if l.Path != t.to {
			end = append(end, l)
		}
	}
	if len(source) > 0 {
		end = append(end, dav.At(locks, d.path)...)
	}
	return dav.Unlock(ctx, tx, d.who.ID, end...)
}

func (d *davRequest) moveTo() error {
	t, err := d.transfer()
	if err != nil {
		return err
	}
	ctx := guarded(d.r.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return d.ask(ctx, tx, &t, dav.Change{Path: d.path, Members: true, Below: true})
	})
	if err := d.s.Move(ctx, d.who, d.path, t.to, t.overwrite); err != nil {
		return err
	}
	d.done(!t.replaced)
	return nil
}

// copyTo copies with the properties that clients stored, which follow the copy in steps.
func (d *davRequest) copyTo() error {
	t, err := d.transfer()
	if err != nil {
		return err
	}
	ask := func(ctx context.Context, tx *sqldb.Tx) error { return d.ask(ctx, tx, &t) }
	if err := d.s.n.DB.Read(d.r.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		n, found, err := d.node(ctx, tx, d.path)
		if err == nil && !found {
			err = errs.New(errs.NotFound, "there is nothing at %q", d.path)
		}
		t.from = n
		return err
	}); err != nil {
		return err
	}
	ctx := guarded(d.r.Context(), ask)
	var n Node
	if t.from.Folder && t.depth == dav.Zero {
		n, err = d.copyBare(ctx, &t)
	} else {
		n, err = d.s.copy(ctx, d.who, d.path, t.to, t.overwrite)
	}
	if err != nil {
		return err
	}
	if err := d.s.copyProps(context.WithoutCancel(d.r.Context()), n.Owner, dav.Copied{From: t.from.ID, To: n.ID}, t.depth != dav.Zero); err != nil {
		return err
	}
	d.done(!t.replaced)
	return nil
}

// copyBare copies a folder without what is in it.
func (d *davRequest) copyBare(ctx context.Context, t *transfer) (Node, error) {
	to, err := parsePath(t.to)
	if err != nil {
		return Node{}, err
	}
	n, err := write(ctx, d.s, "copy", move{d.path, t.to}, func(ctx context.Context, tx *sqldb.Tx) (Node, error) {
		parent, name, err := d.s.destination(ctx, tx, d.who, to)
		if err == nil {
			err = d.s.clear(ctx, tx, Node{Parent: parent.ID}, parent, name, t.overwrite)
		}
		if err != nil {
			return Node{}, err
		}
		return d.s.makeFolder(ctx, tx, parent, name)
	})
	if err == nil {
		d.s.changed(ctx, n, "copied")
	}
	return n, err
}

// copyProps gives a copy the properties that clients stored for the original, folder by
// folder.
func (s *System) copyProps(ctx context.Context, owner string, c dav.Copied, below bool) error {
	for queue := []dav.Copied{c}; len(queue) > 0; queue = queue[1:] {
		folders, err := write(ctx, s, "copy properties", queue[0], func(ctx context.Context, tx *sqldb.Tx) ([]dav.Copied, error) {
			return dav.CopyProps(ctx, tx, owner, queue[0])
		})
		if err != nil {
			return err
		}
		if below {
			queue = append(queue, folders...)
		}
	}
	return nil
}
