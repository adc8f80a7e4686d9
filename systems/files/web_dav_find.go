package files

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/systems/files/internal/dav"
)

// live are the properties that say what the room knows, in the order in which they are
// told; the last two only to who asks for them by name (RFC 4331, 2).
var live = []string{"resourcetype", "creationdate", "getlastmodified", "getcontentlength", "getcontenttype", "getetag", "supportedlock", "lockdiscovery",
	"quota-available-bytes", "quota-used-bytes"}

const liveUsual = 8

// isLive says whether a property is ours to tell, and no client's to set.
func isLive(n dav.Name) bool {
	for _, l := range live {
		if n.Space == dav.Namespace && n.Local == l {
			return true
		}
	}
	return false
}

// davShelf is what a PROPFIND reads at once: a node, or a page of those in it.
type davShelf struct {
	nodes []Node
	dead  map[string][]dav.Prop // by node
	next  string
}

// finder answers one PROPFIND.
type finder struct {
	d     *davRequest
	find  dav.Find
	dead  bool // properties of clients are wanted
	locks []dav.Lock
	usage Usage
	out   *dav.Multi
}

// propfind tells the properties of a node and, with depth 1, of those in it, page by page.
func (d *davRequest) propfind() error {
	depth, err := dav.ParseDepth(d.r.Header.Get("Depth"))
	if err != nil {
		return malformed(err)
	}
	f := finder{d: d}
	if f.find, err = dav.ParseFind(&incoming{w: d.w, r: d.r.Body}); err != nil {
		return malformed(err)
	}
	f.dead = f.find.All || f.find.Names
	quota := false
	for _, n := range f.find.Props {
		f.dead = f.dead || !isLive(n)
		quota = quota || n.Local == live[liveUsual] || n.Local == live[liveUsual+1]
	}
	top, err := f.begin(d.r.Context())
	if err != nil {
		return err
	}
	if top.nodes[0].Folder && depth != dav.Zero && depth != dav.One {
		return fault(http.StatusForbidden, "propfind-finite-depth", "a whole tree is not told at once: use Depth 0 or 1")
	}
	if quota {
		if f.usage, err = d.s.Quota(d.r.Context(), d.who); err != nil {
			return err
		}
	}
	d.w.Header().Set("Content-Type", dav.ContentType)
	d.w.Header().Set("Cache-Control", "no-store")
	d.w.WriteHeader(http.StatusMultiStatus)
	f.out = dav.NewMulti(d.w)
	f.tell(d.path, top.nodes[0], top.dead)
	for more := top.nodes[0].Folder && depth == dav.One && top.nodes[0].ID != ""; more; {
		page, err := f.page(d.r.Context(), top.nodes[0], top.next)
		if err != nil {
			if d.r.Context().Err() == nil {
				d.s.n.Log.Error("a PROPFIND broke off", "request", d.r.URL.Path, "error", err)
			}
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		for _, n := range page.nodes {
			path := n.Name
			if d.path != "" {
				path = d.path + "/" + n.Name
			}
			f.tell(path, n, page.dead)
		}
		top.next, more = page.next, page.next != ""
	}
	f.out.Close() // a client that went away cannot be told
	return nil
}

// begin reads the node at the path, its properties and the locks.
func (f *finder) begin(ctx context.Context) (davShelf, error) {
	return read(ctx, f.d.s, "propfind", func(ctx context.Context, tx *sqldb.Tx) (sh davShelf, err error) {
		n, found, err := f.d.node(ctx, tx, f.d.path)
		if err == nil && !found {
			err = errs.New(errs.NotFound, "there is nothing at %q", f.d.path)
		}
		if err != nil {
			return sh, err
		}
		sh.nodes = []Node{n}
		if f.locks, err = dav.Locks(ctx, tx, f.d.who.ID, f.d.s.n.Clock.Now()); err == nil && f.dead {
			var list []dav.Prop
			list, err = dav.Props(ctx, tx, n.ID)
			sh.dead = byNode(list)
		}
		return sh, err
	})
}

// page reads some of what is in a folder.
func (f *finder) page(ctx context.Context, folder Node, cursor string) (davShelf, error) {
	limit := mostPage
	if f.dead { // each may have dav.MaxProps
		limit /= 10
	}
	return read(ctx, f.d.s, "propfind", func(ctx context.Context, tx *sqldb.Tx) (sh davShelf, err error) {
		if sh.nodes, err = f.d.s.store.nodes(ctx, tx, listSQL, folder.Owner, folder.ID, cursor, int64(limit+1)); err != nil || len(sh.nodes) == 0 {
			return sh, err
		}
		if sh.nodes, sh.next, err = cut(sh.nodes, limit, func(n Node) string { return n.Name }); err == nil && f.dead {
			var list []dav.Prop
			list, err = dav.PropsBelow(ctx, tx, folder.Owner, folder.ID, sh.nodes[0].Name, sh.nodes[len(sh.nodes)-1].Name)
			sh.dead = byNode(list)
		}
		return sh, err
	})
}

func byNode(list []dav.Prop) map[string][]dav.Prop {
	m := map[string][]dav.Prop{}
	for _, p := range list {
		m[p.Node] = append(m[p.Node], p)
	}
	return m
}

// tell writes what is asked for of one node.
func (f *finder) tell(path string, n Node, all map[string][]dav.Prop) {
	href := davRoot + dav.Escape(path)
	if n.Folder && path != "" {
		href += "/"
	}
	dead := all[n.ID]
	good, none := dav.Stat{Status: "200 OK"}, dav.Stat{Status: "404 Not Found"}
	if f.find.All || f.find.Names {
		for _, local := range live[:liveUsual] {
			if inner, ok := f.value(path, n, local); ok {
				if f.find.Names {
					inner = ""
				}
				good.Props = append(good.Props, dav.Element(dav.Name{Space: dav.Namespace, Local: local}, inner))
			}
		}
		for _, p := range dead {
			if f.find.Names {
				p.XML = dav.Element(p.Name, "")
			}
			good.Props = append(good.Props, p.XML)
		}
	}
	for _, name := range f.find.Props {
		if text, ok := f.prop(path, n, dead, name); ok {
			good.Props = append(good.Props, text)
		} else {
			none.Props = append(none.Props, dav.Element(name, ""))
		}
	}
	f.out.Response(href, good, none)
}

// prop returns the element of a property, or false where the node has none of the name.
func (f *finder) prop(path string, n Node, dead []dav.Prop, name dav.Name) (string, bool) {
	if isLive(name) {
		inner, ok := f.value(path, n, name.Local)
		return dav.Element(name, inner), ok
	}
	for _, p := range dead {
		if p.Name == name {
			return p.XML, true
		}
	}
	return "", false
}

// value returns what a live property holds.
func (f *finder) value(path string, n Node, local string) (string, bool) {
	switch local {
	case "resourcetype":
		if n.Folder {
			return "<D:collection/>", true
		}
		return "", true
	case "creationdate":
		return n.Made.UTC().Format(time.RFC3339), !n.Made.IsZero()
	case "getlastmodified":
		return n.Modified.UTC().Format(http.TimeFormat), !n.Modified.IsZero()
	case "supportedlock":
		return dav.Lockable, true
	case "lockdiscovery":
		inner := ""
		for _, l := range f.locks {
			if l.Covers(path) {
				inner += l.XML(davRoot)
			}
		}
		return inner, true
	case "quota-used-bytes":
		return strconv.FormatInt(f.usage.Used, 10), n.Folder
	case "quota-available-bytes":
		return strconv.FormatInt(max(f.usage.Limit-f.usage.Used, 0), 10), n.Folder && f.usage.Limit > 0
	}
	if n.Folder {
		return "", false
	}
	switch local {
	case "getcontentlength":
		return strconv.FormatInt(n.Size, 10), true
	case "getcontenttype":
		return dav.Text(n.Type), n.Type != ""
	case "getetag":
		return dav.Text(n.ETag()), true
	}
	return "", false
}

// proppatch changes properties that are clients': all of them, or none.
func (d *davRequest) proppatch() error {
	list, err := dav.ParsePatch(&incoming{w: d.w, r: d.r.Body})
	if err != nil {
		return malformed(err)
	}
	protected := false
	for _, p := range list {
		protected = protected || isLive(p.Name)
	}
	folder, err := write(d.r.Context(), d.s, "set properties", list, func(ctx context.Context, tx *sqldb.Tx) (bool, error) {
		_, n, found, err := d.check(ctx, tx, dav.Change{Path: d.path})
		if err == nil && !found {
			err = errs.New(errs.NotFound, "there is nothing at %q", d.path)
		}
		if err == nil && n.ID == "" && !protected {
			n, err = d.s.makeRoot(ctx, tx, d.who)
		}
		if err == nil && !protected {
			err = dav.Apply(ctx, tx, n.Owner, n.ID, list)
		}
		return n.Folder, err
	})
	full := errors.Is(err, dav.ErrNoRoom)
	if err != nil && !full {
		return err
	}
	good, failed, rest := dav.Stat{Status: "200 OK"}, dav.Stat{Status: "403 Forbidden", Error: "cannot-modify-protected-property"}, dav.Stat{Status: "424 Failed Dependency"}
	if full {
		failed = dav.Stat{Status: "507 Insufficient Storage"}
	}
	for _, p := range list {
		to := &good
		switch {
		case protected && isLive(p.Name) || full && !p.Remove:
			to = &failed
		case protected || full:
			to = &rest
		}
		to.Props = append(to.Props, dav.Element(p.Name, ""))
	}
	d.w.Header().Set("Content-Type", dav.ContentType)
	d.w.WriteHeader(http.StatusMultiStatus)
	out := dav.NewMulti(d.w)
	href := davRoot + dav.Escape(d.path)
	if folder && d.path != "" {
		href += "/"
	}
	out.Response(href, good, failed, rest)
	out.Close()
	return nil
}
