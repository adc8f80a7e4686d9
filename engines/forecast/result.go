package forecast

import "fmt"

// Band is what an output may be in one month, or in total: quantiles over the
// sampled paths, and their mean. Means of parts add up; quantiles do not.
type Band struct {
	P5, P10, P50, P90, P95, Mean float64
}

// Output is one shown formula's result.
type Output struct {
	Name, Title, Unit string
	Months            []Band // by month
	Kind              Total
	TotalUnit         string // "USD" where Unit is "USD/month"
	Total             Band
	// Budget and Exceeds are set when Options.Budget names the output: the
	// limit, and the share of paths whose total is above it.
	Budget, Exceeds float64
	HasBudget       bool
}

// UsedInput is an input as a run used it.
type UsedInput struct {
	Input
	Range   Range  // in Unit
	Changed string // "", or by what: "scenario NAME", "set"
	P5, P10, P50, P90, P95,
	Mean float64 // of a path's value; of its mean over the months for a variable input
}

// Result is what a run found.
type Result struct {
	System, Title, Scenario string
	Months, Samples         int
	Seed                    uint64
	Main                    string
	Inputs                  []UsedInput
	Outputs                 []Output
	Drivers                 []Driver // of Main, of each stacked output, and of those asked for; the strongest first
	Stacks                  []Stack
}

// DriversOf returns the drivers of one output, the strongest first.
func (r *Result) DriversOf(output string) []Driver {
	var out []Driver
	for _, d := range r.Drivers {
		if d.Output == output {
			out = append(out, d)
		}
	}
	return out
}

// Output returns the named output, nil when there is none.
func (r *Result) Output(name string) *Output {
	for i := range r.Outputs {
		if r.Outputs[i].Name == name {
			return &r.Outputs[i]
		}
	}
	return nil
}

// Text writes the range with its unit, as ParseRange reads it.
func (u UsedInput) Text() string {
	if u.Unit == "" {
		return u.Range.String()
	}
	return fmt.Sprintf("%s %s", u.Range, u.Unit)
}
