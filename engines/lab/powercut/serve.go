package powercut

import (
	"context"
	"slices"
	"sort"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Flush (close) is deliberately absent: close is not a sync.
var _ = []any{fs.NodeLookuper(&node{}), fs.NodeReaddirer(&node{}), fs.NodeGetattrer(&node{}),
	fs.NodeSetattrer(&node{}), fs.NodeOpener(&node{}), fs.NodeReader(&node{}), fs.NodeWriter(&node{}),
	fs.NodeFsyncer(&node{}), fs.NodeCreater(&node{}), fs.NodeMkdirer(&node{}), fs.NodeUnlinker(&node{}),
	fs.NodeRmdirer(&node{}), fs.NodeRenamer(&node{}), fs.NodeLinker(&node{}), fs.NodeStatfser(&node{})}

func (n *node) fill(a *fuse.Attr) {
	a.Ino, a.Mode, a.Size = n.ino, n.mode, uint64(len(n.live))
	a.Blocks, a.Blksize, a.Nlink = (a.Size+511)/512, 4096, n.nlink
	if n.isDir() {
		a.Nlink = 2
	}
	a.SetTimes(&n.mtime, &n.mtime, &n.mtime)
}

// Statfs says how much room there is, for programs that look first.
func (n *node) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	const block, all = 4096, 1 << 40
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks, out.Files, out.Ffree = all/block, 1<<20, 1<<20
	room := n.p.room
	if room < 0 {
		room = all
	}
	out.Bfree, out.Bavail = uint64(room)/block, uint64(room)/block
	return n.p.alive()
}

// entry hands kid to the kernel as a child of n.
func (n *node) entry(ctx context.Context, kid *node, out *fuse.EntryOut) *fs.Inode {
	kid.fill(&out.Attr)
	return n.NewInode(ctx, kid, fs.StableAttr{Mode: kid.mode & syscall.S_IFMT, Ino: kid.ino})
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	kid := n.kids[name]
	if kid == nil {
		return nil, syscall.ENOENT
	}
	return n.entry(ctx, kid, out), n.p.alive()
}

func (n *node) Readdir(ctx context.Context) (fs.DirStream, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	var list []fuse.DirEntry
	for name, kid := range n.kids {
		list = append(list, fuse.DirEntry{Name: name, Mode: kid.mode, Ino: kid.ino})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return fs.NewListDirStream(list), n.p.alive()
}

func (n *node) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	n.fill(&out.Attr)
	return n.p.alive()
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return e
	}
	if size, ok := in.GetSize(); ok {
		if e := n.p.grow(int64(size) - int64(len(n.live))); e != 0 {
			return e
		}
		n.do(dataOp{off: int64(size), cut: true})
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&0o7777 // durable at once: not modelled
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	n.fill(&out.Attr)
	return 0
}

func (n *node) do(op dataOp) {
	n.live = op.apply(n.live)
	n.pending = append(n.pending, op)
	n.mtime = time.Now()
}

// The kernel page cache is kept on (no DIRECT_IO), which shared mmap needs.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	return &handle{flags}, fuse.FOPEN_KEEP_CACHE, n.p.alive()
}

func (n *node) Read(ctx context.Context, f fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	got := 0
	if off < int64(len(n.live)) {
		got = copy(dest, n.live[off:])
	}
	return fuse.ReadResultData(dest[:got]), n.p.alive()
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return 0, e
	}
	if e := n.p.grow(off + int64(len(data)) - int64(len(n.live))); e != 0 {
		return 0, e
	}
	n.do(dataOp{off: off, data: slices.Clone(data)})
	if h, ok := f.(*handle); ok && h.flags&syscall.O_DSYNC != 0 { // O_SYNC includes this bit
		n.sync()
	}
	return uint32(len(data)), 0
}

// Fsync serves fsync, fdatasync and msync, for files and folders.
func (n *node) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return e
	}
	n.sync()
	return 0
}

// rename moves a live name and logs the change. Callers hold mu.
func (p *Folder) rename(op nameOp) {
	if op.from != nil {
		delete(op.from.kids, op.fromName)
		op.n.nlink--
	}
	if op.to != nil {
		if old := op.to.kids[op.toName]; old != nil {
			old.nlink--
		}
		op.to.kids[op.toName] = op.n
		op.n.nlink++
	}
	p.names = append(p.names, op)
}

func (n *node) add(ctx context.Context, name string, kid *node, out *fuse.EntryOut) *fs.Inode {
	n.p.rename(nameOp{n: kid, to: n, toName: name})
	return n.entry(ctx, kid, out)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return nil, nil, 0, e
	}
	if n.kids[name] != nil {
		return nil, nil, 0, syscall.EEXIST
	}
	kid := n.p.newNode(syscall.S_IFREG | mode&0o7777)
	return n.add(ctx, name, kid, out), &handle{flags}, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return nil, e
	}
	if n.kids[name] != nil {
		return nil, syscall.EEXIST
	}
	return n.add(ctx, name, n.p.newNode(syscall.S_IFDIR|mode&0o7777), out), 0
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return nil, e
	}
	if n.kids[name] != nil {
		return nil, syscall.EEXIST
	}
	return n.add(ctx, name, target.(*node), out), 0
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return e
	}
	kid := n.kids[name]
	if kid == nil {
		return syscall.ENOENT
	}
	if len(kid.kids) > 0 {
		return syscall.ENOTEMPTY
	}
	n.p.rename(nameOp{n: kid, from: n, fromName: name})
	return 0
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno { return n.Unlink(ctx, name) }

func (n *node) Rename(ctx context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	if e := n.p.change(); e != 0 {
		return e
	}
	to, kid := newParent.(*node), n.kids[name]
	old := to.kids[newName]
	switch {
	case kid == nil:
		return syscall.ENOENT
	case flags == fs.RENAME_EXCHANGE:
		return syscall.ENOTSUP
	case old == kid:
		return 0
	case old != nil && flags != 0:
		return syscall.EEXIST
	case old != nil && len(old.kids) > 0:
		return syscall.ENOTEMPTY
	}
	n.p.rename(nameOp{n: kid, from: n, fromName: name, to: to, toName: newName})
	return 0
}
