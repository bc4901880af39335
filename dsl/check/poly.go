package check

import (
	"math/big"
	"sort"
	"strings"
)

// Sizes where a block is defined are rational functions over its attributes: `qk = nope + rope`, `per = experts / groups`. Two sizes
// are compared by cross-multiplication, which decides every case made of + - * /; what else computes a size (%, ^, sqrt) is an
// opaque variable, and a comparison that hangs on one is left to the build, where all sizes are numbers.

// maxTerms bounds a polynomial. A larger one becomes opaque: sizes in blocks have two or three terms.
const maxTerms = 64

// opaqueMark starts the names of opaque variables.
const opaqueMark = "?"

// poly maps products of variables (sorted, joined by NUL; "" is the constant) to their coefficients, none of them zero.
type poly map[string]*big.Rat

func constPoly(r *big.Rat) poly {
	if r.Sign() == 0 {
		return poly{}
	}
	return poly{"": r}
}

func (p poly) addScaled(q poly, k *big.Rat) poly {
	sum := make(poly, len(p)+len(q))
	for m, c := range p {
		sum[m] = c
	}
	for m, c := range q {
		sum.addTerm(m, new(big.Rat).Mul(c, k))
	}
	return sum
}

// addTerm adds one term in place; t is p's from then on.
func (p poly) addTerm(m string, t *big.Rat) {
	if old, ok := p[m]; ok {
		t.Add(t, old)
	}
	if t.Sign() == 0 {
		delete(p, m)
	} else {
		p[m] = t
	}
}

func (p poly) mul(q poly) poly {
	prod := poly{}
	for m, c := range p {
		for n, d := range q {
			prod.addTerm(joinMonomials(m, n), new(big.Rat).Mul(c, d))
		}
	}
	return prod
}

// splitMonomial lists the variables of a product, as often as they occur.
func splitMonomial(m string) []string {
	if m == "" {
		return nil
	}
	return strings.Split(m, "\x00")
}

func joinMonomials(m, n string) string {
	switch {
	case m == "":
		return n
	case n == "":
		return m
	}
	vars := append(strings.Split(m, "\x00"), strings.Split(n, "\x00")...)
	sort.Strings(vars)
	return strings.Join(vars, "\x00")
}

// constant gives the value of a polynomial without variables.
func (p poly) constant() (*big.Rat, bool) {
	switch len(p) {
	case 0:
		return new(big.Rat), true
	case 1:
		if c, ok := p[""]; ok {
			return c, true
		}
	}
	return nil, false
}

func (p poly) opaque() bool {
	for m := range p {
		if strings.Contains(m, opaqueMark) {
			return true
		}
	}
	return false
}

