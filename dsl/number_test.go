package dsl

import "testing"

func TestReadNumber(t *testing.T) {
	for _, test := range []struct {
		raw, unit string
		value     float64
		whole     bool
		n         int64
	}{
		{"0", "", 0, true, 0},
		{"128", "", 128, true, 128},
		{"129_280", "", 129280, true, 129280},
		{"2k", "", 2000, true, 2000},
		{"4Ki", "", 4096, true, 4096},
		{"14.8T", "tokens", 14.8e12, true, 14_800_000_000_000},
		{"333B", "tokens", 333e9, true, 333_000_000_000},
		{"0.5k", "", 500, true, 500},
		{"1e3", "steps", 1000, true, 1000},
		{"2.5", "steps", 2.5, false, 0},
		{"1e3", "", 1000, false, 0},
		{"1.0", "", 1, false, 0},
		{"2.2e-4", "", 2.2e-4, false, 0},
		{"1e-300", "steps", 1e-300, false, 0},
		{"0.0000000000000000000000001", "k", 1e-25, false, 0},
		{"1.5Ti", "", 1.5 * (1 << 40), true, 1649267441664},
		{"9223372036854775807", "", 9223372036854775807, true, 9223372036854775807},
	} {
		n, fault := readNumber(test.raw, test.unit)
		if fault != nil {
			t.Errorf("%s: %s", test.raw, fault.message)
			continue
		}
		if n.Value != test.value || n.Whole != test.whole || n.Int != test.n || n.Unit != test.unit || n.Raw != test.raw {
			t.Errorf("%s %s: %+v", test.raw, test.unit, n)
		}
	}
	for _, raw := range []string{"1e999999999", "1e999999999T", "9223372036854775808", "9e18T", "3G", "1_", "1__2", "1._5", "0x10", "2e5k9"} {
		if n, fault := readNumber(raw, "steps"); fault == nil {
			t.Errorf("%s: %+v, want a fault", raw, n)
		}
	}
}
