// Package recipes carries the shipped recipes inside the binary, as they lie in this folder. It reads and checks nothing: a
// recipe named `tiny` on the command line, or in `use "tiny"`, is the text of tiny.forge from here, parsed like any other file.
package recipes

import (
	"embed"
	"io/fs"
	"strings"
)

// FS holds every shipped recipe at its root. To users a file is called `recipes/tiny.forge`.
//
//go:embed *.forge
var FS embed.FS

// Names lists the shipped recipes, sorted, without folder and ending: "ablations", "deepseek_v3", "tiny", ….
func Names() []string {
	entries, err := fs.ReadDir(FS, ".")
	if err != nil {
		panic("recipes: the embedded folder cannot be listed: " + err.Error())
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".forge"))
	}
	return names
}
