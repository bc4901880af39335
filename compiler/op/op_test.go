package op

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// eachSample runs a subtest for every sample of every operation.
func eachSample(t *testing.T, body func(t *testing.T, o *Op, s Sample)) {
	for _, o := range All() {
		if len(o.Samples) == 0 {
			t.Errorf("%s has no samples", o)
		}
		for _, s := range o.Samples {
			t.Run(o.Name+"/"+s.Name, func(t *testing.T) { body(t, o, s) })
		}
	}
}

func TestDefinitionsAreComplete(t *testing.T) {
	for _, o := range All() {
		gradients := 0
		for _, set := range []bool{o.Gradient.Rule != nil, o.Gradient.Through, o.Gradient.None != ""} {
			if set {
				gradients++
			}
		}
		switch {
		case gradients != 1:
			t.Errorf("%s: %d of rule, through and none are set, want one", o, gradients)
		case o.Gradient.Through && o.Decompose == nil:
			t.Errorf("%s takes the gradient of a decomposition that it lacks", o)
		case o.Decompose == nil && o.Reference == nil:
			t.Errorf("%s has neither decomposition nor reference", o)
		case o.Infer == nil || o.Cost == nil || o.Doc == "" || len(o.Inputs) == 0 || len(o.Outputs) == 0:
			t.Errorf("%s lacks a shape rule, a cost, a sentence or names", o)
		}
		seen := map[string]bool{}
		for _, s := range o.Samples {
			if seen[s.Name] {
				t.Errorf("%s has two samples %q", o, s.Name)
			}
			seen[s.Name] = true
		}
	}
}

func TestSamplesFillIntegersWithWholeNumbers(t *testing.T) {
	eachSample(t, func(t *testing.T, _ *Op, s Sample) {
		for i, x := range s.Inputs() {
			for _, v := range x.Data {
				if s.In[i].Dtype == Int32 && v != math.Trunc(v) {
					t.Fatalf("input %d holds %v", i, v)
				}
			}
		}
	})
}

func TestReferenceAndDecompositionAgree(t *testing.T) {
	eachSample(t, func(t *testing.T, o *Op, s Sample) {
		want, err := Evaluate(o, s.Attrs, s.In, s.Inputs())
		if err != nil {
			t.Fatal(err)
		}
		types, err := InferTypes(o, s.Attrs, s.In)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range want {
			if !x.Shape.Equal(types[i].Shape) || len(x.Data) != types[i].Shape.Size() {
				t.Errorf("output %d is %v with %d entries, the shape rule says %v", i, x.Shape, len(x.Data), types[i])
			}
		}
		if o.Reference == nil || o.Decompose == nil {
			return
		}
		decomposed := *o
		decomposed.Reference = nil
		got, err := Evaluate(&decomposed, s.Attrs, s.In, s.Inputs())
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if d := difference(got[i].Data, want[i].Data); !(d < 1e-12) {
				t.Errorf("output %d differs by %g: decomposition %v, reference %v", i, d, got[i].Data, want[i].Data)
			}
		}
	})
}

func TestReferencesLeaveInputsAlone(t *testing.T) {
	eachSample(t, func(t *testing.T, o *Op, s Sample) {
		in := s.Inputs()
		if _, err := Evaluate(o, s.Attrs, s.In, in); err != nil {
			t.Fatal(err)
		}
		for i, x := range s.Inputs() {
			if difference(in[i].Data, x.Data) != 0 {
				t.Errorf("input %d changed", i)
			}
		}
	})
}

func TestCosts(t *testing.T) {
	eachSample(t, func(t *testing.T, o *Op, s Sample) {
		out, err := InferTypes(o, s.Attrs, s.In)
		if err != nil {
			t.Fatal(err)
		}
		c := o.Cost(s.Attrs, s.In, out)
		if c.FLOPs < 0 || c.Bytes < 0 || math.IsNaN(c.FLOPs+c.Bytes) || (c.Bytes == 0) != o.View {
			t.Errorf("cost %+v of an operation with View=%v", c, o.View)
		}
	})
	in := []Type{floats(2, 8, 3, 4), floats(2, 8, 3, 4), floats(2, 8, 3, 5)}
	a := AttentionAttrs{Q: []string{"bshe"}, K: []string{"bkhe"}, V: "bkhv", Out: "bshv", Seq: 's', Key: 'k', Scale: 1}
	if got, want := Attention.Cost(a, in, nil).FLOPs, float64(2*2*3*36*(4+5)); got != want {
		t.Errorf("causal attention costs %v FLOPs, want %v", got, want)
	}
	if got := Dot.Cost(DotAttrs{A: "nd", B: "df", Out: "nf"}, []Type{floats(2, 3), floats(3, 5)}, []Type{floats(2, 5)}).FLOPs; got != 60 {
		t.Errorf("a [2, 3]·[3, 5] product costs %v FLOPs, want 60", got)
	}
}

