package drivertest

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fieldShape is what was seen of one field in answers of one endpoint.
type fieldShape struct {
	parents int            // how often the object was there that the field is of
	seen    int            // how often the field was
	types   map[string]int // and in which type
	words   map[string]int // values that look like words of a code; nil: too many, or others were among them
	texts   int            // how many values were texts
}

// answersShape is what was seen of an endpoint's answers: fields by path, "data[].guest.name". The names of objects that are keyed by id are "*".
type answersShape struct {
	answers int
	fields  map[string]*fieldShape
	objects map[string]int
}

func newShape() *answersShape {
	return &answersShape{fields: map[string]*fieldShape{}, objects: map[string]int{}}
}

// maxWords is how many values a code has at most.
const maxWords = 20

var (
	codeWord = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,39}$`)
	isID     = regexp.MustCompile(`^(?:[0-9]+|[0-9a-fA-F]{8,}|[0-9a-fA-F-]{32,}|.*[0-9].{4,}[0-9].*)$`)
)

// add looks at one answer's body. What is neither JSON nor XML has no fields.
func (a *answersShape) add(body []byte) {
	a.answers++
	d, ok := readDocument(body)
	if !ok {
		return
	}
	a.walk("", d.root)
	for path, f := range a.fields {
		f.parents = a.objects[parent(path)]
	}
}

// parent is the path of the object that a field is of.
func parent(path string) string {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return ""
	}
	return path[:i]
}

func (a *answersShape) walk(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		a.objects[path]++
		for name, x := range v {
			if isID.MatchString(name) {
				name = "*"
			}
			a.field(join(path, name), x)
		}
	case []any:
		for _, x := range v {
			if path == "" {
				a.walk("[]", x)
			} else {
				a.walk(path+"[]", x)
			}
		}
	case *xmlNode:
		a.objects[path]++
		for _, at := range v.start.Attr {
			a.field(join(path, "@"+qualified(at.Name)), at.Value)
		}
		first := map[string]bool{}
		for _, c := range v.children {
			e, ok := c.(*xmlNode)
			if !ok {
				continue
			}
			name := join(path, qualified(e.start.Name))
			if text, ok := e.leaf(); ok {
				a.value(name, text, !first[name])
			} else {
				a.value(name, e, !first[name])
			}
			a.walk(name, e)
			first[name] = true
		}
	}
}

// leaf is the text of an element that holds no other.
func (e *xmlNode) leaf() (string, bool) {
	if len(e.children) > 1 {
		return "", false
	}
	if len(e.children) == 0 {
		return "", true
	}
	s, ok := e.children[0].(string)
	return s, ok
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (a *answersShape) field(path string, v any) {
	a.value(path, v, true)
	a.walk(path, v)
}

// value notes one value of a field, counted as one that is there if first.
func (a *answersShape) value(path string, v any, first bool) {
	f := a.fields[path]
	if f == nil {
		f = &fieldShape{types: map[string]int{}, words: map[string]int{}}
		a.fields[path] = f
	}
	if first {
		f.seen++
	}
	f.types[typeOf(v)]++
	if list, ok := v.([]any); ok { // a list of codes
		for _, x := range list {
			if s, ok := x.(string); ok {
				f.word(s)
			}
		}
		return
	}
	if s, ok := v.(string); ok {
		f.word(s)
	}
}

func (f *fieldShape) word(s string) {
	f.texts++
	if f.words == nil || s == "" {
		return
	}
	if !codeWord.MatchString(s) || strings.HasPrefix(s, "REDACTED") {
		f.words = nil
		return
	}
	if f.words[s]++; len(f.words) > maxWords {
		f.words = nil
	}
}

// code reports whether the field seems to hold words of a code: the same few come again.
func (f *fieldShape) code() bool {
	return len(f.words) > 0 && f.texts >= 2*len(f.words)
}

// typeOf is a value's type: object, array, number, boolean, null, or of texts date, instant, empty or string.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case string:
		if v == "" {
			return "empty"
		}
		if _, err := time.Parse(time.DateOnly, v); err == nil {
			return "date"
		}
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return "instant"
		}
		return "string"
	}
	return "object"
}

// known are the types of a field as text, without those that say nothing.
func (f *fieldShape) known() []string {
	types := slices.Sorted(maps.Keys(f.types))
	return slices.DeleteFunc(types, func(t string) bool { return t == "empty" })
}

// kinds are the types as text, of a field that is new.
func (f *fieldShape) kinds() string {
	return strings.Join(slices.Sorted(maps.Keys(f.types)), " or ")
}

// often says how often a field was there, for people.
func (f *fieldShape) often() string {
	switch {
	case f.seen == 0:
		return "never"
	case f.seen >= f.parents:
		return "always"
	}
	return "in " + strconv.Itoa(f.seen) + " of " + strconv.Itoa(f.parents)
}

// share is how often a field was there, from 0 to 1.
func (f *fieldShape) share() float64 {
	if f.parents == 0 {
		return 0
	}
	return math.Min(float64(f.seen)/float64(f.parents), 1)
}
