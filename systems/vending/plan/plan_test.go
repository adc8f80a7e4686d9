package plan

import (
	"context"
	"fmt"
	"testing"

	"plumb/engines/forecast"
)

func TestTry(t *testing.T) {
	p, err := forecast.Compile(Model())
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(context.Background(), forecast.Options{Months: 12, Samples: 5000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outputs {
		b := o.Total
		fmt.Printf("%-16s %12.5g %12.5g %12.5g %s\n", o.Name, b.P10, b.P50, b.P90, o.TotalUnit)
	}
	for _, d := range r.Drivers {
		if d.Share > 0.02 {
			fmt.Println(d.Output, d.Input, d.Rank, d.Share, d.Low, d.High)
		}
	}
}
