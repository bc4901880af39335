package bench

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseShape(t *testing.T) {
	if s, err := ParseShape("1x8192x2048"); err != nil || s != (Shape{1, 8192, 2048}) {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"", "12x", "1x2", "0x1x1", "1x2x3x4", "-1x2x3", "axbxc", "1x2x3 4", "99999x99999x99999"} {
		if s, err := ParseShape(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}

// TestKernels: each figure is there once, as a positive number, for one thread and for all.
func TestKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MiB")
	}
	figures, err := Kernels(context.Background(), 2, []Shape{{32, 32, 32}, {1, 64, 32}}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range figures {
		if seen[f.Key] {
			t.Errorf("%s twice", f.Key)
		}
		seen[f.Key] = true
		if !(f.Value >= 0) {
			t.Errorf("%s is %g", f.Key, f.Value)
		}
	}
	for _, key := range []string{"fp32_1t_gflops", "fp32_2t_gflops", "read_2t_gbs", "f32_32_1t_gflops", "f32_32_gflops", "f32_32_share",
		"f32_1x64x32_gbs", "attention_1024_gflops", "rms_norm_1t_gbs"} {
		if !seen[key] {
			t.Errorf("%s is missing", key)
		}
	}
}

// TestReportKeys fixes the names that others read.
func TestReportKeys(t *testing.T) {
	text, err := json.Marshal(Report{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"recipe":"","device":"","threads":0,"precision":"","params":0,"active_params":0,"train_tok_s":null,"train_mfu":null,` +
		`"prefill_tok_s":null,"decode_tok_s":null,"decode_b8_tok_s":null,"decode_bandwidth_share":null,"peak_rss_mib":0,"compile_ms":0,"git":""}`
	if got := strings.TrimSpace(string(text)); got != want {
		t.Errorf("%s", got)
	}
}
