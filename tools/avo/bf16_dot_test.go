package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// decodeDotBF16 reads an instruction as a processor does and gives its
// assembler text, "" if it is not the dot product.
func decodeDotBF16(code [6]byte) string {
	if code[0] != 0x62 || code[1]&0b1111 != 0b0010 || code[2]&0b10000111 != 0b110 || code[3]&0b11110111 != 0b01000000 ||
		code[4] != 0x52 || code[5]>>6 != 0b11 {
		return ""
	}
	p0, p1, p2, operands := int(^code[1]), int(^code[2]), int(^code[3]), int(code[5])
	sum := operands>>3&7 | p0>>7&1<<3 | p0>>4&1<<4
	y := operands&7 | p0>>5&1<<3 | p0>>6&1<<4
	x := p1>>3&15 | p2>>3&1<<4
	return fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, sum)
}

// TestEncodeDotBF16: every choice of registers is decoded to itself, and the
// encodings that an assembler gave (GNU as 2.40) are met.
func TestEncodeDotBF16(t *testing.T) {
	for x := range 32 {
		for y := range 32 {
			for sum := range 32 {
				want := fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, sum)
				if got := decodeDotBF16(encodeDotBF16(x, y, sum)); got != want {
					t.Fatalf("% x is decoded as %q, want %q", encodeDotBF16(x, y, sum), got, want)
				}
			}
		}
	}
	for _, known := range []struct {
		x, y, sum int
		code      [6]byte
	}{
		{1, 2, 0, [6]byte{0x62, 0xf2, 0x76, 0x48, 0x52, 0xc2}},
		{12, 12, 11, [6]byte{0x62, 0x52, 0x1e, 0x48, 0x52, 0xdc}},
		{30, 19, 25, [6]byte{0x62, 0x22, 0x0e, 0x40, 0x52, 0xcb}},
		{17, 9, 8, [6]byte{0x62, 0x52, 0x76, 0x40, 0x52, 0xc1}},
	} {
		if got := encodeDotBF16(known.x, known.y, known.sum); got != known.code {
			t.Errorf("Z%d, Z%d, Z%d is % x, want % x", known.y, known.x, known.sum, got, known.code)
		}
	}
}

// TestWrittenDotBF16 decodes the instructions of the committed assembly and
// compares them with the comments before them.
func TestWrittenDotBF16(t *testing.T) {
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
			var y, x, sum int
			var long uint32
			var word uint16
			if n, _ := fmt.Sscanf(lines.Text(), "\t// VDPBF16PS Z%d, Z%d, Z%d", &y, &x, &sum); n == 3 {
				comment = fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, sum)
			} else if n, _ := fmt.Sscanf(lines.Text(), "\tLONG $%v", &long); n == 1 {
				binary.LittleEndian.PutUint32(code[:], long)
			} else if n, _ := fmt.Sscanf(lines.Text(), "\tWORD $%v", &word); n == 1 {
				binary.LittleEndian.PutUint16(code[4:], word)
				if got := decodeDotBF16(code); got != comment {
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
