package bucket

import "syscall"

// Room implements Roomer.
func (f *folder) Room() (free, size int64) {
	var s syscall.Statfs_t
	if syscall.Statfs(f.root, &s) != nil {
		return 0, 0
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)
}
