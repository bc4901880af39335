package runs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ErrNone says that a run has no checkpoint yet.
var ErrNone = errors.New("there is no checkpoint yet")

// Find gives the checkpoint that a CHECKPOINT argument means: a checkpoint directory, a run directory (its latest one), or the name
// of a recipe whose newest run below base is meant.
func Find(arg, base string) (*Checkpoint, error) {
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, os.ErrNotExist):
		list := List(base, arg)
		if len(list) == 0 {
			return nil, fmt.Errorf("there is no %s, and %s holds no run of that name; train one with `forge train %s`", arg, base, arg)
		}
		return latest(list[0])
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file; name the run's or the checkpoint's directory", arg)
	}
	if exists(filepath.Join(arg, stateFile)) {
		return ReadCheckpoint(arg)
	}
	if exists(filepath.Join(arg, "checkpoints")) || exists(filepath.Join(arg, "run.json")) {
		return latest(arg)
	}
	if exists(filepath.Join(arg, "config.json")) {
		return nil, fmt.Errorf("%s is a Hugging Face checkpoint; `forge import %s` makes it one of forge's", arg, arg)
	}
	return nil, fmt.Errorf("%s is neither a run (with checkpoints/) nor a checkpoint (with %s)", arg, stateFile)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// latest gives a run's latest checkpoint. If it is damaged the error names the newest whole one.
func latest(dir string) (*Checkpoint, error) {
	r := &Run{Dir: dir}
	c, faults, err := r.newestWhole()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w; the newest whole one is %s", faults[0], c.Dir)
	}
	return c, nil
}

// newestWhole gives the newest checkpoint of the run's present course that is whole, and what is wrong with those after it. The
// error is ErrNone if there is none.
func (r *Run) newestWhole() (c *Checkpoint, faults []error, err error) {
	in, err := r.readIndex()
	if err != nil {
		return nil, nil, err
	}
	for i := len(in.Checkpoints) - 1; i >= 0; i-- {
		c, err := ReadCheckpoint(filepath.Join(r.checkpoints(), in.Checkpoints[i].Name))
		if err == nil {
			return c, faults, nil
		}
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, nil, fmt.Errorf("no checkpoint is whole: %w", faults[0])
	}
	return nil, nil, ErrNone
}

// Resumed is a run to go on with.
type Resumed struct {
	Run        *Run
	Checkpoint *Checkpoint
	Warnings   []string
}

// Resume opens the run that `--resume SPEC` means; its files are as they were until TakeBack. SPEC is `auto` (the
// newest whole checkpoint of the newest run that has one; the result is nil if none has), a step of the newest run, a run directory
// or a checkpoint directory. dir, if not empty, is the run (--out); else runs of the recipe below base are looked at.
func Resume(spec, base, name, dir string) (*Resumed, error) {
	if step, err := strconv.ParseInt(spec, 10, 64); err == nil {
		return resumeStep(step, base, name, dir)
	}
	if spec != "auto" {
		if dir != "" && filepath.Clean(dir) != filepath.Clean(spec) {
			return nil, fmt.Errorf("--resume %s goes on in that run; leave --out out", spec)
		}
		c, err := Find(spec, base)
		if err != nil {
			return nil, err
		}
		all := filepath.Dir(filepath.Clean(c.Dir))
		if filepath.Base(all) != "checkpoints" {
			c.Dir = absolute(c.Dir)
			all = filepath.Dir(c.Dir)
		}
		if filepath.Base(all) != "checkpoints" {
			return nil, fmt.Errorf("%s lies in no run directory (as RUN/checkpoints/%s); copy it there to go on from it", c.Dir, filepath.Base(c.Dir))
		}
		return resumeAt(filepath.Dir(all), c, nil)
	}
	candidates := List(base, name)
	if dir != "" {
		candidates = []string{dir}
	}
	for _, d := range candidates {
		r := &Run{Dir: d}
		c, faults, err := r.newestWhole()
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		var warnings []string
		for _, fault := range faults {
			warnings = append(warnings, fmt.Sprintf("%v; going on from %s", fault, c.Dir))
		}
		return resumeAt(d, c, warnings)
	}
	return nil, nil
}

func absolute(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		return p
	}
	return path
}

func resumeStep(step int64, base, name, dir string) (*Resumed, error) {
	if dir == "" {
		list := List(base, name)
		if len(list) == 0 {
			return nil, fmt.Errorf("--resume %d: %s holds no run of %s", step, base, name)
		}
		dir = list[0]
	}
	r := &Run{Dir: dir}
	place := filepath.Join(r.checkpoints(), checkpointName(step))
	if !exists(place) {
		in, indexErr := r.readIndex()
		if indexErr != nil || len(in.Checkpoints) == 0 {
			return nil, fmt.Errorf("--resume %d: %s has no checkpoint", step, dir)
		}
		steps := ""
		for i, e := range in.Checkpoints {
			if i > 0 {
				steps += ", "
			}
			steps += fmt.Sprint(e.Step)
		}
		return nil, fmt.Errorf("--resume %d: %s has no checkpoint of that step; it has those of steps %s", step, dir, steps)
	}
	c, err := ReadCheckpoint(place)
	if err != nil {
		return nil, err
	}
	return resumeAt(dir, c, nil)
}

func resumeAt(dir string, c *Checkpoint, warnings []string) (*Resumed, error) {
	r, err := open(dir)
	if err != nil {
		return nil, err
	}
	return &Resumed{r, c, warnings}, nil
}

// TakeBack makes c the run's latest checkpoint and takes from the metrics and samples what came after it, so that a run that is gone
// on with leaves the same files as one that never stopped. Later checkpoints stay on disk until the run reaches their steps again,
// but are no longer the run's.
func (r *Run) TakeBack(c *Checkpoint) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	in, err := r.readIndex()
	if err != nil {
		return err
	}
	before := len(in.Checkpoints)
	in.cutAfter(c.State.Step)
	changed := len(in.Checkpoints) < before
	if in.Latest != filepath.Base(c.Dir) {
		in.Checkpoints = append(in.Checkpoints, indexEntry{filepath.Base(c.Dir), c.State.Step, c.State.EvalLoss})
		in.settle()
		changed = true
	}
	if changed {
		if err := r.writeIndex(in); err != nil {
			return err
		}
	}
	return r.rewind(c.State.Step)
}
