package plan

import (
	"fmt"
	"time"

	"plumb/base/errs"
	"plumb/engines/forecast"
	"plumb/systems/vending/internal/world"
)

// ByCity turns a known fleet (machines by city, as the fleet page counts them)
// into measurements for Model().WithMeasured: how many machines and cities, and
// the largest share whose midnight comes at the same moment on the given day.
// A city that the table does not have is Invalid.
func ByCity(machines map[string]int, at time.Time) (map[string]forecast.Measurement, error) {
	total, midnights := 0, map[int]int{} // offset from UTC in seconds -> machines
	for name, n := range machines {
		c, ok := world.Find(name)
		if !ok {
			return nil, errs.New(errs.Invalid, "city %q is not in the table", name)
		}
		if n < 0 {
			return nil, errs.New(errs.Invalid, "city %q: %d machines", name, n)
		}
		zone, err := time.LoadLocation(c.Zone)
		if err != nil {
			return nil, fmt.Errorf("zone of %s: %w", name, err)
		}
		_, offset := at.In(zone).Zone()
		midnights[offset] += n
		total += n
	}
	if total == 0 {
		return nil, errs.New(errs.Invalid, "the fleet has no machines")
	}
	most := 0
	for _, n := range midnights {
		most = max(most, n)
	}
	from := "counted in the fleet on " + at.UTC().Format("2 January 2006")
	return map[string]forecast.Measurement{
		"machines":         {Range: fmt.Sprintf("%d machines", total), From: from},
		"rolled_out":       {Range: "100 %", From: from},
		"cities":           {Range: fmt.Sprintf("%d cities", len(machines)), From: from},
		"busiest_midnight": {Range: fmt.Sprintf("%.4g %%", 100*float64(most)/float64(total)), From: from},
	}, nil
}
