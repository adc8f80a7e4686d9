// Command plumb answers, proves, plans and serves sixteen system-design
// questions. It holds flags and words only; package app knows the house.
//
//	plumb answer 12
//	plumb prove vending --quick
//	plumb plan vending --set machines=50k
//	plumb serve --demo
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "time/tzdata" // cities have time zones, whatever the machine has installed

	"github.com/spf13/cobra"

	"plumb/app"
	"plumb/base/errs"
)

// Exit statuses; a command may define more.
const (
	good   = 0
	failed = 1
	usage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a drain that takes too long
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exit is an error that is only an exit status: everything was said already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is main without the process, so that tests can call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	root := &cobra.Command{
		Use:   "plumb",
		Short: "Sixteen system-design questions, answered by running code",
		Long: "Plumb tells what is wrong with a design and what holds (answer), measures the designs\n" +
			"side by side (prove), sizes them as ranges (plan), and runs the systems (serve).",
		Example:       "  plumb answer 12\n  plumb prove vending --quick\n  plumb plan vending --set machines=50k\n  plumb serve --demo",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { started = true },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(answerCommand(), proveCommand(), planCommand(), serveCommand(), checkCommand(), versionCommand(), farmCommand())
	for _, c := range app.Commands() {
		root.AddCommand(c)
	}
	cmd, err := root.ExecuteContextC(ctx)
	var status exit
	switch {
	case err == nil:
		return good
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, context.Canceled):
		return failed
	}
	fmt.Fprintf(stderr, "plumb: %s\n", err)
	if !started {
		fmt.Fprintf(stderr, "See `%s --help`.\n", cmd.CommandPath())
		return usage
	}
	if errs.Is(err, errs.Invalid) {
		return usage
	}
	return failed
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Example: "  plumb version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), app.Build())
			return err
		},
	}
}
