package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"forge/dsl/lsp"
)

func newLSPCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lsp",
		Short: "The language server: editors start it and speak to it on stdio",
		Long: `lsp speaks the Language Server Protocol on standard input and output: errors as one types, what a value is and where it comes
from, completion, definitions, renaming, formatting. The folder editors/ of the source tree has files for VS Code, Vim and Neovim.`,
		Example: `  :lua vim.lsp.start({ name = "forge", cmd = { "forge", "lsp" } })     in Neovim`,
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := os.UserCacheDir()
			if err != nil {
				cache = os.TempDir()
			}
			version := readVersion().Version
			a.stdout.live = true
			return lsp.Serve(cmd.Context(), a.stdin, a.stdout, lsp.Options{
				Version: version,
				Cache:   filepath.Join(cache, "forge", "source"),
				Explain: explainMarkdown,
			})
		},
	}
}

// explainMarkdown is the page of an error for an editor, "" if there is none.
func explainMarkdown(code string) string {
	for _, p := range pages() {
		if p.Code == code {
			return fmt.Sprintf("**%s: %s**\n\n%s\n\nThe cure: %s", p.Code, p.Title, strings.TrimSpace(p.Meaning), strings.TrimSpace(p.Cure))
		}
	}
	return ""
}
