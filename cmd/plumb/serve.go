package main

import (
	"os"

	"github.com/spf13/cobra"

	"plumb/app"
)

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve [system...]",
		Short: "Run the named systems; all, when none is named",
		Long: "Runs systems with their pages, API, metrics and OpenAPI document. Embedded, it needs nothing\n" +
			"but this binary; with --sql, --nats and --bucket any number of identical processes share the work.\n" +
			"The first start prints a link that signs the person admin in. SIGTERM drains and ends.",
		Example: "  plumb serve --demo\n" +
			"  plumb serve vending --data /srv/plumb --listen 127.0.0.1:8080\n" +
			"  PLUMB_SQL=postgres://plumb:secret@db/plumb plumb serve --nats nats://n1 --bucket s3://KEY@s3:9000/plumb --key-file /etc/plumb.key",
		RunE: func(cmd *cobra.Command, systems []string) error {
			cfg, _, err := load(cmd)
			if err != nil {
				return err
			}
			return app.Serve(cmd.Context(), cfg, systems, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	app.AddFlags(c.Flags())
	return c
}

// load reads the configuration for a command that has the settings' flags.
func load(cmd *cobra.Command) (app.Config, []app.Source, error) {
	given, file := app.Given(cmd.Flags())
	return app.Load(given, os.Environ(), file)
}

func checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "List the house: settings and their sources, rooms, engines, answers; find faults",
		Long: "Prints every effective setting and where it came from, what each room declares, and whether the\n" +
			"rows of answers.yaml point at things that exist. Opens no data. Exit status 1 when something is wrong.",
		Example: "  plumb check\n  plumb check --config plumb.yaml --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, sources, err := load(cmd)
			if err != nil {
				return err
			}
			return app.Check(cmd.Context(), cfg, sources, asJSON, cmd.OutOrStdout())
		},
	}
	app.AddFlags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
