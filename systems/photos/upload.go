package photos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/base/units"
	"plumb/engines/cas"
	"plumb/engines/picture"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// UploadOptions say more about a photo that comes.
type UploadOptions struct {
	Name     string    // of the file; "": none
	Size     int64     // bytes that will come, -1 where that is not known; other than that many are refused
	Modified time.Time // of the file; it stands for when the photo was taken, where the photo does not say
	Album    string    // an album of the person's that it is put into; "": none
}

// ErrQuota marks a TooLarge error whose limit is the person's quota.
var ErrQuota = errors.New("over the quota")

// mostTries is how often an upload follows a person who is being moved.
const mostTries = 5

// Upload keeps a photo, and says whether it was there before: then the earlier one is
// returned, taken out of the bin if need be. Nothing is seen before all of it is durable.
// Errors: Invalid for what is no photo, or a broken one, or of another size than
// announced; TooLarge for bytes, pixels and the quota; NotFound for the album; Busy.
func (s *System) Upload(ctx context.Context, p Person, body io.Reader, o UploadOptions) (photo Photo, again bool, err error) {
	began := s.n.Clock.Now()
	if err := s.admit(ctx, p, o); err != nil {
		return Photo{}, false, fmt.Errorf("upload: %w", err)
	}
	sp, err := s.spools.read(ctx, body, s.c.MaxBytes)
	if err != nil {
		return Photo{}, false, fmt.Errorf("upload: %w", err)
	}
	defer sp.Close()
	if photo, err = s.describe(p, sp, o); err != nil {
		return Photo{}, false, fmt.Errorf("upload: %w", err)
	}
	kept, err := s.keep(ctx, p, photo, sp, o.Album)
	if err != nil {
		return Photo{}, false, err
	}
	s.set.Count(p.ID, sp.size, 0, s.n.Clock.Now().Sub(began), 0)
	s.measures.kept(kept)
	if !kept.Again {
		s.askSizes(ctx, kept.Photo)
		s.changed(ctx, p.ID, "uploaded", kept.Photo.ID)
	}
	return kept.Photo, kept.Again, nil
}

// admit refuses at once what cannot be kept anyway, before its bytes are taken.
func (s *System) admit(ctx context.Context, p Person, o UploadOptions) error {
	if o.Size > s.c.MaxBytes {
		return errs.New(errs.TooLarge, "a photo may have %s (%d bytes), not %d", units.Bytes(float64(s.c.MaxBytes)), s.c.MaxBytes, o.Size)
	}
	if o.Size == 0 {
		return errEmpty()
	}
	_, err := read(ctx, s, "look for room", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (int, error) {
		if o.Album != "" {
			if _, err := s.album(ctx, tx, p.ID, o.Album); err != nil {
				return 0, err
			}
		}
		_, bytes, err := tallied(ctx, tx, p.ID)
		if err == nil && s.c.Quota > 0 && bytes+max(o.Size, 1) > s.c.Quota {
			err = s.overQuota(bytes)
		}
		return 0, err
	})
	return err
}

func errEmpty() error { return errs.New(errs.Invalid, "the photo is empty: it has 0 bytes") }

func (s *System) overQuota(used int64) error {
	return errs.Wrap(errs.TooLarge, ErrQuota, "your quota of %s has room for %s only", units.Bytes(float64(s.c.Quota)), units.Bytes(float64(max(s.c.Quota-used, 0))))
}

// describe makes a photo of what came, if it is one.
func (s *System) describe(p Person, sp *spool, o UploadOptions) (Photo, error) {
	if sp.size == 0 {
		return Photo{}, errEmpty()
	}
	if o.Size >= 0 && sp.size != o.Size {
		return Photo{}, errs.New(errs.Invalid, "%d bytes came, not the %d that were announced", sp.size, o.Size)
	}
	info, err := picture.Probe(sp, sp.size)
	if err != nil {
		return Photo{}, err
	}
	if pixels := int64(info.Width) * int64(info.Height); pixels > s.c.MaxPixels {
		return Photo{}, errs.New(errs.TooLarge, "the photo has %d x %d pixels; %s are the most", info.Width, info.Height, units.Count(s.c.MaxPixels))
	}
	now := s.now()
	photo := Photo{ID: ids.New(now), Owner: p.ID, Name: cleanName(o.Name), Type: info.Type, Hash: sp.hash(), Size: sp.size, Width: int64(info.Width), Height: int64(info.Height),
		Camera: camera(info.Make, info.Model), Lens: tidy(info.Lens), Exposure: exposure(info), HasPlace: info.HasGPS, State: Fresh, Made: now}
	if info.HasGPS {
		photo.Lat, photo.Lon = info.Lat, info.Lon
		photo.Place = placeName(info.Lat, info.Lon)
	}
	photo.Taken, photo.known = now, byNobody
	switch {
	case plausible(info.Taken, now):
		photo.Taken, photo.known = info.Taken.Truncate(time.Microsecond), byFile
	case plausible(o.Modified, now):
		photo.Taken = o.Modified.UTC().Truncate(time.Microsecond)
	}
	photo.TakenKnown = photo.known != byNobody
	photo.stated, photo.statedZone = unwall(photo.Taken)
	photo.statedBy = photo.known
	return photo, nil
}

