// Command avo writes the AVX2 and AVX-512 assembly of package kernel.
//
// One run writes one family of routines: an assembly file (-out) and the Go
// file that declares its functions (-stubs). The go:generate lines in
// backends/cpu/kernel/level_amd64.go hold the commands, and
// tools/check-generated fails when the committed files differ from what the
// generator writes.
package main

import (
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

// families maps the name given by -family to the function that emits it.
var families = map[string]func(){
	"gemm":   gemmFamily,
	"pack":   packFamily,
	"peak":   peakFamily,
	"rows":   rowsFamily,
	"spin":   spinFamily,
	"strip":  stripFamily,
	"tile":   tileFamily,
	"vector": vectorFamily,
	"weight": weightFamily,
	"widen":  widenFamily,
}

func main() {
	family := flag.String("family", "", "which routines to write: "+strings.Join(familyNames(), ", "))
	flag.Parse()
	emit, ok := families[*family]
	if !ok {
		fmt.Fprintf(os.Stderr, "avo: unknown family %q; known: %s\n", *family, strings.Join(familyNames(), ", "))
		os.Exit(2)
	}
	ConstraintExpr("amd64")
	emit()
	Generate()
}

func familyNames() []string {
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
