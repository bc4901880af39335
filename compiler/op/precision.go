package op

import "fmt"

// # Products in low precision
//
// A product may say what its operands are rounded to. What is computed then is, exactly, the product in full precision of the
// rounded operands: sums are made in float32 (float64 in a reference graph) and results are not rounded. Two numbers of at most 12
// bits of fraction together have a product that float32 holds, so for bfloat16 and the codes of 8 bits only sums are inexact.
//
// An 8-bit operand is rounded with one scale a tile, found from the tile's own entries (DeepSeek-V3 report, section 3.3.2):
//
//	scale = largest size in the tile / largest number of the format,  rounded = format(entry / scale) · scale
//
// each of the three operations in float32. A tile of zeros stays zeros, and so does one whose scale float32 cannot hold. A tensor
// core sums the codes of a tile in fewer bits than float32 and must hand its sum over to float32 before it loses too much (section
// 3.3.3: every 128 entries); here the sum is float32 from the first term, which is what handing over at every entry would give.
// Scales are applied to the operands instead of to the sums, which differs by one rounding of float32 an entry.
//
// For its tiles an operand is a matrix: its summed axes, in its own order, make the columns; its other axes make the rows, apart
// from those that both operands and the result have (of these each index has a matrix of its own, and so has each expert). Tiles
// begin at the matrix's first entry; those at its ends may be partial. Where rows are grouped by expert, and the axis of rows is
// tiled, tiles begin anew at each group.

// Rounding is what is done to an operand before a product. The zero value does nothing.
type Rounding struct {
	Format Format
	// Across and Along are the rows and columns of a tile that shares a scale; only 8-bit formats have them.
	Across, Along int
	// Block says that the tiles lie fixed in the operand, as a weight's do: in a product that sums over the other axes, rows and
	// columns change places. Otherwise they follow whatever axis is summed.
	Block bool
}

// Precision is how the operands of a product, and the gradient of its result in the products backwards, are rounded.
type Precision struct{ A, B, Gradient Rounding }

// InFormat rounds everything to a format without scales.
func InFormat(f Format) Precision {
	r := Rounding{Format: f}
	return Precision{r, r, r}
}

// Full reports whether nothing is rounded.
func (p Precision) Full() bool { return p == Precision{} }

// backwards gives the precisions of the products that are the gradients of the operands: gradient · b, and a · gradient.
func (p Precision) backwards() (toA, toB Precision) {
	return Precision{A: p.Gradient, B: p.B.turned()}, Precision{A: p.A.turned(), B: p.Gradient}
}

func (r Rounding) turned() Rounding {
	if r.Block {
		r.Across, r.Along = r.Along, r.Across
	}
	return r
}

func (r Rounding) String() string {
	text := r.Format.String()
	if r.Along != 0 || r.Across != 0 {
		text += fmt.Sprintf(":%d×%d", r.Across, r.Along)
	}
	if r.Block {
		text += "!"
	}
	return text
}

func (p Precision) String() string { return fmt.Sprintf("%v·%v←%v", p.A, p.B, p.Gradient) }

// suffix is the precision behind other attributes, "" if nothing is rounded.
func (p Precision) suffix() string {
	if p.Full() {
		return ""
	}
	return " " + p.String()
}

// check reports a rounding that can't be done.
func (p Precision) check() error {
	for _, r := range []Rounding{p.A, p.B, p.Gradient} {
		switch tiled := r.Format.Largest() > 0; {
		case r.Format > E5M2:
			return fmt.Errorf("no number format %d", r.Format)
		case tiled && (r.Across < 1 || r.Along < 1):
			return fmt.Errorf("tiles of %d×%d for %v", r.Across, r.Along, r.Format)
		case !tiled && r != Rounding{Format: r.Format}:
			return fmt.Errorf("%v has no tiles", r.Format)
		}
	}
	return nil
}

// tensor is the rounded operand: summed are its labels that the product sums over, batch those that both operands and the result have.
func (r Rounding) tensor(t Tensor, labels, summed, batch string) Tensor {
	if r.Format == Float32 {
		return t
	}
	out := newTensor(t.Shape)
	if r.Format.Largest() == 0 {
		for i, v := range t.Data {
			out.Data[i] = r.round(v)
		}
		return out
	}
	// position gives the stride of each axis in an index over the axes in the given labels alone.
	position := func(in string) []int {
		steps, n := make([]int, len(labels)), 1
		for i := len(labels) - 1; i >= 0; i-- {
			if has(in, labels[i]) {
				steps[i] = n
				n *= t.Shape[i]
			}
		}
		return steps
	}
	rest := without(without(labels, summed), batch)
	steps := [][]int{strides(t.Shape), position(batch), position(rest), position(summed)}
	tile := func(at []int) [3]int { return [3]int{at[1], at[2] / r.Across, at[3] / r.Along} }
	largest := map[[3]int]float32{}
	walk(t.Shape, func(at []int) {
		v := float32(t.Data[at[0]])
		largest[tile(at)] = max(largest[tile(at)], v, -v)
	}, steps...)
	walk(t.Shape, func(at []int) {
		if scale := largest[tile(at)] / r.Format.Largest(); scale != 0 {
			out.Data[at[0]] = float64(r.Format.Round(float32(t.Data[at[0]])/scale) * scale)
		}
	}, steps...)
	return out
}

// round is a number in a format without tiles.
func (r Rounding) round(v float64) float64 {
	if r.Format == Float32 {
		return v
	}
	return float64(r.Format.Round(float32(v)))
}

// common are the labels that all have.
func common(a, b, out string) string { return without(a, without(a, without(b, without(b, out)))) }
