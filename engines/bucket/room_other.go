//go:build !linux

package bucket

// Room implements Roomer: it is not asked for here.
func (f *folder) Room() (free, size int64) { return 0, 0 }
