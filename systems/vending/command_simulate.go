package vending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/base/units"
	"plumb/engines/lab/child"
	"plumb/systems/vending/internal/simulate"
)

// simulateCommand is `plumb vending simulate`.
func simulateCommand() *cobra.Command {
	var o simulate.Options
	var speed, badLines string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play a night of a fleet against a real server, over real sockets",
		Long: "Enrols machines and lets each report in its slot of the window, as often as it takes, by the same\n" +
			"client code as a machine's. Without --server it starts a server of its own on throw-away data;\n" +
			"with --server the token of somebody who may enrol machines comes from PLUMB_TOKEN. Afterwards the\n" +
			"server is asked about some of the machines. Exit status 1 when a report was lost.",
		Example: "  plumb vending simulate --machines 10000 --window 60m --speed 60x\n" +
			"  plumb vending simulate --machines 2000 --transport both --bad-lines 5% --window 30s\n" +
			"  PLUMB_TOKEN=... plumb vending simulate --server https://plumb.example --mqtt plumb.example:1883 --transport mqtt",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Speed, err = factor("--speed", speed, "x"); err != nil {
				return err
			}
			if o.Speed <= 0 {
				return errs.New(errs.Invalid, "the speed must be more than 0")
			}
			if o.BadLines, err = factor("--bad-lines", badLines, "%"); err != nil {
				return err
			}
			if o.Prefix == "" {
				o.Prefix = "sim-" + strings.ToLower(ids.Token()[:6]) + "-"
			}
			if err := ids.Name("--prefix", o.Prefix); err != nil {
				return err
			}
			ctx := cmd.Context()
			if o.Server == "" {
				stop, err := throwAway(ctx, &o)
				if err != nil {
					return err
				}
				defer stop()
			} else if o.Token = os.Getenv("PLUMB_TOKEN"); o.Token == "" {
				return errs.New(errs.Invalid, "PLUMB_TOKEN is not set: it holds the token of somebody who may enrol machines")
			}
			o.Progress = progressOn(cmd.ErrOrStderr())
			r, err := simulate.Run(ctx, o)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = printNight(cmd.OutOrStdout(), r)
			}
			switch {
			case err != nil:
				return err
			case r.Interrupted:
				return errors.New("interrupted: these figures are of a part of the night")
			case r.Lost > 0 || r.Missing > 0:
				return fmt.Errorf("%d machines have no answer, and %d of %d that were looked at are not known to the server", r.Lost, r.Missing, r.Checked)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Machines, "machines", 1000, "how many")
	f.DurationVar(&o.Window, "window", time.Hour, "in which they call, each at its slot")
	f.StringVar(&speed, "speed", "60x", "how much faster than it passes the window is played")
	f.DurationVar(&o.Spread, "spread", 0, "how far the machines' clocks are off, at most")
	f.StringVar(&o.Transport, "transport", simulate.HTTP, "http, mqtt or both")
	f.BoolVar(&o.Keep, "keep", false, "keep HTTP connections, as behind a gateway; else each call opens its own")
	f.StringVar(&badLines, "bad-lines", "0%", "share of the connections that break at a random byte")
	f.StringVar(&o.Server, "server", "", "address of a running server: http://HOST:PORT")
	f.StringVar(&o.Broker, "mqtt", "", "its address for MQTT: HOST:PORT")
	f.StringVar(&o.City, "city", "Berlin", "where the machines stand")
	f.StringVar(&o.Prefix, "prefix", "", "of the machines' ids (default: a new one)")
	f.IntVar(&o.Slots, "slots", 24, "selections of each machine")
	f.IntVar(&o.AtOnce, "at-once", 2000, "calls under way at once, at most")
	f.DurationVar(&o.Patience, "patience", 5*time.Minute, "after the window, before a machine without an answer counts as lost")
	f.Uint64Var(&o.Seed, "seed", 1, "of the machines' chance")
	f.BoolVar(&asJSON, "json", false, "print an object")
	return cmd
}

// factor reads "60x", "60", "5%" (as 0.05) and "0.05".
func factor(flag, text, unit string) (float64, error) {
	number, had := strings.CutSuffix(text, unit)
	var v float64
	if n, err := fmt.Sscanf(number, "%g", &v); err != nil || n != 1 || fmt.Sprint(v) != number && !strings.ContainsAny(number, ".eE") {
		return 0, errs.New(errs.Invalid, "%s must be a number such as 5%s, not %.20q", flag, unit, text)
	}
	if had && unit == "%" {
		v /= 100
	}
	return v, nil
}

// throwAway starts a server that is gone afterwards, data and all.
func throwAway(ctx context.Context, o *simulate.Options) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "plumb-simulate-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for a server: %w", err)
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{realm}, Data: dir})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	o.Server, o.Broker, o.Token, o.Client = s.URL, s.MQTT, s.Token, s.Client
	return func() { s.Kill9(); os.RemoveAll(dir) }, nil
}

// progressOn shows progress on a terminal, and nothing elsewhere.
func progressOn(w io.Writer) func(done, all int, text string) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	bar := progressbar.NewOptions(1, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24))
	return func(done, all int, text string) {
		bar.ChangeMax(max(all, 1))
		bar.Describe(text)
		_ = bar.Set(done) // a terminal that went away cannot be told
		if text == "done" {
			_ = bar.Finish()
		}
	}
}

func printNight(w io.Writer, r simulate.Result) error {
	n := func(v int) string { return units.Count(int64(v)) }
	_, err := fmt.Fprintf(w, `%s machines by %s: enrolled in %.1f s; a window of %.1f s, the last report stored after %.1f s
stored      %s (%s of them answered as duplicates), %s lost
calls       %s: %.2f a machine, %d at most; %s refused with a time to come back, %s without an answer
peak        %s calls/s
a call      %.1f ms (half of them), %.1f ms (99%%)
looked at   %s machines afterwards, %d missing
`, n(r.Machines), r.Transport, r.EnrolS, r.WindowS, r.TookS, n(r.Stored), n(r.Duplicates), n(r.Lost), n(r.Calls), r.TriesMean, r.TriesMost, n(r.Refused), n(r.Failed),
		n(r.PeakPerS), r.CallP50Ms, r.CallP99Ms, n(r.Checked), r.Missing)
	if err == nil && r.BehindS > 1 {
		_, err = fmt.Fprintf(w, "behind      a call began up to %.1f s after its time: this computer is the bound, not the server\n", r.BehindS)
	}
	if err == nil && r.FirstError != "" {
		_, err = fmt.Fprintf(w, "first fault %s\n", r.FirstError)
	}
	return err
}
