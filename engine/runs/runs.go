// Package runs keeps what a run leaves on disk, one directory a run:
//
//	recipe.forge                       the expanded recipe, which reproduces the run by itself
//	run.json                           command, versions, machine, seeds, data checksums
//	metrics.jsonl                      one object a step
//	tokenizer.json                     the tokenizer, where a token is not a byte
//	samples.txt, log.txt
//	checkpoints/index.json             which checkpoints there are, the latest and the best
//	checkpoints/step-000500/           model.safetensors, optimizer.safetensors, recipe.forge, tokenizer.json, state.json
//
// In flow texts and tensors; out flow files, and, on resuming, the checkpoint to go on from. A checkpoint is written beside the
// others under another name, synced, and renamed when it is whole: whenever the machine stops or the disk is full, the older ones
// stay as they were and no half-written one is taken for a whole one. It knows no model and no training loop.
package runs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"forge/engine/data"
)

// Info is run.json: what is needed, beyond the recipe, to know how the run came about.
type Info struct {
	Recipe        string            `json:"recipe"`
	Command       []string          `json:"command"`
	Forge         string            `json:"forge"`
	Commit        string            `json:"commit,omitempty"`
	Go            string            `json:"go"`
	System        string            `json:"system"`
	Host          string            `json:"host"`
	Device        string            `json:"device"`
	Threads       int               `json:"threads"`
	Started       time.Time         `json:"started"`
	Seed          int64             `json:"seed"`
	Data          []data.SourceInfo `json:"data"`
	DataChecksum  string            `json:"data_checksum"`
	Tokenizer     string            `json:"tokenizer"`
	TokenizerHash string            `json:"tokenizer_hash"`
	Resumed       []Resumption      `json:"resumed,omitempty"`
}

// Resumption is one time that the run was gone on with.
type Resumption struct {
	Step    int64     `json:"step"`
	Time    time.Time `json:"time"`
	Command []string  `json:"command"`
	Forge   string    `json:"forge"`
}

// Run is a run directory opened for writing. Its methods may be called by several goroutines.
type Run struct {
	Dir string

	mutex   sync.Mutex
	disk    disk
	metrics *os.File
	samples *os.File
	log     *os.File
}

// Create makes the directory of a new run, base/NAME-N with the first free N.
func Create(base, name string) (*Run, error) {
	if err := os.MkdirAll(base, 0o777); err != nil {
		return nil, notMade(base, err)
	}
	for n := newest(base, name) + 1; ; n++ {
		dir := filepath.Join(base, fmt.Sprintf("%s-%d", name, n))
		err := os.Mkdir(dir, 0o777)
		if err == nil {
			return open(dir)
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, notMade(dir, err)
		}
	}
}

// CreateAt makes the directory of a new run at dir, which must not hold anything yet.
func CreateAt(dir string) (*Run, error) {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, "recipe.forge")); err == nil {
			return nil, fmt.Errorf("%s holds a run already; go on with it by --resume auto, or choose another --out", dir)
		}
		return nil, fmt.Errorf("%s is not empty; choose another --out", dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, notMade(dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, notMade(dir, err)
	}
	return open(dir)
}

// notMade says why a run has no directory, and what to do about it.
func notMade(dir string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		if err = named.Err; named.Path != dir {
			err = fmt.Errorf("%s: %w", named.Path, err)
		}
	}
	return fmt.Errorf("the run directory %q can't be made: %w; choose another with --out", dir, err)
}

