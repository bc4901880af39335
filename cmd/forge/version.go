package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what `forge version --json` prints.
type versionInfo struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Modified bool     `json:"modified"`
	Go       string   `json:"go"`
	System   string   `json:"system"`
	Language int      `json:"language"` // the newest `forge N` that recipes may begin with
	Devices  []string `json:"devices"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Version, commit, Go version, features",
		Args:  arguments(0, 0),
		RunE:  func(*cobra.Command, []string) error { return runVersion(a) },
	}
}

func runVersion(a *app) error {
	info := readVersion()
	if a.json {
		return a.printJSON(info)
	}
	commit := info.Commit
	if commit == "" {
		commit = "no commit recorded"
	} else if info.Modified {
		commit += " (modified)"
	}
	a.printf("forge %s\ncommit   %s\ngo       %s\nsystem   %s\nlanguage forge %d\ndevices  %s\n",
		info.Version, commit, info.Go, info.System, info.Language, joinComma(info.Devices))
	return nil
}

// readVersion collects what the Go linker recorded about this binary.
func readVersion() versionInfo {
	info := versionInfo{
		Version: "devel", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Language: languageVersion, Devices: deviceNames(),
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		info.Version = v
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value
		case "vcs.modified":
			info.Modified = setting.Value == "true"
		}
	}
	return info
}
