package vending

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/systems/vending/internal/dts"
)

// dtsCommand is `plumb vending dts`.
func dtsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "dts FILE...",
		Short: "Read EVA-DTS audit files: verdicts, products, cash, events",
		Long: "Reads EVA-DTS audit files (.dex, .dts, .daa, .eva_dts), as vending machines write them, and tells\n" +
			"for each set of records whether its checksum is right, and what was sold. A folder stands for the\n" +
			"files in it; - for standard input. Exit status 1 when a file could not be read at all.",
		Example: "  plumb vending dts machine-17.dex\n  plumb vending dts audits/ --json\n  cat machine-17.dex | plumb vending dts -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := auditFiles(args)
			if err != nil {
				return err
			}
			out, bad := cmd.OutOrStdout(), 0
			list := make([]auditOut, 0, len(files))
			for _, name := range files {
				o := readAudit(name, cmd.InOrStdin())
				if o.Problem != "" {
					bad++
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", name, o.Problem)
				}
				if asJSON {
					list = append(list, o)
				} else if o.Problem == "" {
					printAudit(out, o)
				}
			}
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				if err := enc.Encode(list); err != nil {
					return err
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d files could not be read", bad, len(files))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list with an object for each file")
	return cmd
}

// auditFiles replaces folders by the files in them.
func auditFiles(args []string) ([]string, error) {
	var list []string
	for _, a := range args {
		info, err := os.Stat(a)
		if a == "-" || err != nil || !info.IsDir() {
			list = append(list, a) // a missing one is told when its turn comes
			continue
		}
		err = filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				list = append(list, path)
			}
			return err
		})
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "read the folder %s", a)
		}
	}
	return list, nil
}

// readAudit reads one file, but no more of it than a file may have.
func readAudit(name string, stdin io.Reader) auditOut {
	failed := func(problem string) auditOut {
		return auditOut{File: name, Sets: []setOut{}, Warnings: []string{}, Problem: problem}
	}
	unread := func(err error) auditOut {
		var path *fs.PathError
		if errors.As(err, &path) { // the name stands before it anyway
			return failed(path.Op + ": " + path.Err.Error())
		}
		return failed(err.Error())
	}
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return unread(err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, dts.MaxBytes+1))
	if err != nil {
		return unread(err)
	}
	f, err := dts.Read(text)
	if err != nil {
		return failed(errs.Message(err))
	}
	o := fileOut(f)
	o.File = name
	return o
}

// printAudit writes a file for people.
func printAudit(out io.Writer, o auditOut) {
	fmt.Fprintf(out, "%s: %s\n", o.File, strings.ReplaceAll(o.Verdict, "_", " "))
	for i, s := range o.Sets {
		fmt.Fprintf(out, "  set %d: %s, machine %s %s, %d sold for %s, cash box %s\n", i+1, strings.ReplaceAll(s.Verdict, "_", " "),
			orDash(s.Machine), s.Model, s.Sold, money(s.Value, s.Decimals), money(s.Cash.Box, s.Decimals))
		w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
		if len(s.Products) > 0 {
			fmt.Fprintln(w, "    selection\tprice\tsold\tvalue\t\t")
		}
		for _, p := range s.Products {
			fmt.Fprintf(w, "    %s\t%s\t%d\t%s\t%s\t\n", p.ID, money(p.Price, s.Decimals), p.Sold, money(p.Value, s.Decimals), p.Name)
		}
		w.Flush()
		for _, e := range s.Events {
			if e.Active && e.Fault != "" {
				fmt.Fprintf(out, "    event %s (%s) lasts\n", e.Code, strings.ReplaceAll(e.Fault, "_", " "))
			}
		}
	}
	for _, w := range o.Warnings {
		fmt.Fprintf(out, "  %s\n", w)
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// money writes an amount in the main unit.
func money(v int64, decimals int) string {
	if decimals == 0 {
		return fmt.Sprint(v)
	}
	unit := int64(1)
	for range decimals {
		unit *= 10
	}
	return fmt.Sprintf("%d.%0*d", v/unit, decimals, v%unit)
}
