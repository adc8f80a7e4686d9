package vending

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/systems/vending/internal/handover"
)

// handoverCommand is `plumb vending handover`.
func handoverCommand() *cobra.Command {
	var o handover.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "handover CITY --from URL --to URL",
		Short: "Hand a city's machines over to another region",
		Long: "Brings the machines of a city from the cell --from to the cell --to: their identities (machines keep\n" +
			"their tokens), and what plans need to know of them. Then the old cell sends them to the new one.\n" +
			"Nothing is lost while it runs, and it may be run again. The tokens of operators come from\n" +
			"PLUMB_TOKEN, and from PLUMB_TO_TOKEN where the new cell has another. Exit status 1 when the new\n" +
			"cell refused a machine; the city stays where it is then.",
		Example: "  PLUMB_TOKEN=... PLUMB_TO_TOKEN=... plumb vending handover Rome --from https://north.example --to https://south.example",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.City = args[0]
			if o.From.Token = os.Getenv("PLUMB_TOKEN"); o.From.Token == "" {
				return errs.New(errs.Invalid, "PLUMB_TOKEN is not set: it holds the token of an operator of the old cell")
			}
			o.To.Token = cmp.Or(os.Getenv("PLUMB_TO_TOKEN"), o.From.Token)
			o.Progress = func(taken int, id string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d machines, up to %s\n", taken, id)
			}
			r, err := handover.Run(cmd.Context(), o)
			for _, m := range r.Refused {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s: %s\n", m.ID, m.Status, m.Detail)
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(r); err != nil {
					return err
				}
			} else if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s and its %d machines are served by %s now.\n", r.City, r.Taken, r.Region)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.From.URL, "from", "", "address of the cell that serves the city now: https://HOST")
	f.StringVar(&o.To.URL, "to", "", "address of the cell that is to serve it")
	f.BoolVar(&asJSON, "json", false, "print an object")
	cmd.MarkFlagRequired("from")
	cmd.MarkFlagRequired("to")
	return cmd
}
