package dsl

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// numberForm takes a number apart: digits, fraction, exponent, and what is glued to it.
var numberForm = regexp.MustCompile(`^([0-9][0-9_]*)(\.[0-9][0-9_]*)?([eE][+\-]?[0-9]+)?([A-Za-z0-9_]*)$`)

// suffixes multiply: powers of 1000 and of 1024.
var suffixes = map[string]int64{
	"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// Units are the names that may stand after a number.
var Units = []string{"tokens", "steps", "seqs", "epochs", "seconds", "minutes", "hours"}

// numberFault says what is wrong with a number: a headline and, for the caret, what to write.
type numberFault struct{ message, label string }

// readNumber gives the value of a number as written, without its unit. A number is whole if it is written without fraction
// and exponent, or if it has a suffix or a unit and comes out whole: `128`, `14.8T`, `1e3 steps`; but not `1.0`.
func readNumber(raw, unit string) (n Number, fault *numberFault) {
	n = Number{Raw: raw, Unit: unit}
	part := numberForm.FindStringSubmatch(raw)
	if part == nil {
		return n, &numberFault{"this number is malformed", ""}
	}
	digits, fraction, exponent, suffix := part[1], part[2], part[3], part[4]
	factor, known := suffixes[suffix]
	if !known {
		return n, gluedFault(raw, strings.TrimSuffix(raw, suffix), suffix)
	}
	for _, group := range []string{digits, strings.TrimPrefix(fraction, ".")} {
		if strings.HasSuffix(group, "_") || strings.Contains(group, "__") {
			return n, &numberFault{"this number is malformed", "a `_` stands between digits"}
		}
	}
	plain := strings.ReplaceAll(digits+fraction, "_", "") + exponent
	value, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return n, &numberFault{"this number is too large", "at most 1.8e308"}
	}
	n.Value = value * float64(factor)
	if fraction+exponent != "" && suffix == "" && unit == "" {
		return n, nil
	}
	// Beyond this size no exact value fits anyway, and an exponent of a billion must not be written out.
	if value > 1e20 || value != 0 && value < 1e-20 || len(plain) > 400 {
		if fraction+exponent == "" || value > 1e20 {
			return n, tooLarge
		}
		return n, nil
	}
	exact, ok := new(big.Rat).SetString(plain)
	if !ok {
		return n, &numberFault{"this number is malformed", ""}
	}
	exact.Mul(exact, new(big.Rat).SetInt64(factor))
	if !exact.IsInt() {
		return n, nil
	}
	if !exact.Num().IsInt64() {
		return n, tooLarge
	}
	n.Whole, n.Int = true, exact.Num().Int64()
	n.Value = float64(n.Int)
	return n, nil
}

var tooLarge = &numberFault{"this whole number is too large", "at most 9223372036854775807"}

// gluedFault explains letters after a number: a unit without a blank, a suffix of another case, or nonsense.
func gluedFault(raw, number, glued string) *numberFault {
	for suffix := range suffixes {
		unit, found := strings.CutPrefix(glued, suffix)
		for _, known := range Units {
			if found && unit == known {
				return &numberFault{"the unit is glued to the number: `" + raw + "`", "write `" + number + suffix + " " + unit + "`"}
			}
		}
	}
	for suffix := range suffixes {
		if strings.EqualFold(suffix, glued) {
			return &numberFault{"`" + glued + "` is not a suffix of numbers", "did you mean `" + number + suffix + "`?"}
		}
	}
	return &numberFault{"`" + raw + "` is not a number", "suffixes are k, M, B, T and Ki, Mi, Gi, Ti"}
}
