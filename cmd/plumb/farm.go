package main

import (
	"github.com/spf13/cobra"

	"plumb/app"
	"plumb/engines/farm"
)

// farmCommand is the word that this program starts its own children with.
func farmCommand() *cobra.Command {
	return &cobra.Command{
		Use: app.FarmWord, Short: "Do work for the process that started this one", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return farm.Serve(cmd.Context(), app.FarmWorks())
		},
	}
}
