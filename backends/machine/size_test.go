package machine

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"8GiB": 8 << 30, "1.5 gib": 3 << 29, "500MB": 500e6, "2g": 2 << 30, "64K": 64 << 10, "10 kb": 10000, "7B": 7, "1t": 1 << 40} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s is %d, %v", text, n, err)
		}
	}
	for _, bad := range []string{"", "8", "GiB", "-1GiB", "0MB", "NaNGiB", "infB", "1e30GiB", "8XB", "8 GiB of it"} {
		if n, err := ParseSize(bad); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
	for bytes, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.00 KiB", 3 << 29: "1.50 GiB", 1023 << 20: "1023 MiB", 100 << 30: "100 GiB", 1 << 62: "4194304 TiB"} {
		if got := Size(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}
