package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// explainText holds every page, in the form that its head describes.
//
//go:embed explain.txt
var explainText string

// page is what there is to say about a code.
type page struct {
	Code    string `json:"code"`
	Title   string `json:"title"`
	Meaning string `json:"meaning"`
	Wrong   string `json:"wrong,omitempty"` // a recipe file with this fault
	Cure    string `json:"cure"`
}

func newExplainCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "explain CODE",
		Short:   "What an error means: a wrong file and the cure",
		Example: "  forge explain E204",
		Args:    arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listPages(a)
			}
			return runExplain(a, args[0])
		},
	}
}

func runExplain(a *app, code string) error {
	code = strings.ToUpper(strings.Trim(code, "[]"))
	for _, p := range pages() {
		if p.Code != code {
			continue
		}
		if a.json {
			return a.printJSON(p)
		}
		a.printf("%s: %s\n\n%s\n", p.Code, p.Title, p.Meaning)
		if p.Wrong != "" {
			a.printf("\nFor example, this is wrong:\n\n    %s\n", strings.ReplaceAll(p.Wrong, "\n", "\n    "))
		}
		a.printf("\nThe cure: %s\n", p.Cure)
		return nil
	}
	if !regexp.MustCompile(`^[EW][0-9]{3}$`).MatchString(code) {
		return usagef("a code is E or W and three digits, such as E204, not %q; `forge explain` lists all", code)
	}
	return usagef("no error has the code %s; `forge explain` lists all", code)
}

// listPages prints every code with its title.
func listPages(a *app) error {
	if a.json {
		return a.printJSON(pages())
	}
	for _, p := range pages() {
		a.printf("%s  %s\n", p.Code, p.Title)
	}
	return nil
}

// pages reads the embedded text. Its form is fixed by a test, so a page that does not fit is a fault of this binary.
func pages() []page {
	var list []page
	for _, text := range strings.Split(explainText, "\n=== ")[1:] {
		heading, body, _ := strings.Cut(text, "\n")
		code, title, _ := strings.Cut(heading, " ")
		body, cure, found := strings.Cut(body, "--- cure\n")
		if !found {
			panic(fmt.Sprintf("explain.txt: %s has no cure", code))
		}
		meaning, wrong, _ := strings.Cut(body, "--- wrong\n")
		list = append(list, page{
			Code: code, Title: title, Meaning: strings.TrimSpace(meaning), Wrong: strings.TrimSpace(wrong), Cure: strings.TrimSpace(cure),
		})
	}
	return list
}
