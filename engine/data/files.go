package data

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"
)

// listFiles gives the files that a path means: the file itself, every file below a folder, or the matches of a glob, sorted.
func listFiles(path string) ([]string, error) {
	roots := []string{path}
	if strings.ContainsAny(path, "*?[") {
		if _, err := os.Lstat(path); err != nil {
			if roots, err = filepath.Glob(path); err != nil {
				return nil, fmt.Errorf("%q is no pattern that can be matched: a `[` without its `]`?", path)
			}
			if len(roots) == 0 {
				return nil, fmt.Errorf("%q matches no file%s", path, relativeTo(path))
			}
		}
	}
	var files []string
	for _, root := range roots {
		info, err := os.Stat(root)
		if err != nil {
			if os.IsNotExist(err) {
				return nil, fmt.Errorf("there is no %q%s", root, relativeTo(root))
			}
			return nil, err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%q is no regular file: a text is read more than once, so a pipe or a device can't be one", root)
		}
		if !info.IsDir() {
			files = append(files, root)
			continue
		}
		below, err := walk(root, func(name string) bool { return !strings.HasPrefix(name, ".") }, "")
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			return nil, fmt.Errorf("the folder %q holds no files", root)
		}
		files = append(files, below...)
	}
	return files, nil
}

// relativeTo says where a relative path was looked for.
func relativeTo(path string) string {
	if filepath.IsAbs(path) {
		return ""
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; paths are relative to where forge runs: %s", dir)
}

// walk lists the regular files below root whose names end so, sorted by their paths with slashes. Names that enter refuses are
// passed over with all below them.
func walk(root string, enter func(name string) bool, ending string) ([]string, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(resolved, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != resolved && !enter(entry.Name()):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.Type().IsRegular() && strings.HasSuffix(path, ending):
			files = append(files, path)
		}
		return nil
	})
	sort.Slice(files, func(i, j int) bool { return filepath.ToSlash(files[i]) < filepath.ToSlash(files[j]) })
	return files, err
}

// goFiles lists the Go files below src of the Go installation, without testdata, and says which Go it is.
func goFiles() (files []string, detail string, err error) {
	root, err := findGo()
	if err != nil {
		return nil, "", err
	}
	files, err = walk(filepath.Join(root, "src"), func(name string) bool { return name != "testdata" }, ".go")
	if err != nil {
		return nil, "", err
	}
	version := "unknown version"
	if text, err := os.ReadFile(filepath.Join(root, "VERSION")); err == nil {
		line, _, _ := bytes.Cut(text, []byte("\n"))
		version = string(bytes.TrimSpace(line))
	}
	return files, fmt.Sprintf("%s, %d files below %s", version, len(files), filepath.Join(root, "src")), nil
}

// findGo is the root of the Go installation: $GOROOT, what the go command says, or where installers put it.
func findGo() (string, error) {
	var places []string
	if root := os.Getenv("GOROOT"); root != "" {
		places = append(places, root)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		places = append(places, strings.TrimSpace(string(out)))
	}
	if runtime.GOOS == "windows" {
		places = append(places, `C:\Program Files\Go`, `C:\Go`)
	} else {
		places = append(places, "/usr/local/go", "/usr/lib/go", "/usr/lib/golang", "/usr/share/go", "/opt/homebrew/opt/go/libexec",
			"/usr/local/opt/go/libexec", "/snap/go/current")
	}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, "go"), filepath.Join(home, ".local", "go"))
		sdks, _ := filepath.Glob(filepath.Join(home, "sdk", "go*"))
		places = append(places, sdks...)
	}
	for _, root := range places {
		if _, err := os.Stat(filepath.Join(root, "src", "fmt", "print.go")); err == nil {
			return root, nil
		}
	}
	return "", fmt.Errorf("gosource() reads the source text of a Go installation, and none was found; install Go or set GOROOT (looked in %s)",
		strings.Join(places, ", "))
}
