package cpu

// smallElementwise is an elementwise call of one tile, as in decoding a token, where finding the operands would cost more than the
// arithmetic. Its registers are bound when it is made: they are the operands where these lie, or memory of its own.
type smallElementwise struct {
	k     *elementwise
	file  [][]float32
	fixed bool // no uniform depends on an input, so that uniforms and prologue are computed already
}

// small is the call for one tile; nil if there are more, or threads share them.
func (k *elementwise) small() call {
	if k.units != 1 || k.parts != 1 {
		return nil
	}
	row, at, rows, width := k.tile(0)
	n := rows * width
	s := &smallElementwise{k: k, file: make([][]float32, k.code.count), fixed: true}
	place := func(o *operand) []float32 {
		if o.access == direct {
			offset := k.offset(o, row) + at
			return o.data[offset : offset+n]
		}
		return make([]float32, n)
	}
	for i := range k.in {
		s.file[i] = place(&k.in[i])
	}
	s.file[len(k.in)] = place(&k.out)
	for r := len(k.in) + 1; r < len(s.file); r++ {
		s.file[r] = make([]float32, n)
	}
	for _, u := range k.code.uniforms {
		s.fixed = s.fixed && (u.fn != nil || u.input < 0)
	}
	s.prepare()
	k.files = nil
	return s
}

// prepare computes what is the same for all entries.
func (s *smallElementwise) prepare() {
	s.k.code.evaluate(s.k.uniforms, s.k.work, s.k.first)
	s.k.execute(s.k.code.prologue, s.file)
}

func (s *smallElementwise) run() error {
	k := s.k
	if !s.fixed {
		s.prepare()
	}
	row, at, rows, width := 0, 0, min(k.perTile, k.rows), k.width
	for i := range k.in {
		if o := &k.in[i]; o.access == gathered || o.access == resident {
			k.gather(s.file[i], o, row, rows, at, width)
		}
	}
	k.execute(k.code.body, s.file)
	if k.out.access != direct {
		k.scatter(s.file[len(k.in)], row, rows, at, width)
	}
	return nil
}
