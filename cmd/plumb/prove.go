package main

import (
	"github.com/spf13/cobra"

	"plumb/app"
	"plumb/base/errs"
	"plumb/engines/lab"
)

func proveCommand() *cobra.Command {
	var o lab.Options
	var quick bool
	var data, docs string
	c := &cobra.Command{
		Use:   "prove [system[/experiment]...]",
		Short: "Run the question's design, the textbook's and the built one side by side, and judge the claims",
		Long: "Measures designs under the same load and the same faults, prints designs x metrics and a line per claim.\n" +
			"Quick (the default) takes about 8 s an experiment; full uses the question's own numbers.\n" +
			"Exit status 0 when all claims hold, 1 when one does not, 2 on wrong usage.",
		Example: "  plumb prove vending\n" +
			"  plumb prove vending/herd --full --sweep --html herd.html\n" +
			"  plumb prove vending --json --events events/ | jq '.results[].claims'\n" +
			"  plumb prove vending/herd --target exec:./my-design",
		RunE: func(cmd *cobra.Command, args []string) error {
			if quick && o.Full {
				return errs.New(errs.Invalid, "--quick and --full exclude each other")
			}
			o.Only = args
			if docs != "" {
				return app.Figures(docs, data)
			}
			if data != "" {
				o.KeepDir = app.ProveFolder(data)
			}
			if code := app.Prove(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr()); code != good {
				return exit(code)
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&quick, "quick", false, "about 8 s an experiment (the default)")
	f.BoolVar(&o.Full, "full", false, "the question's own numbers")
	f.BoolVar(&o.Sweep, "sweep", false, "sweep the assumption that decides the result")
	f.StringArrayVar(&o.Targets, "target", nil, "your own design beside the others: exec:PROGRAM")
	f.BoolVar(&o.JSON, "json", false, "print the report as JSON")
	f.StringVar(&o.HTML, "html", "", "write one self-contained HTML file")
	f.StringVar(&o.EventsDir, "events", "", "write the raw events (NDJSON) into this folder")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of every random choice")
	f.StringVar(&o.Progress, "progress", "", "ndjson: a line per step on stderr; none: no progress")
	f.StringVar(&data, "data", "", "keep the results in this data folder's prove/")
	f.StringVar(&o.TreeDir, "keep", "", "bring the results into this project tree, for make figures")
	_ = f.MarkHidden("keep")
	f.StringVar(&docs, "docs", "", "measure nothing: render the newest kept results into this folder's Markdown files")
	_ = f.MarkHidden("docs")
	return c
}
