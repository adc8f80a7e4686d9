package photos

import (
	"io"
	"mime/multipart"
	"net/http"
	"strconv"

	"plumb/base/errs"
	"plumb/engines/web"
)

// Bounds of a form with photos, which is for browsers without scripts; with them each
// photo is a request of its own to the API (see web/static/js/photos-upload.js).
const (
	mostFields = 16
	mostFiles  = 1_000
	mostField  = 1 << 10
	mostDrain  = 64 << 20 // what is read of a refused form, so that its sender hears why
)

// doUpload takes the photos of a form while they arrive. Each is there when it was read:
// one that is refused is named, and the others stay.
func (s *System) doUpload(w http.ResponseWriter, r *http.Request) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	f := form{parts: parts}
	for err == nil {
		var p *multipart.Part
		if p, err = f.next(); err != nil {
			break
		}
		_, again, uerr := s.Upload(r.Context(), asker(r), p, UploadOptions{Name: p.FileName(), Size: -1, Album: f.album})
		switch {
		case uerr == nil && again:
			f.same++
		case uerr == nil:
			f.taken++
		case mayFail(uerr) && len(f.refused) < 20:
			f.refused = append(f.refused, p.FileName()+": "+said(uerr))
		case mayFail(uerr):
			err = errs.New(errs.Invalid, "too much was refused")
		default:
			return uerr
		}
	}
	to := "/photos/"
	if f.album != "" {
		to = "/photos/albums/" + f.album
	}
	if err == io.EOF && f.taken+f.same+len(f.refused) == 0 {
		err = errs.New(errs.Invalid, "no photo was chosen")
	}
	if err == io.EOF && len(f.refused) == 0 {
		return back(w, r, to, "did", "uploaded", "n", strconv.Itoa(f.taken+f.same))
	}
	if err != nil && err != io.EOF {
		if !mayFail(err) {
			return err
		}
		// Who still sends would see a broken connection and no reason.
		if _, derr := io.CopyN(io.Discard, r.Body, mostDrain); derr != io.EOF {
			w.Header().Set("Connection", "close")
		}
		f.refused = append(f.refused, said(err))
	}
	wrong := errs.New(errs.Invalid, "%s", f.fault())
	if f.album != "" {
		return s.showAlbum(w, r, f.album, wrong)
	}
	return s.showTimeline(w, r, wrong)
}

// form is a form with photos, as far as it was read.
type form struct {
	parts   *multipart.Reader
	fields  int
	files   int
	album   string
	taken   int
	same    int
	refused []string
}

// next returns the next photo; the fields before it are read. io.EOF ends the form.
// Errors: Invalid, TooLarge.
func (f *form) next() (*multipart.Part, error) {
	for {
		p, err := f.parts.NextPart()
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, web.Malformed(errs.Wrap(errs.Invalid, err, "the form ended early"))
		}
		if p.FormName() == "photo" {
			if p.FileName() == "" {
				continue // nothing was chosen
			}
			if f.files++; f.files > mostFiles {
				return nil, errs.New(errs.TooLarge, "a form may hold %d photos", mostFiles)
			}
			return p, nil
		}
		if f.fields++; f.fields > mostFields {
			return nil, errs.New(errs.Invalid, "the form has too many fields")
		}
		value, err := io.ReadAll(io.LimitReader(p, mostField))
		if err != nil {
			return nil, web.Malformed(errs.Wrap(errs.Invalid, err, "the form ended early"))
		}
		if p.FormName() == "album" && isPhotoID(string(value)) {
			f.album = string(value)
		}
	}
}

// fault says what was refused, and what was not.
func (f *form) fault() string {
	text := "not taken: "
	for i, why := range f.refused {
		if i > 0 {
			text += "; "
		}
		text += why
	}
	if n := f.taken + f.same; n == 1 {
		text += ". One other is here"
	} else if n > 1 {
		text += ". The other " + strconv.Itoa(n) + " are here"
	}
	return text
}
