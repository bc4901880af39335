package train

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"forge/engine/runs"
)

// writeRecord writes recipe.forge, tokenizer.json and run.json, or, for a run that is gone on with, adds to them.
func (t *trainer) writeRecord() error {
	old, err := t.Run.Recipe()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = t.Run.WriteRecipe(t.Text)
	case err == nil && old != t.Text:
		t.warnf("the recipe is not the one that the run began with; %s/recipe.forge is now what holds from step %d on, the checkpoints before keep theirs",
			t.Run.Dir, t.state.Step+1)
		err = t.Run.WriteRecipe(t.Text)
	}
	if err == nil && t.tokenizerText != nil {
		err = t.Run.WriteTokenizer(t.tokenizerText)
	}
	if err != nil {
		return err
	}
	info := &runs.Info{}
	if t.From != nil {
		if info, err = t.Run.Info(); errors.Is(err, fs.ErrNotExist) {
			info, err = &runs.Info{}, nil
		}
		if err != nil {
			return err
		}
		info.Resumed = append(info.Resumed, runs.Resumption{Step: t.state.Step, Time: time.Now(), Command: t.Args, Forge: t.Forge})
	}
	if info.Recipe == "" {
		t.describe(info)
	}
	return t.Run.WriteInfo(info)
}

// describe fills in how the run came about.
func (t *trainer) describe(info *runs.Info) {
	info.Recipe, info.Command, info.Forge, info.Go = t.Recipe.Name, t.Args, t.Forge, runtime.Version()
	info.System, info.Threads, info.Started = runtime.GOOS+"/"+runtime.GOARCH, runtime.GOMAXPROCS(0), time.Now()
	info.Host, _ = os.Hostname() // a host without a name is no fault
	info.Device = t.Backend.Name() + ": " + t.Backend.Device()
	info.Seed, info.Data, info.DataChecksum = t.state.Seed, t.Data.Sources(), t.Data.Checksum()
	info.Tokenizer, info.TokenizerHash = t.Tokenizer.Name(), t.Tokenizer.Hash()
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				info.Commit = s.Value
			}
		}
	}
}
