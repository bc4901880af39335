package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"

	"forge/compiler/op"
)

// Entry is a tensor to write.
type Entry struct {
	Name  string
	Shape op.Shape
}

// Write writes a safetensors file of float32 tensors to w, in the order given, holding one tensor in memory at a time: read fills
// dst with the tensor of that name. The data starts at a multiple of 8 bytes. The same tensors give the same bytes.
func Write(w io.Writer, entries []Entry, metadata map[string]string, read func(name string, dst []float32) error) error {
	header, err := formatHeader(entries, metadata)
	if err != nil {
		return err
	}
	var prefix [8]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	if _, err := w.Write(append(prefix[:], header...)); err != nil {
		return err
	}
	var values []float32
	buffer := make([]byte, 1<<18)
	for _, e := range entries {
		n := e.Shape.Size()
		if cap(values) < n {
			values = make([]float32, n)
		}
		values = values[:n]
		if err := read(e.Name, values); err != nil {
			return err
		}
		for rest := values; len(rest) > 0; {
			part := rest[:min(len(rest), len(buffer)/4)]
			for i, v := range part {
				binary.LittleEndian.PutUint32(buffer[4*i:], math.Float32bits(v))
			}
			if _, err := w.Write(buffer[:4*len(part)]); err != nil {
				return err
			}
			rest = rest[len(part):]
		}
	}
	return nil
}

func formatHeader(entries []Entry, metadata map[string]string) ([]byte, error) {
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
		out.WriteString(`:{"dtype":"F32","shape":[`)
		for k, n := range e.Shape {
			if k > 0 {
				out.WriteByte(',')
			}
			out.WriteString(strconv.Itoa(n))
		}
		end := offset + 4*int64(e.Shape.Size())
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
