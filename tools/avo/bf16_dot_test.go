package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// decodeBF16 reads an instruction as a processor does and gives its assembler
// text, "" if it is none of those that are written as bytes.
func decodeBF16(code [6]byte) string {
	if code[0] != 0x62 || code[1]&0b1111 != 0b0010 || code[2]&0b10000100 != 0b100 || code[3]&0b11110111 != 0b01000000 || code[5]>>6 != 0b11 {
		return ""
	}
	p0, p1, p2, operands := int(^code[1]), int(^code[2]), int(^code[3]), int(code[5])
	to := operands>>3&7 | p0>>7&1<<3 | p0>>4&1<<4
	y := operands&7 | p0>>5&1<<3 | p0>>6&1<<4
	x := p1>>3&15 | p2>>3&1<<4
	for _, b := range []bf16Instruction{dotProductBF16, roundTwo, roundOne} {
		if code[2]&0b11 == b.prefix && code[4] == b.opcode {
			return b.text(x, y, to)
		}
	}
	return ""
}

// TestEncodeBF16: every choice of registers is decoded to itself, and the
// encodings that an assembler gave (GNU as 2.40) are met.
func TestEncodeBF16(t *testing.T) {
	for x := range 32 {
		for y := range 32 {
			for to := range 32 {
				for _, b := range []bf16Instruction{dotProductBF16, roundTwo, roundOne} {
					if got := decodeBF16(b.encode(x, y, to)); got != b.text(x, y, to) {
						t.Fatalf("% x is decoded as %q, want %q", b.encode(x, y, to), got, b.text(x, y, to))
					}
				}
			}
		}
	}
	for _, known := range []struct {
		instruction bf16Instruction
		x, y, to    int
		code        [6]byte
	}{
		{dotProductBF16, 1, 2, 0, [6]byte{0x62, 0xf2, 0x76, 0x48, 0x52, 0xc2}},
		{dotProductBF16, 12, 12, 11, [6]byte{0x62, 0x52, 0x1e, 0x48, 0x52, 0xdc}},
		{dotProductBF16, 30, 19, 25, [6]byte{0x62, 0x22, 0x0e, 0x40, 0x52, 0xcb}},
		{dotProductBF16, 17, 9, 8, [6]byte{0x62, 0x52, 0x76, 0x40, 0x52, 0xc1}},
		{roundTwo, 1, 2, 0, [6]byte{0x62, 0xf2, 0x77, 0x48, 0x72, 0xc2}},
		{roundTwo, 30, 19, 25, [6]byte{0x62, 0x22, 0x0f, 0x40, 0x72, 0xcb}},
		{roundOne, 0, 2, 0, [6]byte{0x62, 0xf2, 0x7e, 0x48, 0x72, 0xc2}},
		{roundOne, 0, 9, 8, [6]byte{0x62, 0x52, 0x7e, 0x48, 0x72, 0xc1}},
		{roundOne, 0, 27, 17, [6]byte{0x62, 0x82, 0x7e, 0x48, 0x72, 0xcb}},
	} {
		if got := known.instruction.encode(known.x, known.y, known.to); got != known.code {
			t.Errorf("%s is % x, want % x", known.instruction.text(known.x, known.y, known.to), got, known.code)
		}
	}
}

// TestWrittenBF16 decodes the instructions of the committed assembly and
// compares them with the comments before them.
func TestWrittenBF16(t *testing.T) {
	files, err := filepath.Glob("../../backends/cpu/kernel/*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		comment := ""
		var code [6]byte
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var long uint32
			var word uint16
			if text, ok := strings.CutPrefix(lines.Text(), "\t// V"); ok {
				comment = "V" + text
			} else if n, _ := fmt.Sscanf(lines.Text(), "\tLONG $%v", &long); n == 1 {
				binary.LittleEndian.PutUint32(code[:], long)
			} else if n, _ := fmt.Sscanf(lines.Text(), "\tWORD $%v", &word); n == 1 {
				binary.LittleEndian.PutUint16(code[4:], word)
				if got := decodeBF16(code); got != comment {
					t.Errorf("%s: % x is decoded as %q, the comment says %q", name, code, got, comment)
				}
				found++
				comment = ""
			}
		}
	}
	if found == 0 {
		t.Error("no instruction was found")
	}
}
