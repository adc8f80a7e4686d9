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
	Reserve                 string // the model's
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

// Held returns the input that adds spare room by rule of thumb, if it adds any.
// What it adds is within every figure, so that the plan to hold to is P50.
func (r *Result) Held() (UsedInput, bool) {
	for _, u := range r.Inputs {
		if u.Name == r.Reserve && u.P95 > 0 {
			return u, true
		}
	}
	return UsedInput{}, false
}

// Contingency returns how far an output's total lies above its P50 at P90, as a share:
// what to add to be safe nine times in ten. ok is false where room is held by rule of
// thumb already (one or the other, never both), and where P50 is not above 0.
func (r *Result) Contingency(output string) (share float64, ok bool) {
	o := r.Output(output)
	if _, held := r.Held(); held || o == nil || o.Total.P50 <= 0 {
		return 0, false
	}
	return o.Total.P90/o.Total.P50 - 1, true
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
