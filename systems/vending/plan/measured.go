package plan

import (
	"fmt"

	"plumb/engines/forecast"
)

// Figure looks up what an experiment of this system measured: the metric of a
// design (by its name or kind), and in words where and when that was. ok is
// false when it was not measured.
type Figure func(experiment, design, metric string) (value float64, where string, ok bool)

// FromProofs picks the unit costs that experiments measured, for
// Model().WithMeasured. What was not measured stays an assumption.
func FromProofs(figure Figure) map[string]forecast.Measurement {
	out := map[string]forecast.Measurement{}
	// The server's processor time for a report stored, TLS included. How fast the
	// machine was is another input's business: machine_factor.
	if v, where, ok := figure("sockets", "built", "server_cpu_ms"); ok && v > 0 {
		out["report_cpu"] = forecast.Measurement{Range: fmt.Sprintf("%.4g core*ms/report", v), From: "plumb prove vending/sockets, " + where}
	}
	return out
}
