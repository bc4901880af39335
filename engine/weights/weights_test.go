package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forge/compiler/op"
	"forge/dsl/check"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// file makes the bytes of a safetensors file from a header and data.
func file(header string, data ...byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

func parseBytes(b []byte) (*File, error) { return Parse("x.safetensors", b) }

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := map[string][]float32{}
		var entries []Entry
		for i := range rapid.IntRange(0, 5).Draw(t, "tensors") {
			e := Entry{Name: fmt.Sprintf("layers[%d].\"w\"", i)}
			for range rapid.IntRange(0, 3).Draw(t, "axes") {
				e.Shape = append(e.Shape, rapid.IntRange(0, 4).Draw(t, "size"))
			}
			bits := rapid.SliceOfN(rapid.Uint32(), e.Shape.Size(), e.Shape.Size()).Draw(t, "bits")
			v := make([]float32, len(bits))
			for k, b := range bits {
				v[k] = math.Float32frombits(b)
			}
			values[e.Name] = v
			entries = append(entries, e)
		}
		var out bytes.Buffer
		meta := map[string]string{"step": "5"}
		if err := Write(&out, entries, meta, func(name string, dst []float32) error { copy(dst, values[name]); return nil }); err != nil {
			t.Fatal(err)
		}
		f, err := parseBytes(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(f.Metadata, meta) {
			t.Fatalf("metadata %v", f.Metadata)
		}
		if err := Compare(f, entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got := make([]float32, e.Shape.Size())
			if err := f.Read(e.Name, got); err != nil {
				t.Fatal(err)
			}
			for k, v := range got {
				if math.Float32bits(v) != math.Float32bits(values[e.Name][k]) {
					t.Fatalf("%s[%d] came back as %g", e.Name, k, v)
				}
			}
		}
	})
}

// TestWrittenBytes pins the format: other programs read these files.
func TestWrittenBytes(t *testing.T) {
	var out bytes.Buffer
	err := Write(&out, []Entry{{"a", op.Shape{2}}, {"b", op.Shape{}}}, nil, func(name string, dst []float32) error {
		Fill(dst, 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`
	for len(header)%8 != 0 {
		header += " "
	}
	if want := file(header, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f); !bytes.Equal(out.Bytes(), want) {
		t.Errorf("wrote\n%q\nwant\n%q", out.Bytes(), want)
	}
}

func TestWidening(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		dtype Dtype
		data  []byte
		want  []float64
	}{
		{BF16, []byte{0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f}, []float64{1, -3.140625, inf}},
		{F16, []byte{0, 0x3c, 0, 0xc0, 0xff, 0x7b, 1, 0, 0, 0x7c, 0, 0x7e, 0, 0x84}, []float64{1, -2, 65504, 0x1p-24, inf, nan, -0x1p-14}},
		{F8, []byte{0x38, 0x7e, 0x01, 0xff, 0x08, 0xb8, 0x80}, []float64{1, 448, 0x1p-9, nan, 0x1p-6, -1, 0}},
		{F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)), []float64{float64(float32(0.1))}},
		{I64, binary.LittleEndian.AppendUint64(nil, ^uint64(0)), []float64{-1}},
		{I32, []byte{0xfe, 0xff, 0xff, 0xff}, []float64{-2}},
		{U8, []byte{0, 255}, []float64{0, 255}},
	} {
		f, err := parseBytes(file(fmt.Sprintf(`{"x":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, c.dtype, len(c.want), len(c.data)), c.data...))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(c.want))
		if err := f.Read("x", got); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if float64(v) != c.want[i] && !(v != v && math.IsNaN(c.want[i])) {
				t.Errorf("%s %d: %g, want %g", c.dtype, i, v, c.want[i])
			}
		}
	}
}

