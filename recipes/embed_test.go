package recipes

import (
	"sort"
	"strings"
	"testing"
)

// Every name opens, begins with the language's version, and the list is sorted as its comment promises.
func TestNamesOpen(t *testing.T) {
	names := Names()
	if !sort.StringsAreSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
	found := false
	for _, name := range names {
		found = found || name == "tiny"
		text, err := FS.ReadFile(name + ".forge")
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(string(text), "forge 1\n") {
			t.Errorf("%s does not begin with `forge 1`", name)
		}
	}
	if !found {
		t.Errorf("no `tiny` among %v", names)
	}
}
