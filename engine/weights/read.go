package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
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

// Bytes is the tensor's size in the file.
func (t Tensor) Bytes() int64 { return t.end - t.begin }

// File is an open safetensors file: mapped, never read whole. Several goroutines may read it at once.
type File struct {
	Path     string
	Metadata map[string]string
	tensors  map[string]Tensor
	names    []string // by place in the file
	data     []byte   // the file
	unmap    func() error
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
	f, wrong, err := open(path)
	if err != nil {
		return nil, err
	}
	if len(wrong.List) > 0 {
		f.Close()
		return nil, wrong
	}
	return f, nil
}

// open opens a file as far as its header can be read, and lists what is wrong.
func open(path string) (*File, *Problems, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, nil, err
	}
	f, wrong := parse(path, data)
	f.unmap = unmap
	return f, wrong, nil
}

// Parse reads the header of a safetensors file that is in memory. The path is for messages.
func Parse(path string, data []byte) (*File, error) {
	f, wrong := parse(path, data)
	if len(wrong.List) > 0 {
		return nil, wrong
	}
	return f, nil
}

// parse reads the header of a file, as much of it as makes sense.
func parse(path string, data []byte) (*File, *Problems) {
	f := &File{Path: path, data: data, tensors: map[string]Tensor{}}
	wrong := &Problems{Path: path}
	if len(data) < 8 {
		wrong.addf("the file has %d bytes; a safetensors file starts with 8 bytes that say how long its header is", len(data))
		return f, wrong
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length > longestHeader:
		wrong.addf("the header claims %d bytes; more than %d is no safetensors file", length, longestHeader)
		return f, wrong
	case length > uint64(len(data)-8):
		wrong.addf("the header claims %d bytes and the file has %d: it was cut off, or is no safetensors file", length, len(data))
		return f, wrong
	}
	f.parseHeader(data[8:8+length], int64(len(data))-8-int64(length), wrong)
	for name, t := range f.tensors {
		t.begin += 8 + int64(length)
		t.end += 8 + int64(length)
		f.tensors[name] = t
	}
	return f, wrong
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
	return f.ReadFrom(name, 0, dst)
}

// ReadFrom fills dst with a tensor's entries from the given one on, widening to float32.
func (f *File) ReadFrom(name string, first int, dst []float32) error {
	t, ok := f.tensors[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %s", f.Path, name)
	}
	if first < 0 || first+len(dst) > t.Shape.Size() {
		return fmt.Errorf("%s: %s has shape %v, no entries %d to %d", f.Path, name, t.Shape, first, first+len(dst))
	}
	size := int64(t.Dtype.Size())
	if size == 0 {
		return fmt.Errorf("%s: forge does not read tensors of type %s (%s)", f.Path, t.Dtype, name)
	}
	begin := t.begin + int64(first)*size
	return f.visit(begin, begin+int64(len(dst))*size, func(part []byte) error {
		n := len(part) / int(size)
		t.Dtype.widen(dst[:n], part)
		dst = dst[n:]
		return nil
	})
}

// Copy writes a tensor's bytes as they are stored.
func (f *File) Copy(w io.Writer, name string) error {
	t, ok := f.tensors[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %s", f.Path, name)
	}
	return f.visit(t.begin, t.end, func(part []byte) error {
		_, err := w.Write(part)
		return err
	})
}

// Close gives up the mapping. The file must not be read at the same time.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	unmap := f.unmap
	f.unmap, f.data = nil, nil
	return unmap()
}
