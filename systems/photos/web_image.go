package photos

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	"plumb/base/errs"
)

// sendImage answers with an image that is open, in ranges too, and closes it. cache is
// the answer's Cache-Control.
func sendImage(w http.ResponseWriter, r *http.Request, img *Image, cache string, download bool) {
	defer img.Close()
	h := w.Header()
	h.Set("Content-Type", img.Type)
	h.Set("ETag", img.ETag)
	h.Set("Cache-Control", cache)
	// An image may be opened by itself: nothing in it does anything.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	way := "inline"
	if download {
		way = "attachment"
	}
	h.Set("Content-Disposition", disposition(way, img.Name))
	http.ServeContent(w, r, "", img.Modified, img)
}

// disposition writes a Content-Disposition with a name in any script (RFC 6266).
func disposition(way, name string) string {
	if text := mime.FormatMediaType(way, map[string]string{"filename": strings.ToValidUTF8(name, "_")}); text != "" {
		return text
	}
	return way
}

// Caches of images. A made size never changes while its photo is there; what an original
// gives can, by the switch of its place.
const (
	cacheSize = "private, max-age=86400"
	cacheFull = "private, no-cache"
)

// cacheOf is the Cache-Control of a size.
func cacheOf(size string) string {
	if size == Original {
		return cacheFull
	}
	return cacheSize
}

// download answers with the originals of the reader's photos: one as it is, several in a
// zip.
func (s *System) download(w http.ResponseWriter, r *http.Request, list []string) error {
	open := func(ctx context.Context, id string) (*Image, error) {
		return s.OpenImage(ctx, asker(r), id, Original)
	}
	if len(list) == 1 {
		img, err := open(r.Context(), list[0])
		if err != nil {
			return err
		}
		sendImage(w, r, img, cacheFull, true)
		return nil
	}
	next := func() (id string, ok bool, err error) {
		if len(list) == 0 {
			return "", false, nil
		}
		id, list = list[0], list[1:]
		return id, true, nil
	}
	return s.zip(w, r, "photos", next, open)
}

// zip streams photos, one after another as next names them. Once the first byte is out a
// fault cuts the connection, so that half a zip does not look whole. A photo that is not
// there any more is left out; so is one that cannot be given, which a text in the zip says.
func (s *System) zip(w http.ResponseWriter, r *http.Request, name string, next func() (string, bool, error), open func(context.Context, string) (*Image, error)) error {
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", disposition("attachment", name+".zip"))
	h.Set("Cache-Control", "private, no-store")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	z := zip.NewWriter(w)
	used := map[string]int{}
	err := s.zipAll(r.Context(), z, used, next, open)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		if r.Context().Err() == nil {
			s.n.Log.Error("a zip of photos broke off", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *System) zipAll(ctx context.Context, z *zip.Writer, used map[string]int, next func() (string, bool, error), open func(context.Context, string) (*Image, error)) error {
	var left []string
	for {
		id, ok, err := next()
		if err != nil {
			return err
		}
		if !ok {
			return zipLeft(z, used, left)
		}
		img, err := open(ctx, id)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if errs.Is(err, errs.Invalid) {
			left = append(left, errs.Message(err))
			continue
		}
		if err != nil {
			return err
		}
		err = zipOne(z, used, img)
		img.Close()
		if err != nil {
			return err
		}
	}
}

// zipLeft says in a file of its own what a zip leaves out.
func zipLeft(z *zip.Writer, used map[string]int, left []string) error {
	if len(left) == 0 {
		return nil
	}
	out, err := z.Create(zipName(used, "not in this zip.txt"))
	if err == nil {
		_, err = io.WriteString(out, strings.Join(left, "\n")+"\n")
	}
	return err
}

// zipOne writes one photo as it is: images are compressed already.
func zipOne(z *zip.Writer, used map[string]int, img *Image) error {
	out, err := z.CreateHeader(&zip.FileHeader{Name: zipName(used, img.Name), Modified: img.Photo.Taken, Method: zip.Store})
	if err != nil {
		return err
	}
	_, err = io.Copy(out, img)
	return err
}

// zipName is a name of its own within a zip, without anything that would lead out of the
// folder where it is unpacked.
func zipName(used map[string]int, name string) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || strings.ContainsRune(`/\:*?"<>|`, c) {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
	name = strings.TrimLeft(name, ".")
	if name == "" {
		name = "photo"
	}
	key := strings.ToLower(name)
	used[key]++
	if n := used[key]; n > 1 {
		ext := path.Ext(name)
		return zipName(used, fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), n, ext))
	}
	return name
}
