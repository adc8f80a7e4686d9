package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/picture/picturetest"
	"plumb/engines/report"
)

// A folder is measured for the plans that can learn from one; what it says stands in the
// plan file too, and the result alone goes to stdout.
func TestAPlanTakesASample(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("the same in both "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, said bytes.Buffer
	if err := Plan(t.Context(), "files", dir, report.Options{Samples: 100, JSON: true}, &out, &said); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"value": "50 %"`) || !strings.Contains(out.String(), "2 files") || !strings.Contains(said.String(), "50.0% of the bytes in equal files") || strings.Contains(said.String(), "\r") {
		t.Errorf("%s\n%.2000s", said.String(), out.String())
	}
	out.Reset()
	if err := PlanInit(t.Context(), "files", dir, &out, &said); err != nil || !strings.Contains(out.String(), "duplicates: 50 %") {
		t.Errorf("%v\n%.2000s", err, out.String())
	}
	if err := Plan(t.Context(), "vending", dir, report.Options{}, &out, &said); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "these do: files, photos") {
		t.Error(err)
	}
	if err := Plan(t.Context(), "files", filepath.Join(dir, "none"), report.Options{}, &out, &said); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

// A folder of photos is measured for their plan, and what was measured is marked in every form of the result.
func TestThePlanOfPhotosIsCalibrated(t *testing.T) {
	dir, page := t.TempDir(), filepath.Join(t.TempDir(), "plan.html")
	for i := range 4 {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))), picturetest.JPEG(picturetest.Scene(200+100*i, 150, uint64(i)), 80), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, said bytes.Buffer
	if err := Plan(t.Context(), "photos", dir, report.Options{Samples: 100, JSON: true, HTML: page}, &out, &said); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "4 photos made smaller, in "+dir) || !strings.Contains(out.String(), `"from": "4 photos in `+dir) || !strings.Contains(said.String(), "4 JPEG of ") {
		t.Errorf("%v\n%s\n%.3000s", err, said.String(), out.String())
	}
	out.Reset()
	if err := PlanInit(t.Context(), "photos", dir, &out, &said); err != nil || !strings.Contains(out.String(), "mix_jpeg: beta(4.5, 0.5, 0, 100) %") || strings.Count(out.String(), "# Measured: 4 photos") < 8 {
		t.Errorf("%v\n%.3000s", err, out.String())
	}
}