// String orders the terms by their variables, constants last: 2 * a + b.
func (p poly) String() string {
	monomials := make([]string, 0, len(p))
	for m := range p {
		monomials = append(monomials, m)
	}
	sort.Slice(monomials, func(i, j int) bool {
		if (monomials[i] == "") != (monomials[j] == "") {
			return monomials[j] == ""
		}
		return monomials[i] < monomials[j]
	})
	var b strings.Builder
	for i, m := range monomials {
		c := new(big.Rat).Set(p[m])
		switch {
		case i > 0 && c.Sign() < 0:
			b.WriteString(" - ")
			c.Neg(c)
		case i > 0:
			b.WriteString(" + ")
		case c.Sign() < 0:
			b.WriteString("-")
			c.Neg(c)
		}
		one := c.Cmp(big.NewRat(1, 1)) == 0
		if m == "" || !one {
			b.WriteString(c.RatString())
		}
		if m == "" {
			continue
		}
		if !one {
			b.WriteString(" * ")
		}
		for k, v := range splitMonomial(m) {
			if k > 0 {
				b.WriteString(" * ")
			}
			b.WriteString(strings.TrimPrefix(v, opaqueMark))
		}
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

// ratio is a quotient of polynomials; the zero ratio is not a number.
type ratio struct{ num, den poly }

func constRatio(r *big.Rat) ratio { return ratio{constPoly(r), constPoly(big.NewRat(1, 1))} }

func intRatio(n int64) ratio { return constRatio(new(big.Rat).SetInt64(n)) }

// variable is a size that is not known: an attribute, an axis of an input.
func variable(name string) ratio {
	return ratio{poly{name: big.NewRat(1, 1)}, constPoly(big.NewRat(1, 1))}
}

// opaqueRatio is a number that is computed by more than + - * /; equal texts stand for equal numbers.
func opaqueRatio(text string) ratio {
	return variable(opaqueMark + strings.ReplaceAll(text, "\x00", " "))
}

var minusOne = big.NewRat(-1, 1)

func (r ratio) add(s ratio) ratio {
	return ratio{r.num.mul(s.den).addScaled(s.num.mul(r.den), big.NewRat(1, 1)), r.den.mul(s.den)}.bounded()
}

func (r ratio) sub(s ratio) ratio { return r.add(ratio{poly{}.addScaled(s.num, minusOne), s.den}) }

func (r ratio) mul(s ratio) ratio { return ratio{r.num.mul(s.num), r.den.mul(s.den)}.bounded() }

// div is r / s; ok is false where s is zero.
func (r ratio) div(s ratio) (ratio, bool) {
	if len(s.num) == 0 {
		return ratio{}, false
	}
	return ratio{r.num.mul(s.den), r.den.mul(s.num)}.bounded(), true
}

// bounded folds a constant denominator, cancels what both parts have as a factor of every term, and gives up on what grows beyond
// all use.
func (r ratio) bounded() ratio {
	r = r.cancel()
	if c, ok := r.den.constant(); ok && c.Sign() != 0 {
		r.num = poly{}.addScaled(r.num, new(big.Rat).Inv(c))
		r.den = constPoly(big.NewRat(1, 1))
	}
	if len(r.num) > maxTerms || len(r.den) > maxTerms {
		return opaqueRatio("a number of more than 64 terms")
	}
	for _, p := range []poly{r.num, r.den} {
		for m, c := range p {
			if len(m) > 1024 || c.Num().BitLen() > 256 || c.Denom().BitLen() > 256 {
				return opaqueRatio("a number of more than 64 factors")
			}
		}
	}
	return r
}

// cancel divides both parts by the variables that all their terms share.
func (r ratio) cancel() ratio {
	if len(r.num) == 0 {
		return r
	}
	if _, ok := r.den.constant(); ok {
		return r
	}
	common := map[string]int{}
	first := true
	for _, p := range []poly{r.num, r.den} {
		for m := range p {
			count := map[string]int{}
			for _, v := range splitMonomial(m) {
				count[v]++
			}
			if first {
				common, first = count, false
				continue
			}
			for v, n := range common {
				common[v] = min(n, count[v])
			}
		}
	}
	shared := 0
	for _, n := range common {
		shared += n
	}
	if shared == 0 {
		return r
	}
	divide := func(p poly) poly {
		q := make(poly, len(p))
		for m, c := range p {
			left := map[string]int{}
			for v, n := range common {
				left[v] = n
			}
			var rest []string
			for _, v := range splitMonomial(m) {
				if left[v] > 0 {
					left[v]--
					continue
				}
				rest = append(rest, v)
			}
			q[strings.Join(rest, "\x00")] = c
		}
		return q
	}
	return ratio{divide(r.num), divide(r.den)}
}

// answer is what a comparison of sizes comes to.
type answer int

const (
	no answer = iota
	yes
	undecided
)

// equal compares two sizes for all values of the attributes.
func (r ratio) equal(s ratio) answer {
	d := r.num.mul(s.den).addScaled(s.num.mul(r.den), minusOne)
	switch {
	case len(d) == 0:
		return yes
	case d.opaque():
		return undecided
	}
	return no
}

// constant gives the value of a size without variables.
func (r ratio) constant() (*big.Rat, bool) {
	n, ok := r.num.constant()
	if !ok {
		return nil, false
	}
	d, ok := r.den.constant()
	if !ok || d.Sign() == 0 {
		return nil, false
	}
	return new(big.Rat).Quo(n, d), true
}

func (r ratio) String() string {
	if _, ok := r.den.constant(); ok {
		return r.num.String()
	}
	part := func(p poly) string {
		if len(p) > 1 {
			return "(" + p.String() + ")"
		}
		return p.String()
	}
	den := part(r.den)
	if strings.Contains(den, " * ") {
		den = "(" + den + ")"
	}
	return part(r.num) + " / " + den
}
