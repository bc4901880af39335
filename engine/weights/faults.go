package weights

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a checkpoint. Code is one of E600 and E605 to E609 (`forge explain`); File is where, "" for the
// whole.
type Fault struct {
	Code string `json:"code"`
	File string `json:"file,omitempty"`
	Text string `json:"message"`
}

func (f Fault) String() string {
	if f.File == "" {
		return fmt.Sprintf("error[%s]: %s", f.Code, f.Text)
	}
	return fmt.Sprintf("error[%s]: %s: %s", f.Code, f.File, f.Text)
}

// Faults is everything that is wrong with a checkpoint folder.
type Faults struct {
	Path string
	List []Fault
}

// mostFaults is how many faults of one code a message spells out: a checkpoint of another model has tens of thousands.
const mostFaults = 100

func (f *Faults) Error() string {
	var b strings.Builder
	noun := "faults"
	if len(f.List) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(&b, "the checkpoint %s has %d %s:", f.Path, len(f.List), noun)
	said := map[string]int{}
	var codes []string
	for _, fault := range f.List {
		if said[fault.Code]++; said[fault.Code] == 1 {
			codes = append(codes, fault.Code)
		}
		if said[fault.Code] <= mostFaults {
			fmt.Fprintf(&b, "\n  %s", fault)
		}
	}
	for _, code := range codes {
		if more := said[code] - mostFaults; more > 0 {
			fmt.Fprintf(&b, "\n  … and %d more error[%s]", more, code)
		}
	}
	return b.String()
}

func (f *Faults) add(code, file, format string, args ...any) {
	f.List = append(f.List, Fault{code, file, fmt.Sprintf(format, args...)})
}

// err is f, or nil if nothing is wrong.
func (f *Faults) err() error {
	if len(f.List) == 0 {
		return nil
	}
	return f
}
