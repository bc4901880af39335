package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"forge/compiler/op"
	"forge/engine/data"
	"forge/engine/weights"

	"github.com/google/go-cmp/cmp"
)

func create(t *testing.T) *Run {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "runs"), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	r.disk = quickDisk{}
	return r
}

// quickDisk does not wait for the disk, which would be most of the time of these tests.
type quickDisk struct{ realDisk }

type quickFile struct{ file }

func (quickFile) Sync() error            { return nil }
func (quickDisk) syncDir(_ string) error { return nil }

func (d quickDisk) create(path string) (file, error) {
	f, err := d.realDisk.create(path)
	return quickFile{f}, err
}

// content is a checkpoint whose tensors are filled with the step.
func content(step int64, eval ...float64) *Content {
	c := &Content{
		State:     State{Step: step, Recipe: "tiny", Data: data.Position{Sources: []data.SourcePosition{{Next: int(step)}}}},
		Recipe:    "forge 1\n",
		Weights:   []weights.Entry{{Name: "embed", Shape: op.Shape{4, 8}}},
		Optimizer: []weights.Entry{{Name: "adamw.m/embed", Shape: op.Shape{4, 8}}},
		Read:      func(_ string, dst []float32) error { weights.Fill(dst, float32(step)); return nil },
	}
	if len(eval) > 0 {
		c.State.EvalLoss = &eval[0]
	}
	return c
}

