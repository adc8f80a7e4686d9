package plan

import (
	"fmt"

	"plumb/engines/forecast"
)

// Figure looks up what an experiment of this system measured: the metric of a design
// (by its name or kind), and in words where and when that was. ok is false when it was
// not measured.
type Figure func(experiment, design, metric string) (value float64, where string, ok bool)

// FromProofs picks the unit costs that experiments measured, for Model().WithMeasured.
// What was not measured stays an assumption. How fast the machine was is another
// input's business: machine_factor.
func FromProofs(figure Figure) map[string]forecast.Measurement {
	out := map[string]forecast.Measurement{}
	if v, where, ok := figure("compare", "built", "server_cpu_ms"); ok && v > 0 {
		out["upload_cpu"] = forecast.Measurement{Range: fmt.Sprintf("%.4g core*ms/file", v), From: "plumb prove files/compare, " + where}
	}
	if v, where, ok := figure("edits", "built", "server_cpu_s_per_gb"); ok && v > 0 {
		out["ingest_cpu"] = forecast.Measurement{Range: fmt.Sprintf("%.4g core*s/GB", v), From: "plumb prove files/edits, " + where}
	}
	if v, where, ok := figure("edits", "built", "serve_cpu_s_per_gb"); ok && v > 0 {
		out["serve_cpu"] = forecast.Measurement{Range: fmt.Sprintf("%.4g core*s/GB", v), From: "plumb prove files/edits, " + where}
	}
	return out
}
