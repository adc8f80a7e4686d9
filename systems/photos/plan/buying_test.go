package plan

import (
	"fmt"
	"maps"
	"math"
	"testing"

	"plumb/engines/forecast"
)

// set returns bare with changes.
func set(changes map[string]string) map[string]string {
	out := maps.Clone(bare)
	maps.Copy(out, changes)
	return out
}

// TestWorkedOutByHand follows a plan of a service that runs: a month's bytes, where
// their copies stand, disks, servers, racks, power, and what they cost.
func TestWorkedOutByHand(t *testing.T) {
	r := with(t, compiled(t, open()), forecast.Options{Months: 1, Samples: 10, Seed: 1}, set(map[string]string{
		"users": "2M", "photos_per_user": "10", "size_jpeg": "4", "copies": "2", "second_site": "50", "backup": "10", "photos_now": "100", "size_now": "2",
		"metadata_bytes": "4", "index_bytes": "1", "metadata_copies": "3", "thumbnail_bytes": "500", "hot": "10", "hot_thumbnails": "20",
		"views": "100", "view_bytes": "200", "downloads": "1", "installed": "100", "least_servers": "2", "duplicates": "5", "store_overhead": "4",
		"resize_cpu": "0.5", "spare": "2", "hdd_afr": "12", "least_lines": "2", "least_staff": "1",
	}))
	const month = 365.25 * 86400 / 12
	photos := 2e6*100 + 2e6*10.0
	content := (2e6*100*2 + 2e6*10*4) / 1e6 // TB
	originals, thumbs, meta := content*0.95*1.04, photos*0.5/1e6, photos*5e-9
	blobs := originals + thumbs
	hot := originals*0.1 + thumbs*0.2
	first := (blobs-hot)*2 + hot
	hddBytes := first + blobs*0.5 + (blobs+meta)*0.1
	ssdBytes := hot + 3*meta
	start := 2e6 * 100 * (2*0.95*1.04 + 0.5) / 1e6 / blobs
	hddStart, ssdStart := math.Ceil(hddBytes*start/0.8/20), math.Ceil(ssdBytes*start/0.8/8)
	reads := 2e6 * 100 / month * 3
	hdd, ssd := max(math.Ceil(hddBytes/0.8/20), math.Ceil(reads/100)), math.Ceil(ssdBytes/0.8/8)
	failed := math.Floor(hdd * 0.12 / 12)
	shelf := math.Ceil(0.02*hdd) - math.Ceil(0.02*hddStart)
	shelfSSD := math.Ceil(0.02*ssd) - math.Ceil(0.02*ssdStart)
	bought := hdd - hddStart + failed + shelf + math.Floor(hddStart/60)
	boughtSSD := ssd - ssdStart + shelfSSD + math.Floor(ssdStart/60)
	cpu := max(math.Ceil(2e6*10*0.5*3/month/(32*0.6)), 2)
	hddServers, ssdServers := math.Ceil(hdd/36), max(math.Ceil(ssd/24), 2)
	servers := hddServers + ssdServers + cpu
	height := hddServers*4 + ssdServers*2 + cpu
	kw := (hdd*7 + ssd*10 + servers*300) / 1000
	racks := math.Ceil(max(height/40, kw/7.6))
	power := kw + racks*0.4
	egress := 2e6 * 100 * (200e3 + 0.01*4e6) / 1e12
	site := 2e6 * 10 * 4 / 1e6 * 0.95 * 1.04 * 0.5
	out := (egress + site) * 1e12 / month * 3 * 8 / 1e9
	serverPrice := (hddServers*6000 + ssdServers*10000 + cpu*5000) / servers
	running := power*1.5*month/3600*0.1 + racks*3*100 + max(math.Ceil(out/6), 2)*10*500 + (servers*serverPrice+racks*15000)*0.06/12 + 1*10000
	expect(t, r, map[string]float64{
		"photos": photos, "logical_bytes": content, "stored_photos": originals, "stored_thumbnails": thumbs, "stored_metadata": meta, "stored_bytes": blobs + meta,
		"first_site_bytes": first, "second_site_bytes": blobs * 0.5, "backup_bytes": (blobs + meta) * 0.1, "ssd_bytes": ssdBytes, "copied_bytes": hddBytes + ssdBytes, "raw_bytes": (hddBytes + ssdBytes) / 0.8,
		"egress": egress, "site_traffic": site, "peak_out": out, "lines": max(math.Ceil(out/6), 2), "rebuild_traffic": hddBytes * 0.12 / 12,
		"hdd_start": hddStart, "ssd_start": ssdStart, "hdd_disks": hdd, "ssd_disks": ssd, "hdd_to_buy": bought, "ssd_to_buy": boughtSSD,
		"servers": servers, "racks": racks, "floor_space": racks * 3, "power": power, "energy": power * 1.5 * month / 3600,
		"cash_hdd": bought * 20 * 20, "cash_ssd": boughtSSD * 8 * 100, "running": running, "short_bytes": 0,
		"cost_hdd": bought*400/60 + hddStart*400*(59.0/60)/60,
	})
}