func save(t *testing.T, r *Run, keep int, c *Content) {
	t.Helper()
	if _, err := r.Save(c, keep); err != nil {
		t.Fatal(err)
	}
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			relative, _ := filepath.Rel(dir, path)
			list = append(list, filepath.ToSlash(relative))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCreateCountsUp(t *testing.T) {
	base := filepath.Join(t.TempDir(), "runs")
	for n := 1; n <= 3; n++ {
		r, err := Create(base, "tiny")
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if want := filepath.Join(base, fmt.Sprintf("tiny-%d", n)); r.Dir != want {
			t.Errorf("run %d is %s", n, r.Dir)
		}
	}
	if err := os.RemoveAll(filepath.Join(base, "tiny-2")); err != nil {
		t.Fatal(err)
	}
	r, err := Create(base, "tiny")
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if filepath.Base(r.Dir) != "tiny-4" {
		t.Errorf("after tiny-3 comes %s", r.Dir)
	}
	if list := List(base, "tiny"); len(list) != 3 || filepath.Base(list[0]) != "tiny-4" {
		t.Errorf("runs %v", list)
	}
	if _, err := CreateAt(r.Dir); err == nil || !strings.Contains(err.Error(), "choose another --out") {
		t.Errorf("a directory in use: %v", err)
	}
	at, err := CreateAt(filepath.Join(base, "other", "place"))
	if err != nil {
		t.Fatal(err)
	}
	at.Close()
}

func TestOneProcessAtATime(t *testing.T) {
	r := create(t)
	save(t, r, 1, content(1))
	if _, err := Resume("auto", filepath.Dir(r.Dir), "tiny", ""); err == nil || !strings.Contains(err.Error(), "another process is training") {
		if runtime.GOOS != "windows" {
			t.Errorf("error %v", err)
		}
	}
	r.Close()
	resumed, err := Resume("auto", filepath.Dir(r.Dir), "tiny", "")
	if err != nil {
		t.Fatal(err)
	}
	resumed.Run.Close()
}

func TestAbandon(t *testing.T) {
	r := create(t)
	if err := r.Abandon(); err != nil {
		t.Fatal(err)
	}
	if exists(r.Dir) {
		t.Error("the directory is still there")
	}
	r, err := Create(filepath.Dir(r.Dir), "tiny")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteRecipe("forge 1\n"); err != nil {
		t.Fatal(err)
	}
	if err := r.Abandon(); err != nil || !exists(filepath.Join(r.Dir, "recipe.forge")) {
		t.Errorf("a run with a recipe: %v", err)
	}
}

func TestSaveAndRead(t *testing.T) {
	r := create(t)
	r.disk = realDisk{}
	save(t, r, 3, content(5, 2.5))
	want := []string{"index.json", "step-000005/model.safetensors", "step-000005/optimizer.safetensors", "step-000005/recipe.forge", "step-000005/state.json"}
	if diff := cmp.Diff(want, tree(t, r.checkpoints())); diff != "" {
		t.Error(diff)
	}
	c, err := Find(r.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.State.Step != 5 || *c.State.EvalLoss != 2.5 || c.State.Data.Sources[0].Next != 5 {
		t.Errorf("state %+v", c.State)
	}
	f, err := weights.Open(c.ModelPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := make([]float32, 32)
	if err := f.Read("embed", v); err != nil || v[31] != 5 {
		t.Errorf("embed[31] = %g, error %v", v[31], err)
	}
}

func TestKeepsTheNewestAndTheBest(t *testing.T) {
	r := create(t)
	for i, loss := range []float64{3, 1, 2, 2.5, 2.2} {
		save(t, r, 2, content(int64(i+1), loss))
	}
	var kept []string
	for _, f := range tree(t, r.checkpoints()) {
		if strings.HasSuffix(f, "state.json") {
			kept = append(kept, filepath.Dir(f))
		}
	}
	if diff := cmp.Diff([]string{"step-000002", "step-000004", "step-000005"}, kept); diff != "" {
		t.Error(diff)
	}
	in, err := r.readIndex()
	if err != nil || in.Latest != "step-000005" || in.Best != "step-000002" {
		t.Errorf("index %+v, error %v", in, err)
	}
}

// dyingDisk does so many operations and then, as after a kill, nothing more. A write in which it dies writes half. With recovers
// it fails once only, as a full disk does.
type dyingDisk struct {
	quickDisk
	left     int
	recovers bool
}

var errDied = errors.New("no space left on device")

func (d *dyingDisk) dies() bool {
	d.left--
	return d.left == -1 || d.left < 0 && !d.recovers
}

func (d *dyingDisk) mkdir(path string) error {
	if d.dies() {
		return errDied
	}
	return d.quickDisk.mkdir(path)
}

func (d *dyingDisk) create(path string) (file, error) {
	if d.dies() {
		return nil, errDied
	}
	f, err := d.quickDisk.create(path)
	return &dyingFile{f, d}, err
}

func (d *dyingDisk) rename(from, to string) error {
	if d.dies() {
		return errDied
	}
	return d.quickDisk.rename(from, to)
}

func (d *dyingDisk) removeAll(path string) error {
	if d.dies() {
		return errDied
	}
	return d.quickDisk.removeAll(path)
}

func (d *dyingDisk) syncDir(path string) error {
	if d.dies() {
		return errDied
	}
	return d.quickDisk.syncDir(path)
}

type dyingFile struct {
	file
	disk *dyingDisk
}

func (f *dyingFile) Write(p []byte) (int, error) {
	if f.disk.dies() {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, errDied
	}
	return f.file.Write(p)
}

func (f *dyingFile) Sync() error {
	if f.disk.dies() {
		return errDied
	}
	return f.file.Sync()
}

func (f *dyingFile) Close() error {
	f.file.Close()
	if f.disk.dies() {
		return errDied
	}
	return nil
}

// TestDyingWhileSaving lets saving die at each of its operations, once as if the process were killed and once as if the disk were
// full: whenever that is, an older or the new checkpoint is found whole, and saving works again afterwards.
func TestDyingWhileSaving(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		for n := 0; ; n++ {
			r := create(t)
			save(t, r, 2, content(1))
			save(t, r, 2, content(2))
			r.disk = &dyingDisk{left: n, recovers: recovers}
			_, err := r.Save(content(3), 2)
			if err == nil {
				if n < 20 {
					t.Errorf("saving takes %d operations only", n)
				}
				break
			}
			if !errors.Is(err, errDied) {
				t.Fatalf("operation %d: %v", n, err)
			}
			c, findErr := Find(r.Dir, "")
			if findErr != nil {
				t.Fatalf("died at operation %d: %v", n, findErr)
			}
			if step := c.State.Step; step != 2 && step != 3 {
				t.Fatalf("died at operation %d: the latest checkpoint is of step %d", n, step)
			}
			if _, err := weights.Open(c.ModelPath()); err != nil {
				t.Fatalf("died at operation %d: %v", n, err)
			}
			if recovers {
				for _, f := range tree(t, r.Dir) {
					if strings.Contains(f, ".partial") {
						t.Errorf("failing at operation %d leaves %s", n, f)
					}
				}
			}
			r.disk = quickDisk{}
			save(t, r, 2, content(4))
			if c, err := Find(r.Dir, ""); err != nil || c.State.Step != 4 {
				t.Fatalf("died at operation %d and saved again: %+v, %v", n, c, err)
			}
			for _, f := range tree(t, r.checkpoints()) {
				if strings.HasPrefix(f, ".") || strings.HasPrefix(f, "step-000001") {
					t.Errorf("died at operation %d and saved again: %s is left", n, f)
				}
			}
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		// The superuser may write anywhere, so a file stands where the directory of checkpoints should.
		r := create(t)
		if err := os.WriteFile(r.checkpoints(), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Save(content(1), 1); err == nil {
			t.Error("saved into a file")
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(dir, "runs"), "tiny"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	r := create(t)
	save(t, r, 3, content(1))
	save(t, r, 3, content(2))
	r.Close()
	base := filepath.Dir(r.Dir)
	model := filepath.Join(r.checkpoints(), "step-000002", "model.safetensors")
	if err := os.Truncate(model, 20); err != nil {
		t.Fatal(err)
	}
	_, err := Find(r.Dir, "")
	if err == nil || !strings.Contains(err.Error(), "model.safetensors has 20 of") || !strings.Contains(err.Error(), "newest whole one is "+filepath.Join(r.checkpoints(), "step-000001")) {
		t.Errorf("error %v", err)
	}
	resumed, err := Resume("auto", base, "tiny", "")
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Run.Close()
	if resumed.Checkpoint.State.Step != 1 || len(resumed.Warnings) != 1 || !strings.Contains(resumed.Warnings[0], "not whole") {
		t.Errorf("resumed at %d, warnings %q", resumed.Checkpoint.State.Step, resumed.Warnings)
	}
	if err := os.WriteFile(filepath.Join(r.checkpoints(), "step-000001", "state.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume("auto", base, "tiny", ""); err == nil || !strings.Contains(err.Error(), "no checkpoint is whole") {
		t.Errorf("all damaged: %v", err)
	}
}

func TestFutureFormatIsRefused(t *testing.T) {
	r := create(t)
	save(t, r, 1, content(1))
	path := filepath.Join(r.checkpoints(), "step-000001", "state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"format": 1`, `"format": 9`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCheckpoint(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("error %v", err)
	}
}

func TestFind(t *testing.T) {
	r := create(t)
	base := filepath.Dir(r.Dir)
	if _, err := Find(r.Dir, base); err == nil {
		t.Error("a run without checkpoints has one")
	}
	save(t, r, 3, content(7))
	for _, arg := range []string{"tiny", r.Dir, filepath.Join(r.checkpoints(), "step-000007")} {
		if c, err := Find(arg, base); err != nil || c.State.Step != 7 {
			t.Errorf("%s: %v", arg, err)
		}
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "config.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{"other": "forge train other", filepath.Join(r.Dir, "log.txt"): "is a file", t.TempDir(): "neither", foreign: "forge import"} {
		if _, err := Find(arg, base); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", arg, err, want)
		}
	}
}

func TestResumeTakesFilesBack(t *testing.T) {
	r := create(t)
	base := filepath.Dir(r.Dir)
	for step := int64(1); step <= 6; step++ {
		if err := r.AppendMetrics([]byte(fmt.Sprintf("{\"step\":%d}\n", step))); err != nil {
			t.Fatal(err)
		}
		if step%2 == 0 {
			if err := r.AppendSamples(step, "text\n=== like a header\n"); err != nil {
				t.Fatal(err)
			}
			save(t, r, 5, content(step))
		}
	}
	if err := r.AppendMetrics([]byte(`{"step":`)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	for _, c := range []struct {
		spec string
		step int64
	}{{"auto", 6}, {"4", 4}, {"auto", 4}, {filepath.Join(r.checkpoints(), "step-000002"), 2}, {r.Dir, 2}} {
		resumed, err := Resume(c.spec, base, "tiny", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := resumed.Run.TakeBack(resumed.Checkpoint); err != nil {
			t.Fatal(err)
		}
		resumed.Run.Close()
		if resumed.Checkpoint.State.Step != c.step || len(resumed.Warnings) > 0 {
			t.Errorf("%s: at %d, want %d; warnings %v", c.spec, resumed.Checkpoint.State.Step, c.step, resumed.Warnings)
		}
		metrics, err := os.ReadFile(filepath.Join(r.Dir, "metrics.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(metrics), "\n"); n != int(c.step) || !strings.HasSuffix(string(metrics), fmt.Sprintf("{\"step\":%d}\n", c.step)) {
			t.Errorf("%s: metrics %q", c.spec, metrics)
		}
		samples, err := os.ReadFile(filepath.Join(r.Dir, "samples.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(samples), "=== step"); n != int(c.step)/2 {
			t.Errorf("%s: samples %q", c.spec, samples)
		}
	}
	// The checkpoints of the abandoned course are replaced when the run reaches them.
	resumed, err := Resume("auto", base, "tiny", "")
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Run.Close()
	save(t, resumed.Run, 5, content(4))
	if c, err := Find(r.Dir, base); err != nil || c.State.Step != 4 {
		t.Errorf("after saving step 4 again the latest is %+v, %v", c, err)
	}
}

func TestResumeWithout(t *testing.T) {
	base := t.TempDir()
	if resumed, err := Resume("auto", base, "tiny", ""); resumed != nil || err != nil {
		t.Errorf("auto without a run: %v, %v", resumed, err)
	}
	if resumed, err := Resume("auto", base, "tiny", filepath.Join(base, "new")); resumed != nil || err != nil {
		t.Errorf("auto with a new directory: %v, %v", resumed, err)
	}
	if _, err := Resume("3", base, "tiny", ""); err == nil {
		t.Error("a step without a run")
	}
	r, err := Create(base, "tiny")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	save(t, r, 3, content(5))
	if _, err := Resume("3", base, "tiny", ""); err == nil || !strings.Contains(err.Error(), "those of steps 5") {
		t.Errorf("a step that is not there: %v", err)
	}
}

func TestIndexIsRebuilt(t *testing.T) {
	r := create(t)
	save(t, r, 3, content(1, 1.0))
	save(t, r, 3, content(2, 2.0))
	if err := os.WriteFile(filepath.Join(r.checkpoints(), "index.json"), []byte("{\"la"), 0o666); err != nil {
		t.Fatal(err)
	}
	in, err := r.readIndex()
	if err != nil || in.Latest != "step-000002" || in.Best != "step-000001" {
		t.Errorf("index %+v, error %v", in, err)
	}
}

func TestInfoAndRecipe(t *testing.T) {
	r := create(t)
	info := &Info{Recipe: "tiny", Command: []string{"forge", "train", "tiny"}, Seed: 3}
	if err := r.WriteInfo(info); err != nil {
		t.Fatal(err)
	}
	got, err := r.Info()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(info, got); diff != "" {
		t.Error(diff)
	}
	if err := r.WriteRecipe("forge 1\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := r.Recipe(); err != nil || text != "forge 1\n" {
		t.Errorf("%q, %v", text, err)
	}
	r.Logf("two\nlines")
	log, err := os.ReadFile(filepath.Join(r.Dir, "log.txt"))
	if err != nil || !strings.HasSuffix(string(log), " two\n    lines\n") {
		t.Errorf("log %q, %v", log, err)
	}
}
