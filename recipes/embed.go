// Package recipes carries the shipped recipes inside the binary, as they lie in this folder. It reads and checks nothing: a
// recipe named `tiny` on the command line, or in `use "tiny"`, is the text of tiny.forge from here, parsed like any other file.
package recipes

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

// FS holds every shipped recipe: at its root, and new ideas, each the difference to tiny, in ideas/. To users a file is called
// `recipes/tiny.forge`.
//
//go:embed *.forge ideas/*.forge
var FS embed.FS

// Names lists the shipped recipes, sorted, without ending: "ablations", "deepseek_v3", "ideas/looped", "tiny", ….
func Names() []string {
	var names []string
	err := fs.WalkDir(FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimSuffix(name, ".forge"))
		}
		return err
	})
	if err != nil {
		panic("recipes: the embedded folder cannot be listed: " + err.Error())
	}
	slices.Sort(names)
	return names
}
