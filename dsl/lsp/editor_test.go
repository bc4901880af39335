package lsp

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test's binary a language server when an editor starts it as one.
func TestMain(m *testing.M) {
	if cache := os.Getenv("FORGE_TEST_LSP"); cache != "" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout, Options{Version: "test", Cache: cache}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestNeovim drives a real editor, without a screen: testdata/neovim.lua opens a recipe, waits for its errors, asks and edits.
func TestNeovim(t *testing.T) {
	editor, err := exec.LookPath("nvim")
	if err != nil {
		t.Skip("there is no nvim on this machine: apt-get install neovim")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/neovim.lua")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"tiny.forge": tiny(t), "mine.forge": mine} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, editor, "--headless", "--clean", "-n", "-c", "luafile "+script)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "FORGE_TEST_LSP="+filepath.Join(folder, "cache"), "FORGE_TEST_BINARY="+binary,
		"HOME="+folder, "XDG_CACHE_HOME="+folder, "XDG_STATE_HOME="+folder, "XDG_DATA_HOME="+folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"diagnostics", "hover", "definition", "completion", "quick fix", "rename", "format"} {
		if !strings.Contains(string(out), "ok "+want) {
			t.Errorf("no `ok %s` in\n%s", want, out)
		}
	}
}