func open(dir string) (*Run, error) {
	r := &Run{Dir: dir, disk: realDisk{}}
	for _, f := range []struct {
		name string
		file **os.File
	}{{"metrics.jsonl", &r.metrics}, {"samples.txt", &r.samples}, {"log.txt", &r.log}} {
		opened, err := os.OpenFile(filepath.Join(dir, f.name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
		if err != nil {
			r.Close()
			return nil, err
		}
		*f.file = opened
	}
	if !lock(r.log) {
		r.Close()
		return nil, fmt.Errorf("another process is training in %s; wait for its end, or start a run of its own", dir)
	}
	return r, nil
}

// Abandon closes a run that was made and never began, and removes its directory unless something else is in it.
func (r *Run) Abandon() error {
	err := r.Close()
	for _, f := range []*os.File{r.metrics, r.samples, r.log} {
		if info, statErr := os.Stat(f.Name()); statErr == nil && info.Size() == 0 {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	_ = os.Remove(r.Dir) // fails, as it should, if anything is left in it
	return err
}

// Close closes the run's files.
func (r *Run) Close() error {
	var first error
	for _, f := range []*os.File{r.metrics, r.samples, r.log} {
		if f != nil {
			if err := f.Close(); first == nil {
				first = err
			}
		}
	}
	return first
}

// WriteRecipe writes recipe.forge.
func (r *Run) WriteRecipe(text string) error {
	return replaceFile(r.disk, filepath.Join(r.Dir, "recipe.forge"), []byte(text))
}

// Recipe reads recipe.forge.
func (r *Run) Recipe() (string, error) {
	text, err := os.ReadFile(filepath.Join(r.Dir, "recipe.forge"))
	return string(text), err
}

// WriteTokenizer writes tokenizer.json.
func (r *Run) WriteTokenizer(text []byte) error {
	return replaceFile(r.disk, filepath.Join(r.Dir, tokenizerFile), text)
}

// WriteInfo writes run.json.
func (r *Run) WriteInfo(info *Info) error {
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(r.disk, filepath.Join(r.Dir, "run.json"), append(text, '\n'))
}

// Info reads run.json.
func (r *Run) Info() (*Info, error) {
	path := filepath.Join(r.Dir, "run.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	info := &Info{}
	if err := json.Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; if it is moved away, the run can be gone on with, without what it told", path, err)
	}
	return info, nil
}

// AppendMetrics appends one line, which must end in a newline, to metrics.jsonl.
func (r *Run) AppendMetrics(line []byte) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_, err := r.metrics.Write(line)
	return err
}

// sampleHeader starts the samples of a step in samples.txt.
const sampleHeader = "=== step "

// AppendSamples appends the samples of a step to samples.txt.
func (r *Run) AppendSamples(step int64, text string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_, err := fmt.Fprintf(r.samples, "%s%d ===\n%s\n", sampleHeader, step, text)
	return err
}

// Logf appends a line with the time to log.txt. A log that can't be written is no reason to stop a run.
func (r *Run) Logf(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	fmt.Fprintf(r.log, "%s %s\n", time.Now().Format(time.RFC3339), strings.ReplaceAll(text, "\n", "\n    "))
}

// rewind takes back what metrics.jsonl and samples.txt hold from steps after the given one, and lines that were not finished.
func (r *Run) rewind(step int64) error {
	if err := truncateAt(r.metrics, func(line []byte) bool {
		var m struct {
			Step *int64 `json:"step"`
		}
		return json.Unmarshal(line, &m) != nil || m.Step == nil || *m.Step > step
	}); err != nil {
		return err
	}
	return truncateAt(r.samples, func(line []byte) bool {
		rest, ok := bytes.CutPrefix(line, []byte(sampleHeader))
		if !ok {
			return false
		}
		number, _, _ := bytes.Cut(rest, []byte(" "))
		n, err := strconv.ParseInt(string(number), 10, 64)
		return err == nil && n > step
	})
}

// truncateAt cuts a file off before the first line that is not wanted or has no end.
func truncateAt(f *os.File, unwanted func(line []byte) bool) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReader(f)
	keep := int64(0)
	for {
		line, err := in.ReadBytes('\n')
		if err == nil && !unwanted(line) {
			keep += int64(len(line))
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		return f.Truncate(keep)
	}
}

// newest is the largest N for which base/NAME-N exists, 0 if there is none.
func newest(base, name string) int {
	entries, err := os.ReadDir(base)
	if err != nil {
		return 0
	}
	largest := 0
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), name+"-"); ok {
			if n, err := strconv.Atoi(number); err == nil && n > largest {
				largest = n
			}
		}
	}
	return largest
}

// List gives the run directories of a recipe below base, the newest first.
func List(base, name string) []string {
	var numbers []int
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), name+"-"); ok && e.IsDir() {
			if n, err := strconv.Atoi(number); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(numbers)))
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = filepath.Join(base, fmt.Sprintf("%s-%d", name, n))
	}
	return list
}
