package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// message is a message as templates see it.
func (r *rendering) message(m Message) (any, error) {
	if m.raw != nil {
		return r.value(m.raw)
	}
	return map[string]any{"role": m.Role, "content": m.Content}, nil
}

// value reads JSON and remembers the order of fields.
func (r *rendering) value(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := r.decode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after the end of the JSON")
	}
	return v, nil
}

func (r *rendering) decode(d *json.Decoder, depth int) (any, error) {
	if depth > 200 {
		return nil, errors.New("JSON more than 200 deep")
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := r.decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		object := map[string]any{}
		var order []string
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := r.decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			name := key.(string) // the decoder allows no other key
			if _, twice := object[name]; !twice {
				order = append(order, name)
			}
			object[name] = v
		}
		r.order[reflect.ValueOf(object).Pointer()] = order
		_, err := d.Token()
		return object, err
	case json.Number:
		if n, err := strconv.Atoi(t.String()); err == nil {
			return n, nil
		}
		return t.Float64()
	}
	return token, nil
}

// keys are the fields of an object in their order; those set later and those of other maps follow by name.
func (r *rendering) keys(object map[string]any) []string {
	var keys, rest []string
	known := map[string]bool{}
	for _, k := range r.order[reflect.ValueOf(object).Pointer()] {
		if _, exists := object[k]; exists {
			keys = append(keys, k)
			known[k] = true
		}
	}
	for k := range object {
		if !known[k] {
			rest = append(rest, k)
		}
	}
	sort.Strings(rest)
	return append(keys, rest...)
}

// dictMethods are gonja's, but for those that depend on the order of fields.
func (r *rendering) dictMethods() *exec.MethodSet[map[string]any] {
	methods := map[string]exec.Method[map[string]any]{}
	for _, name := range []string{"get", "pop", "setdefault", "update", "copy", "clear"} {
		methods[name], _ = builtins.Methods.Dict.Get(name)
	}
	each := func(item func(object map[string]any, key string) any) exec.Method[map[string]any] {
		return func(self map[string]any, value *exec.Value, arguments *exec.VarArgs) (any, error) {
			if err := arguments.Take(); err != nil {
				return nil, exec.ErrInvalidCall(err)
			}
			if original, isMap := value.Interface().(map[string]any); isMap {
				self = original // gonja's self is a copy, whose order is not known
			}
			out := []any{}
			for _, k := range r.keys(self) {
				out = append(out, item(self, k))
			}
			return out, nil
		}
	}
	methods["keys"] = each(func(_ map[string]any, k string) any { return k })
	methods["values"] = each(func(o map[string]any, k string) any { return o[k] })
	methods["items"] = each(func(o map[string]any, k string) any { return []any{k, o[k]} })
	return exec.NewMethodSet(methods)
}

// items is the filter of that name.
func (r *rendering) items(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	object, isObject := in.Interface().(map[string]any)
	if !isObject {
		return exec.AsValue(errors.New("`items` is for objects"))
	}
	out := []any{}
	for _, k := range r.keys(object) {
		out = append(out, []any{k, object[k]})
	}
	return exec.AsValue(out)
}

// raise lets a template refuse a conversation.
func (r *rendering) raise(_ *exec.Evaluator, params *exec.VarArgs) (*exec.Value, error) {
	if len(params.Args) != 1 {
		return nil, errors.New("raise_exception takes one text")
	}
	r.raised = errors.New(params.Args[0].String())
	return nil, r.raised
}

// timeNow formats the time in the notation of C.
func (r *rendering) timeNow(_ *exec.Evaluator, params *exec.VarArgs) (*exec.Value, error) {
	if len(params.Args) != 1 {
		return nil, errors.New("strftime_now takes one text")
	}
	text, err := formatTime(time.Now(), params.Args[0].String())
	if err != nil {
		return nil, err
	}
	return exec.AsValue(text), nil
}

func formatTime(now time.Time, format string) (string, error) {
	layouts := map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'H': "15", 'I': "03",
		'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05"}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch {
		case i < len(format) && format[i] == '%':
			out.WriteByte('%')
		case i < len(format) && layouts[format[i]] != "":
			out.WriteString(now.Format(layouts[format[i]]))
		default:
			return "", fmt.Errorf("strftime_now does not know the format %q", format)
		}
	}
	return out.String(), nil
}

// toJSON writes JSON as Python does: a space after commas and colons, letters outside ASCII as they are, fields in their order.
func (r *rendering) toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	indent := 0
	for name, v := range params.KwArgs {
		switch {
		case name == "indent" && v.IsInteger():
			indent = v.Integer()
		case name == "indent" && v.IsNil(), name == "ensure_ascii" && v.IsBool() && !v.Bool():
		default:
			return exec.AsValue(fmt.Errorf("tojson does not know %s=%s", name, v))
		}
	}
	if len(params.Args) > 0 || indent < 0 || indent > 16 {
		return exec.AsValue(errors.New("tojson takes only `indent`"))
	}
	var b bytes.Buffer
	if err := r.writeJSON(&b, in, indent, 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(b.String())
}

func (r *rendering) writeJSON(b *bytes.Buffer, value any, indent, depth int) error {
	if depth > 200 {
		return errors.New("a value for tojson that is more than 200 deep")
	}
	line := func(depth int) {
		if indent > 0 {
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(" ", indent*depth))
		}
	}
	separator := ", "
	if indent > 0 {
		separator = ","
	}
	// list writes n items between brackets.
	list := func(open, end byte, n int, item func(i int) error) error {
		b.WriteByte(open)
		for i := range n {
			if i > 0 {
				b.WriteString(separator)
			}
			line(depth + 1)
			if err := item(i); err != nil {
				return err
			}
		}
		if n > 0 {
			line(depth)
		}
		b.WriteByte(end)
		return nil
	}
	switch v := value.(type) {
	case *exec.Value:
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		return r.writeJSON(b, v.Interface(), indent, depth)
	case map[string]any:
		keys := r.keys(v)
		return list('{', '}', len(keys), func(i int) error {
			if err := r.writeJSON(b, keys[i], indent, depth+1); err != nil {
				return err
			}
			b.WriteString(": ")
			return r.writeJSON(b, v[keys[i]], indent, depth+1)
		})
	case *exec.Dict:
		return list('{', '}', len(v.Pairs), func(i int) error {
			if err := r.writeJSON(b, v.Pairs[i].Key.String(), indent, depth+1); err != nil {
				return err
			}
			b.WriteString(": ")
			return r.writeJSON(b, v.Pairs[i].Value, indent, depth+1)
		})
	case []any:
		return list('[', ']', len(v), func(i int) error { return r.writeJSON(b, v[i], indent, depth+1) })
	case exec.ValuesList:
		return list('[', ']', len(v), func(i int) error { return r.writeJSON(b, v[i], indent, depth+1) })
	case nil, bool, string, int, float64:
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the line end
		return nil
	}
	return fmt.Errorf("tojson can't write a %T", value)
}
