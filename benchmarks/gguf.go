//go:build unix

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
)

// GGUF is llama.cpp's file format: a header, key-value pairs, a list of tensors, their data. A shape begins with the axis whose
// entries lie side by side. The architecture deepseek2 has latent attention with the two halves of the keys' and values' projection
// apart, and experts stacked.
const (
	ggufMagic   = "GGUF"
	ggufVersion = 3
	ggufAlign   = 32

	ggufUint32, ggufInt32, ggufFloat32, ggufBool, ggufString, ggufArray = 4, 5, 6, 7, 8, 9
)

// encoding is how weights are written: rows of 32 of them.
type encoding struct {
	id, fileType int
	rowBytes     int
	row          func(to []byte, values []float32)
}

const rowLength = 32

// encodings by forge's names of the formats; int8 is q8_0, whose blocks are forge's.
var encodings = map[string]encoding{
	"f32": {0, 0, 4 * rowLength, func(to []byte, values []float32) {
		for i, v := range values {
			binary.LittleEndian.PutUint32(to[4*i:], math.Float32bits(v))
		}
	}},
	"bf16": {30, 32, 2 * rowLength, func(to []byte, values []float32) {
		for i, v := range values {
			bits := math.Float32bits(v)
			binary.LittleEndian.PutUint16(to[2*i:], uint16((bits+0x7fff+bits>>16&1)>>16))
		}
	}},
	"int8": {8, 7, 2 + rowLength, func(to []byte, values []float32) {
		largest := float32(0)
		for _, v := range values {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		scale := largest / 127
		binary.LittleEndian.PutUint16(to, float16(scale))
		for i, v := range values {
			to[2+i] = byte(int8(math.RoundToEven(float64(v / scale))))
		}
	}},
}

// float16 rounds a positive number between 2⁻¹⁴ and 65504, or gives 0 for smaller ones.
func float16(v float32) uint16 {
	bits := math.Float32bits(v)
	if exponent := int(bits>>23) - 127; exponent < -14 {
		// A denormal: a multiple of 2⁻²⁴.
		return uint16(math.RoundToEven(float64(v) * (1 << 24)))
	}
	return uint16((bits - 112<<23 + 0xfff + bits>>13&1) >> 13)
}

// tensor is one of the file.
type tensor struct {
	name  string
	shape []int
	kind  tensorKind
}

type tensorKind int

const (
	weights tensorKind = iota // random, in the file's format
	ones                      // gains of norms
	plain                     // random, in float32
)

func (t *tensor) size() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// encoding of a tensor in a file of some format.
func (t *tensor) encoding(format string) encoding {
	if t.kind != weights {
		format = "f32"
	}
	return encodings[format]
}

func (t *tensor) bytes(format string) int {
	if t.kind != weights {
		return 4 * t.size()
	}
	return t.size() / rowLength * encodings[format].rowBytes
}

// tensors are those of the model without its multi-token prediction, which llama.cpp does not run.
func (m *model) tensors() []tensor {
	list := []tensor{
		{"token_embd.weight", []int{m.Dim, m.Vocab}, weights},
		{"output_norm.weight", []int{m.Dim}, ones},
		{"output.weight", []int{m.Dim, m.Vocab}, weights},
	}
	for layer := range m.Layers {
		add := func(name string, kind tensorKind, shape ...int) {
			list = append(list, tensor{fmt.Sprintf("blk.%d.%s", layer, name), shape, kind})
		}
		add("attn_norm.weight", ones, m.Dim)
		add("attn_q_a.weight", weights, m.Dim, m.QRank)
		add("attn_q_a_norm.weight", ones, m.QRank)
		add("attn_q_b.weight", weights, m.QRank, m.Heads*(m.Nope+m.Rope))
		add("attn_kv_a_mqa.weight", weights, m.Dim, m.KVRank+m.Rope)
		add("attn_kv_a_norm.weight", ones, m.KVRank)
		add("attn_k_b.weight", weights, m.Nope, m.KVRank, m.Heads)
		add("attn_v_b.weight", weights, m.KVRank, m.V, m.Heads)
		add("attn_output.weight", weights, m.Heads*m.V, m.Dim)
		add("ffn_norm.weight", ones, m.Dim)
		if layer == 0 {
			add("ffn_gate.weight", weights, m.Dim, m.Inner)
			add("ffn_up.weight", weights, m.Dim, m.Inner)
			add("ffn_down.weight", weights, m.Inner, m.Dim)
			continue
		}
		add("ffn_gate_inp.weight", plain, m.Dim, m.Experts)
		add("exp_probs_b.bias", plain, m.Experts)
		add("ffn_gate_exps.weight", weights, m.Dim, m.Expert, m.Experts)
		add("ffn_up_exps.weight", weights, m.Dim, m.Expert, m.Experts)
		add("ffn_down_exps.weight", weights, m.Expert, m.Dim, m.Experts)
		add("ffn_gate_shexp.weight", weights, m.Dim, m.Expert)
		add("ffn_up_shexp.weight", weights, m.Dim, m.Expert)
		add("ffn_down_shexp.weight", weights, m.Expert, m.Dim)
	}
	return list
}

// pair is a key with its value.
type pair struct {
	key   string
	value any // uint32, float32, bool, string, []string, []float32, []int32
}

// metadata says all sizes, and a vocabulary of the right length.
func (m *model) metadata(format string) []pair {
	n := func(v int) uint32 { return uint32(v) }
	tokens, scores, kinds := make([]string, m.Vocab), make([]float32, m.Vocab), make([]int32, m.Vocab)
	const unknown, control, normal, byteToken = 2, 3, 1, 6
	for i := range tokens {
		tokens[i], scores[i], kinds[i] = fmt.Sprintf("▁w%d", i), -float32(i), normal
		switch {
		case i < 3:
			tokens[i], kinds[i] = []string{"<unk>", "<s>", "</s>"}[i], []int32{unknown, control, control}[i]
		case i < 3+256:
			tokens[i], kinds[i] = fmt.Sprintf("<0x%02X>", i-3), byteToken
		}
	}
	pairs := []pair{
		{"general.architecture", "deepseek2"}, {"general.name", "forge"}, {"general.file_type", n(encodings[format].fileType)},
		{"general.alignment", n(ggufAlign)}, {"general.quantization_version", n(2)},
	}
	for _, p := range []pair{
		{"vocab_size", n(m.Vocab)}, {"context_length", n(4096)}, {"embedding_length", n(m.Dim)}, {"block_count", n(m.Layers)},
		{"leading_dense_block_count", n(1)}, {"feed_forward_length", n(m.Inner)}, {"attention.head_count", n(m.Heads)},
		{"attention.head_count_kv", n(1)}, {"attention.layer_norm_rms_epsilon", float32(1e-6)}, {"attention.q_lora_rank", n(m.QRank)},
		{"attention.kv_lora_rank", n(m.KVRank)}, {"attention.key_length", n(m.KVRank + m.Rope)}, {"attention.value_length", n(m.KVRank)},
		{"attention.key_length_mla", n(m.Nope + m.Rope)}, {"attention.value_length_mla", n(m.V)}, {"rope.dimension_count", n(m.Rope)},
		{"rope.freq_base", float32(10000)}, {"expert_feed_forward_length", n(m.Expert)}, {"expert_count", n(m.Experts)},
		{"expert_used_count", n(m.TopK)}, {"expert_shared_count", n(1)}, {"expert_group_count", n(m.Groups)},
		{"expert_group_used_count", n(m.KeptGroups)}, {"expert_gating_func", n(2)}, // 2: sigmoid
		{"expert_weights_norm", true}, {"expert_weights_scale", float32(2.5)},
	} {
		pairs = append(pairs, pair{"deepseek2." + p.key, p.value})
	}
	return append(pairs, pair{"tokenizer.ggml.model", "llama"}, pair{"tokenizer.ggml.tokens", tokens}, pair{"tokenizer.ggml.scores", scores},
		pair{"tokenizer.ggml.token_type", kinds}, pair{"tokenizer.ggml.bos_token_id", n(1)}, pair{"tokenizer.ggml.eos_token_id", n(2)},
		pair{"tokenizer.ggml.unknown_token_id", n(0)}, pair{"tokenizer.ggml.add_bos_token", false})
}

// header is all before the tensors' data.
func (m *model) header(list []tensor, format string) []byte {
	out := []byte(ggufMagic)
	u32 := func(v int) { out = binary.LittleEndian.AppendUint32(out, uint32(v)) }
	u64 := func(v int) { out = binary.LittleEndian.AppendUint64(out, uint64(v)) }
	text := func(s string) { u64(len(s)); out = append(out, s...) }
	pairs := m.metadata(format)
	u32(ggufVersion)
	u64(len(list))
	u64(len(pairs))
	for _, p := range pairs {
		text(p.key)
		switch v := p.value.(type) {
		case uint32:
			u32(ggufUint32)
			u32(int(v))
		case float32:
			u32(ggufFloat32)
			u32(int(math.Float32bits(v)))
		case bool:
			u32(ggufBool)
			out = append(out, map[bool]byte{true: 1}[v])
		case string:
			u32(ggufString)
			text(v)
		case []string:
			u32(ggufArray)
			u32(ggufString)
			u64(len(v))
			for _, s := range v {
				text(s)
			}
		case []float32:
			u32(ggufArray)
			u32(ggufFloat32)
			u64(len(v))
			for _, f := range v {
				u32(int(math.Float32bits(f)))
			}
		case []int32:
			u32(ggufArray)
			u32(ggufInt32)
			u64(len(v))
			for _, i := range v {
				u32(int(i))
			}
		}
	}
	offset := 0
	for i := range list {
		t := &list[i]
		text(t.name)
		u32(len(t.shape))
		for _, d := range t.shape {
			u64(d)
		}
		u32(t.encoding(format).id)
		u64(offset)
		offset = aligned(offset + t.bytes(format))
	}
	return append(out, make([]byte, aligned(len(out))-len(out))...)
}

func aligned(n int) int { return (n + ggufAlign - 1) / ggufAlign * ggufAlign }

// writeGGUF writes the model with random weights, N(0, 0.02). A file that is there is whole.
func (m *model) writeGGUF(path, format string) error {
	file, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	list := m.tensors()
	_, err = out.Write(m.header(list, format))
	source := newSource()
	for i := 0; i < len(list) && err == nil; i++ {
		err = source.write(out, &list[i], format)
	}
	if err = errors.Join(err, out.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	return os.Rename(path+".part", path)
}

// source are random rows that tensors are made of, each from another row on, so that no two are alike and gigabytes take seconds.
type source struct {
	values  []float32
	encoded map[string][]byte
	next    int
}

// sourceRows is a prime.
const sourceRows = 32771

func newSource() *source {
	random := rand.New(rand.NewPCG(1, 2))
	s := &source{values: make([]float32, rowLength*sourceRows), encoded: map[string][]byte{}}
	for i := range s.values {
		s.values[i] = float32(0.02 * random.NormFloat64())
	}
	return s
}

func (s *source) write(out *bufio.Writer, t *tensor, format string) error {
	if t.kind == ones {
		for range t.size() {
			if err := binary.Write(out, binary.LittleEndian, float32(1)); err != nil {
				return err
			}
		}
	} else {
		e := t.encoding(format)
		if t.kind == plain {
			format = "f32"
		}
		rows := s.encoded[format]
		if rows == nil {
			rows = make([]byte, sourceRows*e.rowBytes)
			for r := range sourceRows {
				e.row(rows[r*e.rowBytes:(r+1)*e.rowBytes], s.values[r*rowLength:(r+1)*rowLength])
			}
			s.encoded[format] = rows
		}
		for left := t.size() * e.rowBytes / rowLength; left > 0; {
			from := s.next * e.rowBytes
			n := min(left, len(rows)-from)
			if _, err := out.Write(rows[from : from+n]); err != nil {
				return err
			}
			left -= n
			s.next = (from + n) / e.rowBytes % sourceRows
		}
	}
	n := t.bytes(format)
	if t.kind != weights {
		n = 4 * t.size()
	}
	_, err := out.Write(make([]byte, aligned(n)-n))
	return err
}
