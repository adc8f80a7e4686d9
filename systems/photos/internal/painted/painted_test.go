package painted

import (
	"bytes"
	"math"
	"testing"
	"time"

	"plumb/engines/picture"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := Facts{Taken: time.Date(2026, 5, 17, 18, 4, 9, 0, time.FixedZone("", 3600)), Make: "Canon", Model: "Canon EOS R5", Lens: "RF24-70mm F2.8 L IS USM",
		Exposure: 1.0 / 250, FNumber: 2.8, ISO: 400, Focal: 35, Orientation: 6, Placed: true, Lat: -33.8568, Lon: 151.2153}
	jpg := JPEG(Landscape(1, 160, 90), want)
	got, err := picture.Probe(bytes.NewReader(jpg), int64(len(jpg)))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Taken.Equal(want.Taken) || !got.TakenZone || got.Make != want.Make || got.Model != want.Model || got.Lens != want.Lens || got.ISO != want.ISO || got.Orientation != 6 ||
		got.Width != 90 || got.Height != 160 || math.Abs(got.FNumber-2.8) > 0.01 || math.Abs(got.Exposure-0.004) > 1e-5 {
		t.Errorf("%+v", got)
	}
	if !got.HasGPS || math.Abs(got.Lat-want.Lat) > 1e-4 || math.Abs(got.Lon-want.Lon) > 1e-4 {
		t.Errorf("it is at %v, %v", got.Lat, got.Lon)
	}
}

func TestASeedPaintsTheSame(t *testing.T) {
	a, b, c := JPEG(Landscape(3, 120, 80), Facts{}), JPEG(Landscape(3, 120, 80), Facts{}), JPEG(Landscape(4, 120, 80), Facts{})
	if !bytes.Equal(a, b) || bytes.Equal(a, c) {
		t.Error("a seed must paint one landscape, and another seed another")
	}
}
