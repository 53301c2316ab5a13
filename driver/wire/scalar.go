package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
)

// Scalar returns the text of a JSON string, or the literal of a number or boolean, and whether raw is one of these.
func Scalar(raw json.RawMessage) (string, bool) {
	switch kind(raw) {
	case '"':
		var s string
		return s, json.Unmarshal(raw, &s) == nil
	case '-', 't', 'f':
		raw = bytes.TrimSpace(raw)
		return string(raw), json.Valid(raw)
	}
	return "", false
}

// Text reads a text, of which an empty one is a value.
func (o Object) Text(field string) driver.Opt[string] {
	raw, ok := o.fields[field]
	k := kind(raw)
	switch {
	case !ok:
		return driver.Opt[string]{}
	case k == 'n':
		return driver.Null[string]()
	}
	s, ok := Scalar(raw)
	if !ok {
		o.not(field, "a text")
		return driver.Opt[string]{}
	}
	if k != '"' {
		o.form(field, k, "a text")
	}
	return driver.Some(s)
}

// Word reads a text that means nothing when it is empty, which is then null: a code, a name of something.
func (o Object) Word(field string) driver.Opt[string] { return trimmed(o.Text(field)) }

func trimmed(t driver.Opt[string]) driver.Opt[string] {
	s, ok := t.Get()
	if !ok {
		return t
	}
	if s = strings.TrimSpace(s); s == "" {
		return driver.Null[string]()
	}
	return driver.Some(s)
}

// Ref reads the id of another record.
func (o Object) Ref(field string) driver.Opt[string] { return o.short(field, MaxID, "an id") }

// Zone reads the name of a time zone. Whether it is one that is known here is found out where it is used.
func (o Object) Zone(field string) driver.Opt[string] { return o.short(field, 100, "a time zone") }

func (o Object) short(field string, most int, what string) driver.Opt[string] {
	w := o.Word(field)
	if len(w.Or("")) > most {
		o.beyond(field, "too long for "+what)
		return driver.Opt[string]{}
	}
	return w
}

// First reads the fields in turn with one of o's methods, and returns the first that holds something, else the first
// that came.
func (o Object) First(read func(field string) driver.Opt[string], fields ...string) driver.Opt[string] {
	var found driver.Opt[string]
	for _, f := range fields {
		t := read(f)
		if s, ok := t.Get(); ok && s != "" {
			return t
		}
		if !found.Observed() {
			found = t
		}
	}
	return found
}

// form is a JSON type that a value is expected in.
type form uint8

const (
	formText form = iota
	formNumber
	formBool
)

func (f form) is(k byte) bool {
	switch f {
	case formNumber:
		return k == '-'
	case formBool:
		return k == 't' || k == 'f'
	default:
		return k == '"'
	}
}

// parse reads a scalar with f. What f refuses is an oddity, and so is a scalar of another type than the one expected,
// and an empty text, which is null.
func parse[T any](o Object, field, want string, expect form, f func(string) (T, error)) driver.Opt[T] {
	raw, ok := o.fields[field]
	k := kind(raw)
	switch {
	case !ok:
		return driver.Opt[T]{}
	case k == 'n':
		return driver.Null[T]()
	}
	s, ok := Scalar(raw)
	if s = strings.TrimSpace(s); ok && s == "" {
		if !o.item.loose {
			o.Odd(field, driver.ChangeType, "an empty text in place of "+want)
		}
		return driver.Null[T]()
	}
	var v T
	err := errForm
	if ok {
		v, err = f(s)
	}
	if err != nil {
		o.not(field, want)
		return driver.Opt[T]{}
	}
	if !expect.is(k) {
		o.form(field, k, want)
	}
	return driver.Some(v)
}

// Parse reads a text with f, for what has no method of its own: want names it for people ("a board plan"). What f
// refuses is noted and left out. f's error is not kept.
func Parse[T any](o Object, field, want string, f func(string) (T, error)) driver.Opt[T] {
	return parse(o, field, want, formText, f)
}

var errForm = errors.New("another form")