// difference is the largest difference relative to the largest finite magnitude; equal infinities differ by 0.
func difference(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	scale, worst := 1e-30, 0.0
	for _, v := range want {
		if !math.IsInf(v, 0) {
			scale = max(scale, math.Abs(v))
		}
	}
	for i := range want {
		if got[i] == want[i] {
			continue
		}
		d := math.Abs(got[i] - want[i])
		if math.IsNaN(d) {
			return d
		}
		worst = max(worst, d)
	}
	return worst / max(scale, 1e-3)
}

// TestAttrTextTellsEveryFieldApart changes each field of each operation's attributes and expects another text.
func TestAttrTextTellsEveryFieldApart(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, o := range All() {
		for _, s := range o.Samples {
			if s.Attrs == nil || seen[reflect.TypeOf(s.Attrs)] {
				continue
			}
			seen[reflect.TypeOf(s.Attrs)] = true
			before := AttrText(s.Attrs)
			for i := range reflect.TypeOf(s.Attrs).NumField() {
				changed := reflect.New(reflect.TypeOf(s.Attrs)).Elem()
				changed.Set(reflect.ValueOf(s.Attrs))
				name := reflect.TypeOf(s.Attrs).Field(i).Name
				change(t, changed.Field(i))
				if after := AttrText(changed.Interface()); after == before {
					t.Errorf("%s: changing %s leaves the text %q", o, name, after)
				}
			}
		}
	}
}

func change(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "z")
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		if f := v.Float(); math.IsInf(f, 0) {
			v.SetFloat(0)
		} else {
			v.SetFloat(math.Nextafter(f, math.Inf(1)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			change(t, v.Field(i))
		}
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		grown := reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1)
		reflect.Copy(grown, v)
		v.Set(grown)
	case reflect.Pointer:
		v.Set(reflect.ValueOf(Call(FnAdd, v.Interface().(*Expr), Const(math.Pi))))
	default:
		t.Fatalf("no rule to change a %v", v.Type())
	}
}

