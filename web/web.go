// Package web holds what the console sends to browsers: the style sheet, icons,
// our own scripts, and the libraries of others that are kept here with their
// licences. It has no logic; engines/web serves the files with a fingerprint in
// their address:
//
//	static, err := engine.NewStatic(append(web.Files(), chart.Files())...)
//	static.URL("console.css") // "/static/console.css?v=..."
package web

import (
	"embed"
	"io/fs"
)

//go:embed static vendored
var files embed.FS

// Files returns the trees to serve at one address: ours (console.css,
// icons.svg, icon.svg, js/main.js) and those of others (htmx.min.js, tus.min.js).
func Files() []fs.FS {
	var trees []fs.FS
	for _, dir := range []string{"static", "vendored"} {
		tree, err := fs.Sub(files, dir)
		if err != nil {
			panic(err) // the folders are embedded above
		}
		trees = append(trees, tree)
	}
	return trees
}
