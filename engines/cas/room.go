package cas

import (
	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/bucket"
)

// A disk keeps reserve bytes, or an eighth of its size where that is less, for removing:
// a database writes before anything is freed, so that a disk which contents filled to
// the last byte could not be emptied either.
const reserve = int64(64) << 20

// room refuses new content where the disk has little more than its reserve.
func (s *Store) room() error {
	disk, ok := s.n.Bucket.(bucket.Roomer)
	if !ok {
		return nil
	}
	free, size := disk.Room()
	keep := min(reserve, size/8)
	if free >= keep {
		return nil
	}
	return errs.Wrap(errs.Busy, errs.ErrFull, "the disk is full: its last %s are for removing", units.Bytes(float64(keep)))
}
