package plan

import (
	"fmt"
	"math"
	"testing"

	"plumb/engines/forecast"
)

func monthly(r *forecast.Result, name string) []float64 {
	var out []float64
	for _, b := range r.Output(name).Months {
		out = append(out, b.P50)
	}
	return out
}

// TestWhatIsRemovedLeavesAndWhatIsNotStays follows each month's photos by themselves,
// which the model does with one product: lost by users, by those who leave, and by rule.
func TestWhatIsRemovedLeavesAndWhatIsNotStays(t *testing.T) {
	p := compiled(t, open())
	for _, keep := range []float64{0.25, 1, 2, 100} { // years
		r := with(t, p, forecast.Options{Months: 30, Samples: 2, Seed: 1}, set(map[string]string{
			"keep": fmt.Sprint(keep), "history": "2", "photos_now": "240", "removed": "2", "growth": "3", "churn": "1.5", "leavers_removed": "60", "bin_kept": "30.4375",
		}))
		lost := 0.02 + 0.015*0.6
		type crop struct {
			photos, bytes float64
			age           int
		}
		// What is there came evenly over the time that is kept, at most the history.
		months := int(math.Round(12 * min(keep, 2)))
		var crops []crop
		for age := range months {
			crops = append(crops, crop{1e6 * 240 / float64(months), 1e6 * 240 / float64(months) * 2e6 / 1e12, age})
		}
		users, live := 1e6, 1e6*240*2e6/1e12
		for month := range 30 {
			if month > 0 {
				users *= 1 + 0.03 - 0.015
			}
			photos, bytes, bin := 0.0, 0.0, live*lost
			kept := crops[:0]
			for _, c := range crops {
				if c.age++; float64(c.age) >= 12*keep-1e-9 {
					continue
				}
				c.photos, c.bytes = c.photos*(1-lost), c.bytes*(1-lost)
				kept = append(kept, c)
			}
			crops = append(kept, crop{users * 10, users * 10 * 3e6 / 1e12, 0})
			for _, c := range crops {
				photos, bytes = photos+c.photos, bytes+c.bytes
			}
			live = bytes
			for name, want := range map[string]float64{"people": users, "photos": photos, "live_bytes": bytes, "logical_bytes": bytes + bin} {
				if got := monthly(r, name)[month]; !near(got, want, 1e-9) {
					t.Fatalf("kept %g years, month %d: %s %g, one by one %g", keep, month+1, name, got, want)
				}
			}
		}
	}
}

func TestEarlierVersionsAreKeptForTheirTime(t *testing.T) {
	r := with(t, compiled(t, open()), forecast.Options{Months: 12, Samples: 2, Seed: 1}, set(map[string]string{"edited": "25", "versions_kept": "4"}))
	month := 1e6 * 10 * 3e6 / 1e12
	expect(t, r, map[string]float64{"version_bytes": 4 * month * 0.25, "live_bytes": 12 * month * 0.75, "photos": 12 * 1e7 * 0.75})
}

func TestTheMixIsInParts(t *testing.T) {
	p := compiled(t, Model())
	mix := map[string]string{"mix_jpeg": "30", "mix_heic": "20", "mix_png": "10", "mix_raw": "5", "mix_other": "5", "size_other": "0.5"}
	want := (30*3 + 20*2 + 10*1 + 5*25 + 5*0.5) / 70.0
	expect(t, with(t, p, forecast.Options{Months: 2, Samples: 2}, set(mix)), map[string]float64{"photo_size": want})
}

