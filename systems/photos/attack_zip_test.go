package photos

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"plumb/base/errs"
)

// One photo that cannot be given without its place, such as a phone's HEIC, must not keep
// a link's viewers from all the others.
func TestAttackAZipThroughALinkLeavesOutWhatCannotBeGiven(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		good, bad := h.put("ada", photograph(1)), h.put("ada", brokenPNG())
		al, err := h.MakeAlbum(context.Background(), h.who["ada"], "Holiday", []string{bad.ID, good.ID})
		if err != nil {
			t.Fatal(err)
		}
		link := h.link("ada", Target{Album: al.ID}, LinkOptions{Downloads: true})
		cannot := func(id string) (*Image, error) {
			if id == bad.ID {
				return nil, errs.New(errs.Invalid, "bad.heic cannot be given")
			}
			return h.ViewImage(context.Background(), Visit{Token: link.token()}, id, Original)
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		list := []string{bad.ID, good.ID}
		err = h.zipAll(context.Background(), z, map[string]int{}, func() (string, bool, error) {
			if len(list) == 0 {
				return "", false, nil
			}
			id := list[0]
			list = list[1:]
			return id, true, nil
		}, func(_ context.Context, id string) (*Image, error) { return cannot(id) })
		if err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		files := unzipped(t, b.Bytes())
		if len(files) != 2 || files["IMG_1.JPG"] == "" || !strings.Contains(files["not in this zip.txt"], "bad.heic cannot be given") {
			t.Errorf("%d files: %q", len(files), files["not in this zip.txt"])
		}
	})
}

func unzipped(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}
