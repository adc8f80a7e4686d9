package photos

import (
	"context"
	"io"
	"time"
)

// UploadOptions say more about a photo that comes.
type UploadOptions struct {
	Name     string    // of the file; "": none
	Size     int64     // bytes that will come, -1 where that is not known; other than that many are refused
	Modified time.Time // of the file; it stands for when the photo was taken, where the photo does not say
	Album    string    // an album of the person's that it is put into; "": none
}

// Upload keeps a photo, and says whether it was there before: then the earlier one is
// returned, taken out of the bin if need be. Nothing is seen before all of it is durable.
// Errors: Invalid for what is no photo, or a broken one, or of another size than
// announced; TooLarge for bytes, pixels and the quota; NotFound for the album; Busy.
func (s *System) Upload(ctx context.Context, p Person, body io.Reader, o UploadOptions) (photo Photo, again bool, err error) {
	return Photo{}, false, errSoon
}
