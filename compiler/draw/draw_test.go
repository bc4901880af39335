package draw

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forge/dsl/check"
	"forge/recipes"
)

var update = flag.Bool("update", false, "rewrite the expected pictures")

func load(t *testing.T, name string) (*Picture, *check.Recipe) {
	t.Helper()
	r, found := check.Load(check.FS{FS: recipes.FS}, name, nil)
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return Model(r, r.Stages[0]), r
}

func shipped(name string) (string, bool) {
	return check.Sources(check.FS{FS: recipes.FS}, nil)(name)
}

// The text of tiny's picture is kept; tools that draw dot and Mermaid are not needed to see what changed.
func TestGolden(t *testing.T) {
	p, _ := load(t, "tiny")
	for name, write := range map[string]func(io.Writer) error{"tiny.dot": p.Dot, "tiny.mmd": p.Mermaid} {
		var got strings.Builder
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		file := "testdata/" + name
		if *update {
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// Every shipped recipe is drawn: the parameters in its boxes add up, nothing overlaps, arrows lead down, the drawing is XML and the page
// asks the network for nothing.
func TestEveryRecipe(t *testing.T) {
	for _, name := range []string{"tiny", "tiny_gqa", "deepseek_v3", "ideas/looped", "ideas/differential_attention", "ideas/qk_norm", "ideas/sliding_window"} {
		t.Run(name, func(t *testing.T) {
			p, r := load(t, name)
			n := r.Stages[0].Model.Count()
			sum := int64(0)
			for _, b := range p.Root.Boxes {
				sum += b.Params
			}
			if want := n.Params + n.MTP; sum != want {
				t.Errorf("the boxes hold %d parameters, the model %d", sum, want)
			}
			apart(t, layout(p.Root))
			var svg, page strings.Builder
			if err := p.SVG(&svg); err != nil {
				t.Fatal(err)
			}
			if err := p.HTML(&page, shipped); err != nil {
				t.Fatal(err)
			}
			d := xml.NewDecoder(strings.NewReader(svg.String()))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//`).FindAllString(page.String(), -1) {
				t.Errorf("the page asks for %s", m)
			}
			ids := map[string]bool{}
			for _, m := range regexp.MustCompile(`<section data-id="([^"]+)"`).FindAllStringSubmatch(page.String(), -1) {
				ids[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`<a href="#([^"]+)"`).FindAllStringSubmatch(page.String(), -1) {
				if !ids[m[1]] {
					t.Errorf("a link to %s, which is not there", m[1])
				}
			}
			if strings.Contains(page.String(), "{{") {
				t.Error("a place of the page is not filled")
			}
		})
	}
}

// apart checks the boxes of each level against each other, and against the box around them.
func apart(t *testing.T, p *placed) {
	t.Helper()
	for i, a := range p.boxes {
		if a.x < 0 || a.y < 0 || a.x+a.w > p.w+0.01 || a.y+a.h > p.h+0.01 {
			t.Errorf("%q sticks out of %q", a.box.Title, p.box.Title)
		}
		for _, b := range p.boxes[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("%q lies on %q", a.box.Title, b.box.Title)
			}
		}
		apart(t, a)
	}
	for i, way := range p.ways {
		for k := 1; k < len(way); k++ {
			if way[k].y < way[k-1].y {
				t.Errorf("arrow %d of %q leads up", i, p.box.Title)
			}
		}
	}
}

// Layers that are the same are one box, and a block that was drawn with its inside is not drawn again.
func TestFolding(t *testing.T) {
	p, _ := load(t, "deepseek_v3")
	var got []string
	for _, b := range p.Root.Boxes {
		got = append(got, b.heading())
	}
	want := []string{"tokens", "embed", "layers 0…2 ×3", "layers 3…60 ×58", "norm", "head", "logits", "mtp", "head", "logits of later tokens"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var svg strings.Builder
	if err := p.SVG(&svg); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"bank ×256", "as in layers 3…60", "[batch, seq, dim=7168]", `href="recipes/deepseek_v3.forge#L15"`, "671B parameters"} {
		if !strings.Contains(svg.String(), text) {
			t.Errorf("no %q", text)
		}
	}
}
