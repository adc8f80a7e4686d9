package plan

import (
	"fmt"

	"plumb/engines/forecast"
)

// Figure looks up what an experiment of this system measured: the metric of a design
// (by its name or kind), and in words where and when that was. ok is false when it was
// not measured.
type Figure func(experiment, design, metric string) (value float64, where string, ok bool)

// FromProofs picks the unit costs that experiments measured, for Model().WithMeasured:
// of the experiment "upload", the built design's thumbnail_cpu_s (core seconds that a
// photo's smaller pictures take) and row_bytes (bytes that its rows take in the
// database). What was not measured stays an assumption. How fast the machine was is
// another input's business: machine_factor.
func FromProofs(figure Figure) map[string]forecast.Measurement {
	out := map[string]forecast.Measurement{}
	if v, where, ok := figure("upload", "built", "thumbnail_cpu_s"); ok && v > 0 {
		out["resize_cpu"] = forecast.Measurement{Range: fmt.Sprintf("%.4g core*s/photo", v), From: "plumb prove photos/upload, " + where}
	}
	if v, where, ok := figure("upload", "built", "row_bytes"); ok && v > 0 {
		out["metadata_bytes"] = forecast.Measurement{Range: fmt.Sprintf("%.4g kB/photo", v/1000), From: "plumb prove photos/upload, " + where}
	}
	return out
}
