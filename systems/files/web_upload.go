package files

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
)

// Bounds of a form with files, which is for who has no scripts; with them a browser
// speaks tus (see web/static/js/files.js).
const (
	mostFields = 16
	mostFiles  = 1000
	mostField  = 8 << 10
	mostDrain  = 64 << 20 // what is read of a refused form, so that its sender hears why
)

// doUpload stores the files of a form while they arrive. Each is there, whole, when it
// was read: one that is refused ends the form, and those before it stay.
func (s *System) doUpload(w http.ResponseWriter, r *http.Request) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	folder, stored, err := s.takeParts(w, r, parts)
	if err == nil && len(stored) == 0 {
		err = errs.New(errs.Invalid, "no file was chosen")
	}
	if err == nil {
		return back(w, r, address(strings.TrimPrefix(folder, "@")), "did", "uploaded")
	}
	if !mayFail(err) {
		return err
	}
	// Who still sends would see a broken connection and no reason.
	if _, derr := io.CopyN(io.Discard, &incoming{w: w, r: r.Body}, mostDrain); derr != io.EOF {
		w.Header().Set("Connection", "close")
	}
	h, herr := s.head(r, folder)
	if herr != nil {
		return herr
	}
	p := folderPage{heading: h, Fault: said(err)}
	if len(stored) > 0 {
		p.Fault += "; stored before it: " + strings.Join(stored, ", ")
	}
	return s.showFolder(w, r, p)
}

// takeParts stores one file after another below the folder that the field "in", which
// comes first, names.
func (s *System) takeParts(w http.ResponseWriter, r *http.Request, parts *multipart.Reader) (folder string, stored []string, err error) {
	fields := 0
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return folder, stored, nil
		}
		if err != nil {
			return folder, stored, web.Malformed(errs.Wrap(errs.Invalid, err, "the form ended early"))
		}
		name := fileName(p)
		switch {
		case name == "" && p.FileName() == "" && !isFile(p):
			if fields++; fields > mostFields {
				return folder, stored, errs.New(errs.Invalid, "the form has too many fields")
			}
			value, err := io.ReadAll(io.LimitReader(p, mostField))
			if err != nil {
				return folder, stored, web.Malformed(errs.Wrap(errs.Invalid, err, "the form ended early"))
			}
			if p.FormName() != "in" {
				continue
			}
			if folder = string(value); folder != "" && !isNodeName(folder) {
				return "", stored, errs.New(errs.Invalid, "%.40q names no folder", folder)
			}
		case name == "": // a file input in which nothing was chosen
		case len(stored) >= mostFiles:
			return folder, stored, errs.New(errs.TooLarge, "a form may hold %d files", mostFiles)
		default:
			path := name
			if folder != "" {
				path = folder + "/" + name
			}
			if _, _, err := s.Write(r.Context(), asker(r), path, &incoming{w: w, r: p}, WriteOptions{Size: -1, Type: p.Header.Get("Content-Type")}); err != nil {
				return folder, stored, errUpload(name, err)
			}
			stored = append(stored, name)
		}
	}
}

// errUpload names the file that was refused.
func errUpload(name string, err error) error {
	if mayFail(err) {
		return errs.Wrap(errs.KindOf(err), err, "%.80q: %s", name, said(err))
	}
	return err
}

// fileName returns a part's file name with the folders before it, which a browser sends
// when a whole folder was chosen.
func fileName(p *multipart.Part) string {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(params["filename"], "/")
}

// isFile says whether a part comes from a file input.
func isFile(p *multipart.Part) bool {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	_, has := params["filename"]
	return err == nil && has
}
