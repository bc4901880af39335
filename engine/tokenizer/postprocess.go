package tokenizer

import (
	"encoding/json"
	"slices"
)

// template is what a post-processor puts around the tokens of a text.
type template struct{ before, after []int32 }

const knownPostProcessors = "ByteLevel, TemplateProcessing, Sequence"

func newTemplate(c component) (template, error) {
	if c.absent() {
		return template{}, nil
	}
	kind, err := c.kind()
	if err != nil {
		return template{}, err
	}
	switch kind {
	case "ByteLevel": // changes offsets only
		return template{}, c.fields(&byteLevelFields{})
	case "Sequence":
		var f struct {
			Type       string
			Processors []json.RawMessage
		}
		if err := c.fields(&f); err != nil {
			return template{}, err
		}
		var all template
		for i, raw := range f.Processors {
			t, err := newTemplate(c.item("processors", i, raw))
			if err != nil {
				return template{}, err
			}
			all.before = append(slices.Clone(t.before), all.before...)
			all.after = append(all.after, t.after...)
		}
		return all, nil
	case "TemplateProcessing":
		type reference struct {
			ID     string
			TypeID int `json:"type_id"`
		}
		type item struct {
			SpecialToken *reference
			Sequence     *reference
		}
		var f struct {
			Type          string
			Single, Pair  []item
			SpecialTokens map[string]struct {
				ID     string
				IDs    []int32
				Tokens []string
			} `json:"special_tokens"`
		}
		if err := c.fields(&f); err != nil {
			return template{}, err
		}
		var t template
		seen := false
		for i, x := range f.Single {
			switch {
			case x.Sequence != nil && x.SpecialToken == nil && !seen:
				seen = true
			case x.SpecialToken != nil && x.Sequence == nil:
				s, known := f.SpecialTokens[x.SpecialToken.ID]
				if !known {
					return template{}, c.errorf("single[%d] is the special token %q, which special_tokens lacks", i, x.SpecialToken.ID)
				}
				if seen {
					t.after = append(t.after, s.IDs...)
				} else {
					t.before = append(t.before, s.IDs...)
				}
			default:
				return template{}, c.errorf("single[%d] is neither a special token nor the one sequence", i)
			}
		}
		if !seen {
			return template{}, c.errorf("single has no sequence")
		}
		return t, nil
	}
	return template{}, c.unknown(kind, knownPostProcessors)
}