// plausible says whether a photo can have been taken then: the first one was in 1826, and
// clocks on a wall are up to 14 hours ahead.
func plausible(t, now time.Time) bool {
	return !t.IsZero() && t.Year() >= 1826 && t.Before(now.Add(24*time.Hour))
}

// camera joins a maker and a model, which mostly begins with the maker's name.
func camera(maker, model string) string {
	maker, model = tidy(maker), tidy(model)
	first, _, _ := strings.Cut(maker, " ")
	if maker == "" || strings.HasPrefix(strings.ToLower(model), strings.ToLower(first)) {
		return model
	}
	return strings.TrimSpace(maker + " " + model)
}

// tidy makes a text of a file's fit to be kept: what is no text is dropped.
func tidy(s string) string {
	return cut(strings.Join(strings.Fields(plainText(strings.ToValidUTF8(s, ""))), " "), 100)
}

// exposure says how a photo was taken, as far as its file tells.
func exposure(i picture.Info) string {
	var parts []string
	number := func(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
	switch {
	case i.Exposure >= 0.3 && i.Exposure < 1e5:
		parts = append(parts, number(i.Exposure)+" s")
	case i.Exposure > 1e-6 && i.Exposure < 0.3:
		parts = append(parts, fmt.Sprintf("1/%.0f s", 1/i.Exposure))
	}
	if i.FNumber > 0 && i.FNumber < 1000 {
		parts = append(parts, "f/"+number(i.FNumber))
	}
	if i.ISO > 0 && i.ISO < 1e8 {
		parts = append(parts, "ISO "+strconv.Itoa(i.ISO))
	}
	if i.Focal > 0 && i.Focal < 1e5 {
		parts = append(parts, number(i.Focal)+" mm")
	}
	return strings.Join(parts, ", ")
}

// kept is what became of an upload.
type kept struct {
	Photo Photo
	Again bool
}

// keep stores the content and its copies, and then the row.
func (s *System) keep(ctx context.Context, p Person, photo Photo, sp *spool, album string) (kept, error) {
	known, err := s.known(ctx, p, photo.Hash)
	if err != nil {
		return kept{}, fmt.Errorf("upload: %w", err)
	}
	var held []int64
	done := false
	defer func() {
		if !done && len(held) > 0 { // the row names none of them
			s.dropCopies(context.WithoutCancel(ctx), p.ID, photo.ID, held)
		}
	}()
	for try := 1; ; try++ {
		k, err := s.keepAt(ctx, p, &photo, sp, album, known, &held)
		if try < mostTries && (errors.Is(err, shard.ErrMoved) || errors.Is(err, errUnknown) || errs.Is(err, errs.Conflict) && errors.Is(err, errPut)) {
			known = false
			continue
		}
		done = err == nil && k.Photo.ID == photo.ID || mayBeKept(err)
		return k, err
	}
}

// mayBeKept says whether an error leaves open that the row was committed: then it names
// the copies, which must stay.
func mayBeKept(err error) bool {
	return err != nil && (errs.Is(err, errs.Internal) || errs.Is(err, errs.Busy) && !errors.Is(err, shard.ErrMoved) && !errors.Is(err, errUnknown))
}

// errUnknown says that what was known is not there any more: its content must be put.
var errUnknown = errs.TryAfter(time.Second, "the photo was removed at the same moment: send it again")

// errPut marks errors of taking what was put.
var errPut = errors.New("what was put waited too long")

// known says whether the person has that content. Within what is one's own there is
// nothing to find out, so that it need not be written again.
func (s *System) known(ctx context.Context, p Person, h cas.Hash) (bool, error) {
	return read(ctx, s, "look for the photo", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (bool, error) {
		_, found, err := photoBy(ctx, tx, byHashSQL, p.ID, hexOf(h))
		return found, err
	})
}

// keepAt is keep on the shard where the person is thought to be.
func (s *System) keepAt(ctx context.Context, p Person, photo *Photo, sp *spool, album string, known bool, held *[]int64) (kept, error) {
	var pending *cas.Pending
	var home *shard.Shard
	if !known {
		var err error
		if home, err = s.set.Home(ctx, p.ID); err != nil {
			return kept{}, fmt.Errorf("upload: %w", err)
		}
		if pending, err = s.store(ctx, photo, sp, home, held); err != nil {
			return kept{}, fmt.Errorf("upload: %w", err)
		}
		defer pending.Close()
		photo.copies, photo.owed = join(*held), max(int64(s.c.Copies-1-len(*held)), 0)
	}
	asked := []string{hexOf(photo.Hash), photo.Name, album}
	return write(ctx, s, "upload", p, home, asked, func(ctx context.Context, tx *sqldb.Tx, a act) (kept, error) {
		k, err := s.keepRow(ctx, tx, a, *photo, pending)
		if err == nil && album != "" {
			_, err = s.place(ctx, tx, a, album, []string{k.Photo.ID})
		}
		return k, err
	})
}

// store puts the content at its home and, the first time, its copies elsewhere, in turn.
func (s *System) store(ctx context.Context, photo *Photo, sp *spool, home *shard.Shard, held *[]int64) (*cas.Pending, error) {
	done, err := s.spools.turn(ctx, home.No, s.n.Clock)
	if err != nil {
		return nil, err
	}
	defer done()
	pending, err := home.CAS.Put(ctx, sp.reader(), cas.PutOptions{Whole: true})
	if err != nil {
		return nil, err
	}
	if *held == nil {
		if *held, err = s.copyOriginal(ctx, *photo, sp, home.No); err != nil {
			pending.Close()
			return nil, err
		}
	}
	return pending, nil
}

// keepRow makes the photo's row, unless the person has its content already.
func (s *System) keepRow(ctx context.Context, tx *sqldb.Tx, a act, photo Photo, pending *cas.Pending) (kept, error) {
	old, found, err := photoBy(ctx, tx, byHashSQL, a.owner, hexOf(photo.Hash))
	if err != nil {
		return kept{}, err
	}
	if found {
		if !old.Binned.IsZero() {
			if _, err := s.binned(ctx, tx, a, old, time.Time{}); err != nil {
				return kept{}, err
			}
			old.Binned = time.Time{}
		}
		return kept{old, true}, nil
	}
	if pending == nil {
		return kept{}, errUnknown
	}
	if err := a.at.CAS.Take(ctx, tx, pending); err != nil {
		if errs.Is(err, errs.Conflict) {
			err = fmt.Errorf("%w: %w", errPut, err)
		}
		return kept{}, err
	}
	added, err := insert(ctx, tx, photo, a.rev)
	if err == nil && !added {
		err = errs.TryAfter(time.Second, "the same photo came at the same moment: send it again")
	}
	if err == nil {
		err = s.set.Tally(ctx, tx, a.owner, 1, photo.Size)
	}
	if err == nil && s.c.Quota > 0 {
		var used int64
		if _, used, err = tallied(ctx, tx, a.owner); err == nil && used > s.c.Quota {
			err = s.overQuota(used - photo.Size)
		}
	}
	return kept{photo, false}, err
}

// copyOriginal puts copies of an original into other shards' buckets.
func (s *System) copyOriginal(ctx context.Context, photo Photo, sp *spool, home int64) ([]int64, error) {
	if s.c.Copies < 2 {
		return nil, nil
	}
	note, err := json.Marshal(photo.row())
	if err != nil {
		return nil, err
	}
	return s.vault.Put(ctx, vault.Copy{Owner: photo.Owner, Photo: photo.ID, Note: note, Home: home}, sp, sp.size, s.c.Copies-1)
}

// dropCopies ends copies. What cannot be reached is left to the sweep, where a row names
// it, and else to the healer.
func (s *System) dropCopies(ctx context.Context, owner, photo string, held []int64) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.vault.Remove(ctx, owner, photo, held); err != nil {
		s.n.Log.Warn("copies of a photo could not be removed", "photo", photo, "error", err)
		return false
	}
	return true
}

