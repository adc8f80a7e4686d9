package planfile

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"plumb/engines/forecast"
)

// Write writes a commented plan file with every input of m at its default,
// such that Read of it changes nothing.
func Write(w io.Writer, m forecast.Model) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Plan of %s", m.Name)
	if m.Title != "" {
		fmt.Fprintf(b, ": %s", m.Title)
	}
	fmt.Fprintf(b, `
#
# Change what you know better, delete what you do not care about, and run
#   plumb plan %s -f plan.yaml
#
# A value is a number or a range, with its unit:
#   5k to 20k USD              5th and 95th percentile (of a lognormal)
#   normal(10, 2) USD          mean and standard deviation
#   triangular(1, 2, 5) USD    low, mode, high
#   uniform(1, 5) USD          beta(2, 5, 0, 10) USD     discrete(1: 0.7, 2: 0.3)
#   samples(8, 9, 14) USD      measured values
#   months(10, 20, 40) USD     month by month; the last one stays
#   cycle(0.8, 1, 1.2)         month by month; begins again after the last one
# Instead of "name: range" an input may say more:
#   name: {value: 5 to 9 USD, kind: variable, autocorrelation: 0.5, from: invoices of 2025, measured: true}
# kind unknown: we do not know it, but it stays; variable: it differs from month to month.

system: %s
months: 12
samples: 20000
seed: 1
scenario: %s

inputs:
`, m.Name, m.Name, forecast.Expected)
	group := ""
	for _, in := range m.Inputs {
		if in.Group != group {
			group = in.Group
			fmt.Fprintf(b, "\n  # ---- %s ----\n", group)
		}
		writeInput(b, in)
	}
	writeRest(b, m)
	return b.Flush()
}

func writeInput(b *bufio.Writer, in forecast.Input) {
	how := "From"
	if in.Measured {
		how = "Measured"
	}
	unit := in.Unit
	if unit == "" {
		unit = "a plain number"
	}
	fmt.Fprintf(b, "\n  # %s. Unit: %s. Default: %s.\n", strings.TrimSuffix(in.Title, "."), unit, in.Default)
	fmt.Fprintf(b, "  # %s: %s.\n", how, strings.TrimSuffix(in.From, "."))
	if in.Kind == forecast.Variable {
		fmt.Fprintf(b, "  %s:\n    value: %s\n    kind: variable\n    autocorrelation: %s\n", in.Name, scalar(in.Default), strconv.FormatFloat(in.Autocorrelation, 'g', -1, 64))
		return
	}
	fmt.Fprintf(b, "  %s: %s\n", in.Name, scalar(in.Default))
}

// writeRest names the scenarios and outputs, so that nobody has to look them up.
func writeRest(b *bufio.Writer, m forecast.Model) {
	fmt.Fprintf(b, "\n# Scenarios (--scenario NAME, or scenario: above): %s, the inputs as they stand", forecast.Expected)
	for _, s := range m.Scenarios {
		fmt.Fprintf(b, ";\n#   %s, %s", s.Name, s.Note)
	}
	fmt.Fprint(b, `.
# Your own:
# scenarios:
#   mine:
#     note: what sales hopes for
#     set: {some_input: 5 to 9 USD}

# Inputs that move together (rank correlation):
# correlations:
#   - {a: one_input, b: another_input, rho: 0.5}

# How likely is it that a total exceeds a limit?
# budget:
`)
	for _, f := range m.Formulas {
		if f.Show {
			fmt.Fprintf(b, "#   %s: ... # %s, %s\n", f.Name, f.Title, orPlain(f.Unit))
		}
	}
}

func orPlain(unit string) string {
	if unit == "" {
		return "a plain number"
	}
	return unit
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9.-][A-Za-z0-9 .,%/()*+_-]*$`)

// scalar quotes text where YAML would read it as something else.
func scalar(text string) string {
	if plainScalar.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
