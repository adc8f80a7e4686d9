// Package powercut serves a folder that models what a power cut leaves of it.
//
// Kill -9 does not test durability, because the kernel keeps what was never
// synced. This folder, served by FUSE, forgets it:
//
//	f, err := powercut.Open(backing, mount, powercut.Options{})
//	... another process works in mount, and is killed ...
//	report, err := f.Cut(seed)   // backing holds what a disk might hold now
//
// The live tree is in memory. Each file also has a durable image, brought up to
// date only by fsync, and each folder a durable list of names, brought up to date
// only by fsync of the folder. Cut writes the durable tree, plus a seeded random
// part of what was not synced (in any order, some writes torn at 512 bytes or
// 4 KiB), into the backing folder. Bytes are durable after fsync, fdatasync,
// msync or an O_SYNC or O_DSYNC write; close is no sync.
//
// Besides random cuts, cut at each step in turn ([Options].CutAtOp): only that
// covers start-up and names. The process under test runs on its own, never in
// the one that serves the folder: the two would wait for each other.
//
// Stricter than ext4: an old write may land over a newer unsynced one. Not
// modelled: sync(2), syncfs and sync_file_range (they succeed and persist
// nothing), fallocate, symbolic links, O_TMPFILE and extended attributes
// (refused); mode, owner and times take part in no cut. All bytes are in memory,
// about twice the files' sizes and the unsynced writes; SQLite's WAL works, with
// the page cache on, as it is here.
package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Options say how the disk behaves. The zero value is a strict one.
type Options struct {
	// Ext4Names: fsync of a file or folder also persists every name change up to
	// its own last one, and a cut keeps a prefix of the rest. Without it only
	// fsync of the folder persists names, and a cut keeps any subset.
	Ext4Names bool
	// LyingDisk: fsync answers success and persists nothing.
	LyingDisk bool
	// CutAtOp freezes the folder at the n-th change or sync (0: never), so that a
	// cut can be repeated exactly. Frozen calls answer EIO.
	CutAtOp int
}

// Folder is a served folder. Its methods are safe for concurrent use.
type Folder struct {
	opt            Options
	backing, mount string
	srv            *fuse.Server

	mu      sync.Mutex
	root    *node
	lastIno uint64
	names   []nameOp // name changes not yet durable, oldest first
	frozen  bool
	ops     int   // changes and syncs so far
	room    int64 // bytes that files may still grow by; negative: no bound
	refused int   // calls refused for want of room
}

// node is one inode: a file (live, durable, pending) or a folder (kids, durKids).
type node struct {
	fs.Inode
	p             *Folder
	ino           uint64
	mode          uint32 // type and permission bits
	mtime         time.Time
	nlink         uint32
	live, durable []byte
	pending       []dataOp
	kids, durKids map[string]*node
}

// dataOp is a write at off, or, with cut set, a truncate to off.
type dataOp struct {
	off  int64
	data []byte
	cut  bool
}

// nameOp takes n away from (from, fromName) and puts it at (to, toName); either may be nil.
type nameOp struct {
	n                *node
	from, to         *node
	fromName, toName string
}

type handle struct{ flags uint32 }

// Open loads backing as fully durable and serves it at mount, an existing empty
// folder. Where FUSE can't be mounted the error says what is missing.
func Open(backing, mount string, opt Options) (*Folder, error) {
	p := &Folder{opt: opt, backing: backing, mount: mount, room: -1}
	root, err := p.load(backing)
	if err != nil {
		return nil, fmt.Errorf("serve %s for power cuts: %w", backing, err)
	}
	p.root = root
	long := time.Hour // nothing changes except through this mount
	p.srv, err = fs.Mount(mount, root, &fs.Options{
		EntryTimeout:   &long,
		AttrTimeout:    &long,
		RootStableAttr: &fs.StableAttr{Ino: root.ino},
		// EnableLocks stays off: the kernel then does flock and fcntl locks itself.
		MountOptions: fuse.MountOptions{FsName: "powercut", Name: "powercut", MaxWrite: 1 << 20,
			DirectMountStrict: true, DisableXAttrs: true},
	})
	if err != nil {
		return nil, fmt.Errorf("serve %s for power cuts: this needs FUSE (/dev/fuse, and root or CAP_SYS_ADMIN), which does not work here: %w", backing, err)
	}
	return p, nil
}

// SetRoom bounds the bytes by which files may still grow, all together; what
// does not fit is refused with ENOSPC, as on a full disk. Negative: no bound.
func (p *Folder) SetRoom(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.room = bytes
}

// Refused returns how many calls were refused for want of room.
func (p *Folder) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// grow takes bytes from the room, or says that the disk is full. Callers hold mu.
func (p *Folder) grow(bytes int64) syscall.Errno {
	if p.room < 0 || bytes <= 0 {
		return 0
	}
	if bytes > p.room {
		p.refused++
		return syscall.ENOSPC
	}
	p.room -= bytes
	return 0
}

func (p *Folder) newNode(mode uint32) *node {
	p.lastIno++
	n := &node{p: p, ino: p.lastIno, mode: mode, mtime: time.Now()}
	if n.isDir() {
		n.kids, n.durKids = map[string]*node{}, map[string]*node{}
	}
	return n
}

