package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"forge/dsl"
	"forge/dsl/diag"
)

// fmtOptions are the flags of `forge fmt`.
type fmtOptions struct {
	write bool
	diff  bool
}

func newFmtCommand(a *app) *cobra.Command {
	var o fmtOptions
	cmd := &cobra.Command{
		Use:   "fmt [-w] [-d] FILE...",
		Short: "The one style: print, rewrite or compare recipe files",
		Long: `fmt prints recipe files in the one style there is. With -w it rewrites the files that differ and prints their names; with -d
it prints the differences and exits with 1 if there are any. A file with syntax errors is left as it is. FILE - is standard input.`,
		Args: someArguments,
		RunE: func(_ *cobra.Command, args []string) error { return runFmt(a, o, args) },
	}
	cmd.Flags().BoolVarP(&o.write, "write", "w", false, "write the result to the file")
	cmd.Flags().BoolVarP(&o.diff, "diff", "d", false, "print what would change")
	return cmd
}

func runFmt(a *app, o fmtOptions, names []string) error {
	var found diag.List
	changed := []string{}
	for _, name := range names {
		text, err := a.readText(name)
		if err != nil {
			return err
		}
		file, faults := dsl.Parse(name, string(text))
		found = merge(found, faults)
		if faults.HasErrors() {
			continue
		}
		formatted := dsl.Format(file)
		if formatted != string(text) {
			changed = append(changed, name)
		}
		if err := a.fmtResult(o, name, string(text), formatted); err != nil {
			return err
		}
	}
	if found.HasErrors() {
		return found
	}
	if a.json {
		if err := a.printJSON(map[string][]string{"changed": changed}); err != nil {
			return err
		}
	}
	if o.diff && len(changed) > 0 {
		return exitCode(exitFailed)
	}
	return nil
}

// fmtResult does with one formatted file what the flags say.
func (a *app) fmtResult(o fmtOptions, name, text, formatted string) error {
	same := formatted == text
	if o.diff && !same && !a.json {
		a.printf("%s", diff.Diff(name+".orig", []byte(text), name, []byte(formatted)))
	}
	switch {
	case o.write && name == "-":
		return usagef("-w can't write to standard input")
	case o.write && !same:
		if !o.diff && !a.json {
			a.printf("%s\n", name)
		}
		return replaceText(name, formatted)
	case !o.write && !o.diff && !a.json:
		a.printf("%s", formatted)
	}
	return nil
}

// readText is a file's text; - is standard input.
func (a *app) readText(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(a.stdin, mostRead))
	}
	return systemFiles{}.ReadFile(name)
}

// replaceText gives a file a new text in one step, so that a full disk leaves the old one whole.
func replaceText(name, text string) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(target), ".forge-fmt-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(file.Name(), info.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(file.Name(), target)
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("%s was left as it is: %w", name, err)
	}
	return nil
}
