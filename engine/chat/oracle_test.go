package chat

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// knownDifferences are errors of the oracle where gonja gives a text.
var knownDifferences = map[string]string{
	"Cannot perform operation on null values": "gonja adds null to a text as nothing, and has no way to forbid it",
}

// TestOracle compares with Hugging Face's Jinja: DeepSeek-V3's own template, R1's, which is V3's with two changes, those of testdata,
// and those in the folder templates of FORGE_ORACLE, if there is one.
func TestOracle(t *testing.T) {
	folder := os.Getenv("FORGE_ORACLE")
	if folder == "" {
		t.Skip("FORGE_ORACLE is not set: `tools/oracle/install FOLDER` installs Hugging Face's Jinja there, to compare with")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := templates(t, "testdata")
	maps.Copy(all, templates(t, filepath.Join(folder, "templates")))
	path := filepath.Join(folder, "node_modules", "@lenml", "tokenizer-deepseek_v3", "models", "tokenizer_config.json")
	v3, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	all["DeepSeek-V3"] = v3.source
	r1 := strings.NewReplacer(
		`{{'<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}`,
		`{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}`,
		`{{'<｜Assistant｜>'}}{% endif %}`, `{{'<｜Assistant｜><think>\n'}}{% endif %}`,
	).Replace(v3.source)
	if strings.Count(r1, "think>") != 3 {
		t.Fatal("V3's template is not what it was")
	}
	all["DeepSeek-R1"] = r1

	type job struct {
		Template  string         `json:"template"`
		Variables map[string]any `json:"variables"`
	}
	var jobs []job
	var names []string
	var inputs []Input
	for name, source := range all {
		for _, c := range conversations {
			var variables map[string]any
			if err := json.Unmarshal([]byte(c), &variables); err != nil {
				t.Fatal(err)
			}
			variables["bos_token"], variables["eos_token"] = special["bos_token"], special["eos_token"]
			// Fields in their order, which Go's maps lack.
			var raw map[string]json.RawMessage
			if err := json.Unmarshal([]byte(c), &raw); err != nil {
				t.Fatal(err)
			}
			for k, v := range raw {
				variables[k] = v
			}
			if variables["add_generation_prompt"] == nil {
				variables["add_generation_prompt"] = false
			}
			jobs, names, inputs = append(jobs, job{source, variables}), append(names, name), append(inputs, input(t, c))
		}
	}
	in, out := filepath.Join(t.TempDir(), "jobs.json"), filepath.Join(t.TempDir(), "answers.json")
	data, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("..", "..", "tools", "oracle", "render.cjs"), in, out)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(folder, "node_modules"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var answers []struct{ Text, Error string }
	if data, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &answers); err != nil {
		t.Fatal(err)
	}
	alike := map[string]int{}
	for i, a := range answers {
		template, err := Parse(names[i], jobs[i].Template, special)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		got, err := template.Render(inputs[i])
		if reason, known := knownDifferences[a.Error]; known {
			t.Logf("%s, conversation %d: not compared: %s", names[i], i%len(conversations)+1, reason)
			continue
		}
		if got != a.Text || (err != nil) != (a.Error != "") {
			t.Errorf("%s, conversation %d: %v; the oracle: %s\n got %q\nwant %q", names[i], i%len(conversations)+1, err, a.Error, got, a.Text)
			continue
		}
		alike[names[i]]++
	}
	for name := range all {
		t.Logf("%s: %d of %d conversations alike", name, alike[name], len(conversations))
	}
}
