package world

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestEveryCityHasItsPlace(t *testing.T) {
	if len(All()) < 300 {
		t.Fatalf("%d cities", len(All()))
	}
	seen := map[string]bool{}
	for _, c := range All() {
		loc, err := time.LoadLocation(c.Zone)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if len(c.Country) != 2 || math.Abs(c.Lat) > 70 || math.Abs(c.Lon) > 180 || seen[Fold(c.Name)] {
			t.Errorf("%+v is a wrong line, or stands twice", c)
		}
		seen[Fold(c.Name)] = true
		// The sun is within four hours of the clock in every zone: a swapped
		// sign or a wrong continent shows here.
		_, offset := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).In(loc).Zone()
		if off := math.Remainder(float64(offset)/3600-c.Lon/15, 24); math.Abs(off) > 4 {
			t.Errorf("%s at longitude %.2f is %.1f hours from its zone %s", c.Name, c.Lon, off, c.Zone)
		}
	}
}

func TestFindForgivesAccentsAndCase(t *testing.T) {
	for in, want := range map[string]string{"berlin": "Berlin", " NEW  YORK ": "New York", "São Paulo": "Sao Paulo", "Zürich": "Zurich", "Xi'an": "Xian", "Port au Prince": "Port-au-Prince", "St. Louis": "St Louis"} {
		if c, ok := Find(in); !ok || c.Name != want {
			t.Errorf("%q found %q", in, c.Name)
		}
	}
	if c, ok := Find("Atlantis"); ok {
		t.Error(c)
	}
}

func ExampleFind() {
	c, _ := Find("são paulo")
	fmt.Println(c.Name, c.Country, c.Zone)
	// Output: Sao Paulo BR America/Sao_Paulo
}
