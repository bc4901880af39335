package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"forge/engine/data"
	"forge/engine/weights"
)

// format is the version of a checkpoint's layout. A newer forge reads older ones.
const format = 1

// Names of a checkpoint's files.
const (
	modelFile     = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
	recipeFile    = "recipe.forge"
	tokenizerFile = "tokenizer.json" // where a token is not a byte
	stateFile     = "state.json"
)

// State is state.json: all of a training run that is not a tensor.
type State struct {
	Format        int              `json:"format"`
	Forge         string           `json:"forge"`
	Recipe        string           `json:"recipe"`
	Step          int64            `json:"step"`         // steps done, over all stages
	Stage         int              `json:"stage"`        // index of the stage that the next step belongs to
	StageStep     int64            `json:"stage_step"`   // steps done in it
	StageTokens   int64            `json:"stage_tokens"` // tokens read in it
	Tokens        int64            `json:"tokens"`       // tokens read over all stages
	Seed          int64            `json:"seed"`
	Workers       int              `json:"workers"`
	Data          data.Position    `json:"data"`
	DataChecksum  string           `json:"data_checksum"`
	Tokenizer     string           `json:"tokenizer"`
	TokenizerHash string           `json:"tokenizer_hash"`
	EvalLoss      *float64         `json:"eval_loss,omitempty"`
	Files         map[string]int64 `json:"files"` // bytes of every other file
}

// Checkpoint is a whole checkpoint on disk.
type Checkpoint struct {
	Dir   string
	State State
}

// ModelPath is the file of weights and states.
func (c *Checkpoint) ModelPath() string { return filepath.Join(c.Dir, modelFile) }

// OptimizerPath is the file of moments.
func (c *Checkpoint) OptimizerPath() string { return filepath.Join(c.Dir, optimizerFile) }

// TokenizerPath is the file of the tokenizer that the model was trained with; "" if tokens are bytes, or in a checkpoint of a forge
// that did not keep it.
func (c *Checkpoint) TokenizerPath() string {
	if _, kept := c.State.Files[tokenizerFile]; !kept {
		return ""
	}
	return filepath.Join(c.Dir, tokenizerFile)
}

// Recipe reads the expanded recipe of the run.
func (c *Checkpoint) Recipe() (string, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, recipeFile))
	return string(text), err
}

// Content is what a checkpoint is made of. Read gives the tensors of both lists.
type Content struct {
	State     State
	Recipe    string
	Tokenizer []byte          // the text of a tokenizer.json; nil: tokens are bytes
	Weights   []weights.Entry // weights and states
	Optimizer []weights.Entry // moments
	Read      func(name string, dst []float32) error
}

// index is checkpoints/index.json, the checkpoints of the run's present course, oldest first. A checkpoint of later steps that the
// run was taken back from is not in it.
type index struct {
	Latest      string       `json:"latest,omitempty"`
	Best        string       `json:"best,omitempty"` // by held-out loss
	Checkpoints []indexEntry `json:"checkpoints"`
}

type indexEntry struct {
	Name     string   `json:"name"`
	Step     int64    `json:"step"`
	EvalLoss *float64 `json:"eval_loss,omitempty"`
}

func checkpointName(step int64) string { return fmt.Sprintf("step-%06d", step) }