func TestTrendsCompoundFromTheFirstMonth(t *testing.T) {
	change := map[string]string{"resolution": "12", "engagement": "-10", "hdd_trend": "-8", "ssd_trend": "-20", "power_trend": "6", "users": "10M", "hot": "20"}
	r := with(t, compiled(t, open()), forecast.Options{Months: 25, Samples: 2, Seed: 1}, set(change))
	for _, c := range []struct {
		name string
		rate float64
	}{{"photo_size", 0.12}, {"uploaded_photos", -0.1}, {"hdd_level", -0.08}, {"ssd_level", -0.2}, {"power_level", 0.06}} {
		m := monthly(r, c.name)
		for years, want := range []float64{1, 1 + c.rate, (1 + c.rate) * (1 + c.rate)} {
			if got := m[12*years] / m[0]; !near(got, want, 1e-9) {
				t.Errorf("%s after %d years: %g times, want %g", c.name, years, got, want)
			}
		}
	}
	for i := range 25 {
		at := func(name string) float64 { return monthly(r, name)[i] }
		for name, want := range map[string]float64{"cash_hdd": at("hdd_to_buy") * 20 * 20 * at("hdd_level"), "cash_ssd": at("ssd_to_buy") * 8 * 100 * at("ssd_level"), "cost_power": at("energy") * 0.1 * at("power_level")} {
			if !near(at(name), want, 1e-9) || want < 0 {
				t.Errorf("%s in month %d: %g, want %g", name, i+1, at(name), want)
			}
		}
	}
}

func TestASeasonMovesUploadsWithinTheYear(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 24, Samples: 2, Seed: 1}, set(map[string]string{"season": "cycle(0.5, 1.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)"}))
	m := monthly(r, "uploaded_photos")
	if m[0] != 5e6 || m[1] != 15e6 || m[2] != 1e7 || m[12] != 5e6 || m[13] != 15e6 {
		t.Errorf("uploads by month %v", m)
	}
	if d := r.Output("photos").Total.P50; !near(d, 24e7, 1e-12) {
		t.Errorf("after two years %g photos", d)
	}
	for _, in := range Model().Inputs { // the default must not add or take uploads
		if in.Name == "season" {
			rg, _, err := forecast.ParseRange(in.Default, nil)
			sum := 0.0
			for i := range 12 {
				sum += rg.InMonth(i)
			}
			if err != nil || !near(sum, 12, 1e-12) || rg.InMonth(12) != rg.InMonth(0) {
				t.Errorf("the default season adds up to %g, %v", sum, err)
			}
		}
	}
}

func TestRoomByRuleOfThumbIsBought(t *testing.T) {
	p := compiled(t, Model())
	disks := func(buffer string) float64 {
		return with(t, p, forecast.Options{Months: 12, Samples: 2}, set(map[string]string{"users": "100M", "buffer": buffer})).Output("hdd_disks").Total.P50
	}
	if without, quarter := disks("0"), disks("25"); !near(quarter, 1.25*without, 1e-3) || without < 1000 {
		t.Errorf("%g disks, with a quarter more room %g", without, quarter)
	}
	if m := Model(); m.Reserve != "buffer" {
		t.Errorf("the reserve is %q", m.Reserve)
	}
}

func TestReadsMayNeedMoreDisksThanBytesDo(t *testing.T) {
	p := compiled(t, Model())
	r := with(t, p, forecast.Options{Months: 1, Samples: 2}, set(map[string]string{"users": "10M", "views": "3000"}))
	want := math.Ceil(10e6 * 3000 / (365.25 * 86400 / 12) * 3 / 100)
	expect(t, r, map[string]float64{"hdd_disks": want})
	if bytes := 10e6 * 10 * 3e6 * 3 / 0.8 / 20e12; bytes > want/4 {
		t.Errorf("the bytes alone need %g disks", bytes)
	}
	if half := with(t, p, forecast.Options{Months: 1, Samples: 2}, set(map[string]string{"users": "10M", "views": "3000", "hit_rate": "50"})); !near(half.Output("hdd_disks").Total.P50, want/2, 0.01) {
		t.Errorf("a cache for half of them leaves %v disks", half.Output("hdd_disks").Total)
	}
}

