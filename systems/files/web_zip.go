package files

import (
	"archive/zip"
	"context"
	"io"
	"net/http"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// getZip answers with a folder as a zip.
func (s *System) getZip(w http.ResponseWriter, r *http.Request) error {
	n, err := s.Stat(r.Context(), person(r.Context()), r.PathValue("path"))
	if err != nil {
		return err
	}
	return s.serveZip(w, r, n)
}

// serveZip streams a folder that the asker may read. Once the first byte is out a fault
// cuts the connection, so that half a zip does not look whole.
func (s *System) serveZip(w http.ResponseWriter, r *http.Request, n Node) error {
	if !n.Folder {
		return errs.New(errs.Conflict, "%q is a file: take its content", n.Name)
	}
	name := n.Name
	if name == "" {
		name = "files"
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", disposition("attachment", name+".zip"))
	h.Set("Cache-Control", "private, no-store")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	z := zip.NewWriter(w)
	err := s.zipBelow(r.Context(), z, n, "")
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		if r.Context().Err() == nil {
			s.n.Log.Error("a zip broke off", "node", n.ID, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// zipName is a name within a zip. A backslash, which a name may hold, would lead out of
// the folder where Windows unpacks it; so would the letter of a drive.
func zipName(name string) string {
	name = strings.ReplaceAll(name, `\`, "_")
	if len(name) > 1 && name[1] == ':' {
		name = name[:1] + "_" + name[2:]
	}
	return name
}

// zipBelow writes what is below a folder, depth first, a page of names at a time. A
// name is valid UTF-8 without slashes of either kind, "." and "..", so that a zip's reader stays in its
// folder; archive/zip marks it as UTF-8 and writes zip64 where sizes need it.
func (s *System) zipBelow(ctx context.Context, z *zip.Writer, folder Node, prefix string) error {
	for cursor := ""; ; {
		list, err := read(ctx, s, "list for a zip", func(ctx context.Context, tx *sqldb.Tx) ([]Node, error) {
			return s.store.nodes(ctx, tx, listSQL, folder.Owner, folder.ID, cursor, int64(batch))
		})
		if err != nil {
			return err
		}
		for _, n := range list {
			cursor = n.Name
			at := prefix + zipName(n.Name)
			if n.Folder {
				if _, err := z.CreateHeader(&zip.FileHeader{Name: at + "/", Modified: n.Modified}); err != nil {
					return err
				}
				if err := s.zipBelow(ctx, z, n, at+"/"); err != nil {
					return err
				}
				continue
			}
			if err := s.zipFile(ctx, z, n, at); err != nil {
				return err
			}
		}
		if len(list) < batch {
			return nil
		}
	}
}

// zipFile writes one file as it is: most large ones are compressed already, and the
// size tells whether all of it came.
func (s *System) zipFile(ctx context.Context, z *zip.Writer, n Node, at string) error {
	if n.Blocked {
		return nil
	}
	f, err := s.open(ctx, n)
	if err != nil {
		return err
	}
	defer f.Close()
	out, err := z.CreateHeader(&zip.FileHeader{Name: at, Modified: n.Modified, Method: zip.Store})
	if err != nil {
		return err
	}
	sent, err := io.Copy(out, f.Reader)
	s.measures.out.Add(float64(sent))
	return err
}
