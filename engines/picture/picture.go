// Package picture knows photos: what a file is, by its bytes; the same file without what
// it tells about places; and smaller ones of it, for pages.
//
//	info, err := picture.Probe(file, size)                             // decodes no pixels
//	err = picture.Strip(out, file, size, picture.Keep{Camera: true}) // nor does this
//	info, err = picture.Resize(file, size, []picture.Size{{Name: "small", Edge: 400}},
//		picture.Limits{}, func(s picture.Size, p picture.Resized) error { ... })
//
// It reads JPEG, PNG, WebP, GIF, and of HEIC and AVIF what their directories tell: there
// is no decoder for those two here, so that Resize and Strip refuse them. Files come
// from strangers. What holds:
//
//   - Probe and Strip walk through the whole container, so that a file that was cut off is
//     refused and says where it ends; in a window of 32 KiB, and at most 256 KiB of EXIF
//     or 1 MiB of a HEIC file's directory. Time grows with the file's bytes.
//   - EXIF never fails a photo: a field that cannot be true is left out (package exif).
//   - A file is refused (errs.TooLarge) before memory is taken for more pixels, frames or
//     bytes than Limits allow, and (errs.Invalid) when it has too few bytes for the pixels
//     that it says it has.
//   - Resize decodes once for all sizes. Of JPEG it decodes no more than the largest
//     needs, at a half, a quarter or an eighth (package jpeg), a row of blocks at a
//     time: beside the results it takes memory for some rows, 20 to 100 bytes a pixel of
//     the width. A progressive file takes 2 bytes a coefficient that is kept on top (at
//     full size 3 to 6 a pixel, at a quarter an eighth of that). PNG, GIF and WebP are
//     decoded whole: 2 to 8 bytes a pixel, twice that when interlaced. Results take 1.5
//     to 4 bytes a pixel. All of it counts towards Limits.MaxMemory.
//   - Colours: the filter works on what files hold, as browsers do. A profile that is
//     not sRGB's is copied into results; CMYK is converted without one.
//
// The worst file that passes is a progressive JPEG with 100 scans, each of which visits
// every block: some seconds for 100 million pixels. Whoever decodes files of strangers
// does it in a process of its own with a limit of time.
package picture

import "time"

// Types of pictures, as media types.
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
	GIF  = "image/gif"
	WebP = "image/webp"
	HEIC = "image/heic"
	AVIF = "image/avif"
)

// Info is what a picture says about itself.
type Info struct {
	Type          string // a media type, by the file's bytes
	Width, Height int    // pixels, upright: after Orientation is applied
	Orientation   int    // 1 to 8, as in EXIF; 1 when the file does not say
	Animated      bool   // more than one frame

	Taken     time.Time // zero when the file does not say; in UTC when TakenZone is false, as the camera's clock showed it
	TakenZone bool      // the file says in which zone it was taken
	Make      string    // of the camera
	Model     string
	Lens      string
	Exposure  float64 // seconds; 0 when the file does not say, as below
	FNumber   float64
	ISO       int
	Focal     float64 // millimetres

	HasGPS   bool
	Lat, Lon float64 // degrees, north and east positive
}

// Limits are what a picture may ask for. A field that is 0 is the default's.
type Limits struct {
	MaxPixels int64 // width times height
	MaxSide   int   // of width and of height
	MaxFrames int   // of an animation
	MaxMemory int64 // bytes that Resize may take for pixels and coefficients
}

// DefaultLimits are those of Probe and Strip.
var DefaultLimits = Limits{MaxPixels: 200_000_000, MaxSide: 65_500, MaxFrames: 10_000, MaxMemory: 512 << 20}

// Keep says what Strip leaves in a file besides its pixels, orientation and colours.
type Keep struct {
	Camera bool // make, model, lens, exposure
	Date   bool // when it was taken, with its zone
	Place  bool // where it was taken
}

// Size is a size that Resize makes.
type Size struct {
	Name    string
	Edge    int // pixels of the longer side, at most
	Quality int // of JPEG, 1 to 100; 0 is 82
}

// Resized is a picture that Resize made: upright, with no metadata but colours.
type Resized struct {
	Type          string // JPEG, or PNG where pixels are transparent
	Width, Height int
	Bytes         []byte
	Blur          string // a placeholder until it is loaded: 12 colours, 4 by 3, as 72 hexadecimal digits
}