// TestCodingAgainstCopies: k + m pieces of which one has data are m + 1 copies, to the
// disk and the byte; 2 + 4 take the room of three copies and read twice for a rebuild;
// and coding saves disks only above the servers that its pieces need.
func TestCodingAgainstCopies(t *testing.T) {
	p := compiled(t, Model())
	o := forecast.Options{Months: 6, Samples: 2, Seed: 1}
	plan := func(change map[string]string) *forecast.Result {
		change["hdd_afr"] = "2"
		return with(t, p, o, set(change))
	}
	copies := plan(map[string]string{"users": "10M", "copies": "3", "least_servers": "3"})
	same := plan(map[string]string{"users": "10M", "copies": "1", "coded": "100", "ec_data": "1", "ec_parity": "2", "least_servers": "3"})
	twice := plan(map[string]string{"users": "10M", "copies": "1", "coded": "100", "ec_data": "2", "ec_parity": "4", "least_servers": "3"})
	for _, name := range []string{"first_site_bytes", "hdd_disks", "servers", "cost", "cash", "rebuild_traffic"} {
		a, b := copies.Output(name).Total.P50, same.Output(name).Total.P50
		if !near(a, b, 1e-12) || a == 0 {
			t.Errorf("%s: three copies %g, 1+2 %g", name, a, b)
		}
	}
	if a, b := copies.Output("hdd_disks").Total.P50, twice.Output("hdd_disks").Total.P50; a != b {
		t.Errorf("three copies take %g disks, 2+4 %g", a, b)
	}
	if a, b := copies.Output("rebuild_traffic").Total.P50, twice.Output("rebuild_traffic").Total.P50; !near(2*a, b, 1e-12) {
		t.Errorf("three copies read %g TB for rebuilds, 2+4 %g", a, b)
	}
	// The break-even: below it 6+3 needs nine servers where three would do.
	cheaper := func(users float64) bool {
		n := fmt.Sprint(users)
		three, coded := map[string]string{"users": n, "copies": "3", "least_servers": "3"}, map[string]string{"users": n, "copies": "3", "coded": "100", "least_servers": "3"}
		return plan(coded).Output("cost").Total.P50 < plan(three).Output("cost").Total.P50
	}
	if cheaper(100_000) || !cheaper(30e6) {
		t.Fatalf("6+3 is cheaper for few: %v, for many: %v", cheaper(100_000), cheaper(30e6))
	}
	low, high := 100_000.0, 30e6
	for high/low > 1.01 {
		if mid := math.Sqrt(low * high); cheaper(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	// Half the bytes means half the disks, and half the servers once there are more
	// than nine, of 576 TB each.
	bytes := func(users float64) float64 { return users * 10 * 6 * 3e6 * 3 / 1e12 }
	if b := bytes(high); b < 300 || b > 9*576*2 {
		t.Errorf("it breaks even at %g users, with %g TB of three copies", high, b)
	}
	t.Logf("6+3 against three copies breaks even at %.0f users, with %.0f TB of three copies", high, bytes(high))
}

// TestTheCacheHoldsWhatZipfsLawSays against the sums themselves.
func TestTheCacheHoldsWhatZipfsLawSays(t *testing.T) {
	p := compiled(t, Model())
	for _, c := range []struct{ exponent, hits float64 }{{0.6, 0.5}, {0.75, 0.8}, {0.9, 0.3}, {0.9, 0.7}, {0.99, 0.6}} {
		const photos = 200_000
		total, part, cached := 0.0, 0.0, 0
		for r := 1; r <= photos; r++ {
			total += math.Pow(float64(r), -c.exponent)
		}
		for part < c.hits*total {
			cached++
			part += math.Pow(float64(cached), -c.exponent)
		}
		r := with(t, p, forecast.Options{Months: 1, Samples: 2}, set(map[string]string{
			"users": "20k", "photos_per_user": "10", "zipf": fmt.Sprint(c.exponent), "hit_rate": fmt.Sprint(100 * c.hits), "view_bytes": "1000",
		}))
		if got, want := r.Output("cache_bytes").Total.P50, float64(cached)*1e6/1e12; !near(got, want, 0.05) {
			t.Errorf("exponent %g, %g of the views: %g TB, by the sums %g", c.exponent, c.hits, got, want)
		}
	}
}
