package photos

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plumb/base/units"
)

// repairVerb makes a command that begins a repair.
func repairVerb(s *session, path string, in any) func(cmd *cobra.Command) error {
	return func(cmd *cobra.Command) error {
		var out repairOut
		if err := s.ask(cmd, "POST", path, in, &out); err != nil {
			return err
		}
		return s.print(cmd, out, func(w io.Writer) { fmt.Fprintf(w, "It is under way; see plumb photos repairs (%s).\n", out.ID) })
	}
}

// backupCommand is `plumb photos backup`.
func backupCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "backup SHARD PLACE", Short: "Copy a shard's photos and rows to a place of their own", Args: cobra.ExactArgs(2),
		Long:    "Copies the originals and the rows of a shard's people to a place that the server reaches: a folder of its machine or\na bucket. What is there already is not copied again. It is sealed with the house's key, which belongs elsewhere.",
		Example: "  plumb photos backup first dir:/mnt/backup/photos\n  plumb photos backup first s3://ACCESS@host:9000/backup",
		RunE: func(cmd *cobra.Command, args []string) error {
			return repairVerb(s, "/shards/"+args[0]+"/backup", placeBody{args[1]})(cmd)
		},
	}
}

// restoreCommand is `plumb photos restore`.
func restoreCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "restore PLACE", Short: "Bring back from a backup the people whom no shard has", Args: cobra.ExactArgs(1),
		Example: "  plumb photos restore dir:/mnt/backup/photos",
		RunE: func(cmd *cobra.Command, args []string) error {
			return repairVerb(s, "/restore", placeBody{args[0]})(cmd)
		},
	}
}

// healCommand is `plumb photos heal`.
func healCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "heal SHARD", Short: "Put back what a shard's bucket lost, from the copies in others", Args: cobra.ExactArgs(1),
		Example: "  plumb photos heal second",
		RunE: func(cmd *cobra.Command, args []string) error {
			return repairVerb(s, "/shards/"+args[0]+"/heal", nil)(cmd)
		},
	}
}

// loseCommand is `plumb photos rebuild`.
func loseCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "rebuild SHARD", Short: "Give a lost shard up, and make its people's photos anew on the others", Args: cobra.ExactArgs(1),
		Long:    "For a shard that will not come back: its people are placed on the others, where their photos are made anew from\ncopies and manifests. This cannot be undone; a shard that is only away comes back by itself.",
		Example: "  plumb photos rebuild second",
		RunE: func(cmd *cobra.Command, args []string) error {
			return repairVerb(s, "/shards/"+args[0]+"/lost", nil)(cmd)
		},
	}
}

// repairsCommand is `plumb photos repairs`.
func repairsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "repairs", Short: "Heals, rebuilds, backups and restores, the latest first", Args: cobra.NoArgs,
		Example: "  plumb photos repairs\n  plumb photos repairs --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out repairsOut
			if err := s.ask(cmd, "GET", "/repairs?limit=50", nil, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				fmt.Fprintln(w, "BEGUN\tWHAT\tSHARD\tSTATE\tPHOTOS\tFIXED\tLOST\tWRITTEN\tERROR")
				for _, r := range out.Repairs {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Begun.Local().Format("2006-01-02 15:04"), r.Kind, r.Shard, r.State,
						units.Count(r.Photos), units.Count(r.Fixed), units.Count(r.Lost), units.Bytes(float64(r.Bytes)), r.Error)
				}
			})
		},
	}
}