// TestShapeRulesRefuse gives each rule what it must not accept. Each error must hold the text.
func TestShapeRulesRefuse(t *testing.T) {
	x := floats(2, 3)
	for _, c := range []struct {
		o    *Op
		a    Attrs
		in   []Type
		want string
	}{
		{Dot, nil, []Type{x, x}, "attributes are <nil>, want op.DotAttrs"},
		{Dot, DotAttrs{A: "ab", B: "bc", Out: "ac"}, []Type{x}, "1 inputs, want (a, b)"},
		{Dot, DotAttrs{A: "ab", B: "bc", Out: "ac"}, []Type{x, floats(4, 5)}, `axis 'b' is 4 long here and 3 before`},
		{Dot, DotAttrs{A: "ab", B: "bc", Out: "ac"}, []Type{x, ints(3, 5)}, "b is int32[3, 5], want floats"},
		{Dot, DotAttrs{A: "ab", B: "bc", Out: "ad"}, []Type{x, floats(3, 5)}, `axis 'c' of the second operand "bc" is in neither "ab" nor "ad"`},
		{Dot, DotAttrs{A: "aa", B: "ac", Out: "c"}, []Type{floats(2, 2), floats(2, 5)}, `"aa" has axis 'a' twice`},
		{Dot, DotAttrs{A: "a1", B: "1c", Out: "ac"}, []Type{x, floats(3, 5)}, "labels are letters"},
		{Dot, DotAttrs{A: "ab", B: "bc", Out: "ac"}, []Type{floats(0, 3), floats(3, 5)}, "every axis must be at least 1 long"},
		{Dot, DotAttrs{A: "abc", B: "c", Out: "ab"}, []Type{x, floats(3)}, `labels "abc" name 3 axes`},
		{Map, MapAttrs{In(1), []string{"ab"}, "ab"}, []Type{x}, "needs more than the 1 inputs"},
		{Map, MapAttrs{nil, []string{"ab"}, "ab"}, []Type{x}, "the expression none"},
		{Map, MapAttrs{In(0), []string{"ab"}, "a"}, []Type{x}, `axis 'b' of input 0 "ab" is not in the result`},
		{Map, MapAttrs{In(0), []string{"ab"}, "abc"}, []Type{x}, `has axis 'c', which no input has`},
		{Reduce, ReduceAttrs{"product", "ab", "a"}, []Type{x}, "kind is"},
		{ReduceGrad, ReduceAttrs{"sum", "ab", "a"}, []Type{x, floats(2), floats(2)}, "want max or min"},
		{Softmax, SoftmaxAttrs{2}, []Type{x}, "axis is 2, the input has 2 axes"},
		{Top, TopAttrs{1, 4}, []Type{x}, "the top 4 of 3 entries"},
		{Transpose, TransposeAttrs{[]int{0, 0}}, []Type{x}, "no permutation"},
		{Transpose, TransposeAttrs{[]int{0}}, []Type{x}, "is for 1 axes"},
		{Reshape, ReshapeAttrs{Shape{5}}, []Type{x}, "has 6 entries"},
		{Slice, SliceAttrs{1, 2, 2}, []Type{x}, "[2, 2) is no part of an axis of 3"},
		{Pad, PadAttrs{1, -1, 2}, []Type{x}, "-1 zeros before"},
		{Split, SplitAttrs{1, []int{1, 1}}, []Type{x}, "are 2 entries together, the axis has 3"},
		{Concat, ConcatAttrs{1}, []Type{x, floats(3, 3)}, "input 1 is float[3, 3], want float[2, 3]"},
		{Concat, ConcatAttrs{1}, []Type{x, floats(3)}, "beside"},
		{Embed, nil, []Type{x, x}, "ids are float[2, 3], want int32"},
		{RMSNorm, RMSNormAttrs{1}, []Type{x, floats(2)}, "gain is float[2], want float[3]"},
		{Rotate, RotateAttrs{Seq: 0, Axis: 1, Frequencies: []float64{1}}, []Type{x}, "want twice as many features"},
		{Rotate, RotateAttrs{Seq: 1, Axis: 0, Frequencies: []float64{1}}, []Type{x, floats()}, "offset is float[], want int32"},
		{CausalMask, CausalMaskAttrs{Seq: 1, Key: 1}, []Type{x}, "queries on axis 1, keys on axis 1"},
		{RoutePlan, RoutePlanAttrs{4}, []Type{x}, "4 of 3 experts a row"},
		{GatherRows, nil, []Type{x, ints(4), ints(2, 3)}, "slots"},
		{GatherRows, nil, []Type{x, ints(6), ints(3, 2)}, "for a plan of 3 rows"},
		{GroupedDot, GroupedDotAttrs{X: "rd", W: "def", Out: "rf"}, []Type{x, floats(3, 4, 5), ints(4)}, "must start with the axis of rows"},
		{GroupedDot, GroupedDotAttrs{X: "rd", W: "edf", Out: "rf"}, []Type{x, floats(4, 3, 5), ints(4)}, "offsets is int32[4], want int32[5]"},
		{CrossEntropy, nil, []Type{x, floats(5, 4), ints(2)}, "w is float[5, 4], want float[5, 3]"},
		{MaskedMean, nil, []Type{floats(2), ints(3)}, "targets is int32[3], want int32[2]"},
		{AdamW, AdamWAttrs{}, []Type{x, x, x, x, floats(), floats(), floats(), floats(1)}, "input 7 is float[1], want float[]"},
		{CacheAppend, CacheAppendAttrs{0}, []Type{x, floats(3, 3), ints()}, "3 new entries for a cache of 2"},
		{Add, nil, []Type{x, floats(3, 2)}, "input 1 is float[3, 2], want float[2, 3]"},
		{Attention, AttentionAttrs{Q: []string{"se"}, K: []string{"ke"}, V: "kv", Out: "sv", Seq: 's', Key: 'k'}, []Type{x, x, x, ints(), ints()}, "5 inputs for 1 parts"},
		{Attention, AttentionAttrs{Q: []string{"sce"}, K: []string{"kce"}, V: "kcv", Out: "skv", Seq: 's', Key: 'k'}, []Type{x, x, x}, "the other way round"},
		{Attention, AttentionAttrs{Q: []string{"sef"}, K: []string{"kef"}, V: "kv", Out: "sv", Seq: 's', Key: 'k'}, []Type{x, x, x}, "want one axis"},
		{Attention, AttentionAttrs{Q: []string{"shc"}, K: []string{"kc"}, V: "kc", Out: "shc", Seq: 's', Key: 'k'}, []Type{x, x, x}, "want one axis"},
		{Attention, AttentionAttrs{Q: []string{"se"}, K: []string{"kf"}, V: "kv", Out: "sv", Seq: 's', Key: 'k'}, []Type{x, x, x}, "feature axis is 'e', the key's 'f'"},
	} {
		_, err := InferTypes(c.o, c.a, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s(%s) of %v: error %v, want %q", c.o, AttrText(c.a), c.in, err, c.want)
		}
	}
}

// TestShapeRulesNeverPanic offers every rule every list of a few types and the attributes of all samples.
func TestShapeRulesNeverPanic(t *testing.T) {
	types := []Type{floats(), floats(2), floats(2, 3), ints(), ints(3), floats(2, 3, 4, 5)}
	for _, o := range All() {
		for _, s := range append(o.Samples, Sample{}, Sample{Attrs: 3}) {
			for n := range 9 {
				for from := range types {
					in := make([]Type, n)
					for i := range in {
						in[i] = types[(from+i*i)%len(types)]
					}
					if err := inferSafely(o, s.Attrs, in); err != nil {
						t.Errorf("%s(%s) of %v: %v", o, AttrText(s.Attrs), in, err)
					}
				}
			}
		}
	}
}

func inferSafely(o *Op, a Attrs, in []Type) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	_, _ = InferTypes(o, a, in)
	return nil
}
