package plan

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
)

// format is what a file is to the plan.
type format int

const (
	jpeg format = iota
	heic        // and AVIF
	png
	raw
	loose // TIFF and the like: photos that the room takes as files alone
	web   // WebP and GIF
	formats
	video format = -1
	other format = -2
)

// String names the format as a report does.
func (f format) String() string {
	return [...]string{"JPEG", "HEIC or AVIF", "PNG", "RAW", "TIFF", "WebP or GIF"}[f]
}

// headSize is how many bytes of a file tell what it is.
const headSize = 64

// rawNames end the names of RAW files whose bytes begin like any TIFF.
var rawNames = []string{".dng", ".nef", ".arw", ".pef", ".srw", ".sr2", ".3fr", ".erf", ".kdc", ".dcr", ".mos", ".iiq", ".rwl"}

// tellFormat tells a file's format by its first bytes. Only RAW files that are TIFF by
// their bytes are told by their names.
func tellFormat(head []byte, path string) format {
	starts := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	at := func(i int, s string) bool { return len(head) >= i && bytes.HasPrefix(head[i:], []byte(s)) }
	switch {
	case starts("\xff\xd8\xff"):
		return jpeg
	case starts("\x89PNG\r\n\x1a\n"):
		return png
	case starts("GIF87a"), starts("GIF89a"), starts("RIFF") && at(8, "WEBP"):
		return web
	case at(4, "ftyp"):
		return tellBrand(head)
	case starts("FUJIFILMCCD-RAW"), starts("IIRO"), starts("IIRS"), starts("MMOR"), starts("IIU\x00"), starts("FOVb"):
		return raw
	case starts("II*\x00"), starts("MM\x00*"):
		if at(8, "CR") || slices.Contains(rawNames, strings.ToLower(filepath.Ext(path))) {
			return raw
		}
		return loose
	case starts("RIFF") && at(8, "AVI "), starts("\x1a\x45\xdf\xa3"), at(4, "moov"), at(4, "mdat"), at(4, "wide"):
		return video
	}
	return other
}

// tellBrand tells what an ISO base media file is by its brands: the first, and those
// that it is compatible with.
func tellBrand(head []byte) format {
	if len(head) < 12 {
		return other
	}
	brands := []string{string(head[8:12])}
	for i := 16; i+4 <= len(head) && i+4 <= int(head[3]); i += 4 {
		brands = append(brands, string(head[i:i+4]))
	}
	for _, b := range brands {
		switch b {
		case "heic", "heix", "heim", "heis", "mif1", "avif", "avis":
			return heic
		case "crx ":
			return raw
		}
	}
	return video
}
