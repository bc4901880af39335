package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"

	"forge/compiler/op"
)

// Entry is a tensor to write.
type Entry struct {
	Name  string
	Shape op.Shape
}

// Stored is a tensor to write in a type of its own.
type Stored struct {
	Entry
	Dtype Dtype
}

// Write writes a safetensors file of float32 tensors to w, in the order given, holding one tensor in memory at a time: read fills
// dst with the tensor of that name. The data starts at a multiple of 8 bytes. The same tensors give the same bytes.
func Write(w io.Writer, entries []Entry, metadata map[string]string, read func(name string, dst []float32) error) error {
	list := make([]Stored, len(entries))
	for i, e := range entries {
		list[i] = Stored{e, F32}
	}
	var values []float32
	return WriteStored(w, list, metadata, func(w io.Writer, s Stored) error {
		n := s.Shape.Size()
		if cap(values) < n {
			values = make([]float32, n)
		}
		if err := read(s.Name, values[:n]); err != nil {
			return err
		}
		return F32.Write(w, values[:n])
	})
}

// WriteStored writes a safetensors file to w, in the order given. write writes the bytes of one tensor; they must be as many as its
// type and shape say. Where wide numbers follow narrow ones, readers may find them at odd places: put the wide ones first.
func WriteStored(w io.Writer, list []Stored, metadata map[string]string, write func(io.Writer, Stored) error) error {
	header, err := formatHeader(list, metadata)
	if err != nil {
		return err
	}
	var prefix [8]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	if _, err := w.Write(append(prefix[:], header...)); err != nil {
		return err
	}
	counted := &counter{w: w}
	for _, s := range list {
		counted.n = 0
		if err := write(counted, s); err != nil {
			return err
		}
		if want := int64(s.Shape.Size()) * int64(s.Dtype.Size()); counted.n != want {
			return fmt.Errorf("%s, %s %v, has %d bytes and %d were written", s.Name, s.Dtype, s.Shape, want, counted.n)
		}
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func formatHeader(entries []Stored, metadata map[string]string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	if len(metadata) > 0 {
		text, err := json.Marshal(metadata) // sorts its keys
		if err != nil {
			return nil, err
		}
		out.WriteString(`"__metadata__":`)
		out.Write(text)
	}
	offset, seen := int64(0), map[string]bool{}
	for i, e := range entries {
		if seen[e.Name] || e.Name == "__metadata__" {
			return nil, fmt.Errorf("two tensors of the name %s", e.Name)
		}
		seen[e.Name] = true
		if i > 0 || len(metadata) > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(e.Name)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		fmt.Fprintf(&out, `:{"dtype":%q,"shape":[`, e.Dtype)
		for k, n := range e.Shape {
			if k > 0 {
				out.WriteByte(',')
			}
			out.WriteString(strconv.Itoa(n))
		}
		end := offset + int64(e.Dtype.Size())*int64(e.Shape.Size())
		fmt.Fprintf(&out, `],"data_offsets":[%d,%d]}`, offset, end)
		offset = end
	}
	out.WriteByte('}')
	for (8+out.Len())%8 != 0 {
		out.WriteByte(' ')
	}
	return out.Bytes(), nil
}

// Compare says what is wrong with a file that should hold exactly these tensors: all that are missing, superfluous or of another
// shape. It is nil if nothing is.
func Compare(f *File, want []Entry) error {
	wrong := &Problems{Path: f.Path}
	known := map[string]bool{}
	for _, e := range want {
		known[e.Name] = true
		if t, ok := f.Tensor(e.Name); !ok {
			wrong.addf("%s %v is missing", e.Name, e.Shape)
		} else if !t.Shape.Equal(e.Shape) {
			wrong.addf("%s has shape %v, the model's is %v", e.Name, t.Shape, e.Shape)
		}
	}
	var extra []string
	for _, name := range f.Names() {
		if !known[name] {
			extra = append(extra, name)
		}
	}
	sort.Strings(extra)
	for _, name := range extra {
		wrong.addf("%s belongs to no weight of the model", name)
	}
	if len(wrong.List) == 0 {
		return nil
	}
	return wrong
}