// TestOrdersComeALeadTimeAhead: where bytes grow by the same each month, each order is
// in service in the very month that needs it, and no disk comes sooner.
func TestOrdersComeALeadTimeAhead(t *testing.T) {
	p := compiled(t, open())
	for _, lead := range []int{0, 1, 3, 6} {
		r := with(t, p, forecast.Options{Months: 24, Samples: 2, Seed: 1}, set(map[string]string{"users": "10M", "lead": fmt.Sprint(lead)}))
		perMonth := 10e6 * 10 * 3e6 * 3 / 1e12 // TB, all copies
		ordered := 0.0
		for m := 1; m <= 24; m++ {
			at := func(name string) float64 { return r.Output(name).Months[m-1].P50 }
			need := func(month int) float64 { return math.Ceil(perMonth * float64(month) / 0.8 / 20 * (1 - 1e-12)) }
			ordered += at("hdd_to_buy")
			if ordered != need(m+lead) {
				t.Fatalf("lead %d: ordered until month %d: %g disks; month %d needs %g", lead, m, ordered, m+lead, need(m+lead))
			}
			if m > lead && at("hdd_disks") != need(m) || m <= lead && at("hdd_disks") != 0 {
				t.Fatalf("lead %d: %g disks in service in month %d, which needs %g", lead, at("hdd_disks"), m, need(m))
			}
			if short := at("short_bytes"); m > lead && short != 0 || m <= lead && !near(short, perMonth*float64(m), 1e-9) {
				t.Fatalf("lead %d: %g TB have no room in month %d", lead, short, m)
			}
		}
	}
}

// TestOnlyWholeThingsAreBoughtAndTheyStay on every path of the uncertain model, in each
// of five years: whole, never fewer than none, and in service until they are replaced.
func TestOnlyWholeThingsAreBoughtAndTheyStay(t *testing.T) {
	m := open()
	checked := []string{"hdd_bought", "ssd_bought", "servers_bought", "racks_bought", "hdd_disks", "ssd_disks", "servers", "racks"}
	for _, name := range checked {
		m.Formulas = append(m.Formulas,
			forecast.Formula{Name: "part_of_" + name, Is: fmt.Sprintf("when(%s != round(%s), 1, 0)", name, name), Show: true, Total: peak},
			forecast.Formula{Name: "below_none_" + name, Is: fmt.Sprintf("when(%s < 0, 1, 0)", name), Show: true, Total: peak},
			forecast.Formula{Name: "fewer_" + name, Is: fmt.Sprintf("when(%s < prev(%s, %s), 1, 0)", name, name, name), Show: true, Total: peak})
	}
	for _, scenario := range []string{forecast.Expected, "conservative", "coded"} {
		r := with(t, compiled(t, m), forecast.Options{Months: 60, Samples: 200, Seed: 1, Scenario: scenario}, map[string]string{"lead": "uniform(0, 5)", "disk_life": "1 to 4", "server_life": "2 to 5", "rack_life": "3.3"})
		for i, name := range checked {
			for _, fault := range []string{"part_of_", "below_none_", "fewer_"} {
				if i < 4 && fault == "fewer_" {
					continue // orders come and go; what stands stays
				}
				if worst := r.Output(fault + name).Total.Mean; worst != 0 {
					t.Errorf("%s: %s%s on %.1f%% of the paths", scenario, fault, name, 100*worst)
				}
			}
		}
		if r.Output("hdd_to_buy").Total.P50 == 0 {
			t.Error("nothing was bought")
		}
	}
}

