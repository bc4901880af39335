package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Names of a published checkpoint's files.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
)

// Directory is a published checkpoint: one model.safetensors, or shards and an index that says which tensor lies in which.
type Directory struct {
	Path  string
	Files []*File // by name

	in     map[string]*File
	hidden func(tensor string) bool // whether a tensor may lie in a file that can't be read
}

// IsDirectory reports whether a folder holds a published checkpoint's weights.
func IsDirectory(path string) bool {
	list, err := filepath.Glob(filepath.Join(globQuote(path), "model*.safetensors*"))
	return err == nil && len(list) > 0
}

var globMeta = regexp.MustCompile(`[*?\[\\]`)

func globQuote(path string) string { return globMeta.ReplaceAllString(path, `\$0`) }

// openDirectory opens what can be opened and lists what is wrong with the files.
func openDirectory(path string) (*Directory, *Faults, error) {
	d := &Directory{Path: path, in: map[string]*File{}, hidden: func(string) bool { return false }}
	faults := &Faults{Path: path}
	index, err := readIndex(filepath.Join(path, IndexFile))
	var wrong *Problems
	switch {
	case errors.As(err, &wrong):
		for _, text := range wrong.List {
			faults.add("E600", IndexFile, "%s", text)
		}
	case err != nil:
		return nil, nil, err
	}
	names, err := shardNames(path, index, faults)
	if err != nil {
		return nil, nil, err
	}
	var broken []string
	for _, name := range names {
		f, wrong, err := open(filepath.Join(path, name))
		if errors.Is(err, os.ErrNotExist) {
			faults.add("E600", name, "the file is missing%s", index.holds(name))
			broken = append(broken, name)
			continue
		}
		if err != nil {
			faults.add("E600", name, "%v", err)
			broken = append(broken, name)
			continue
		}
		for _, text := range wrong.List {
			faults.add("E600", name, "%s", text)
		}
		if len(wrong.List) > 0 {
			broken = append(broken, name)
		}
		d.Files = append(d.Files, f)
	}
	for _, f := range d.Files {
		name := filepath.Base(f.Path)
		for _, t := range f.Names() {
			if first := d.in[t]; first != nil {
				faults.add("E600", name, "%s is in %s too", t, filepath.Base(first.Path))
				continue
			}
			d.in[t] = f
			if index != nil {
				if where, ok := index.WeightMap[t]; !ok {
					faults.add("E600", name, "the index does not list %s", t)
				} else if where != name && !slices.Contains(broken, where) {
					faults.add("E600", name, "the index puts %s in %s", t, where)
				}
			}
		}
	}
	if len(broken) > 0 {
		d.hidden = func(string) bool { return true }
		if index != nil {
			d.hidden = func(t string) bool { return slices.Contains(broken, index.WeightMap[t]) }
		}
	}
	return d, faults, nil
}

// index is model.safetensors.index.json.
type index struct {
	Metadata  map[string]any    `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

// readIndex reads an index; nil if there is none.
func readIndex(path string) (*index, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in := &index{}
	if err := json.Unmarshal(text, in); err != nil {
		return nil, &Problems{path, []string{fmt.Sprintf("it is no index: %v", err)}}
	}
	if len(in.WeightMap) == 0 {
		return nil, &Problems{path, []string{"it has no weight_map"}}
	}
	return in, nil
}

// holds says how many tensors the index puts in a file.
func (in *index) holds(file string) string {
	if in == nil {
		return ""
	}
	n := 0
	for _, f := range in.WeightMap {
		if f == file {
			n++
		}
	}
	return fmt.Sprintf("; by the index it holds %d tensors", n)
}

var shardName = regexp.MustCompile(`^(model.*)-(\d{5})-of-(\d{5})\.safetensors$`)

// shardNames lists the files that should be there, sorted: those of the index or, without one, the single file or all shards of the
// numbers in their names.
func shardNames(path string, index *index, faults *Faults) ([]string, error) {
	if index != nil {
		var names []string
		seen := map[string]bool{}
		for _, f := range index.WeightMap {
			if seen[f] {
				continue
			}
			seen[f] = true
			if !filepath.IsLocal(f) || strings.ContainsAny(f, `/\`) {
				faults.add("E600", IndexFile, "%q is no name of a file beside it", f)
				continue
			}
			names = append(names, f)
		}
		slices.Sort(names)
		return names, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, e := range entries {
		if e.Name() == SingleFile {
			want[SingleFile] = true
		}
		if m := shardName.FindStringSubmatch(e.Name()); m != nil {
			want[e.Name()] = true
			if n, _ := strconv.Atoi(m[3]); n <= 10000 {
				for i := range n {
					want[fmt.Sprintf("%s-%05d-of-%s.safetensors", m[1], i+1, m[3])] = true
				}
			}
		}
	}
	var names []string
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no %s and no shards (model-00001-of-00002.safetensors, … with %s)", path, SingleFile, IndexFile)
	}
	return names, nil
}

// Names lists all tensors, file by file in order of place.
func (d *Directory) Names() []string {
	var names []string
	for _, f := range d.Files {
		names = append(names, f.Names()...)
	}
	return names
}

// Tensor gives a tensor's type.
func (d *Directory) Tensor(name string) (Tensor, bool) {
	if f := d.in[name]; f != nil {
		return f.Tensor(name)
	}
	return Tensor{}, false
}

// ReadFrom fills dst with a tensor's entries from the given one on, widening to float32; block scales are not applied.
func (d *Directory) ReadFrom(name string, first int, dst []float32) error {
	if f := d.in[name]; f != nil {
		return f.ReadFrom(name, first, dst)
	}
	return fmt.Errorf("%s has no tensor %s", d.Path, name)
}

// Copy writes a tensor's bytes as they are stored.
func (d *Directory) Copy(w io.Writer, name string) error {
	if f := d.in[name]; f != nil {
		return f.Copy(w, name)
	}
	return fmt.Errorf("%s has no tensor %s", d.Path, name)
}

// Close closes every file.
func (d *Directory) Close() error {
	var all []error
	for _, f := range d.Files {
		all = append(all, f.Close())
	}
	return errors.Join(all...)
}