// Number reads a number.
func (o Object) Number(field string) driver.Opt[float64] {
	return parse(o, field, "a number", formNumber, func(s string) (float64, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return 0, errForm
		}
		return v, nil
	})
}

// Amount reads a number that is not negative, of at most a thousand million: rooms, square metres.
func (o Object) Amount(field string) driver.Opt[float64] {
	n := o.Number(field)
	if v, ok := n.Get(); ok && (v < 0 || v > 1e9) {
		o.beyond(field, "out of range")
		return driver.Opt[float64]{}
	}
	return n
}

// Int reads a whole number of at most a thousand million either way, also as 4.0.
func (o Object) Int(field string) driver.Opt[int] {
	return parse(o, field, "a whole number", formNumber, func(s string) (int, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v != math.Trunc(v) || math.Abs(v) > 1e9 {
			return 0, errForm
		}
		return int(v), nil
	})
}

// Count reads a whole number that is not negative.
func (o Object) Count(field string) driver.Opt[int] {
	n := o.Int(field)
	if v, ok := n.Get(); ok && v < 0 {
		o.beyond(field, "negative")
		return driver.Opt[int]{}
	}
	return n
}

// Degrees reads a latitude (most is 90) or a longitude (180); nil when it is not there.
func (o Object) Degrees(field string, most float64) *float64 {
	v, ok := o.Number(field).Get()
	if !ok {
		return nil
	}
	if math.Abs(v) > most {
		o.beyond(field, "out of range")
		return nil
	}
	return &v
}

// Flag reads a boolean, also as 1 and 0, and as the texts true, false, yes, no, 1 and 0 in any case.
func (o Object) Flag(field string) driver.Opt[bool] {
	return parse(o, field, "a boolean", formBool, func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true", "1", "yes":
			return true, nil
		case "false", "0", "no":
			return false, nil
		}
		return false, errForm
	})
}

// Texts reads an array of texts; one text stands for an array of one, an empty one for an empty array.
func (o Object) Texts(field string) driver.Opt[[]string] {
	raw, ok := o.fields[field]
	switch k := kind(raw); {
	case !ok:
		return driver.Opt[[]string]{}
	case k == 'n':
		return driver.Null[[]string]()
	case k == '"':
		s, _ := Scalar(raw)
		o.form(field, k, "an array")
		if s == "" {
			return driver.Some([]string{})
		}
		return driver.Some([]string{s})
	case k != '[':
		o.not(field, "an array")
		return driver.Opt[[]string]{}
	}
	var l []json.RawMessage
	if json.Unmarshal(raw, &l) != nil {
		o.not(field, "an array")
		return driver.Opt[[]string]{}
	}
	all := make([]string, 0, len(l))
	for _, raw := range l {
		s, ok := Scalar(raw)
		if !ok {
			o.not(field+"[]", "a text")
			continue
		}
		if k := kind(raw); k != '"' {
			o.form(field+"[]", k, "a text")
		}
		all = append(all, s)
	}
	return driver.Some(all)
}

// maxURL is as [driver.Validate] bounds them.
const maxURL = 8192

// URL reads the address of a web page or picture under the first of the fields that holds one. A protocol-relative
// one (//host/…) is https; other schemes than http and https are refused.
func (o Object) URL(fields ...string) driver.Opt[string] {
	return o.First(func(field string) driver.Opt[string] {
		w := o.Word(field)
		s, ok := w.Get()
		if !ok {
			return w
		}
		if strings.HasPrefix(s, "//") {
			s = "https:" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > maxURL {
			o.not(field, "a URL")
			return driver.Opt[string]{}
		}
		return driver.Some(s)
	}, fields...)
}

// Enum reads a code and returns what known has for it in lower case; other, and an oddity, for a code that is not
// there.
func Enum[T any](o Object, field string, known map[string]T, other T) driver.Opt[T] {
	w := o.Word(field)
	s, ok := w.Get()
	if !ok {
		if w.IsNull() {
			return driver.Null[T]()
		}
		return driver.Opt[T]{}
	}
	v, ok := known[strings.ToLower(s)]
	if !ok {
		o.Odd(field, driver.ChangeValue, "a value that is not known")
		v = other
	}
	return driver.Some(v)
}
