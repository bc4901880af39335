package check

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// sized is a size with its value for one choice of the variables.
type sized struct {
	r ratio
	v *big.Rat
}

var sampleValues = map[string]int64{"a": 3, "b": 7, "c": 11}

func drawSize(t *rapid.T, depth int) sized {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		if rapid.Bool().Draw(t, "number") {
			n := rapid.Int64Range(1, 5).Draw(t, "n")
			return sized{intRatio(n), big.NewRat(n, 1)}
		}
		name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
		return sized{variable(name), big.NewRat(sampleValues[name], 1)}
	}
	x, y := drawSize(t, depth-1), drawSize(t, depth-1)
	switch rapid.IntRange(0, 3).Draw(t, "op") {
	case 0:
		return sized{x.r.add(y.r), new(big.Rat).Add(x.v, y.v)}
	case 1:
		return sized{x.r.sub(y.r), new(big.Rat).Sub(x.v, y.v)}
	case 2:
		return sized{x.r.mul(y.r), new(big.Rat).Mul(x.v, y.v)}
	}
	if q, ok := x.r.div(y.r); ok && y.v.Sign() != 0 {
		return sized{q, new(big.Rat).Quo(x.v, y.v)}
	}
	return x
}

func (r ratio) at(values map[string]int64) (*big.Rat, bool) {
	part := func(p poly) *big.Rat {
		sum := new(big.Rat)
		for m, c := range p {
			t := new(big.Rat).Set(c)
			for _, v := range splitMonomial(m) {
				t.Mul(t, big.NewRat(values[v], 1))
			}
			sum.Add(sum, t)
		}
		return sum
	}
	d := part(r.den)
	if d.Sign() == 0 {
		return nil, false
	}
	return new(big.Rat).Quo(part(r.num), d), true
}

// Sizes compute like the numbers they stand for, and equal sizes have equal values.
func TestSizesLikeNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawSize(t, 3), drawSize(t, 3)
		if got, ok := x.r.at(sampleValues); ok && !x.r.num.opaque() && got.Cmp(x.v) != 0 {
			t.Fatalf("%s is %s, want %s", x.r, got, x.v)
		}
		if x.r.equal(y.r) == yes && x.v.Cmp(y.v) != 0 {
			t.Fatalf("%s and %s are equal, but %s and %s", x.r, y.r, x.v, y.v)
		}
		if x.r.equal(x.r) == no || x.r.add(y.r).equal(y.r.add(x.r)) == no || x.r.mul(y.r).equal(y.r.mul(x.r)) == no {
			t.Fatal("not a commutative ring")
		}
		if s := x.r.add(y.r).sub(y.r).equal(x.r); s == no {
			t.Fatalf("(x + y) - y is not x: %s, %s", x.r, y.r)
		}
	})
}

func TestSizeText(t *testing.T) {
	a, b, c := variable("a"), variable("b"), variable("c")
	quotient, _ := a.div(b)
	for _, k := range []struct {
		r    ratio
		want string
	}{
		{a.add(a), "2 * a"},
		{b.add(a).add(intRatio(-3)), "a + b - 3"},
		{a.sub(b), "a - b"},
		{quotient, "a / b"},
		{quotient.mul(b), "a"},
		{quotient.add(c), "(a + b * c) / b"},
		{a.sub(a), "0"},
	} {
		if got := k.r.String(); got != k.want {
			t.Errorf("%s, want %s", got, k.want)
		}
	}
}

// experts = groups · (experts / groups) is decided; what hangs on a remainder is not.
func TestSizesDecided(t *testing.T) {
	e, g := variable("experts"), variable("groups")
	per, _ := e.div(g)
	if per.mul(g).equal(e) != yes {
		t.Error("a quotient times its divisor")
	}
	if per.equal(e) != no {
		t.Error("a quotient is not its dividend")
	}
	if opaqueRatio("experts % groups").equal(e) != undecided {
		t.Error("a remainder is left to the build")
	}
}

// Doubling many times ends: sizes that grow beyond all use become opaque.
func TestSizesBounded(t *testing.T) {
	s := variable("a").add(variable("b")).add(variable("c")).add(intRatio(1))
	for range 200 {
		s = s.mul(s).add(variable("a"))
	}
	if len(s.num) > maxTerms {
		t.Errorf("%d terms", len(s.num))
	}
}
