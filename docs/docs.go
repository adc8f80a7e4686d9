// Package docs embeds the project's documentation, so that a running house shows
// it and its search finds it. It has no logic.
//
//	text, err := docs.Files.ReadFile("vending.md")
package docs

import "embed"

// Files holds the Markdown files of this folder, by name.
//
//go:embed *.md decisions/*.md
var Files embed.FS