// join writes a row's copies.
func join(list []int64) string {
	var parts []string
	for _, no := range list {
		parts = append(parts, strconv.FormatInt(no, 10))
	}
	return strings.Join(parts, ",")
}

// row is the photo's row as it is when it comes, for its copies.
func (p Photo) row() shard.Row {
	taken, zone := unwall(p.Taken)
	return shard.Row{Table: "photos_photos", Values: map[string]any{
		"owner": p.Owner, "id": p.ID, "rev": int64(0), "gone": int64(0), "hash": hexOf(p.Hash), "size": p.Size, "name": p.Name, "type": p.Type,
		"width": p.Width, "height": p.Height, "taken": taken, "zone": zone, "known": p.known, "stated": p.stated, "stated_by": p.statedBy, "stated_zone": p.statedZone,
		"camera": p.Camera, "lens": p.Lens, "exposure": p.Exposure, "placed": bit(p.HasPlace), "lat": p.Lat, "lon": p.Lon, "place": p.Place,
		"caption": p.Caption, "words": p.index(), "favourite": bit(p.Favourite), "keeps": bit(p.KeepLocation), "state": string(Fresh), "fault": "", "blur": "",
		"sized": "", "small": "", "medium": "", "large": "", "made": p.Made.UnixMicro(), "bin_at": int64(0), "copies": p.copies, "owed": p.owed,
	}}
}
