package files

import (
	"context"
	"io"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/systems/files/internal/remote"
)

// served is a server's store.
type served struct{ *remote.Client }

func (r served) Stats(ctx context.Context) (st statsOut, err error) {
	err = r.Ask(ctx, "GET", "/stats", &st)
	return st, err
}

func (r served) Scrub(ctx context.Context, progress func(done, total int64)) (out scrubOut, err error) {
	err = r.Client.Scrub(ctx, progress, &out)
	return out, err
}

func (r served) Collect(ctx context.Context) (out collectOut, err error) {
	err = r.Ask(ctx, "POST", "/collect", &out)
	return out, err
}

func (r served) Rekey(ctx context.Context) (out rekeyOut, err error) {
	err = r.Ask(ctx, "POST", "/rekey", &out)
	return out, err
}

// stopped is a store whose server does not run, for one person.
type stopped struct {
	s   *System
	who Person
}

func remoteNode(n Node) remote.Node {
	o := n.out()
	return remote.Node{ID: o.ID, Name: o.Name, Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Modified: o.Modified}
}

func (l stopped) Stat(ctx context.Context, path string) (remote.Node, error) {
	n, err := l.s.Stat(ctx, l.who, path)
	return remoteNode(n), err
}

func (l stopped) List(ctx context.Context, path, cursor string) ([]remote.Node, string, error) {
	nodes, next, err := l.s.List(ctx, l.who, path, cursor, mostPage)
	list := make([]remote.Node, len(nodes))
	for i, n := range nodes {
		list[i] = remoteNode(n)
	}
	return list, next, err
}

func (l stopped) Put(ctx context.Context, path string, r io.Reader, size int64, modified time.Time) error {
	_, _, err := l.s.Write(ctx, l.who, path, r, WriteOptions{Size: size, Modified: modified})
	return err
}

func (l stopped) Mkdir(ctx context.Context, path string) error {
	_, err := l.s.Mkdir(ctx, l.who, path, true)
	return err
}

func (l stopped) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	return l.s.Open(ctx, l.who, path)
}

func (l stopped) Stats(ctx context.Context) (statsOut, error) {
	t, err := l.s.Stats(ctx, l.who)
	return t.out(), err
}

func (l stopped) Scrub(ctx context.Context, progress func(done, total int64)) (scrubOut, error) {
	r, err := l.s.Scrub(ctx, func(p cas.Progress) { progress(p.Done, p.Total) })
	return scrubbed(r), err
}

func (l stopped) Collect(ctx context.Context) (collectOut, error) {
	r, err := l.s.Collect(ctx, nil)
	return collected(r), err
}

func (l stopped) Rekey(ctx context.Context) (rekeyOut, error) {
	n, err := l.s.Rekey(ctx)
	return rekeyOut{n}, err
}

// notFound says whether an error is that there is nothing.
func notFound(err error) bool { return errs.Is(err, errs.NotFound) }
