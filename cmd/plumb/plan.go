package main

import (
	"github.com/spf13/cobra"

	"plumb/app"
	"plumb/engines/report"
)

func planCommand() *cobra.Command {
	var o report.Options
	var sample string
	c := &cobra.Command{
		Use:   "plan SYSTEM",
		Short: "Size a system over the coming months, as ranges: storage, compute, money, and what drives them",
		Long: "Runs a system's model by Monte Carlo from its inputs' ranges: your own (-f, --set), what was measured,\n" +
			"and defaults that name where they come from. The same seed gives the same bytes.",
		Example: "  plumb plan vending\n" +
			"  plumb plan vending --set machines=50k --set 'window=30 min' --months 24\n" +
			"  plumb plan init vending > plan.yaml && plumb plan vending -f plan.yaml --html plan.html\n" +
			"  plumb plan vending --csv > plan.csv\n" +
			"  plumb plan photos --calibrate /srv/photos",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.HasSeed = cmd.Flags().Changed("seed")
			return app.Plan(cmd.Context(), args[0], sample, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVarP(&o.File, "file", "f", "", "plan file (YAML; `plumb plan init SYSTEM` writes one)")
	f.IntVar(&o.Months, "months", 0, "months to look ahead (default 12)")
	f.IntVar(&o.Samples, "samples", 0, "sampled paths (default 20,000)")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of every draw")
	f.StringVar(&o.Scenario, "scenario", "", "a named set of inputs (default expected)")
	f.StringArrayVar(&o.Set, "set", nil, "INPUT=VALUE, a number or a range: 'machines=5k to 20k'")
	f.BoolVar(&o.JSON, "json", false, "print JSON")
	f.BoolVar(&o.CSV, "csv", false, "print CSV")
	f.StringVar(&o.HTML, "html", "", "write one self-contained HTML file")
	c.AddCommand(&cobra.Command{
		Use: "init SYSTEM", Short: "Print a commented plan file with every input, its unit, its range and where that comes from",
		Example: "  plumb plan init vending > plan.yaml", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.PlanInit(cmd.Context(), args[0], sample, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	})
	all := c.PersistentFlags()
	all.StringVar(&sample, "calibrate", "", "a folder of your own to measure first: what files or photos there are, and how much of them is alike (files, photos)")
	all.StringVar(&sample, "sample", "", "an older name of --calibrate")
	all.Lookup("sample").Hidden = true
	return c
}
