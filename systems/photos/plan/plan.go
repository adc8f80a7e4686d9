// Package plan is the capacity and cost model of photos that people share, on one's
// own machines: from users, photos and their sizes to bytes, copies, disks, servers
// and racks, to what must be ordered in which month, and to money, as cash and
// written off, month by month.
//
//	p, err := forecast.Compile(plan.Model())
//	r, err := p.Run(ctx, forecast.Options{Months: 12, Seed: 1})
//	fmt.Println(r.Output("hdd_to_buy").Months[0].P50) // hard disks to order this month
//	fmt.Println(r.Output("cash").Total.P90)           // USD in the year, nine chances in ten
//
// What is measured replaces what is assumed: unit costs by experiments (FromProofs),
// and sizes, formats, duplicates, smaller pictures and seasons by a folder of photos:
//
//	s, err := plan.Measure(ctx, "/srv/photos", time.Now(), nil)
//	m, err := plan.Model().WithMeasured(s.Inputs())
//
// How it counts:
//
//   - Bytes are those at the end of a month: what was there, less what was removed,
//     and what came. Photos kept grow like the sum of all months, so they rise even
//     where the number of users does not.
//   - Disks and servers are whole, are ordered so early that they are in service when
//     they are needed (see formulas_buying.go), and stay until they are written off;
//     then they are replaced. Nothing is ever sold or bought negatively.
//   - Money is counted twice, never added: as cash in the month of the order, and as
//     cost, written off in equal parts over the life of what was bought.
//
// A run takes memory of some 17 columns a month beside 280 others, 8 bytes a sample
// each, and time in proportion to samples times months.
package plan

import (
	"fmt"
	"strings"

	"plumb/engines/forecast"
	"plumb/engines/picture"
)

// reserve is the input that adds room by rule of thumb.
const reserve = "buffer"

// sizes are the smaller pictures that the room makes. A test holds them to the room;
// the plan does not import it, which would bring its database and pages along.
var sizes = []picture.Size{{Name: "small", Edge: 400}, {Name: "medium", Edge: 1000}, {Name: "large", Edge: 2000}}

func sizesInWords() string {
	var s []string
	for _, z := range sizes {
		s = append(s, fmt.Sprint(z.Edge))
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1] + " pixels"
}

// Model returns the model with its defaults.
func Model() forecast.Model {
	return forecast.Model{
		Name:      "photos",
		Title:     "photos that people share, on one's own server farms",
		Main:      "cost",
		Reserve:   reserve,
		Counts:    []string{"photo", "video", "view", "read", "disk", "ssd", "rack", "unit", "region", "line"},
		Inputs:    inputs(),
		Formulas:  formulas(),
		Scenarios: scenarios(),
		Stacks: []forecast.Stack{
			{Of: "stored_bytes", Parts: []string{"stored_photos", "stored_versions", "stored_videos", "stored_thumbnails", "stored_metadata"}},
			{Of: "copied_bytes", Parts: []string{"first_site_bytes", "second_site_bytes", "backup_bytes", "ssd_bytes"}},
			// The smallest last: a picture shows the last of many parts as one.
			{Of: "cost", Parts: []string{"cost_hdd", "cost_servers", "cost_staff", "cost_lines", "cost_power", "cost_floor", "cost_upkeep", "cost_racks", "cost_ssd"}},
			{Of: "cash", Parts: []string{"cash_hdd", "cash_ssd", "cash_servers", "cash_racks", "running"}},
		},
	}
}

// formulas are evaluated by need, not in this order, in which outputs are shown.
func formulas() []forecast.Formula {
	var all []forecast.Formula
	for _, part := range [][]forecast.Formula{
		costFormulas(), buyFormulas(), uploadFormulas(), byteFormulas(), placeFormulas(), readFormulas(),
		aheadFormulas(), diskFormulas(hdd), diskFormulas(ssd), serverFormulas(), rackFormulas(), cashFormulas(),
	} {
		all = append(all, part...)
	}
	return all
}

func scenarios() []forecast.Scenario {
	return []forecast.Scenario{
		{Name: "conservative", Note: "more of everything: users, videos from month 7, larger photos, nothing saved, disks that do not get cheaper", Set: map[string]string{
			"growth": "4 to 8 %", "active": "35 to 60 %", "photos_per_user": "40 to 120 photos/user/month", "resolution": "4 to 15 %/year", "video_from": "7",
			"duplicates": "0.2 to 2 %", "removed": "0.1 to 0.4 %/month", "hdd_trend": "0 to 15 %/year", "ssd_trend": "0 to 30 %/year",
		}},
		{Name: "aggressive", Note: "lean: slower growth, cold photos under erasure coding, duplicates and JPEGs stored better, cheaper disks", Set: map[string]string{
			"growth": "1 to 2.5 %", "photos_per_user": "15 to 50 photos/user/month", "coded": "90 %", "duplicates": "4 to 12 %", "compression": "12 to 20 %",
			"hdd_trend": "-18 to -6 %/year", "pue": "1.15 to 1.3",
		}},
		{Name: "coded", Note: "nine tenths of the first site's cold bytes under erasure coding 6+3 instead of two copies", Set: map[string]string{"coded": "90 %"}},
		{Name: "thumb", Note: "a quarter more room by rule of thumb; then plan with P50", Set: map[string]string{reserve: "25 %"}},
		{Name: "tenfold", Note: "ten times the users", Set: map[string]string{"users": "100M users"}},
	}
}