// TestTheDefaultPlanDoesNotRunOut: on nineteen paths of twenty, orders of the expected
// scenario come in time, and disks are fuller than wanted by a few percent at most.
func TestTheDefaultPlanDoesNotRunOut(t *testing.T) {
	r := with(t, compiled(t, Model()), forecast.Options{Months: 36, Samples: 500, Seed: 1})
	if s := r.Output("short_bytes").Total; s.P95 != 0 {
		t.Errorf("%v TB find no room", s)
	}
	if f := r.Output("hdd_fill").Total; f.P95 > 93 || f.P5 < 70 {
		t.Errorf("disks are %g to %g%% full at most", f.P5, f.P95)
	}
}

func TestVideosAreBoughtForBeforeTheyCome(t *testing.T) {
	p := compiled(t, open())
	change := map[string]string{"users": "10M", "lead": "3", "installed": "150", "photos_now": "100", "video_from": "8", "videos_per_user": "5", "video_size": "60"}
	r := with(t, p, forecast.Options{Months: 24, Samples: 2, Seed: 1}, set(change))
	buy := r.Output("hdd_to_buy").Months
	if early, ordered := buy[3].P50, buy[4].P50; ordered < 4*early || early == 0 {
		t.Errorf("month 4 orders %g disks, month 5, whose order comes with the videos, %g", early, ordered)
	}
	for i, b := range r.Output("short_bytes").Months {
		if b.P50 != 0 {
			t.Errorf("month %d has no room for %g TB", i+1, b.P50)
		}
	}
	if v := r.Output("uploaded_videos").Months; v[6].P50 != 0 || !near(v[7].P50, 10e6*5*60e6/1e12, 1e-9) {
		t.Errorf("videos in month 7 %g TB, in month 8 %g", v[6].P50, v[7].P50)
	}
}

// TestWhatIsWrittenOffIsWhatWasPaid: over a life after the last purchase, cost and cash
// of hardware are the same sum; half way, half of it.
func TestWhatIsWrittenOffIsWhatWasPaid(t *testing.T) {
	// All photos come in the first month, and are never read.
	once := map[string]string{"season": "months(1, 0)", "disk_life": "2", "server_life": "3", "rack_life": "4", "users": "20M", "lead": "1"}
	r := with(t, compiled(t, Model()), forecast.Options{Months: 24, Samples: 2, Seed: 1}, set(once))
	var cash, cost, half float64
	for i := range 24 {
		cash += r.Output("cash_hdd").Months[i].P50
		cost += r.Output("cost_hdd").Months[i].P50
		if i == 11 {
			half = cost
		}
	}
	if cash == 0 || !near(cash, r.Output("cash_hdd").Months[0].P50, 1e-12) || !near(cash, cost, 1e-9) || !near(half, cash/2, 1e-9) {
		t.Errorf("paid %g, written off %g, of it %g in the first half", cash, cost, half)
	}
	// In month 25 the disks of month 1 are bought again.
	r = with(t, compiled(t, Model()), forecast.Options{Months: 60, Samples: 2, Seed: 1}, set(once))
	for i, b := range r.Output("hdd_to_buy").Months {
		if again := i == 0 || i == 24 || i == 48; (b.P50 > 0) != again || again && b.P50 != r.Output("hdd_to_buy").Months[0].P50 {
			t.Errorf("month %d buys %g disks", i+1, b.P50)
		}
	}
	if d := r.Output("hdd_disks").Months; d[59].P50 != d[2].P50 {
		t.Errorf("%g disks, %g after two lives", d[2].P50, d[59].P50)
	}
}

// TestWhatIsThereIsReplacedEvenly: a stock without growth buys its life's part each
// month, and in the steady state pays what it writes off.
func TestWhatIsThereIsReplacedEvenly(t *testing.T) {
	r := with(t, compiled(t, open()), forecast.Options{Months: 120, Samples: 2, Seed: 1}, set(map[string]string{"photos_per_user": "0", "photos_now": "1000", "users": "10M"}))
	start := r.Output("hdd_start").Months[0].P50
	if bought := r.Output("hdd_to_buy").Total.P50; bought != 2*start || start == 0 {
		t.Errorf("%g disks were there, %g are bought in two lives", start, bought)
	}
	if cash, cost := r.Output("cash_hdd").Total.P50, r.Output("cost_hdd").Total.P50; !near(cash, cost, 0.02) {
		t.Errorf("paid %g, written off %g", cash, cost)
	}
	for i, b := range r.Output("cost_hdd").Months {
		if !near(b.P50, start*20*20/60, 0.02) {
			t.Errorf("month %d writes off %g, of %g a life", i+1, b.P50, start*400)
		}
	}
}