func TestFaultsAreListed(t *testing.T) {
	tensor := func(name, shape string, begin, end int) string {
		return fmt.Sprintf(`%q:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, begin, end)
	}
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"empty", nil, []string{"has 0 bytes"}},
		{"huge header", binary.LittleEndian.AppendUint64(nil, 1<<60), []string{"no safetensors file"}},
		{"cut in header", file(`{"a":`)[:10], []string{"cut off"}},
		{"no JSON", file(`nonsense`), []string{"no JSON object"}},
		{"a list", file(`[]`), []string{"no JSON object"}},
		{"more after", file(`{} {}`), []string{"something follows"}},
		{"cut in data", file("{"+tensor("a", "[2]", 0, 8)+"}", 1, 2, 3), []string{"a ends at byte 8 of the data and the file holds 3"}},
		{"two faults", file("{"+tensor("a", "[2]", 0, 4)+","+tensor("b", "[1]", 4, 12)+"}", make([]byte, 12)...),
			[]string{"a, F32 [2], needs 8 bytes and has 4", "b, F32 [1], needs 4 bytes and has 8"}},
		{"overlap", file("{"+tensor("a", "[2]", 0, 8)+","+tensor("b", "[1]", 4, 8)+"}", make([]byte, 8)...), []string{"b begins at byte 4 of the data, within a"}},
		{"hole", file("{"+tensor("a", "[1]", 4, 8)+"}", make([]byte, 8)...), []string{"bytes 0 to 4 of the data, before a"}},
		{"rest", file("{"+tensor("a", "[1]", 0, 4)+"}", make([]byte, 6)...), []string{"the last 2 bytes"}},
		{"backwards", file("{"+tensor("a", "[1]", 8, 4)+"}", make([]byte, 8)...), []string{"impossible offsets"}},
		{"negative", file("{"+tensor("a", "[-1]", 0, 4)+"}", make([]byte, 4)...), []string{"impossible shape"}},
		{"overflow", file("{"+tensor("a", "[4294967296,4294967296,4294967296]", 0, 4)+"}", make([]byte, 4)...), []string{"impossible shape"}},
		{"no offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`), []string{"a lacks"}},
		{"twice", file("{"+tensor("a", "[1]", 0, 4)+","+tensor("a", "[1]", 0, 4)+"}", make([]byte, 4)...), []string{"a is there twice"}},
		{"metadata", file(`{"__metadata__":{"a":1}}`), []string{"__metadata__"}},
	} {
		_, err := parseBytes(c.data)
		var problems *Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nlacks %q", c.name, err, want)
			}
		}
		if len(problems.List) != len(c.want) {
			t.Errorf("%s: %d problems, want %d:\n%v", c.name, len(problems.List), len(c.want), err)
		}
	}
}