// load reads the tree at path as durable.
func (p *Folder) load(path string) (*node, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	perm := uint32(fi.Mode().Perm())
	if fi.Mode().IsRegular() {
		n := p.newNode(syscall.S_IFREG | perm)
		n.live, err = os.ReadFile(path)
		n.durable = slices.Clone(n.live)
		return n, err
	}
	if !fi.IsDir() {
		return nil, errors.New("powercut: not a file or folder: " + path)
	}
	n := p.newNode(syscall.S_IFDIR | perm)
	list, err := os.ReadDir(path)
	for _, e := range list {
		kid, err := p.load(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		kid.nlink = 1
		n.kids[e.Name()], n.durKids[e.Name()] = kid, kid
	}
	return n, err
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// resize cuts img or fills it with zeros.
func resize(img []byte, size int64) []byte {
	old := int64(len(img))
	if size <= old {
		return img[:size]
	}
	img = slices.Grow(img, int(size-old))[:size]
	clear(img[old:]) // the room may hold bytes from before a truncate
	return img
}

// apply returns the image after the step.
func (op dataOp) apply(img []byte) []byte {
	if op.cut {
		return resize(img, op.off)
	}
	if end := op.off + int64(len(op.data)); end > int64(len(img)) {
		img = resize(img, end)
	}
	copy(img[op.off:], op.data)
	return img
}

// persist makes the step part of the durable names.
func (op nameOp) persist() {
	if op.from != nil && op.from.durKids[op.fromName] == op.n {
		delete(op.from.durKids, op.fromName)
	}
	if op.to != nil {
		op.to.durKids[op.toName] = op.n
	}
}

// change counts one change or sync and says whether service goes on. Callers hold mu.
func (p *Folder) change() syscall.Errno {
	if p.ops++; p.opt.CutAtOp > 0 && p.ops >= p.opt.CutAtOp {
		p.frozen = true
	}
	return p.alive()
}

// alive says whether calls are answered. Callers hold mu.
func (p *Folder) alive() syscall.Errno {
	if p.frozen {
		return syscall.EIO
	}
	return 0
}

// sync makes n durable: a file's bytes, a folder's names.
func (n *node) sync() {
	p := n.p
	if p.opt.LyingDisk {
		return
	}
	for _, op := range n.pending {
		n.durable = op.apply(n.durable)
	}
	n.pending = nil
	if p.opt.Ext4Names {
		last := -1
		for i, op := range p.names {
			if op.n == n || op.from == n || op.to == n {
				last = i
			}
		}
		for _, op := range p.names[:last+1] {
			op.persist()
		}
		p.names = slices.Clone(p.names[last+1:])
		return
	}
	if !n.isDir() {
		return
	}
	// A rename between folders is one step, so syncing either folder takes with
	// it what the other folder did before the rename.
	dirs := map[*node]bool{n: true}
	var now, later []nameOp
	for i := len(p.names) - 1; i >= 0; i-- {
		op := p.names[i]
		if dirs[op.from] && op.from != nil || dirs[op.to] && op.to != nil {
			if op.from != nil {
				dirs[op.from] = true
			}
			if op.to != nil {
				dirs[op.to] = true
			}
			now = append(now, op)
		} else {
			later = append(later, op)
		}
	}
	slices.Reverse(now)
	slices.Reverse(later)
	for _, op := range now {
		op.persist()
	}
	p.names = later
}

// durableNodes lists the nodes reachable by durable names, in a fixed order.
func (p *Folder) durableNodes() []*node {
	seen := map[*node]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if !seen[n] {
			seen[n] = true
			for _, kid := range n.durKids {
				walk(kid)
			}
		}
	}
	walk(p.root)
	var list []*node
	for n := range seen {
		list = append(list, n)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ino < list[j].ino })
	return list
}

// store writes the durable tree below n into dir, which is emptied first.
func (n *node) store(dir string, done map[*node]string) error {
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for name, kid := range n.durKids {
		path, perm := filepath.Join(dir, name), os.FileMode(kid.mode&0o777)
		if first, ok := done[kid]; ok && !kid.isDir() {
			err = os.Link(first, path)
		} else if ok {
			continue // a folder half way through a rename keeps one name
		} else if kid.isDir() {
			done[kid] = path
			if err = os.Mkdir(path, perm|0o700); err == nil {
				err = kid.store(path, done)
			}
		} else {
			done[kid] = path
			err = os.WriteFile(path, kid.durable, perm)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unmount ends service, by force where somebody still holds a file.
func (p *Folder) unmount() error {
	for i := 0; i < 20; i++ {
		if err := p.srv.Unmount(); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return syscall.Unmount(p.mount, syscall.MNT_DETACH|syscall.MNT_FORCE)
}

// Close is a clean shutdown: everything reaches the backing folder, synced or not.
func (p *Folder) Close() error {
	if err := p.unmount(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen, p.opt.LyingDisk = true, false
	for _, op := range p.names {
		op.persist()
	}
	p.names = nil
	for _, n := range p.durableNodes() {
		n.sync()
	}
	return p.root.store(p.backing, map[*node]string{})
}
