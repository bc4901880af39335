package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"

	"forge/compiler/op"
)

// longestHeader is the bound that the safetensors format sets.
const longestHeader = 100 << 20

// Tensor is a tensor of a file.
type Tensor struct {
	Name  string
	Dtype Dtype
	Shape op.Shape
	begin int64 // in the file
	end   int64
}

// File is an open safetensors file. Several goroutines may read it at once.
type File struct {
	Path     string
	Metadata map[string]string
	tensors  map[string]Tensor
	names    []string // by place in the file
	in       io.ReaderAt
	close    func() error
}

// Problems is everything that is wrong with a file, a line each.
type Problems struct {
	Path string
	List []string
}

func (p *Problems) Error() string {
	if len(p.List) == 1 {
		return p.Path + ": " + p.List[0]
	}
	return fmt.Sprintf("%s: %d problems:\n  %s", p.Path, len(p.List), strings.Join(p.List, "\n  "))
}

func (p *Problems) addf(format string, args ...any) {
	p.List = append(p.List, fmt.Sprintf(format, args...))
}

// Open opens a safetensors file and checks its header against its size; a *Problems error lists all that is wrong.
func Open(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err != nil {
		in.Close()
		return nil, err
	}
	f, err := Parse(path, in, info.Size())
	if err != nil {
		in.Close()
		return nil, err
	}
	f.close = in.Close
	return f, nil
}

// Parse reads the header of a safetensors file of the given size. The path is for messages.
func Parse(path string, in io.ReaderAt, size int64) (*File, error) {
	f := &File{Path: path, in: in, tensors: map[string]Tensor{}}
	wrong := &Problems{Path: path}
	if size < 8 {
		wrong.addf("the file has %d bytes; a safetensors file starts with 8 bytes that say how long its header is", size)
		return nil, wrong
	}
	var prefix [8]byte
	if _, err := in.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case length > longestHeader:
		wrong.addf("the header claims %d bytes; more than %d is no safetensors file", length, longestHeader)
		return nil, wrong
	case length > uint64(size-8):
		wrong.addf("the header claims %d bytes and the file has %d: it was cut off, or is no safetensors file", length, size)
		return nil, wrong
	}
	header := make([]byte, length)
	if _, err := in.ReadAt(header, 8); err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	f.parseHeader(header, size-8-int64(length), wrong)
	if len(wrong.List) > 0 {
		return nil, wrong
	}
	for name, t := range f.tensors {
		t.begin += 8 + int64(length)
		t.end += 8 + int64(length)
		f.tensors[name] = t
	}
	return f, nil
}

// parseHeader fills in the tensors with offsets from the end of the header, in order of place.
func (f *File) parseHeader(header []byte, data int64, wrong *Problems) {
	type entry struct {
		Dtype   string   `json:"dtype"`
		Shape   *[]int64 `json:"shape"`
		Offsets *[]int64 `json:"data_offsets"`
	}
	raw, err := objectEntries(header)
	if err != nil {
		wrong.addf("the header is no JSON object: %v", err)
		return
	}
	for _, field := range raw {
		name := field.name
		if name == "__metadata__" {
			if err := json.Unmarshal(field.value, &f.Metadata); err != nil {
				wrong.addf("__metadata__ is not a table of texts")
			}
			continue
		}
		if _, twice := f.tensors[name]; twice {
			wrong.addf("%s is there twice", name)
			continue
		}
		var e entry
		if err := json.Unmarshal(field.value, &e); err != nil || e.Shape == nil || e.Offsets == nil || len(*e.Offsets) != 2 {
			wrong.addf("%s lacks a dtype, a shape or two data_offsets", name)
			continue
		}
		t := Tensor{Name: name, Dtype: Dtype(e.Dtype), begin: (*e.Offsets)[0], end: (*e.Offsets)[1]}
		count, ok := int64(1), true
		for _, n := range *e.Shape {
			t.Shape = append(t.Shape, int(n))
			if n < 0 || n > 0 && count > math.MaxInt64/16/n {
				ok = false
				break
			}
			count *= n
		}
		if !ok {
			wrong.addf("%s has an impossible shape %v", name, *e.Shape)
			continue
		}
		f.tensors[name] = t
		f.names = append(f.names, name)
		each := int64(t.Dtype.Size())
		switch {
		case t.begin < 0 || t.end < t.begin:
			wrong.addf("%s has impossible offsets %d to %d", name, t.begin, t.end)
		case t.end > data:
			wrong.addf("%s ends at byte %d of the data and the file holds %d: it was cut off", name, t.end, data)
		case each > 0 && t.end-t.begin != count*each:
			wrong.addf("%s, %s %v, needs %d bytes and has %d", name, t.Dtype, t.Shape, count*each, t.end-t.begin)
		}
	}
	sort.Slice(f.names, func(i, j int) bool {
		a, b := f.tensors[f.names[i]], f.tensors[f.names[j]]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		if a.end != b.end {
			return a.end < b.end
		}
		return a.Name < b.Name
	})
	if len(wrong.List) > 0 {
		return
	}
	at, last := int64(0), ""
	for _, name := range f.names {
		t := f.tensors[name]
		if t.begin < at {
			wrong.addf("%s begins at byte %d of the data, within %s", name, t.begin, last)
		} else if t.begin > at {
			wrong.addf("bytes %d to %d of the data, before %s, belong to no tensor", at, t.begin, name)
		}
		at, last = max(at, t.end), name
	}
	if at < data {
		wrong.addf("the last %d bytes belong to no tensor", data-at)
	}
}

type objectEntry struct {
	name  string
	value json.RawMessage
}

// objectEntries splits a JSON object, keeping keys that are there twice.
func objectEntries(text []byte) ([]objectEntry, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil {
		return nil, err
	} else if token != json.Delim('{') {
		return nil, errors.New("it does not start with `{`")
	}
	var list []objectEntry
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", token)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		list = append(list, objectEntry{name, value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows its end")
	}
	return list, nil
}

// Names lists the tensors by their place in the file.
func (f *File) Names() []string { return f.names }

// Tensor gives a tensor's type.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Read fills dst, which must have the tensor's number of entries, widening to float32.
func (f *File) Read(name string, dst []float32) error {
	t, ok := f.tensors[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %s", f.Path, name)
	}
	if t.Shape.Size() != len(dst) {
		return fmt.Errorf("%s: %s has shape %v, not %d entries", f.Path, name, t.Shape, len(dst))
	}
	size := t.Dtype.Size()
	if size == 0 {
		return fmt.Errorf("%s: forge does not read tensors of type %s (%s)", f.Path, t.Dtype, name)
	}
	buffer := make([]byte, min(len(dst)*size, 1<<18))
	for at := t.begin; len(dst) > 0; {
		part := buffer[:min(len(dst)*size, len(buffer))]
		if _, err := f.in.ReadAt(part, at); err != nil {
			return fmt.Errorf("reading %s from %s: %w", name, f.Path, err)
		}
		n := len(part) / size
		t.Dtype.widen(dst[:n], part)
		dst, at = dst[n:], at+int64(len(part))
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}