// TestCutAnywhere checks that a file cut off at any byte is refused.
func TestCutAnywhere(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, []Entry{{"a", op.Shape{3}}, {"b", op.Shape{2, 2}}}, nil, func(string, []float32) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for n := range out.Len() {
		if _, err := parseBytes(out.Bytes()[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes, it is accepted", n, out.Len())
		}
	}
}

// FuzzParse checks that no header crashes the reader, and that what it accepts can be read.
func FuzzParse(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add(file(`{"a":{"dtype":"BF16","shape":[1,0],"data_offsets":[0,0]},"__metadata__":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := parseBytes(b)
		if err != nil {
			return
		}
		for _, name := range in.Names() {
			tensor, _ := in.Tensor(name)
			if tensor.Dtype.Size() == 0 || tensor.Shape.Size() > 1<<20 {
				continue
			}
			if err := in.Read(name, make([]float32, tensor.Shape.Size())); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestReadRefuses(t *testing.T) {
	f, err := parseBytes(file(`{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		n    int
		want string
	}{{"b", 1, "has no tensor b"}, {"a", 2, "has shape [1]"}, {"a", 1, "does not read tensors of type Q4"}} {
		if err := f.Read(c.name, make([]float32, c.n)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestCompareListsEverything(t *testing.T) {
	f, err := parseBytes(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, make([]byte, 8)...))
	if err != nil {
		t.Fatal(err)
	}
	err = Compare(f, []Entry{{"a", op.Shape{2}}, {"b", op.Shape{3}}})
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	want := []string{"a has shape [1], the model's is [2]", "b [3] is missing", "z belongs to no weight of the model"}
	if diff := cmp.Diff(want, problems.List); diff != "" {
		t.Error(diff)
	}
}

type fullDisk struct{ left int }

var errFull = errors.New("no space left on device")

func (w *fullDisk) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriteReportsAFullDisk(t *testing.T) {
	entries := []Entry{{"a", op.Shape{100}}, {"b", op.Shape{100}}}
	read := func(string, []float32) error { return nil }
	for _, room := range []int{0, 20, 200, 600} {
		if err := Write(&fullDisk{room}, entries, nil, read); !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: error %v", room, err)
		}
	}
	if err := Write(&bytes.Buffer{}, []Entry{{"a", nil}, {"a", nil}}, nil, read); err == nil {
		t.Error("one name twice, and no error")
	}
}

func TestInitialize(t *testing.T) {
	a, b, c := make([]float32, 200000), make([]float32, 200000), make([]float32, 200000)
	normal := check.Init{Kind: "normal", Std: 0.02}
	Initialize(a, "embed", normal, 1)
	Initialize(b, "embed", normal, 1)
	Initialize(c, "head", normal, 1)
	if !cmp.Equal(a, b) {
		t.Error("the same weight starts otherwise the second time")
	}
	if a[0] == c[0] || a[100000] == c[100000] {
		t.Error("two weights start alike")
	}
	var square float64
	for _, v := range a {
		square += float64(v) * float64(v)
	}
	if std := math.Sqrt(square / float64(len(a))); math.Abs(std-0.02) > 2e-4 {
		t.Errorf("standard deviation %g", std)
	}
	Initialize(a, "x", check.Init{Kind: "ones"}, 1)
	Initialize(b, "x", check.Init{Kind: "zeros"}, 1)
	if a[7] != 1 || b[7] != 0 {
		t.Errorf("ones start at %g, zeros at %g", a[7], b[7])
	}
}

// TestNarrowing: every code of a narrow type comes back, and numbers in between go to the nearest, ties to the even code.
func TestNarrowing(t *testing.T) {
	for code := range 256 {
		v := float8[code]
		if got := toFloat8(v); got != byte(code) && v == v {
			t.Errorf("code %#x is %g, which becomes %#x", code, v, got)
		}
		if code&0x7f >= 0x7e {
			continue
		}
		next := float8[code+1]
		even := byte(code + code&1)
		if got := toFloat8((v + next) / 2); got != even {
			t.Errorf("between %g and %g: %#x, want %#x", v, next, got, even)
		}
		if got := toFloat8(v + (next-v)*0.49); got != byte(code) {
			t.Errorf("just above %g: %#x, want %#x", v, got, code)
		}
	}
	for v, want := range map[float32]byte{17: 0x58, 19: 0x5a, 1000: 0x7e, -1e30: 0xfe, float32(math.Inf(-1)): 0xfe} {
		if got := toFloat8(v); got != want {
			t.Errorf("%g: %#x, want %#x", v, got, want)
		}
	}
	for code := range 1 << 16 {
		v := math.Float32frombits(uint32(code) << 16)
		if got := toBFloat16(v); got != uint16(code) && v == v {
			t.Fatalf("bf16 %#x becomes %#x", code, got)
		} else if v != v && got&0x7fff <= 0x7f80 {
			t.Fatalf("the NaN %#x becomes %#x", code, got)
		}
	}
	if toBFloat16(math.Float32frombits(0x3f808000)) != 0x3f80 || toBFloat16(math.Float32frombits(0x3f818000)) != 0x3f82 {
		t.Error("ties do not go to the even one")
	}
}

// TestQuantize: the published way of scaling, with the numbers that follow from it by hand.
func TestQuantize(t *testing.T) {
	codes, scales := make([]byte, 4), make([]float32, 1)
	for _, c := range []struct {
		values []float32
		scale  float32
		codes  []byte
	}{
		{[]float32{1, -2, 3.5, 0.1}, 0.0078125, []byte{0x70, 0xf8, 0x7e, 0x55}},
		{[]float32{1, -2, 3, 0.1}, 3.0 / 448, []byte{0x71, 0xf9, 0x7e, 0x57}},
		{[]float32{0, 0, 0, 0}, 1, []byte{0, 0, 0, 0}},
	} {
		Quantize(codes, scales, c.values, 4, 128, 128)
		if !bytes.Equal(codes, c.codes) || scales[0] != c.scale {
			t.Errorf("%v: %#x times %g, want %#x times %g", c.values, codes, scales[0], c.codes, c.scale)
		}
	}
	// Blocks of 2×3 over 3×5: four of them, three partial.
	values := make([]float32, 15)
	for i := range values {
		values[i] = float32(i + 1)
	}
	codes, scales = make([]byte, 15), make([]float32, 4)
	Quantize(codes, scales, values, 5, 2, 3)
	want := []float32{8. / 448, 10. / 448, 13. / 448, 15. / 448}
	if !cmp.Equal(scales, want) {
		t.Errorf("scales %v, want %v", scales, want)
	}
}

// TestPermute compares with the definition for any order of axes.
func TestPermute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "axes")
		shape := rapid.SliceOfN(rapid.IntRange(1, 5), n, n).Draw(t, "shape")
		if rapid.Bool().Draw(t, "large") {
			shape[0] = 70
		}
		axes := make([]int, n)
		for i := range axes {
			axes[i] = i
		}
		order := rapid.Permutation(axes).Draw(t, "order")
		src := make([]float32, op.Shape(shape).Size())
		for i := range src {
			src[i] = float32(i)
		}
		dst, back := make([]float32, len(src)), make([]float32, len(src))
		permute(dst, src, shape, order)
		from := strides(shape)
		at := make([]int, n)
		for d, got := range dst {
			s := 0
			for i, o := range order {
				s += at[i] * from[o]
			}
			if got != src[s] {
				t.Fatalf("entry %d is %g, want %g", d, got, src[s])
			}
			for i := n - 1; i >= 0; i-- {
				if at[i]++; at[i] < shape[order[i]] {
					break
				}
				at[i] = 0
			}
		}
		inFile := make([]int, n)
		for i, o := range order {
			inFile[i] = shape[o]
		}
		permute(back, dst, inFile, inverse(order))
		if !cmp.Equal(back, src) {
			t.Fatal("the way back gives something else")
		}
	})
}
