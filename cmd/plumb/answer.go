package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"plumb/app"
	"plumb/base/errs"
)

func answerCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "answer [N]",
		Short: "List the sixteen questions, or tell the whole story of one",
		Long: "Without a number: the sixteen questions and how many of their concerns are closed. With one: the\n" +
			"verdict, every concern with what became of it and the figure that measures it, and the commands that show it.",
		Example: "  plumb answer\n  plumb answer 12\n  plumb answer --json | jq '.questions[11].concerns'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			if len(args) == 1 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > 16 {
					return errs.New(errs.Invalid, "there is no question %q: they are numbered 1 to 16", args[0])
				}
			}
			return app.Answer(cmd.OutOrStdout(), n, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