// stepOf is the step in a checkpoint's name, −1 for other names.
func stepOf(name string) int64 {
	if number, ok := strings.CutPrefix(name, "step-"); ok {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

func (r *Run) checkpoints() string { return filepath.Join(r.Dir, "checkpoints") }

// Save writes a checkpoint and then removes those that are neither among the newest keep nor the best. After an error the older
// checkpoints are as they were.
func (r *Run) Save(c *Content, keep int) (*Checkpoint, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	all := r.checkpoints()
	name := checkpointName(c.State.Step)
	dir, temporary, aside := filepath.Join(all, name), filepath.Join(all, "."+name+".partial"), filepath.Join(all, "."+name+".old")
	if err := r.disk.mkdir(all); err != nil {
		return nil, err
	}
	for _, left := range []string{temporary, aside} {
		if err := r.disk.removeAll(left); err != nil {
			return nil, err
		}
	}
	state, err := r.writeCheckpoint(temporary, c)
	if err == nil {
		err = r.metrics.Sync() // the curve up to here is to be there as well
	}
	if err == nil {
		err = r.install(temporary, dir, aside)
	}
	if err != nil {
		r.disk.removeAll(temporary)
		return nil, err
	}
	if err := r.addToIndex(indexEntry{name, state.Step, state.EvalLoss}, max(keep, 1)); err != nil {
		return nil, err
	}
	return &Checkpoint{dir, *state}, nil
}

// writeCheckpoint writes every file of a checkpoint into a new directory, the state, which says how long the others are, last.
func (r *Run) writeCheckpoint(dir string, c *Content) (*State, error) {
	if err := r.disk.mkdir(dir); err != nil {
		return nil, err
	}
	state := c.State
	state.Format = format
	state.Files = map[string]int64{}
	meta := map[string]string{"format": "forge", "recipe": state.Recipe, "step": strconv.FormatInt(state.Step, 10)}
	type content struct {
		name  string
		write func(io.Writer) error
	}
	files := []content{
		{modelFile, func(w io.Writer) error { return weights.Write(w, c.Weights, meta, c.Read) }},
		{optimizerFile, func(w io.Writer) error { return weights.Write(w, c.Optimizer, meta, c.Read) }},
		{recipeFile, func(w io.Writer) error { _, err := io.WriteString(w, c.Recipe); return err }},
	}
	if c.Tokenizer != nil {
		files = append(files, content{tokenizerFile, func(w io.Writer) error { _, err := w.Write(c.Tokenizer); return err }})
	}
	files = append(files, content{stateFile, func(w io.Writer) error {
		text, err := json.MarshalIndent(&state, "", "  ")
		if err != nil {
			return err
		}
		_, err = w.Write(append(text, '\n'))
		return err
	}})
	for _, f := range files {
		size, err := writeFile(r.disk, filepath.Join(dir, f.name), f.write)
		if err != nil {
			return nil, err
		}
		if f.name != stateFile {
			state.Files[f.name] = size
		}
	}
	return &state, r.disk.syncDir(dir)
}

// install gives a whole checkpoint its name. One of that name, of a course that the run was taken back from or damaged, gives way.
func (r *Run) install(temporary, dir, aside string) error {
	if _, err := os.Lstat(dir); err == nil {
		if err := r.disk.rename(dir, aside); err != nil {
			return err
		}
		defer r.disk.removeAll(aside)
	}
	if err := r.disk.rename(temporary, dir); err != nil {
		return err
	}
	return r.disk.syncDir(filepath.Dir(dir))
}

// addToIndex makes e the latest checkpoint and removes what need not be kept.
func (r *Run) addToIndex(e indexEntry, keep int) error {
	in, err := r.readIndex()
	if err != nil {
		return err
	}
	in.cutAfter(e.Step - 1)
	in.Checkpoints = append(in.Checkpoints, e)
	in.settle()
	kept := in.Checkpoints[:0:0]
	for i, old := range in.Checkpoints {
		if i >= len(in.Checkpoints)-keep || old.Name == in.Best {
			kept = append(kept, old)
		}
	}
	in.Checkpoints = kept
	if err := r.writeIndex(in); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, k := range kept {
		wanted[k.Name] = true
	}
	entries, err := os.ReadDir(r.checkpoints())
	if err != nil {
		return err
	}
	for _, old := range entries {
		step := stepOf(old.Name())
		unfinished := strings.HasPrefix(old.Name(), ".step-") // when a process was killed
		if unfinished || step >= 0 && step < e.Step && !wanted[old.Name()] {
			if err := r.disk.removeAll(filepath.Join(r.checkpoints(), old.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutAfter drops the checkpoints of later steps.
func (in *index) cutAfter(step int64) {
	kept := in.Checkpoints[:0:0]
	for _, e := range in.Checkpoints {
		if e.Step <= step {
			kept = append(kept, e)
		}
	}
	in.Checkpoints = kept
	in.settle()
}

// settle finds the latest and the best.
func (in *index) settle() {
	in.Latest, in.Best = "", ""
	least := 0.0
	for _, e := range in.Checkpoints {
		in.Latest = e.Name
		if e.EvalLoss != nil && (in.Best == "" || *e.EvalLoss <= least) {
			in.Best, least = e.Name, *e.EvalLoss
		}
	}
}

func (r *Run) writeIndex(in *index) error {
	text, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(r.disk, filepath.Join(r.checkpoints(), "index.json"), append(text, '\n'))
}

// readIndex reads index.json. Where there is none, or none that can be read, the whole checkpoints on disk make one.
func (r *Run) readIndex() (*index, error) {
	text, err := os.ReadFile(filepath.Join(r.checkpoints(), "index.json"))
	in := &index{}
	if err == nil && json.Unmarshal(text, in) == nil {
		return in, nil
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	*in = index{}
	entries, err := os.ReadDir(r.checkpoints())
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, e := range entries {
		if stepOf(e.Name()) < 0 {
			continue
		}
		if c, err := ReadCheckpoint(filepath.Join(r.checkpoints(), e.Name())); err == nil {
			in.Checkpoints = append(in.Checkpoints, indexEntry{e.Name(), c.State.Step, c.State.EvalLoss})
		}
	}
	sort.Slice(in.Checkpoints, func(i, j int) bool { return in.Checkpoints[i].Step < in.Checkpoints[j].Step })
	in.settle()
	return in, nil
}

// ReadCheckpoint reads a checkpoint's state and checks that its files are all there in full.
func ReadCheckpoint(dir string) (*Checkpoint, error) {
	path := filepath.Join(dir, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the checkpoint %s is not whole: %s is missing", dir, stateFile)
	}
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Dir: dir}
	if err := json.Unmarshal(text, &c.State); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if c.State.Format < 1 || c.State.Format > format {
		return nil, fmt.Errorf("%s has format %d and this forge reads up to %d; it was written by forge %s", dir, c.State.Format, format, c.State.Forge)
	}
	var missing []string
	names := []string{modelFile, optimizerFile, recipeFile}
	if c.TokenizerPath() != "" {
		names = append(names, tokenizerFile)
	}
	for _, name := range names {
		want, listed := c.State.Files[name]
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case err != nil:
			missing = append(missing, name+" is missing")
		case listed && info.Size() != want:
			missing = append(missing, fmt.Sprintf("%s has %d of %d bytes", name, info.Size(), want))
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the checkpoint %s is not whole: %s", dir, strings.Join(missing, ", "))
	}
	return c, nil
}
